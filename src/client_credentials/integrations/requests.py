"""For requests: every request carries a token that is good now, and one refused for its token is sent once more."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from ._bearer import Origin, Renewing, asks_for_new_token, checked, is_asynchronous, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest, Response

    from .._core.model import AccessToken


class BearerAuth(AuthBase):
    """Sends the strategy's token with each request: `requests.get(url, auth=BearerAuth(strategy))`.

    A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent. The request is then
    repeated once with a new one, unless there is no other token, or the body cannot be had again (a generator, a file
    that cannot seek). Whatever comes of that is what the caller gets; the 401 is in its `history`. A 403 is left alone.

    Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would
    raise, and it says who failed and when to try again, of which the 401 knows nothing.

    The token goes to the origin of the first request alone: after a redirect elsewhere, requests takes the header off,
    and no 401 from there is answered with a token. (The one exception is requests' own: from http to https on the
    same host, both on their default ports, the header stays.) Given to a Session it goes to whatever URL the session
    is asked for, so let a session that has one speak to one API only, over https.

    One object serves any number of threads and sessions. Raises ValueError for a strategy that cannot be used.
    """

    def __init__(self, strategy: Renewing) -> None:
        self._strategy = checked(strategy)
        if is_asynchronous(strategy):
            raise ValueError("strategy: requests is synchronous, so it needs a ClientCredentialsStrategy")

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Give a request its token, and the hook that looks at its answer; raises TokenError."""
        token = self._strategy.get_or_create_access_token()
        r.headers["Authorization"] = token.authorization
        r.register_hook("response", partial(self._answered, token, origin_of(r.url or "")))
        return r

    def _answered(
        self,
        token: AccessToken,
        home: Origin,
        response: Response,
        **sending: Any,  # noqa: ANN401  # what the adapter takes
    ) -> Response:
        """See to the answer of this request, or of one that a redirect made of it."""
        request = response.request
        carried = request.headers.get("Authorization") == token.authorization and origin_of(request.url or "") == home
        if not carried or not asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate")):
            return response
        try:
            return self._repeated(token, response, sending)
        except BaseException:
            response.close()
            raise

    def _repeated(self, token: AccessToken, response: Response, sending: Mapping[str, Any]) -> Response:
        self._strategy.remove_access_token(token)
        request = response.request.copy()
        if not _rewound(request):
            return response
        new = self._strategy.get_or_create_access_token()
        if new.access_token == token.access_token:
            return response
        request.headers["Authorization"] = new.authorization
        # Read, so that the connection may be used again, and for whoever looks into the history.
        _ = response.content
        response.close()
        # The adapter calls no hooks: there is no third time.
        answer = response.connection.send(request, **sending)
        answer.history.append(response)
        return answer


def _rewound(request: PreparedRequest) -> bool:
    """Make a body ready to be sent again; False: it cannot be."""
    if request.body is None or isinstance(request.body, str | bytes):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True

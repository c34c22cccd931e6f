"""For requests: a BearerAuth for sessions, and a fetch that sends the token request through a session."""

from __future__ import annotations

import inspect
import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body, select_proxy
from urllib3.exceptions import HTTPError

from .._core.model import TokenResponse
from .._http.response import token_response
from .._http.verdict import pool_failure_of
from .._http.wire import Exchange, Host, addresses
from ._bearer import REFUSED_BODY, Bearer, Origin, asks_for_new_token, origin_of
from ._exchange import MAX_BODY, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import Response, Session

    from .._core.model import AccessToken, Failure, TokenRequest
    from ..protocols import AuthStrategy


class BearerAuth(AuthBase):
    """Sends the strategy's token with each request: `requests.get(url, auth=BearerAuth(strategy))`.

    A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent, unless it was granted
    less than ten seconds ago: its successor would be refused too. The request is then repeated once with a new token,
    unless there is no other, or the body cannot be had again (a generator, a file that cannot seek). The caller gets
    the last answer; the 401 is in its `history`, with at most 64 KiB of its body. A 403 is returned as it is.

    Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would
    raise, and it says who failed and when to try again, of which the 401 knows nothing.

    The token goes over https or to a loopback host; any other URL is a ValueError at the request, unless `allow_http`
    is true (for a service mesh that encrypts). It goes only to the origin of the first request: after a redirect
    elsewhere, requests takes the header off, and no 401 from there is answered with a token. (The one exception is
    that of requests: from http to https on the same host, both on their default ports, the header stays.) With
    `origin`, such as "https://api.example", requests to other origins carry no token; without, a session that has a
    BearerAuth should speak to one API only.

    One object serves any number of threads and sessions. Raises ValueError for a strategy or an origin that cannot be
    used.
    """

    def __init__(self, strategy: AuthStrategy, *, origin: str | None = None, allow_http: bool = False) -> None:
        self._bearer = Bearer(strategy, origin, allow_http=allow_http)
        method = strategy.get_or_create_access_token
        # A mock of a synchronous method passes for a coroutine function, so what looks odd is judged when it is called.
        if inspect.ismethod(method) and inspect.iscoroutinefunction(method):
            raise ValueError("strategy: must be a synchronous one for requests, such as ClientCredentialsStrategy")

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Give a request its token, and the hook that looks at its answer; raises TokenError."""
        if self._bearer.admits(r.url or ""):
            token = self._bearer.get()
            r.headers["Authorization"] = token.authorization
            r.register_hook("response", _Replay(self._bearer, token, origin_of(r.url or "")))
        return r


class _Replay:
    """The response hook of one request: it sends the request again if its token was refused."""

    def __init__(self, bearer: Bearer, token: AccessToken, home: Origin) -> None:
        self._bearer = bearer
        self._token = token
        self._home = home

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        # A response pickles with its request and the request's hooks. What was answered is not sent again.
        return _no_replay, ()

    def __call__(
        self,
        response: Response,
        **sending: Any,  # noqa: ANN401  # what the adapter takes
    ) -> Response:
        """See to the answer of this request, or of one that a redirect made of it."""
        request, token = response.request, self._token
        carried = request.headers.get("Authorization") == token.authorization
        if not (carried and origin_of(request.url or "") == self._home):
            return response
        if not asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate")):
            return response
        try:
            return self._repeated(response, sending)
        except BaseException:
            response.close()
            raise

    def _repeated(self, response: Response, sending: Mapping[str, Any]) -> Response:
        self._bearer.report(self._token)
        request = response.request.copy()
        if not _rewound(request):
            return response
        new = self._bearer.get()
        if new.access_token == self._token.access_token:
            return response
        request.headers["Authorization"] = new.authorization
        _keep_head(response)
        # The adapter calls no hooks: there is no third time.
        answer = response.connection.send(request, **sending)
        answer.history.append(response)
        return answer


def _no_replay() -> Callable[..., None]:
    return _keep_response


def _keep_response(_: Response, **__: object) -> None:
    """Leave a response as it is: the hook of an unpickled request."""


def _rewound(request: PreparedRequest) -> bool:
    """Make a body ready to be sent again; False: it cannot be."""
    if request.body is None or isinstance(request.body, str | bytes):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


def _keep_head(response: Response) -> None:
    """Read what the caller's history keeps of a refused response, and free or close its connection."""
    head, raw = bytearray(), response.raw
    pieces = raw.stream(REFUSED_BODY, decode_content=True) if hasattr(raw, "stream") else iter(raw.read, b"")
    with suppress(HTTPError, OSError):
        for piece in pieces:
            head += piece
            if len(head) >= REFUSED_BODY:
                break
    response.close()
    response.raw = io.BytesIO(head[:REFUSED_BODY])
    _ = response.content


class RequestsFetch:
    """Sends token requests through the program's own session: `SdkConfiguration(fetch=RequestsFetch(session))`.

    The session decides on TLS, proxies and adapters; its auth, netrc, headers, cookies, hooks and redirects do not
    count. Nothing is retried but what its adapter retries. At most 1 MiB of a body is read, and a compressed one is
    refused. `request.timeout` is what the exchange may take; only headers that drip can outlast it.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError for
    what is no session.
    """

    def __init__(self, session: Session) -> None:
        if not callable(getattr(session, "get_adapter", None)):
            raise ValueError("session: must be a requests.Session")
        self._session = session

    def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and give whatever came back."""
        try:
            outcome = self._send(request)
        except BaseException as interrupt:
            # The frames below hold the request and the answer, and a traceback may be shown with its locals.
            raise interrupt.with_traceback(None) from None
        return unwrapped(outcome)

    def _send(self, request: TokenRequest) -> TokenResponse | Failure:
        exchange = Exchange.begin(request.url, request.timeout)
        try:
            settings = self._session.merge_environment_settings(request.url, {}, True, None, None)
            exchange.proxy = _proxy(request.url, settings["proxies"])
            if exchange.is_plain:
                addresses(exchange.host, exchange)
            exchange.await_response()
            prepared = PreparedRequest()
            prepared.prepare(request.method, request.url, request.headers, data=request.body)
            left = exchange.left()
            response = self._session.get_adapter(request.url).send(prepared, timeout=(left, left), **settings)
            with response:
                return token_response(response.raw, exchange, MAX_BODY)
        except Exception as error:
            return pool_failure_of(error, exchange)


def _proxy(url: str, proxies: dict[str, str]) -> Host | None:
    parts = urlsplit(select_proxy(url, proxies) or "")
    return Host(parts.hostname, parts.port or 1080, "proxy ") if parts.hostname else None

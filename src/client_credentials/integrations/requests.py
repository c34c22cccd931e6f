"""For requests: a BearerAuth for sessions, and a fetch that sends the token request through a session."""

from __future__ import annotations

import inspect
import io
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from requests import PreparedRequest, Session
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body, select_proxy
from urllib3.exceptions import HTTPError

from .._http.response import token_response
from .._http.verdict import pool_verdict_of
from .._http.wire import Host
from .._shell.driver import run_sync
from ._bearer import REFUSED_BODY, Bearer, Origin, asks_for_new_token, at_once, head_of, origin_of
from ._exchange import MAX_BODY, checked, exchanged

if TYPE_CHECKING:
    from requests import Response

    from .._core.model import AccessToken, TokenRequest, TokenResponse
    from .._http.wire import Exchange
    from ..protocols import AuthStrategy


class BearerAuth(AuthBase):
    """Sends the strategy's token with each request: `requests.get(url, auth=BearerAuth(strategy))`.

    A request whose token is refused is sent once more with a new one, unless its body cannot be had again (a generator,
    a file that cannot seek). The 401 is in the `history` of the answer, with at most 64 KiB of its body. With `origin`,
    such as "https://api.example", other origins get no token; `allow_http` permits plain http. The rules of all bearers
    are in `help("client_credentials.integrations")`.

    Raises ValueError for a strategy or an origin that cannot be used; a request raises TokenError where there is no
    token, and ValueError where it would go in the clear.
    """

    def __init__(self, strategy: AuthStrategy, *, origin: str | None = None, allow_http: bool = False) -> None:
        self._bearer = Bearer(strategy, origin, allow_http=allow_http)
        method = strategy.get_or_create_access_token
        # A mock of a synchronous method passes for a coroutine function, so it is judged when it is called.
        if inspect.ismethod(method) and inspect.iscoroutinefunction(method):
            raise ValueError("strategy must be a synchronous one for requests, such as ClientCredentialsStrategy")

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the token to a request, and the hook that looks at its answer; raises TokenError."""
        if self._bearer.admits(r.url or ""):
            token = run_sync(self._bearer.get(at_once))
            r.headers["Authorization"] = token.authorization
            r.register_hook("response", _Replay(self._bearer, token, origin_of(r.url or "")))
        return r


@attrs.frozen(eq=False, repr=False)
class _Replay:
    """The response hook of one request: it sends the request again if its token was refused."""

    bearer: Bearer
    token: AccessToken
    home: Origin

    def __reduce__(self) -> tuple[type, tuple[object]]:
        # A response pickles with its request and the request's hooks. What was answered is not sent again.
        return partial, (_keep_response,)

    def __call__(
        self,
        response: Response,
        **sending: Any,  # noqa: ANN401  # what the adapter takes
    ) -> Response:
        """Handle the answer to this request, or to one that a redirect made of it."""
        request = response.request
        carried = request.headers.get("Authorization") == self.token.authorization
        if not (carried and origin_of(request.url or "") == self.home):
            return response
        if not asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate")):
            return response
        request = request.copy()
        try:
            new = run_sync(self.bearer.replacement(at_once, self.token, can_send=_rewound(request)))
            if new is None:
                return response
            _keep_head(response)
        except BaseException:
            response.close()
            raise
        request.headers["Authorization"] = new.authorization
        # The adapter calls no hooks: there is no third time.
        answer = response.connection.send(request, **sending)
        answer.history.append(response)
        return answer


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
    raw = response.raw
    pieces = raw.stream(REFUSED_BODY, decode_content=True) if hasattr(raw, "stream") else iter(raw.read, b"")
    head = head_of(pieces, HTTPError, OSError)
    response.close()
    response.raw = io.BytesIO(head)
    _ = response.content


class RequestsFetch:
    """Sends token requests through the program's own session: `SdkConfiguration(fetch=RequestsFetch(session))`.

    The session decides on TLS, proxies and adapters; its auth, netrc, headers, cookies, hooks and redirects do not
    count. `request.timeout`, in seconds, bounds the exchange, but for headers that drip. At most 1 MiB of a body is
    read.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError if
    `session` is not a requests.Session.
    """

    def __init__(self, session: Session) -> None:
        self._session = checked("session", session, Session)

    def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and return whatever came back."""
        return run_sync(exchanged(request, self._send, pool_verdict_of))

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        settings = self._session.merge_environment_settings(request.url, {}, True, None, None)
        exchange.proxy = _proxy(request.url, settings["proxies"])
        exchange.note_connected()
        prepared = PreparedRequest()
        prepared.prepare(request.method, request.url, request.headers, data=request.body)
        left = exchange.left()
        response = self._session.get_adapter(request.url).send(prepared, timeout=(left, left), **settings)
        with response:
            return token_response(response.raw, exchange, MAX_BODY)


def _proxy(url: str, proxies: dict[str, str]) -> Host | None:
    parts = urlsplit(select_proxy(url, proxies) or "")
    return Host(parts.hostname, parts.port or 1080, "proxy ") if parts.hostname else None

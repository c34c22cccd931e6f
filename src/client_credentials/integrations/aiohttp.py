"""For aiohttp: a middleware that sends bearer tokens, and a fetch that sends the token request through a session."""

from __future__ import annotations

from asyncio import timeout
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import ClientSession, ClientTimeout, hdrs
from aiohttp.payload import BytesPayload
from yarl import URL

from ._bearer import Bearer, Origin, asks_for_new_token, origin_of
from ._exchange import AsyncFetch, checked, received_async

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

    from .._core.model import AccessToken, TokenRequest, TokenResponse
    from .._http.wire import Exchange
    from ..protocols import AsyncAuthStrategy, AuthStrategy

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@attrs.frozen
class _Redirect:
    """The redirect that a task was answered with last, as aiohttp does not say what led to a request.

    `home` is the origin of the first request; None once the redirects have left it.
    """

    home: Origin | None
    targets: frozenset[Origin]


_REDIRECT: ContextVar[_Redirect | None] = ContextVar("client_credentials.redirect", default=None)


def bearer(
    strategy: AuthStrategy | AsyncAuthStrategy, *, origin: str | None = None, allow_http: bool = False
) -> ClientMiddlewareType:
    """Make a middleware that sends the strategy's token: `ClientSession(middlewares=(bearer(strategy),))`.

    A request whose token is refused is sent once more with a new one if aiohttp holds its body in memory, as it does
    bytes, text, JSON and forms, but no file, multipart or generator. With `origin`, such as "https://api.example",
    other origins get no token; `allow_http` permits plain http. The token stays at the origin of the first request,
    whether aiohttp follows a redirect or the task does so with its next request. The rules of all bearers are in
    `help("client_credentials.integrations")`.

    Raises ValueError for a strategy or an origin that cannot be used; a request raises TokenError where there is no
    token, and ValueError where it would go in the clear.
    """
    tokens = Bearer(strategy, origin, allow_http=allow_http)

    async def send(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        home = _home(_origin(request.url))
        if home is not None and tokens.admits(str(request.url)):
            response = await _authorized(tokens, request, handler)
        else:
            response = await handler(request)
        if response.status in _REDIRECTS:
            _REDIRECT.set(_Redirect(home, _targets(response)))
        return response

    return send


def _home(here: Origin) -> Origin | None:
    """Give the origin that a call's token may go to, as of its next request; None: to none."""
    redirect = _REDIRECT.get()
    _REDIRECT.set(None)
    if redirect is None or here not in redirect.targets:
        return here
    return here if here == redirect.home else None


def _targets(response: ClientResponse) -> frozenset[Origin]:
    """Give where a redirect may lead: a Location that is read as a relative one stays at the origin."""
    location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI) or ""
    with suppress(ValueError):
        return frozenset({_origin(response.url), _origin(response.url.join(URL(location)))})
    return frozenset()  # aiohttp does not follow it


def _origin(url: URL) -> Origin:
    return origin_of(str(url))


async def _authorized(tokens: Bearer, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send with a token and, if it is refused, once more with another."""
    token = await tokens.get_async()
    response = await _sent(token, request, handler)
    challenge = ", ".join(response.headers.getall(hdrs.WWW_AUTHENTICATE, ()))
    if not asks_for_new_token(response.status, challenge):
        return response
    try:
        new = await tokens.replacement_async(token, can_send=isinstance(request.body, bytes | BytesPayload))
    except BaseException:
        response.close()
        raise
    if new is None:
        return response
    response.release()
    return await _sent(new, request, handler)


async def _sent(token: AccessToken, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    request.headers[hdrs.AUTHORIZATION] = token.authorization
    return await handler(request)


class AiohttpFetch(AsyncFetch):
    """Sends token requests through the program's own session, for AsyncClientCredentialsStrategy.

    The session decides on connections, TLS and proxies; its middlewares and redirects do not count, but aiohttp adds
    its headers and cookies to every request. `request.timeout`, in seconds, bounds the exchange whatever the endpoint
    does. At most 1 MiB of a body is read. Nothing is retried.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError for
    what is no aiohttp.ClientSession, or one whose auth would be sent in place of the client's.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = checked("session", session, ClientSession)
        if getattr(session, "auth", None) is not None or hdrs.AUTHORIZATION in session.headers:
            raise ValueError("session must have no auth, which would be sent with the token request")

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        outgoing = self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            skip_auto_headers=(hdrs.ACCEPT_ENCODING,),
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(),
            timeout=ClientTimeout(total=None),
        )
        async with timeout(exchange.left()), outgoing as response:
            pieces = aiter(response.content.iter_any())
            return await received_async(response.status, response.headers, pieces, exchange)

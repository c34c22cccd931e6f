"""For aiohttp: a middleware that sends bearer tokens, and a fetch that sends the token request through a session."""

from __future__ import annotations

from asyncio import timeout
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from aiohttp import ClientSession, ClientTimeout, hdrs
from aiohttp.payload import BytesPayload
from yarl import URL

from ._bearer import Bearer, Origin, asks_for_new_token, origin_of
from ._exchange import checked, diagnosed, exchanged, received_async

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

    from .._core.model import TokenRequest, TokenResponse
    from .._http.wire import Exchange
    from ..protocols import AsyncAuthStrategy, AuthStrategy

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


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
    # Where the next request of a task carries no token: a redirect may have led there, which aiohttp does not tell.
    barred: ContextVar[frozenset[Origin]] = ContextVar("client_credentials.away", default=frozenset())

    async def send(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        url, away = str(request.url), barred.get()
        if away:
            barred.set(frozenset())
        here = origin_of(url)
        if here not in away and tokens.admits(url):
            response = await _authorized(tokens, request, handler)
        else:
            response = await handler(request)
        if response.status in _REDIRECTS:
            # A task that has left the origin of the first request does not bring the token back there.
            barred.set(_targets(response) - ({here} - away))
        return response

    return send


def _targets(response: ClientResponse) -> frozenset[Origin]:
    """Return the origins that a redirect may lead to: its own, too, where its Location is read as a relative one."""
    location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI) or ""
    with suppress(ValueError):
        return frozenset(origin_of(str(url)) for url in (response.url, response.url.join(URL(location))))
    return frozenset()  # aiohttp does not follow it


async def _authorized(tokens: Bearer, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send with a token and, if it is refused, once more with another."""
    token = await tokens.get(tokens.in_loop)
    request.headers[hdrs.AUTHORIZATION] = token.authorization
    response = await handler(request)
    challenge = ", ".join(response.headers.getall(hdrs.WWW_AUTHENTICATE, ()))
    if not asks_for_new_token(response.status, challenge):
        return response
    can_send = isinstance(request.body, bytes | BytesPayload)
    try:
        new = await tokens.replacement(tokens.in_loop, token, can_send=can_send)
    except BaseException:
        response.close()
        raise
    if new is None:
        return response
    response.release()
    request.headers[hdrs.AUTHORIZATION] = new.authorization
    return await handler(request)


class AiohttpFetch:
    """Sends token requests through the program's own session, for AsyncClientCredentialsStrategy.

    The session decides on connections, TLS and proxies; its middlewares, .netrc and redirects do not count, but
    aiohttp adds its headers and cookies to every request. `request.timeout`, in seconds, bounds the exchange
    whatever the endpoint does. At most 1 MiB of a body is read. Nothing is retried.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError if
    `session` is not an aiohttp.ClientSession, or has an auth that would be sent in place of the client's.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = checked("session", session, ClientSession)
        if getattr(session, "auth", None) is not None or hdrs.AUTHORIZATION in session.headers:
            raise ValueError("session must have no auth, which would be sent with the token request")

    async def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and return whatever came back."""
        return await exchanged(request, self._send, diagnosed)

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        async def authenticate(outgoing: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            # With trust_env, aiohttp puts there what .netrc has for the host.
            outgoing.headers.popall(hdrs.AUTHORIZATION, None)
            outgoing.headers.update(request.headers)
            return await handler(outgoing)

        # Within the statement, since a request that is made and not awaited warns: there may be no time left.
        async with (
            timeout(exchange.left()),
            self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                skip_auto_headers=(hdrs.ACCEPT_ENCODING,),
                allow_redirects=False,
                raise_for_status=False,
                auto_decompress=False,
                middlewares=(authenticate,),
                timeout=ClientTimeout(total=None),
            ) as response,
        ):
            pieces = aiter(response.content.iter_any())
            return await received_async(response.status, response.headers, pieces, exchange)

"""For aiohttp: a middleware that sends bearer tokens, and a fetch that sends the token request through a session."""

from __future__ import annotations

from asyncio import timeout
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import ClientSession, ClientTimeout, hdrs
from aiohttp.payload import BytesPayload
from yarl import URL

from .._http.wire import Exchange, addresses
from ._bearer import Bearer, Origin, asks_for_new_token, origin_of
from ._exchange import diagnosed, received_async, unwrapped

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

    from .._core.model import AccessToken, Failure, TokenRequest, TokenResponse
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

    A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent, unless it was
    granted less than ten seconds ago: its successor would be refused too. The request is then repeated once with a
    new token, unless there is no other, or aiohttp does not hold the body in memory (as it does bytes, text, JSON
    and forms, but no file, multipart or generator). The caller gets the last answer. A 403 is returned as it is.

    Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would
    raise, and it says who failed and when to try again, of which the 401 knows nothing.

    The token goes over https or to a loopback host; any other URL is a ValueError at the request, unless `allow_http`
    is true (for a service mesh that encrypts). It goes only to the origin of the first request, whether aiohttp
    follows a redirect or the task does so with its next request. With `origin`, such as "https://api.example",
    requests to other origins carry no token; without, a session that has a bearer should speak to one API only.

    Either kind of strategy will do; a synchronous one is called in a thread, so that it never blocks the event loop.
    One middleware serves any number of tasks, sessions and event loops. Raises ValueError for a strategy or an origin
    that cannot be used.
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
        await tokens.report_async(token)
        if not isinstance(request.body, bytes | BytesPayload):
            return response
        new = await tokens.get_async()
        if new.access_token == token.access_token:
            return response
    except BaseException:
        response.close()
        raise
    response.release()
    return await _sent(new, request, handler)


async def _sent(token: AccessToken, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    request.headers[hdrs.AUTHORIZATION] = token.authorization
    return await handler(request)


class AiohttpFetch:
    """Sends token requests through the program's own session, for AsyncClientCredentialsStrategy.

    The session decides on connections, TLS and proxies; its middlewares and redirects do not count, but aiohttp adds
    its headers and cookies to every request. Nothing is retried. At most 1 MiB of a body is read, and a compressed one
    is refused. `request.timeout` bounds the exchange whatever the endpoint does.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError for
    what is no session, or one whose auth would be sent in place of the client's.
    """

    def __init__(self, session: ClientSession) -> None:
        if not isinstance(session, ClientSession):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("session: must be an aiohttp.ClientSession")
        if getattr(session, "auth", None) is not None or hdrs.AUTHORIZATION in session.headers:
            raise ValueError("session: must have no auth, which would be sent with the token request")
        self._session = session

    async def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and give whatever came back."""
        try:
            outcome = await self._send(request)
        except BaseException as interrupt:
            # The frames below hold the request and the answer, and a traceback may be shown with its locals.
            raise interrupt.with_traceback(None) from None
        return unwrapped(outcome)

    async def _send(self, request: TokenRequest) -> TokenResponse | Failure:
        exchange = Exchange.begin(request.url, request.timeout)
        try:
            if exchange.is_plain:
                addresses(exchange.host, exchange)
            exchange.await_response()
            async with timeout(exchange.left()), self._exchange(request) as response:
                pieces = aiter(response.content.iter_any())
                return await received_async(response.status, response.headers, pieces, exchange)
        except Exception as error:
            return diagnosed(error, exchange)

    def _exchange(self, request: TokenRequest) -> AbstractAsyncContextManager[ClientResponse]:
        return self._session.request(
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

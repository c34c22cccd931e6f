"""Fetches for httpx and httpx2, which have the same shape: a token request goes through the program's own client."""

from __future__ import annotations

import sys
import time
from asyncio import timeout
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from .._http.wire import Exchange, Host
from .._shell.driver import run_sync
from ._exchange import diagnosed, exchanged, received, received_async

if TYPE_CHECKING:
    from types import ModuleType

    from .._core.model import TokenRequest, TokenResponse


class HttpxFetch:
    """Sends token requests through the program's own Client: `SdkConfiguration(fetch=HttpxFetch(client))`.

    The client decides on connections, TLS, proxies and event hooks; its auth, headers, cookies, parameters and
    redirects do not count. `request.timeout`, in seconds, bounds the exchange, but for headers that drip. At most 1 MiB
    of a body is read.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError if
    `client` is not a Client of httpx or httpx2.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # either library's
        self._client = client
        self._library = _library_of(client, "Client")

    def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and return whatever came back."""
        return run_sync(exchanged(request, self._send, diagnosed))

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        outgoing = _outgoing(self._library, request, exchange)
        try:
            with closing(self._client.send(outgoing, stream=True, auth=None, follow_redirects=False)) as response:
                return received(response.status_code, response.headers, response.iter_raw(), exchange)
        except self._library.HTTPStatusError as error:
            return _refused(error.response, exchange)


class AsyncHttpxFetch:
    """Sends token requests through the program's own AsyncClient, for AsyncClientCredentialsStrategy.

    As HttpxFetch, but `request.timeout` bounds the exchange whatever the endpoint does. It needs asyncio.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # either library's
        self._client = client
        self._library = _library_of(client, "AsyncClient")

    async def __call__(self, request: TokenRequest) -> TokenResponse:
        """Send the request, and return whatever came back."""
        return await exchanged(request, self._send, diagnosed)

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        outgoing = _outgoing(self._library, request, exchange, is_async=True)
        try:
            # Each step has its own timeout, after which the library cleans up; this one ends what drips.
            async with timeout(exchange.left() + 0.05):
                response = await self._client.send(outgoing, stream=True, auth=None, follow_redirects=False)
                async with aclosing(response):
                    pieces = response.aiter_raw()
                    return await received_async(response.status_code, response.headers, pieces, exchange)
        except self._library.HTTPStatusError as error:
            return _refused(error.response, exchange)


def _library_of(client: object, kind: str) -> ModuleType:
    """Find the library of a client; raises ValueError for one of another kind."""
    for each in type(client).__mro__:
        if each.__name__ == kind and each.__module__ in ("httpx", "httpx2"):
            return sys.modules[each.__module__]
    raise ValueError(f"client must be an instance of httpx.{kind} or httpx2.{kind}")


def _outgoing(library: ModuleType, request: TokenRequest, exchange: Exchange, *, is_async: bool = False) -> object:
    """Make the library's request, with nothing of the client's; httpcore's trace tells how far the exchange is."""
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), exchange.left())
    connected: list[Any] = []

    def note(event: str, info: dict[str, Any]) -> None:
        if event.endswith(".started"):
            # Each step gets the time that is left; without any it still begins, as the library cleans up after a step.
            left = max(exchange.deadline - time.monotonic(), 0.001)
            timeouts.update(dict.fromkeys(timeouts, left))
            if "timeout" in info:  # it was read before the step began
                info["timeout"] = left
        if event.endswith(".connect_tcp.started"):  # of a SOCKS proxy, too
            peer = Host(info["host"], info["port"], "proxy ")
            if (peer.name, peer.port) != (exchange.host.name, exchange.host.port):
                exchange.proxy = peer
            exchange.stage = f"connect to {exchange.proxy or exchange.host}"
        elif event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete")):
            connected.append(info["return_value"])
            exchange.note_connected()

    async def note_async(event: str, info: dict[str, Any]) -> None:
        note(event, info)
        # A cancellation fails it, too, and then httpcore leaves the connection open.
        if connected and event.endswith("start_tls.failed"):
            await connected[-1].aclose()

    extensions = {"timeout": timeouts, "trace": note_async if is_async else note}
    headers = dict(request.headers)
    return library.Request(request.method, request.url, headers=headers, content=request.body, extensions=extensions)


def _refused(response: Any, exchange: Exchange) -> TokenResponse:  # noqa: ANN401  # the library's
    """Return the response for which an event hook of the client's raised."""
    body = response.content if response.is_stream_consumed else b""
    return received(response.status_code, response.headers, iter((body,)), exchange)

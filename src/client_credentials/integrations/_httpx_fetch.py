"""Fetches for httpx and httpx2, which have the same shape: a token request goes through the program's own client."""

from __future__ import annotations

from asyncio import timeout
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from .._http.wire import Exchange, Host
from ._exchange import AsyncFetch, SyncFetch, checked, received, received_async

if TYPE_CHECKING:
    from .._core.model import TokenRequest, TokenResponse


class ClientFetch(SyncFetch):
    """The fetch over a Client; `module` is httpx or httpx2."""

    module: ClassVar[Any]

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # the library's
        self._client = checked("client", client, self.module.Client)

    def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        progress = _Progress(exchange)
        outgoing = _outgoing(self.module, request, progress.timeouts, progress.note)
        try:
            with closing(self._client.send(outgoing, stream=True, auth=None, follow_redirects=False)) as response:
                return received(response.status_code, response.headers, response.iter_raw(), exchange)
        except self.module.HTTPStatusError as error:
            return _refused(error.response, exchange)


class AsyncClientFetch(AsyncFetch):
    """The fetch over an AsyncClient; `module` is httpx or httpx2."""

    module: ClassVar[Any]

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # the library's
        self._client = checked("client", client, self.module.AsyncClient)

    async def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        progress = _Progress(exchange)
        outgoing = _outgoing(self.module, request, progress.timeouts, progress.note_async)
        try:
            # Each step has its own timeout, after which the library cleans up; this one ends what drips.
            async with timeout(exchange.left() + 0.05):
                response = await self._client.send(outgoing, stream=True, auth=None, follow_redirects=False)
                try:
                    pieces = response.aiter_raw()
                    return await received_async(response.status_code, response.headers, pieces, exchange)
                finally:
                    await response.aclose()
        except self.module.HTTPStatusError as error:
            return _refused(error.response, exchange)


class _Progress:
    """How far an exchange has come, by httpcore's trace of it; each step gets the time that is left."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.timeouts = dict.fromkeys(("connect", "read", "write", "pool"), exchange.left())

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Hear of a step."""
        exchange = self._exchange
        if event.endswith(".started"):
            left = exchange.left()
            self.timeouts.update(dict.fromkeys(self.timeouts, left))
            if "timeout" in info:  # it was read before the step began
                info["timeout"] = left
        if event == "connection.connect_tcp.started":
            peer = Host(info["host"], info["port"], "proxy ")
            if (peer.name, peer.port) != (exchange.host.name, exchange.host.port):
                exchange.proxy = peer
            exchange.stage = f"connect to {exchange.proxy or exchange.host}"
        elif event == "connection.connect_tcp.complete":
            exchange.await_response()

    async def note_async(self, event: str, info: dict[str, Any]) -> None:
        """Hear of a step, in an event loop."""
        self.note(event, info)


def _outgoing(library: Any, request: TokenRequest, timeouts: object, trace: object) -> Any:  # noqa: ANN401
    """Make the library's request, in which nothing is the client's."""
    return library.Request(
        request.method,
        request.url,
        headers=dict(request.headers),
        content=request.body,
        extensions={"timeout": timeouts, "trace": trace},
    )


def _refused(response: Any, exchange: Exchange) -> TokenResponse:  # noqa: ANN401  # the library's
    """Give the response for which an event hook of the client's raised."""
    body = response.content if response.is_stream_consumed else b""
    return received(response.status_code, response.headers, iter((body,)), exchange)

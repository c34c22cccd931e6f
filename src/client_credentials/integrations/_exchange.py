"""What the fetches over other HTTP libraries share: the deadline, the bounded body, and one verdict for one event."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from http.client import IncompleteRead
from socket import gaierror
from ssl import SSLError
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from .._core.model import Malformed, TokenResponse, Unreachable
from .._http.response import token_response
from .._http.verdict import verdict_of
from .._http.wire import Exchange, ExchangeFailed, ExchangeFailure, addresses
from ..errors import error_of

if TYPE_CHECKING:
    from .._core.model import TokenRequest

T = TypeVar("T")
Send: TypeAlias = "Callable[[TokenRequest, Exchange], Awaitable[TokenResponse]]"
"""Sends a request through a client, and reads the response."""

MAX_BODY: Final = 1048576
"""How many bytes of a response are read."""


async def exchanged(
    request: TokenRequest, send: Send, diagnose: Callable[[Exception, Exchange], ExchangeFailure]
) -> TokenResponse:
    """Send a request through a client, and return what came back; raises the TokenError of a failure, without a cause.

    `send` of a synchronous client waits for nothing, so that all of it can be run without an event loop.
    """
    try:
        exchange = Exchange.begin(request.url, request.timeout)
        try:
            if exchange.is_plain:  # which must not leave this machine
                addresses(exchange.host, exchange)
            exchange.note_connected()
            outcome: TokenResponse | ExchangeFailure = await send(request, exchange)
        except Exception as error:
            outcome = diagnose(error, exchange)
    except BaseException as interrupt:
        # The frames below hold the request and the answer, and a traceback may be shown with its locals.
        raise interrupt.with_traceback(None) from None
    if isinstance(outcome, TokenResponse):
        return outcome
    raise error_of(outcome)


def checked(name: str, value: T, kind: type) -> T:
    """Return a client; raises ValueError for one of another kind."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be an instance of {kind.__module__.partition('.')[0]}.{kind.__name__}")
    return value


def received(status: int, headers: Mapping[str, str], pieces: Iterator[bytes], exchange: Exchange) -> TokenResponse:
    """Read a response to its end; raises what `pieces` raises, and ExchangeFailed, for one that grants a token."""

    def read1(_: int) -> bytes:
        return next(pieces, b"")

    response: Any = SimpleNamespace(status=status, headers=headers, read1=read1)
    return token_response(response, exchange, MAX_BODY)


async def received_async(
    status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes], exchange: Exchange
) -> TokenResponse:
    """Read a response to its end, in an event loop."""
    received(status, headers, iter(()), exchange)  # the headers may say enough
    body, failure = io.BytesIO(), None
    try:
        async with asyncio.timeout(exchange.deadline - time.monotonic()):
            while body.write(await anext(pieces, b"")) and body.tell() <= MAX_BODY:
                pass
    except Exception as error:
        failure = error
    return received(status, headers, _replayed(body, failure), exchange)


def diagnosed(error: Exception, exchange: Exchange) -> ExchangeFailure:
    """Say what an exception of httpx, httpx2 or aiohttp means, as our own fetch says it."""
    root = _root(error)
    names = {kind.__name__ for each in (root, error) for kind in type(each).__mro__}
    if isinstance(root, gaierror):
        peer = exchange.proxy or exchange.host
        exchange.stage = f"lookup of {peer.role}{peer.name}"
    elif "ClientConnectorError" in names and not isinstance(root, SSLError | ConnectionResetError):
        exchange.stage = f"connect to {exchange.host}"
    if isinstance(root, TimeoutError):
        return verdict_of(TimeoutError(), exchange)  # its cause is the cancellation
    if isinstance(root, OSError | ExchangeFailed):  # the errors of TLS are among them
        return verdict_of(root, exchange)
    if type(root) is RuntimeError:  # of the library, or of asyncio, which tell no more
        reason = f"{exchange.stage}: RuntimeError; is the client closed, or of another event loop?"
        return Unreachable(reason=reason, retryable=False)
    said = str(root)
    for name, words, event in _EVENTS:
        if name in names and words in said:
            if isinstance(event, Exception):
                return verdict_of(event, exchange)
            kind = "IncompleteRead" if exchange.status else event
            return Malformed(status=exchange.status, reason=f"{exchange.stage}: not HTTP ({kind})")
    return verdict_of(error, exchange)


# Exceptions of h11, httpx and aiohttp by name, since none of them need be installed, what they must say, and the
# standard library's exception for the event, or the name of its exception for what is not HTTP.
_EVENTS: Final[tuple[tuple[str, str, Exception | str], ...]] = (
    ("TimeoutException", "", TimeoutError()),
    ("RemoteProtocolError", "disconnected", ConnectionResetError()),
    ("RemoteProtocolError", "peer closed connection", IncompleteRead(b"")),
    ("RemoteProtocolError", "Content-Length", "InvalidHeader"),
    ("RemoteProtocolError", "", "BadStatusLine"),
    ("NetworkError", "", ConnectionResetError()),  # anyio tells no more
    ("ServerDisconnectedError", "", ConnectionResetError()),
    ("ClientPayloadError", "", IncompleteRead(b"")),
    ("ClientResponseError", "Content-Length", "InvalidHeader"),
    ("ClientResponseError", "", "BadStatusLine"),
)


def _replayed(body: io.BytesIO, failure: Exception | None) -> Iterator[bytes]:
    yield from filter(None, (body.getvalue(),))
    if failure is not None:
        raise failure


def _root(error: BaseException) -> BaseException:
    """Unwrap what the libraries wrap. Not by `__context__`, which leads out to what our caller is handling."""
    # In a group, which is anyio's, there is one for each address.
    inner = (*getattr(error, "exceptions", ())[-1:], error.__cause__, *error.args)
    found = next((each for each in inner if isinstance(each, Exception)), None)
    return error if found is None else _root(found)

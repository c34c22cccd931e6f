"""One exchange's deadline, kept by the sockets themselves: no lookup, dial, handshake, send or read outlasts it."""

from __future__ import annotations

# getaddrinfo would import it in the middle of the request.
import encodings.idna  # noqa: F401  # pyright: ignore[reportUnusedImport]
import errno
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs

from .._core.model import Failure, Malformed

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CONNECT_SECONDS: Final = 5.0
"""The longest that dialling may take, all addresses together."""

_Address: TypeAlias = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


class Fault(Exception):
    """A failure that we found ourselves, on its way to whoever makes a value of it; never leaves the transport."""

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


@attrs.define
class Exchange:
    """One exchange under way: when it must be over, what it may still receive, and how far it has come."""

    ends: float
    """The deadline, in seconds of `time.monotonic`."""
    allowance: int
    """How many more bytes may be received."""
    stage: str = "start"
    """What is being done, for the error's text."""
    status: int | None = None
    """The status of the response, once there is one."""
    ended: bool = False
    """Whether the peer has closed its side."""

    def left(self) -> float:
        """Seconds until the deadline; raises TimeoutError when none are left."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def received(self, count: int) -> None:
        """Take what was received off the allowance; raises Fault when that is used up."""
        self.ended = count == 0
        self.allowance -= count
        if self.allowance < 0:
            raise Fault(Malformed(status=self.status, reason=f"{self.stage}: too many bytes"))


class DeadlineSocket(socket.socket):
    """A TCP socket that gives each call only what is left of its exchange.

    A timeout of the standard kind starts anew with every read, so that dripping bytes keep it waiting for ever.
    """

    exchange: Exchange

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(self.exchange.left())
        count = super().recv_into(buffer, nbytes, flags)
        self.exchange.received(count)
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self.settimeout(self.exchange.left())
        super().sendall(data, flags)


class DeadlineTLSSocket(ssl.SSLSocket):
    """The same above TLS. The handshake keeps the timeout that it begins with as a whole."""

    exchange: Exchange

    def getpeername(self) -> object:
        # wrap_socket asks this first, and would leave the socket open for a peer that has gone already.
        try:
            return super().getpeername()
        except OSError:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "gone before the handshake") from None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(self.exchange.left())
        count = super().recv_into(buffer, nbytes, flags)
        self.exchange.received(count)
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        self.settimeout(self.exchange.left())
        return super().send(data, flags)


def tls_context() -> ssl.SSLContext:
    """Verify against the system's trust store (SSL_CERT_FILE and SSL_CERT_DIR are honoured), TLS 1.2 or later."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = DeadlineTLSSocket
    return context


def secure(sock: DeadlineSocket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Shake hands with a host over a connected socket, which is used up by that."""
    exchange = sock.exchange
    exchange.stage = f"TLS handshake with {host}"
    sock.settimeout(exchange.left())
    secured = cast("DeadlineTLSSocket", context.wrap_socket(sock, server_hostname=host))
    secured.exchange = exchange
    return secured


def dial(host: str, port: int, exchange: Exchange, *, peer: str = "") -> DeadlineSocket:
    """Connect to the first address that answers; each gets its share of the time. `peer` says who the host is.

    Raises OSError, as the last address failed.
    """
    exchange.stage = f"lookup of {peer}{host}"
    *spare, last = _addresses(host, port, exchange)
    exchange.stage = f"connect to {peer}{host}:{port}"
    ends = time.monotonic() + min(CONNECT_SECONDS, exchange.left())
    for nth, address in enumerate(spare):
        with suppress(OSError):
            return _connect(address, (ends - time.monotonic()) / (len(spare) + 1 - nth), exchange)
    return _connect(last, ends - time.monotonic(), exchange)


def _connect(address: _Address, seconds: float, exchange: Exchange) -> DeadlineSocket:
    family, kind, protocol, _, where = address
    sock = DeadlineSocket(family, kind, protocol)
    try:
        sock.exchange = exchange
        sock.settimeout(max(seconds, 0.001))
        sock.connect(where)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(host: str, port: int, exchange: Exchange) -> Sequence[_Address]:
    if _needs_no_server(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found: Future[Sequence[_Address]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    # getaddrinfo knows no timeout: it may hang on a thread that nobody waits for.
    try:
        threading.Thread(target=look_up, name="client-credentials-lookup", daemon=True).start()
    except RuntimeError:  # no thread is to be had: better a lookup that may hang than none
        look_up()
    return found.result(timeout=exchange.left())


def _needs_no_server(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""The deadline and byte limit of one exchange, around any socket: a Wire has a socket, but is not one."""

from __future__ import annotations

# getaddrinfo would import it in the middle of a request.
import encodings.idna  # noqa: F401  # pyright: ignore[reportUnusedImport]
import io
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from urllib.parse import urlsplit

import attrs

from .._core.client import is_loopback
from .._core.model import Malformed, Unreachable
from .._core.value import Value

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CONNECT_SECONDS: Final = 5.0
"""The longest that connecting may take, all addresses together."""

_RECORD: Final = 16384
"""How many bytes are sent under one timeout: what TLS puts into one record."""

_Address: TypeAlias = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


ExchangeFailure: TypeAlias = Malformed | Unreachable


class ExchangeFailed(Exception):
    """A failure found by this package; the transport returns it as a value."""

    def __init__(self, failure: ExchangeFailure) -> None:
        super().__init__()
        self.failure = failure


def forbidden(reason: str) -> ExchangeFailed:
    """Make the failure of an exchange that is not even tried, now or later."""
    return ExchangeFailed(Unreachable(reason=reason, retryable=False))


@attrs.frozen(eq=False, repr=False)
class Host(Value):
    """A host to connect to: the token endpoint, or the proxy before it."""

    name: str
    port: int
    role: str = ""
    """Comes before its name in a text: "proxy "."""

    @property
    def authority(self) -> str:
        """Name and port as a URL has them (RFC 3986 section 3.2.2)."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    def __str__(self) -> str:
        return f"{self.role}{self.name}:{self.port}"


@attrs.define(eq=False, repr=False)
class Exchange:
    """One exchange under way: where it goes, when it must be over, what it may still receive, how far it has come."""

    host: Host
    is_plain: bool
    """Whether it goes over plain http."""
    target: str
    """Path and query."""
    deadline: float
    """In seconds of `time.monotonic`."""
    allowance: int
    """How many more bytes may be received."""
    stage: str = "start"
    """What is being done, for the error's text."""
    status: int | None = None
    """The status of the response, once there is one."""
    peer_closed: bool = False
    """Whether the peer has closed its side."""
    proxy: Host | None = None
    """The proxy that it goes through."""
    store_is_empty: bool = False
    """Whether the peer could not be verified because nobody is trusted."""

    @classmethod
    def begin(cls, url: str, timeout: float, allowance: int = 0) -> Self:
        """Begin an exchange with a URL, whose deadline is `timeout` seconds from now."""
        deadline = time.monotonic() + timeout
        parts = urlsplit(url)
        is_plain = parts.scheme == "http"
        host = Host(parts.hostname or "", parts.port or (80 if is_plain else 443))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, is_plain, target, deadline, allowance)

    def note_connected(self) -> None:
        """Note that host and proxy are connected; from here on, not every carrier can tell which of them failed."""
        self.stage = f"response of {self.host.name}" + (f" through {self.proxy}" if self.proxy else "")

    def left(self) -> float:
        """Seconds until the deadline; raises TimeoutError when none are left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def received(self, count: int) -> None:
        """Take what was received off the allowance; raises ExchangeFailed when that is used up."""
        self.peer_closed = count == 0
        self.allowance -= count
        if self.allowance < 0:
            raise ExchangeFailed(Malformed(status=self.status, reason=f"{self.stage}: too many bytes"))


class Wire(io.RawIOBase):
    """What http.client takes for a socket: sends and receives on any socket, until the exchange's deadline.

    A timeout starts anew with every read, so a peer that drips bytes could hold it for ever: before each call the
    socket gets what is left. Head and body of a request are sent together, at the first read. Closing it leaves the
    socket open, as http.client closes a connection while its response is still being read.
    """

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange
        self._outgoing = bytearray()
        self._incoming: io.RawIOBase | None = None

    def readable(self) -> bool:
        """Tell io.BufferedReader that this can be read."""
        return True

    def settimeout(self, _: object) -> None:
        """Ignore urllib3's timeout: the deadline is all there is."""

    def sendall(self, data: ReadableBuffer) -> None:
        """Keep data to be sent."""
        self._outgoing += data

    def makefile(self, _: str) -> io.BufferedReader:
        """Open what http.client reads a response from."""
        return io.BufferedReader(self)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Send what was kept, then receive some bytes; 0 at the end."""
        self._flush()
        self._sock.settimeout(self._exchange.left())
        # Through makefile, and only once needed: all that every stand-in for a socket supports.
        self._incoming = self._incoming or self._sock.makefile("rb", 0)
        count = self._incoming.readinto(buffer) or 0
        self._exchange.received(count)
        return count

    def close(self) -> None:
        """Leave the socket open."""

    def hang_up(self) -> None:
        """Close the socket."""
        if self._incoming is not None:
            self._incoming.close()
        self._sock.close()

    def start_tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Shake hands with the endpoint; raises OSError. A handshake keeps the timeout that it begins with."""
        host = self._exchange.host.name
        self._sock.settimeout(self._exchange.left())
        try:
            self._sock.getpeername()
        except OSError:  # wrap_socket would take it for a socket that is yet to be connected
            raise ConnectionResetError from None
        self._sock, self._incoming = context.wrap_socket(self._sock, server_hostname=host.rstrip(".")), None
        self._sock.getpeercert(binary_form=True)  # raises where there was no handshake after all
        return self._sock

    def _flush(self) -> None:
        while self._outgoing:
            self._sock.settimeout(self._exchange.left())
            self._sock.sendall(self._outgoing[:_RECORD])
            del self._outgoing[:_RECORD]


def connect(host: Host, exchange: Exchange) -> Wire:
    """Connect to the first address that answers, each within its share of the time; raises the last one's OSError."""
    *spare, last = addresses(host, exchange)
    exchange.stage = f"connect to {host}"
    ends = time.monotonic() + min(CONNECT_SECONDS, exchange.left())
    for nth, address in enumerate(spare):
        with suppress(OSError):
            return Wire(_connected(address, (ends - time.monotonic()) / (len(spare) + 1 - nth)), exchange)
    return Wire(_connected(last, ends - time.monotonic()), exchange)


def addresses(host: Host, exchange: Exchange) -> Sequence[_Address]:
    """Look a host up; raises OSError, and ExchangeFailed where plain http would leave this machine."""
    exchange.stage = f"lookup of {host.role}{host.name}"
    if exchange.is_plain and not is_loopback(host.name):
        raise _not_loopback(host.name)
    # It has no timeout. Callers do not wait for it: they wait for the flight, until their own deadline.
    found = socket.getaddrinfo(host.name, host.port, 0, socket.SOCK_STREAM)
    exchange.left()
    for address in found if exchange.is_plain else ():
        if not is_loopback(str(address[4][0])):  # what a hosts file makes of localhost
            raise _not_loopback(f"{host.name} at {address[4][0]}")
    return found


def _connected(address: _Address, seconds: float) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(max(seconds, 0.001))
        sock.connect(where)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _not_loopback(what: str) -> ExchangeFailed:
    return forbidden(f"plain http is for loopback only, and {what} is not loopback: use https")

"""Raw loopback peers that do to a client what a test tells them to, and what a failed exchange must never show."""

from __future__ import annotations

import contextlib
import functools
import itertools
import queue
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
import trustme

from client_credentials import TokenError, TokenRequest, TokenResponse

Script = Callable[[socket.socket], object]

CLOSED_PORT = 1
"""Nobody listens there, and no system hands it out; a port that was free a moment ago may be taken."""
SECRET = "tr0ub4dor-and-3"
BODY = b'{"access_token":"t","token_type":"Bearer","expires_in":3600}'
GRANTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


class Peer:
    """A listener on 127.0.0.1 that plays one script for each connection, the last one again and again.

    `connections` counts what was accepted.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._scripts = itertools.chain(scripts[:-1], itertools.repeat(scripts[-1]))
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/token"
        self.secure_url = f"https://localhost:{self.port}/token"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(60)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(60)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                self._threads.append(threading.Thread(target=self._play, args=(sock, next(self._scripts)), daemon=True))
                self._threads[-1].start()

    def _play(self, sock: socket.socket, script: Script) -> None:
        # A client that has had enough goes away in the middle of a script: that is what most of them are for.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            stack.enter_context(sock)
            script(sock)


def read_request(sock: socket.socket) -> bytes:
    """Read one request, as long as its Content-Length says; what there is of it if the client leaves first."""
    got = bytearray()
    while b"\r\n\r\n" not in got:
        piece = sock.recv(65536)
        if not piece:
            return b""
        got += piece
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(next(iter(lengths), b"0")) and (piece := sock.recv(65536)):
        body += piece
    return head + b"\r\n\r\n" + body


def answers(*pieces: bytes) -> Script:
    """Make a script that takes one request, sends these pieces and closes."""

    def script(sock: socket.socket) -> None:
        read_request(sock)
        for piece in pieces:
            sock.sendall(piece)

    return script


def keeps(received: queue.SimpleQueue[bytes], answer: bytes = GRANTED) -> Script:
    """Make a script that takes one request, hands it on, answers and closes."""

    def script(sock: socket.socket) -> None:
        received.put(read_request(sock))
        sock.sendall(answer)

    return script


def answers_each(*whole: bytes) -> Script:
    """Make a script that keeps the connection alive: one answer for each request, then it closes."""

    def script(sock: socket.socket) -> None:
        for answer in whole:
            if read_request(sock):
                sock.sendall(answer)

    return script


def floods(head: bytes, piece: bytes, pause: float = 0.0) -> Script:
    """Make a script that takes one request and then sends without an end, with a pause in seconds between pieces."""

    def script(sock: socket.socket) -> None:
        answers(head)(sock)
        while True:
            sock.sendall(piece)
            time.sleep(pause)

    return script


def drips(head: bytes, piece: bytes = b"x") -> Script:
    """Make a script that takes one request and then sends a byte at a time, without an end."""
    return floods(head, piece, 0.02)


def holds(*pieces: bytes) -> Script:
    """Make a script that takes one request, sends these pieces and then nothing more, until the client leaves."""

    def script(sock: socket.socket) -> None:
        answers(*pieces)(sock)
        sock.recv(1)

    return script


def silent(sock: socket.socket) -> None:
    """Read whatever comes and say nothing, until the client leaves."""
    while sock.recv(65536):
        pass


def resets(*pieces: bytes) -> Script:
    """Make a script that takes one request, sends these pieces and aborts the connection."""

    def script(sock: socket.socket) -> None:
        answers(*pieces)(sock)
        time.sleep(0.05)  # an abort overtakes what is still under way
        abort(sock)

    return script


def abort(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def black_hole() -> Generator[int]:
    """Give a port whose backlog is full, so that a dial is neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def token_request(url: str, timeout: float = 5.0) -> TokenRequest:
    """Make a token request that carries the secret in a header and in its body."""
    return TokenRequest("POST", url, {"Authorization": f"Basic {SECRET}"}, f"client_secret={SECRET}".encode(), timeout)


def failure(fetch: Callable[[TokenRequest], TokenResponse], request: TokenRequest) -> TokenError:
    """Send a request that must fail, and hold the error to what it may show: no cause, no context, no secret."""
    with pytest.raises(TokenError) as raised:
        fetch(request)
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert SECRET not in shown + repr(error)
    return error


def at_deadline(
    fetch: Callable[[TokenRequest], TokenResponse], request: TokenRequest, reason: str, soon: float = 0.2
) -> TokenError:
    """Send a request that must fail at its deadline, for this reason; a busy machine may need a later deadline."""
    with within(soon):
        error = failure(fetch, attrs.evolve(request, timeout=soon))
    if reason not in str(error):
        with within(5.0):
            error = failure(fetch, attrs.evolve(request, timeout=5.0))
    assert reason in str(error)
    return error


@contextlib.contextmanager
def within(seconds: float) -> Generator[None]:
    """Hold a block to a deadline, with what a busy machine may add to it."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds + 10.0


@functools.cache
def authority() -> trustme.CA:
    """Give the authority that the tests' certificates come from."""
    return trustme.CA()


def server_context(
    *names: str, ca: trustme.CA | None = None, expired: bool = False, common_name: str | None = None
) -> ssl.SSLContext:
    """Give a TLS server's context with a certificate for these names, or for localhost; or for a common name alone."""
    ended = datetime(2024, 1, 1, tzinfo=UTC) if expired else None
    san = names or (() if common_name else ("localhost", "127.0.0.1"))
    certificate = (ca or authority()).issue_cert(*san, not_after=ended, common_name=common_name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context


def trust(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the tests' authority the only one that OpenSSL knows, and take every proxy out of the environment."""
    authority().cert_pem.write_to_path(str(folder / "ca.pem"))
    patch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        patch.delenv(name, raising=False)
        patch.delenv(name.upper(), raising=False)


def relay(sock: socket.socket, port: int, slow: threading.Event) -> None:
    """Carry bytes between a client and a port, towards the client one by one as soon as `slow` is set."""
    with socket.create_connection(("127.0.0.1", port)) as upstream:

        def upwards() -> None:
            with contextlib.suppress(OSError):
                while piece := sock.recv(65536):
                    upstream.sendall(piece)
            with contextlib.suppress(OSError):  # after a reset, too
                upstream.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=upwards, daemon=True)
        thread.start()
        with contextlib.suppress(OSError):
            while piece := upstream.recv(65536):
                if not slow.is_set():
                    sock.sendall(piece)
                    continue
                for byte in piece:
                    sock.sendall(bytes([byte]))
                    time.sleep(0.02)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def sized(length: int) -> bytes:
    """Give the head of a response of that length."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % length


def v4(port: int, host: str = "127.0.0.1") -> Address:
    """Give what a lookup finds for an IPv4 address."""
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> None:
    """Let every lookup find these."""

    def found(*_: object, **__: object) -> list[Address]:
        return list(addresses)

    monkeypatch.setattr(socket, "getaddrinfo", found)

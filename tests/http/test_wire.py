"""The wire itself: how its socket is set up, what a handshake that was none comes to, and that it is really closed."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any, cast

import pytest

from client_credentials._http.wire import Exchange, Wire, connect
from tests.http.peers import GRANTED, Peer, answers


@pytest.fixture
def ends() -> Generator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected to each other."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        far.settimeout(5.0)
        yield near, far


def exchange() -> Exchange:
    """An exchange that has five seconds."""
    return Exchange.begin("https://127.0.0.1:1/", 5.0, 100)


def test_hanging_up(ends: tuple[socket.socket, socket.socket]) -> None:
    """The peer sees the end at once, though somebody still has the wire, a traceback for example."""
    near, far = ends
    wire = Wire(near, exchange())
    far.sendall(b"hi")
    assert b"hi" == wire.read(2)
    wire.hang_up()
    assert b"" == far.recv(1)


def test_no_handshake_after_all(ends: tuple[socket.socket, socket.socket]) -> None:
    """A context that returns a socket without having shaken hands, as it does where none is connected, is not used.

    And a certificate is for a name without the dot that may end it.
    """
    names: list[str] = []

    class Lazy:
        def wrap_socket(self, sock: socket.socket, server_hostname: str) -> ssl.SSLSocket:
            names.append(server_hostname)
            context = ssl.create_default_context()
            return context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)

    lazy: Any = Lazy()
    wire = Wire(ends[0], Exchange.begin("https://login.test./", 5.0))
    with pytest.raises(ValueError, match="handshake"):
        wire.start_tls(cast("ssl.SSLContext", lazy))
    wire.hang_up()
    assert ["login.test"] == names


def test_nothing_is_held_back() -> None:
    """Nagle's algorithm is off: the last part of a request is not held back until the one before is acknowledged."""
    with Peer(answers(GRANTED)) as peer:
        begun = Exchange.begin(peer.url, 5.0)
        wire = connect(begun.host, begun)
        assert wire._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wire.hang_up()

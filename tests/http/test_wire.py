"""The wire itself: how its socket is set up, what a handshake that was none comes to, and that it is really closed."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from client_credentials._http import wire
from client_credentials._http.wire import Exchange, Wire, connect
from tests.http.peers import GRANTED, Peer, answers, resolve_to, v4


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
    line = Wire(near, exchange())
    far.sendall(b"hi")
    assert b"hi" == line.read(2)
    line.hang_up()
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
    line = Wire(ends[0], Exchange.begin("https://login.test./", 5.0))
    with pytest.raises(ValueError, match="handshake"):
        line.start_tls(cast("ssl.SSLContext", lazy))
    line.hang_up()
    assert ["login.test"] == names


def test_nothing_is_held_back() -> None:
    """Nagle's algorithm is off: the last part of a request is not held back until the one before is acknowledged."""
    with Peer(answers(GRANTED)) as peer:
        begun = Exchange.begin(peer.url, 5.0)
        line = connect(begun.host, begun)
        assert line._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        line.hang_up()


def test_each_address_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A3: an address gets an equal share of the time that is left for it and those after it; connecting has 5 s."""
    given: list[float] = []

    def refuses(_: object, seconds: float) -> NoReturn:
        given.append(seconds)
        raise ConnectionRefusedError

    monkeypatch.setattr(wire, "_connected", refuses)
    monkeypatch.setattr(wire, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    resolve_to(monkeypatch, v4(1), v4(2), v4(3))
    for seconds in (3.0, 60.0):
        begun = Exchange.begin("http://localhost/", seconds)
        with pytest.raises(ConnectionRefusedError):
            connect(begun.host, begun)
    assert [1.0, 1.5, 3.0, 5 / 3, 2.5, 5.0] == given

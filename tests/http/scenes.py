"""Where what may happen to a token request happens: at the endpoint, below its TLS, or at a proxy before it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final

import attrs
import pytest
import trustme

from tests.http.peers import (
    GRANTED,
    Peer,
    Script,
    abort,
    answers,
    black_hole,
    read_request,
    relay,
    server_context,
    silent,
)

OWN: Final = "own connection"
OWN_PROXY: Final = "own, HTTPS_PROXY"
POOL: Final = "PoolManager"
PROXY: Final = "ProxyManager"
SOCKS: Final = "SOCKSProxyManager"
DIRECT: Final = (OWN, POOL)
PROXIED: Final = (OWN_PROXY, PROXY)
ALL: Final = (*DIRECT, *PROXIED, SOCKS)


@attrs.frozen
class Route:
    """Where a staged event waits for a request."""

    url: str
    proxy: str | None
    """host:port."""


Scene = Callable[[contextlib.ExitStack, str], Route]


def opens_tunnel(port: int, answer: bytes = b"HTTP/1.1 200 Opened\r\n\r\n") -> Script:
    """Make the script of an http proxy that answers CONNECT and leads to a port."""

    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)
        relay(sock, port, threading.Event())

    return script


def answers_socks(reply: int, port: int = 0) -> Script:
    """Make the script of a SOCKS5 proxy (RFC 1928) that gives a reply and, if that is 0, leads to a port."""

    def script(sock: socket.socket) -> None:
        sock.recv(2 + sock.recv(2)[1])
        sock.sendall(b"\x05\x00")
        request = sock.recv(512)
        assert b"\x05\x01\x00\x03" == request[:4]
        sock.sendall(bytes([5, reply]) + b"\x00\x01\x00\x00\x00\x00\x00\x00")
        if reply == 0:
            relay(sock, port, threading.Event())

    return script


def refuses_socks(sock: socket.socket) -> None:
    """Accept no way to authenticate (RFC 1928 section 3)."""
    sock.recv(512)
    sock.sendall(b"\x05\xff")


def at_endpoint(script: Script, *names: str, ca: trustme.CA | None = None) -> Scene:
    """Let the endpoint do something after the TLS handshake."""
    return _behind_a_proxy(lambda: Peer(script, context=server_context(*names, ca=ca)))


def below_tls(script: Script) -> Scene:
    """Let the endpoint do something in the place of a TLS handshake."""
    return _behind_a_proxy(lambda: Peer(script))


def _behind_a_proxy(make: Callable[[], Peer]) -> Scene:
    def scene(stack: contextlib.ExitStack, carrier: str) -> Route:
        peer = stack.enter_context(make())
        if carrier in DIRECT:
            return Route(peer.secure_url, None)
        opens = answers_socks(0, peer.port) if carrier == SOCKS else opens_tunnel(peer.port)
        return Route(peer.secure_url, f"127.0.0.1:{stack.enter_context(Peer(opens)).port}")

    return scene


def at_peer(find: Callable[[contextlib.ExitStack], str]) -> Scene:
    """Put an address in the place of whatever is connected to first: the endpoint, or the proxy."""

    def scene(stack: contextlib.ExitStack, carrier: str) -> Route:
        address = find(stack)
        if carrier in DIRECT:
            return Route(f"https://{address}/token", None)
        return Route("https://token.test:443/token", address)

    return scene


def at_proxy(script: Script) -> Scene:
    """Let the proxy do something in the place of opening a way."""
    return at_peer(lambda stack: f"127.0.0.1:{stack.enter_context(Peer(script)).port}")


def tunnel_with(answer: bytes) -> Scene:
    """Let the proxy open a tunnel with another answer."""

    def scene(stack: contextlib.ExitStack, _: str) -> Route:
        peer = stack.enter_context(Peer(answers(GRANTED), context=server_context()))
        return Route(peer.secure_url, f"127.0.0.1:{stack.enter_context(Peer(opens_tunnel(peer.port, answer))).port}")

    return scene


def hole(stack: contextlib.ExitStack) -> str:
    """Give an address that takes no connection and refuses none."""
    return f"127.0.0.1:{stack.enter_context(black_hole())}"


def unknown(stack: contextlib.ExitStack) -> str:
    """Give a name that no lookup finds."""
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    find = socket.getaddrinfo

    def unknown(host: str, *rest: int, **more: int) -> object:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return find(host, *rest, **more)

    patch.setattr(socket, "getaddrinfo", unknown)
    return "nowhere.invalid:443"


def garbles(sock: socket.socket) -> None:
    """Send what is no record of TLS, once there is TLS."""
    read_request(sock)
    raw = socket.socket(fileno=sock.detach())
    with raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))


def speaks_plainly(sock: socket.socket) -> None:
    """Answer a handshake with http: not before it has begun, which might come with a proxy's answer, and to its end."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    silent(sock)


def resets_handshake(sock: socket.socket) -> None:
    """Abort in the middle of a handshake."""
    sock.recv(1)
    abort(sock)

"""The default fetch behind a proxy: when it uses one, what it shows it, and what it says when there is no way."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client_credentials import InvalidTokenResponse, TokenEndpointUnreachable, Urllib3Fetch
from tests.http.peers import (
    BODY,
    GRANTED,
    SECRET,
    Peer,
    Script,
    answers,
    closed_port,
    drips,
    failure,
    floods,
    read_request,
    relay,
    server_context,
    silent,
    token_request,
    trust,
    within,
)


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the tests' authority; no proxy but for what a test names."""
    trust(monkeypatch, tmp_path)


class Proxy(Peer):
    """An http proxy that leads every CONNECT to one port, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()

        def connect(sock: socket.socket) -> None:
            self.asked.put(read_request(sock).decode())
            sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: here\r\n\r\n")
            relay(sock, port, threading.Event())

        super().__init__(connect)


def endpoint(*names: str, keep: Callable[[str], object] = str) -> Peer:
    """Make a token endpoint that speaks TLS, with a certificate for these names."""

    def script(sock: socket.socket) -> None:
        keep(read_request(sock).decode())
        sock.sendall(GRANTED)

    return Peer(script, context=server_context(*names))


class TestEnvironment:
    """P7: the proxy of the environment is used as people expect."""

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
    @pytest.mark.parametrize("scheme", ["http://", ""])
    def test_https_goes_through_the_proxy(self, variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7: the endpoint is reached by CONNECT: its name is the proxy's to look up, its certificate ours to check."""
        received: queue.SimpleQueue[str] = queue.SimpleQueue()
        with endpoint("token.test", keep=received.put) as peer, Proxy(peer.port) as proxy:
            monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch()(token_request("https://token.test/token")).body
            assert "CONNECT token.test:443 HTTP/1.1\r\nHost: token.test:443\r\n\r\n" == proxy.asked.get(timeout=5)
            assert "\r\nHost: token.test\r\n" in received.get(timeout=5)

    def test_an_address_in_brackets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An IPv6 address keeps its brackets in the target of CONNECT (RFC 9112 section 3.2.3)."""
        with endpoint("::1") as peer, Proxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch()(token_request("https://[::1]:8443/token")).body
            assert "CONNECT [::1]:8443 HTTP/1.1" == proxy.asked.get(timeout=5).splitlines()[0]

    def test_the_proxy_asks_for_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P8: the userinfo of the proxy's URL goes out, decoded, as Basic; only the proxy sees it."""
        received: queue.SimpleQueue[str] = queue.SimpleQueue()
        with endpoint(keep=received.put) as peer, Proxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://us%40er:p%C3%A9@127.0.0.1:{proxy.port}")
            Urllib3Fetch()(token_request(peer.secure_url))
            assert "\r\nProxy-Authorization: Basic dXNAZXI6cMOp\r\n" in proxy.asked.get(timeout=5)
            assert "Proxy-Authorization" not in received.get(timeout=5)

    def test_a_name_without_a_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P8: a user name alone goes out with an empty password."""
        with endpoint() as peer, Proxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user@127.0.0.1:{proxy.port}")
            Urllib3Fetch()(token_request(peer.secure_url))
            assert "\r\nProxy-Authorization: Basic dXNlcjo=\r\n" in proxy.asked.get(timeout=5)

    @pytest.mark.parametrize("excepted", ["localhost", "*", "other.test,localhost", "localhost:{port}"])
    def test_no_proxy(self, excepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7: hosts that NO_PROXY names are reached directly."""
        with endpoint() as peer, Peer(silent) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", excepted.format(port=peer.port))
            assert BODY == Urllib3Fetch()(token_request(peer.secure_url)).body
            assert 0 == proxy.connections

    def test_the_environment_is_not_trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7: `trust_env=False` leaves every proxy variable unread."""
        with endpoint() as peer, Peer(silent) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch(trust_env=False)(token_request(peer.secure_url)).body
            assert 0 == proxy.connections

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
    def test_plain_http_goes_direct(self, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A secret never crosses a proxy in clear: plain http is for loopback, which needs none."""
        with Peer(answers(GRANTED)) as peer, Peer(silent) as proxy:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch()(token_request(peer.url)).body
            assert 0 == proxy.connections

    @pytest.mark.parametrize("address", ["socks5h://127.0.0.1:1080", "https://127.0.0.1:3128", "http://"])
    def test_a_proxy_that_is_not_spoken_to(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy of another kind is never passed by in silence: the error says what to do."""
        with endpoint() as peer:
            monkeypatch.setenv("HTTPS_PROXY", address)
            error = failure(Urllib3Fetch(), token_request(peer.secure_url))
            assert 0 == peer.connections
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "pass a pool" in str(error)

    def test_a_proxy_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """O14: an address that does not parse is named as such and not quoted."""
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@proxy.test:port")
        error = failure(Urllib3Fetch(), token_request("https://token.test/"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "proxy settings of the environment: ValueError" in str(error)


BROKEN: dict[str, tuple[Script, type[Exception], str]] = {
    "closed": (answers(), TokenEndpointUnreachable, "closed without an answer"),
    "stall": (silent, TokenEndpointUnreachable, "timed out"),
    "drip": (drips(b"HTTP/1.1 200 OK\r\nX-Drip: "), TokenEndpointUnreachable, "timed out"),
    "garbage": (answers(b"no http\r\n\r\n"), InvalidTokenResponse, "not HTTP (BadStatusLine)"),
    "flood": (
        floods(b"HTTP/1.1 200 OK\r\n", b"X: %s\r\n" % (b"x" * 10_000)),
        InvalidTokenResponse,
        "too many bytes",
    ),
}


class TestNoWayThrough:
    """What goes wrong at the proxy is told apart from what goes wrong at the endpoint."""

    @pytest.mark.parametrize(("status", "retryable"), [(407, False), (403, False), (502, True), (301, False)])
    def test_the_proxy_refuses(self, status: int, retryable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A14: the error names the proxy and its status, not its userinfo, and nothing of the request was sent."""
        after: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def refuse(sock: socket.socket) -> None:
            answers(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode())(sock)
            after.put(sock.recv(1))

        with Peer(refuse) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
            error = failure(Urllib3Fetch(), token_request("https://token.test/"))
            assert b"" == after.get(timeout=5)
        assert (TokenEndpointUnreachable, retryable) == (type(error), error.retryable)
        assert f"proxy 127.0.0.1:{proxy.port} refused to connect, with status {status}" in str(error)
        assert "user" not in str(error)

    @pytest.mark.parametrize(("script", "kind", "reason"), BROKEN.values(), ids=BROKEN)
    def test_the_proxy_is_broken(
        self, script: Script, kind: type[Exception], reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A14: CONNECT keeps the deadline and the limits of a response."""
        with Peer(script) as proxy, within(0.3):
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            error = failure(Urllib3Fetch(), token_request("https://token.test/", timeout=0.3))
            assert kind is type(error)
            assert f"CONNECT through proxy 127.0.0.1:{proxy.port}: {reason}" in str(error)

    def test_the_proxy_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A14: it is the proxy that is named, not the endpoint."""
        port = closed_port()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = failure(Urllib3Fetch(), token_request("https://token.test/"))
        assert f"connect to proxy 127.0.0.1:{port}: ECONNREFUSED" in str(error)

    def test_the_handshake_behind_the_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A9: the endpoint's certificate is verified through the proxy; the time that CONNECT took is gone."""
        with endpoint("other.test") as peer, Proxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            error = failure(Urllib3Fetch(), token_request("https://token.test/"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "TLS handshake with token.test: Hostname mismatch" in str(error)

    def test_a_slow_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy that takes most of the time leaves only the rest of it to the handshake."""

        def dawdle(sock: socket.socket) -> None:
            read_request(sock)
            threading.Event().wait(0.9)
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            silent(sock)

        with Peer(dawdle) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            with within(1.0):
                error = failure(Urllib3Fetch(), token_request("https://token.test/", timeout=1.0))
        assert "TLS handshake with token.test: timed out" in str(error)

"""The default fetch behind a proxy: when it uses one, what it shows it, and what it says when there is no way."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable

import pytest

from client_credentials import TokenEndpointUnreachable, Urllib3Fetch
from client_credentials._http import proxy
from client_credentials._http.proxy import Proxy, proxy_from_environment
from client_credentials._http.wire import Host
from tests.http.peers import (
    BODY,
    GRANTED,
    SECRET,
    Peer,
    Script,
    answers,
    at_deadline,
    drips,
    failure,
    floods,
    read_request,
    relay,
    server_context,
    silent,
    token_request,
)
from tests.http.scenes import opens_tunnel


class TunnelProxy(Peer):
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
        with endpoint("token.test", keep=received.put) as peer, TunnelProxy(peer.port) as proxy:
            monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch()(token_request("https://token.test/token")).body
            assert "CONNECT token.test:443 HTTP/1.1\r\nHost: token.test:443\r\n\r\n" == proxy.asked.get(timeout=60)
            assert "\r\nHost: token.test\r\n" in received.get(timeout=60)

    def test_an_address_in_brackets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An IPv6 address keeps its brackets in the target of CONNECT (RFC 9112 section 3.2.3)."""
        with endpoint("::1") as peer, TunnelProxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            assert BODY == Urllib3Fetch()(token_request("https://[::1]:8443/token")).body
            assert "CONNECT [::1]:8443 HTTP/1.1" == proxy.asked.get(timeout=60).splitlines()[0]

    @pytest.mark.parametrize(
        ("userinfo", "shown"), [("us%40er:p%C3%A9", "dXNAZXI6cMOp"), ("user", "dXNlcjo=")], ids=["both", "name"]
    )
    def test_the_proxy_asks_for_credentials(self, userinfo: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """P8: the userinfo of the proxy's URL goes out, decoded, as Basic; only the proxy sees it."""
        received: queue.SimpleQueue[str] = queue.SimpleQueue()
        with endpoint(keep=received.put) as peer, TunnelProxy(peer.port) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{userinfo}@127.0.0.1:{proxy.port}")
            Urllib3Fetch()(token_request(peer.secure_url))
            assert f"\r\nProxy-Authorization: Basic {shown}\r\n" in proxy.asked.get(timeout=60)
            assert "Proxy-Authorization" not in received.get(timeout=60)

    def test_no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7: hosts that NO_PROXY names are reached directly."""
        with endpoint() as peer, Peer(silent) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", f"other.test,LOCALHOST:{peer.port}")
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

    @pytest.mark.parametrize(
        "address",
        ["socks5h://127.0.0.1:1080", "https://127.0.0.1:3128", "http://", f"http://user:{SECRET}@proxy.test:port"],
    )
    def test_a_proxy_that_is_not_spoken_to(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """O14: a proxy of another kind is never passed by in silence: the error says what to do, and quotes nothing."""
        with endpoint() as peer:
            monkeypatch.setenv("HTTPS_PROXY", address)
            error = failure(Urllib3Fetch(), token_request(peer.secure_url))
            assert 0 == peer.connections
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "HTTPS_PROXY or ALL_PROXY must be http://host:port: for another kind of proxy, pass a pool" in str(error)


class TestExceptions:
    """P7: NO_PROXY as requests and curl read it: names with their subdomains, addresses, networks, each with a port."""

    EXCEPTED = (
        ("login.test", "login.test"),
        ("LOGIN.Test", "login.test"),
        ("login.test", "Login.TEST"),
        ("test", "login.test"),
        (".login.test", "login.test"),
        (".login.test", "eu.login.test"),
        ("*.login.test", "eu.login.test"),
        ("login.test.", "login.test"),
        ("login.test", "login.test."),
        ("other.test login.test", "login.test"),
        ("other.test, login.test", "login.test"),
        ("login.test,10.0.0.0/8", "10.1.2.3"),
        ("*", "login.test"),
        ("login.test:443", "login.test"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:443", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3/8", "10.9.9.9"),
        ("::1", "::1"),
        ("2001:db8::5", "2001:db8:0::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("2001:db8::/32", "2001:db8::5"),
    )
    NOT_EXCEPTED = (
        ("", "login.test"),
        (",, ,", "login.test"),
        ("login.test", "notlogin.test"),
        ("login.test", "test"),
        ("login.test:8443", "login.test"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "login.test"),
        ("10.0.0.0/99", "10.1.2.3"),
        ("2001:db8::/32", "10.1.2.3"),
        ("[2001:db8::5]:8443", "2001:db8::5"),
        ("::1", "2001:db8::1"),
        (".", "login.test"),
        ("login.test:https", "login.test"),
    )

    @pytest.mark.parametrize(
        ("exceptions", "host", "is_direct"),
        [*((*each, True) for each in EXCEPTED), *((*each, False) for each in NOT_EXCEPTED)],
    )
    def test_exceptions(self, exceptions: str, host: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7, S4: what an entry names is reached directly, and nothing else."""
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
        monkeypatch.setenv("NO_PROXY", exceptions)
        found = proxy_from_environment(Host(host, 443))
        assert (None if is_direct else Proxy(Host("proxy.test", 3128, "proxy "), {})) == found

    def test_settings_of_the_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P7: where the system has settings for proxies, as macOS and Windows do, its exceptions count too."""
        monkeypatch.setattr(proxy, "_HAS_SETTINGS", True)
        monkeypatch.setattr(proxy, "getproxies", lambda: {"https": "http://proxy.test:3128"})
        monkeypatch.setattr(proxy, "proxy_bypass", "login.test:443".__eq__)
        assert proxy_from_environment(Host("login.test", 443)) is None
        assert proxy_from_environment(Host("api.test", 443)) is not None


class TestNoWayThrough:
    """What goes wrong at the proxy is in the table of events; here is what it may see and take."""

    @pytest.mark.parametrize("status", [407, 403, 502, 300])
    def test_the_proxy_refuses(self, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A14, RFC9110-11.7: after a refusal nothing of the request is sent."""
        after: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def refuse(sock: socket.socket) -> None:
            answers(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode())(sock)
            after.put(sock.recv(1))

        with Peer(refuse) as peer:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{peer.port}")
            failure(Urllib3Fetch(), token_request("https://token.test/"))
            assert b"" == after.get(timeout=60)

    def test_an_interim_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """RFC9110-15.2: an interim response to CONNECT opens nothing; the one after it does."""
        with endpoint("token.test") as peer:
            opens = opens_tunnel(peer.port, b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 204 Opened\r\n\r\n")
            with Peer(opens) as between:
                monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{between.port}")
                assert BODY == Urllib3Fetch()(token_request("https://token.test/")).body

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (drips(b"HTTP/1.1 200 OK\r\nX-Drip: "), "timed out"),
            (floods(b"HTTP/1.1 200 OK\r\n", b"X: %s\r\n" % (b"x" * 10_000)), "too many bytes"),
        ],
        ids=["drip", "flood"],
    )
    def test_the_proxy_is_broken(self, script: Script, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A14: CONNECT keeps the deadline and the limits of a response."""
        with Peer(script) as peer:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{peer.port}")
            reason = f"response of token.test through proxy 127.0.0.1:{peer.port}: {reason}"
            at_deadline(Urllib3Fetch(), token_request("https://token.test/"), reason)

    def test_a_slow_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy that takes most of the time leaves only the rest of it to the handshake."""

        def dawdle(sock: socket.socket) -> None:
            read_request(sock)
            time.sleep(0.1)
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            silent(sock)

        with Peer(dawdle) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            reason = f"response of token.test through proxy 127.0.0.1:{proxy.port}: timed out"
            at_deadline(Urllib3Fetch(), token_request("https://token.test/"), reason)

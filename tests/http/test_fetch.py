"""The default fetch: its arguments, where plain http may go, and what a request neither shows nor imports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

import pytest
import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

from client_credentials import TokenEndpointUnreachable, Urllib3Fetch
from tests.http.peers import (
    GRANTED,
    HEAD,
    SECRET,
    Peer,
    answers,
    failure,
    resolve_to,
    server_context,
    sized,
    token_request,
    v4,
)


class TestArguments:
    """What cannot work is said at once."""

    @pytest.mark.parametrize("max_body", [0, -1, True, 1.5, "1", None])
    def test_max_body(self, max_body: Any) -> None:
        """`max_body` is a positive whole number."""
        with pytest.raises(ValueError, match=r"^max_body must "):
            Urllib3Fetch(max_body=max_body)

    @pytest.mark.parametrize("trust_env", ["no", None, 1])
    def test_trust_env(self, trust_env: Any) -> None:
        """`trust_env` is yes or no: a text from the environment would be yes, whatever it says."""
        with pytest.raises(ValueError, match=r"^trust_env must be True or False$"):
            Urllib3Fetch(trust_env=trust_env)

    def test_the_smallest_max_body(self) -> None:
        """One byte is a limit like any other."""
        with Peer(answers(HEAD + b"\r\nx")) as peer:
            assert b"x" == Urllib3Fetch(max_body=1)(token_request(peer.url)).body

    @pytest.mark.parametrize("pool", [object(), "pool", type("Half", (), {"request": print})()])
    def test_pool(self, pool: Any) -> None:
        """`pool` can send."""
        with pytest.raises(ValueError, match=r"^pool must "):
            Urllib3Fetch(pool=pool)

    @pytest.mark.parametrize("context", [object(), "context", ssl.CERT_REQUIRED])
    def test_ssl_context(self, context: Any) -> None:
        """`ssl_context` is a context."""
        with pytest.raises(ValueError, match=r"^ssl_context must be an ssl\.SSLContext"):
            Urllib3Fetch(ssl_context=context)

    @pytest.mark.parametrize("mode", [ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
    def test_a_context_that_does_not_verify(self, mode: ssl.VerifyMode) -> None:
        """RFC6749-10.9-1: the endpoint's certificate and its name are always verified, by whatever context."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = mode
        with pytest.raises(ValueError, match=r"^ssl_context must verify certificates"):
            Urllib3Fetch(ssl_context=context)

    def test_a_context_beside_a_pool(self) -> None:
        """A pool has a context of its own, so that another would go unused."""
        with pytest.raises(ValueError, match=r"^ssl_context must not be combined with pool"):
            Urllib3Fetch(pool=urllib3.PoolManager(), ssl_context=ssl.create_default_context())


class TestPlainHttp:
    """A secret in clear stays on this machine: plain http is for loopback, by name and by address."""

    @pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
    @pytest.mark.parametrize("host", ["login.test", "192.0.2.1", "localhost.test", "0.0.0.0", "[2001:db8::1]"])
    def test_another_host(self, host: str, pool: urllib3.PoolManager | None) -> None:
        """A URL that a fetch around ours has changed is held to the same rule; nothing is looked up or sent."""
        error = failure(Urllib3Fetch(pool=pool), token_request(f"http://{host}/token"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        name = host.strip("[]")
        assert f"plain http is for loopback only, and {name} is not loopback: use https" in str(error)

    @pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
    def test_where_localhost_leads(self, pool: urllib3.PoolManager | None, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hosts file that says that localhost is another machine changes nothing."""
        resolve_to(monkeypatch, v4(1), v4(80, "192.0.2.1"))
        error = failure(Urllib3Fetch(pool=pool), token_request("http://localhost/token"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "localhost at 192.0.2.1 is not loopback" in str(error)

    @pytest.mark.parametrize(
        ("pool", "proxy"),
        [
            (urllib3.ProxyManager("http://127.0.0.1:3128"), "127.0.0.1:3128"),
            (SOCKSProxyManager("socks5h://127.0.0.1:9050"), "127.0.0.1:9050"),
            (SOCKSProxyManager("socks5h://127.0.0.1"), "127.0.0.1:1080"),
        ],
    )
    def test_a_pool_with_a_proxy(self, pool: urllib3.PoolManager, proxy: str) -> None:
        """Nor does it cross a proxy, which would read it: nothing is connected to."""
        error = failure(Urllib3Fetch(pool=pool), token_request("http://localhost/token"))
        assert f"plain http never goes through a proxy, and the pool has proxy {proxy}" in str(error)


class Interrupt(BaseException):
    """What a signal handler raises into whatever is under way."""


@pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
def test_an_interrupt_shows_neither_request_nor_answer(pool: urllib3.PoolManager | None) -> None:
    """O19: where a signal falls into a request, no frame of its traceback holds the secret or what had come by then."""

    def interrupts(*_: object) -> None:
        raise Interrupt

    def stalls(sock: socket.socket) -> None:
        answers(sized(100) + b"t0ken-that-came")(sock)
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGUSR1)
        sock.recv(1)

    main = threading.main_thread().ident or 0
    handler = signal.signal(signal.SIGUSR1, interrupts)
    try:
        with Peer(stalls) as peer, pytest.raises(Interrupt) as raised:
            Urllib3Fetch(pool=pool)(token_request(peer.url))
    finally:
        signal.signal(signal.SIGUSR1, handler)
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert [] == [each for each in (SECRET, "t0ken-that-came") if each in shown]


def test_nothing_is_imported_in_a_request() -> None:
    """P13: what any request may need is there once the fetch is, so that no fork or chroot meets an import."""
    refused = b"HTTP/1.1 429 No\r\nRetry-After: 5\r\nDate: Mon, 01 Jan 2029 00:00:00 GMT\r\n\r\n"
    cut = HEAD + b"Content-Length: 9\r\n\r\nabc"
    with contextlib.ExitStack() as stack:
        plain = [
            stack.enter_context(Peer(answers(each))).url for each in (GRANTED, refused, b"no http\r\n\r\n", cut, b"")
        ]
        names = ((), ("other.test",))
        secure = [
            stack.enter_context(Peer(answers(GRANTED), context=server_context(*each))).secure_url for each in names
        ]
        done = subprocess.run(
            [sys.executable, "-c", _REQUESTS, *plain, *secure, "http://127.0.0.1:9/", "https://nowhere.invalid/"],
            env={
                **os.environ,
                "NO_PROXY": "10.0.0.0/8,*",
                "HTTPS_PROXY": "proxy.test:80",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ("200 200 []\n", "") == (done.stdout, done.stderr)


_REQUESTS = """
import sys
from client_credentials import TokenError, TokenRequest, Urllib3Fetch
fetch = Urllib3Fetch()
before, granted = {*sys.modules}, []
for url in sys.argv[1:]:
    try:
        granted.append(fetch(TokenRequest("POST", url, {"Authorization": "Basic eA=="}, b"a=b", 2.0)).status)
    except TokenError:
        pass
print(*[status for status in granted if status == 200], sorted({*sys.modules} - before))
"""

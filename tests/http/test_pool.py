"""The default fetch through a user's pool: used as given, but without its redirects and retries."""

from __future__ import annotations

import itertools
import os
import queue
import socket
import ssl
from typing import NoReturn

import pytest
import trustme
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from client_credentials import InvalidTokenResponse, TokenEndpointUnreachable, Urllib3Fetch
from tests.http.peers import (
    BODY,
    CHUNKED,
    GRANTED,
    HEAD,
    Peer,
    Script,
    abort,
    answers,
    answers_each,
    at_deadline,
    drips,
    failure,
    floods,
    read_request,
    resets,
    server_context,
    silent,
    token_request,
    within,
)


def dies_on_the_second(sock: socket.socket) -> None:
    """Answer once, keep the connection, and close it when the next request has come."""
    answers_each(GRANTED)(sock)
    read_request(sock)


def aborts_on_the_second(sock: socket.socket) -> None:
    """Answer once, keep the connection, and abort it when the next request has come."""
    dies_on_the_second(sock)
    abort(sock)


class TestUse:
    """A pool is the user's: it sends, we say what."""

    def test_a_connection_is_kept(self) -> None:
        """What was read to its end goes back to the pool, from where the next exchange takes it."""
        with Peer(answers_each(GRANTED, GRANTED.replace(b"200", b"503"), CHUNKED + b"0\r\n\r\n", GRANTED)) as peer:
            fetch = Urllib3Fetch(pool=urllib3.PoolManager(1, maxsize=1, block=True))
            assert [200, 503, 200, 200] == [fetch(token_request(peer.url)).status for _ in range(4)]
            assert 1 == peer.connections

    @pytest.mark.parametrize("is_pool", [False, True], ids=["own", "pool"])
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 413, 429, 503])
    def test_neither_redirects_nor_retries(self, status: int, is_pool: bool) -> None:
        """C5, C6, P11: whatever a pool is set to, an answer is an answer, and its Location sees no connection."""
        eager = urllib3.Retry(5, status_forcelist=[503], allowed_methods=None, respect_retry_after_header=True)
        fetch = Urllib3Fetch(pool=urllib3.PoolManager(retries=eager) if is_pool else None)
        with Peer(silent) as target:
            head = f"HTTP/1.1 {status} X\r\nLocation: {target.url}\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"
            with Peer(answers(head.encode())) as peer, within(1.0):
                response = fetch(token_request(peer.url))
                assert (status, target.url) == (response.status, response.header("location"))
                assert (1, 0) == (peer.connections, target.connections)

    def test_the_trust_store_is_the_pools(self) -> None:
        """A9: the pool's own context verifies."""
        with Peer(answers(GRANTED), context=server_context()) as peer:
            assert BODY == Urllib3Fetch(pool=urllib3.PoolManager())(token_request(peer.secure_url)).body
            strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            error = failure(Urllib3Fetch(pool=urllib3.PoolManager(ssl_context=strict)), token_request(peer.secure_url))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert f"TLS with localhost:{peer.port}: unable to get local issuer certificate" in str(error)

    def test_a_fingerprint_that_differs(self) -> None:
        """A9: what urllib3 itself verifies is a TLS failure like OpenSSL's."""
        with Peer(silent, context=server_context()) as peer:
            pool = urllib3.PoolManager(assert_fingerprint="aa" * 32)
            error = failure(Urllib3Fetch(pool=pool), token_request(peer.secure_url))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert f"TLS with localhost:{peer.port}: SSLError" in str(error)


class TestKeptAlive:
    """A7: a connection that died while it was kept is not the caller's business."""

    @pytest.mark.parametrize("script", [dies_on_the_second, aborts_on_the_second])
    def test_a_stale_connection(self, script: Script) -> None:
        """A7: one transparent retry, on a new connection."""
        with Peer(script, answers(GRANTED)) as peer:
            fetch = Urllib3Fetch(pool=urllib3.PoolManager())
            assert [BODY, BODY] == [fetch(token_request(peer.url)).body for _ in range(2)]
            assert 2 == peer.connections

    def test_only_one_retry(self) -> None:
        """A7: if the new connection fails as well, that is the outcome."""
        with Peer(dies_on_the_second, answers()) as peer:
            fetch = Urllib3Fetch(pool=urllib3.PoolManager())
            fetch(token_request(peer.url))
            error = failure(fetch, token_request(peer.url))
            assert 2 == peer.connections
        assert "closed without an answer" in str(error)

    @pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
    @pytest.mark.parametrize("script", [answers(), resets()], ids=["closed", "reset"])
    def test_a_new_connection_gets_no_retry(self, script: Script, pool: urllib3.PoolManager | None) -> None:
        """A7, B9, RFC9110-9.2.2: only a kept connection is given a second chance."""
        with Peer(script, answers(GRANTED)) as peer:
            error = failure(Urllib3Fetch(pool=pool), token_request(peer.url))
            assert 1 == peer.connections
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)

    def test_an_answer_gets_no_retry(self) -> None:
        """A7: once something has come back, there is no second request."""
        with Peer(answers_each(GRANTED, b"no http\r\n\r\n"), answers(GRANTED)) as peer:
            fetch = Urllib3Fetch(pool=urllib3.PoolManager())
            fetch(token_request(peer.url))
            error = failure(fetch, token_request(peer.url))
            assert 1 == peer.connections
        assert InvalidTokenResponse is type(error)


FAULTS: dict[str, Script] = {
    "B1-length": answers(HEAD + b"Content-Length: 9\r\n\r\nabc"),
    "B5-reset": resets(HEAD + b"Content-Length: 9\r\n\r\nabc"),
    "B3-negative-chunk": floods(CHUNKED + b"-1\r\n", b"x" * 65536),
    "B7-body-drip": drips(HEAD + b"Content-Length: 10000\r\n\r\n"),
    "B7-body-drip-close": drips(HEAD + b"Connection: close\r\n\r\n"),
    "B8-silence": silent,
    "B11-infinite": floods(HEAD + b"\r\n", b"x" * 65536),
    "B12-gzip": floods(HEAD + b"Content-Encoding: gzip\r\n\r\n", b"x" * 65536),
    "B20-garbage": answers(b"no http\r\n\r\n"),
}


class TestFaults:
    """What goes wrong in one exchange costs the pool nothing; the errors are in the table of events."""

    @pytest.mark.parametrize("script", FAULTS.values(), ids=FAULTS)
    def test_a_hostile_peer(self, script: Script) -> None:
        """B1 to B20: the connection is closed, not drained, and its place in the pool is free again."""
        with Peer(script, answers(GRANTED)) as peer, within(0.4):
            fetch = Urllib3Fetch(pool=urllib3.PoolManager(1, maxsize=1, block=True), max_body=4096)
            failure(fetch, token_request(peer.url, timeout=0.2))
            assert BODY == fetch(token_request(peer.url)).body

    def test_what_is_left_unread_is_never_read(self) -> None:
        """B14: a connection with something left on it is closed at once, though the peer would keep it."""
        after: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def keep(sock: socket.socket) -> None:
            answers(HEAD + b"Content-Encoding: br\r\nContent-Length: 9\r\n\r\n")(sock)
            after.put(sock.recv(1))

        with Peer(keep) as peer:
            fetch = Urllib3Fetch(pool=urllib3.PoolManager())
            failure(fetch, token_request(peer.url))
            assert b"" == after.get(timeout=60)

    def test_a_pool_that_is_exhausted(self) -> None:
        """A pool that blocks gives up its wait at the deadline."""
        with Peer(silent) as peer:
            pool = urllib3.PoolManager(maxsize=1, block=True)
            pool.connection_from_url(peer.url)._get_conn()  # pyright: ignore[reportPrivateUsage]
            error = at_deadline(Urllib3Fetch(pool=pool), token_request(peer.url), "timed out")
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)

    def test_a_connection_that_fails_without_a_cause(self) -> None:
        """A4: what urllib3 or a stand-in for it calls a new connection that failed is worth another attempt."""

        class Unconnected(urllib3.PoolManager):
            def urlopen(self, *_: object, **__: object) -> NoReturn:
                raise NewConnectionError(HTTPConnection("token.test"), "no connection")

        error = failure(Urllib3Fetch(pool=Unconnected()), token_request("https://token.test/"))
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)
        assert "connect to token.test:443: failed" in str(error)

    def test_a_proxy_whose_certificate_is_not_trusted(self) -> None:
        """A14: a proxy that is spoken to over TLS is told apart from the endpoint behind it."""
        with Peer(silent, context=server_context(ca=trustme.CA())) as proxy:
            pool = urllib3.ProxyManager(f"https://localhost:{proxy.port}")
            error = failure(Urllib3Fetch(pool=pool), token_request("https://token.test/"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert f"TLS with proxy localhost:{proxy.port}: unable to get local issuer certificate" in str(error)


def test_a_fork() -> None:
    """L2, R5/pool: a child does not send over its parent's connections: each would read the other's answer."""
    answer = GRANTED.replace(b"Content-Type: application/json", b"X-Connection: %d")
    numbers = itertools.count()

    def numbered(sock: socket.socket) -> None:
        mine = answer.replace(b"%d", b"%d" % next(numbers))
        answers_each(mine, mine, mine)(sock)

    with Peer(numbered) as peer:
        fetch = Urllib3Fetch(pool=urllib3.PoolManager())
        request = token_request(peer.url)

        def ask() -> bytes:
            return (fetch(request).header("X-Connection") or "").encode()

        assert b"0" == ask()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, ask() + ask())
            os._exit(0)
        os.waitpid(pid, 0)
        assert (b"11", b"0") == (os.read(reading, 9), ask())
        os.close(reading)
        os.close(writing)

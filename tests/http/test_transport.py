"""The default fetch over plain loopback sockets: what it sends, what it takes, and how it bears a hostile peer."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from typing import Any

import pytest
import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

from client_credentials import InvalidTokenResponse, TokenEndpointUnreachable, Urllib3Fetch
from client_credentials._http import wire as deadline
from tests.http.peers import (
    BODY,
    GRANTED,
    SECRET,
    Peer,
    Script,
    answers,
    black_hole,
    closed_port,
    drips,
    failure,
    floods,
    holds,
    keeps,
    resets,
    server_context,
    silent,
    token_request,
    within,
)

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


def sized(length: int) -> bytes:
    """Give the head of a response of that length."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % length


def v4(port: int, host: str = "127.0.0.1") -> Address:
    """Give what a lookup finds for an IPv4 address."""
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


def v6(port: int) -> Address:
    """Give what a lookup finds for the IPv6 loopback address."""
    return socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> None:
    """Let every lookup find these."""

    def found(*_: object, **__: object) -> list[Address]:
        return list(addresses)

    monkeypatch.setattr(socket, "getaddrinfo", found)


class TestRequest:
    """What goes out."""

    def test_a_request_arrives_as_it_was_made(self) -> None:
        """RFC9112-3.2, RFC9112-9.6: Host names the endpoint, the connection is to be closed, the query is kept."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        with Peer(keeps(received)) as peer:
            Urllib3Fetch()(token_request(f"{peer.url}?tenant=a%20b&x"))
            head, _, body = received.get(timeout=5).decode().partition("\r\n\r\n")
        first, *headers = head.split("\r\n")
        assert "POST /token?tenant=a%20b&x HTTP/1.1" == first
        assert {
            f"Host: 127.0.0.1:{peer.port}",
            "Accept-Encoding: identity",
            "Connection: close",
            f"Authorization: Basic {SECRET}",
            f"Content-Length: {len(body)}",
        } <= set(headers)
        assert f"client_secret={SECRET}" == body

    @pytest.mark.parametrize(("tail", "target"), [("", b"/"), ("?a=b", b"/?a=b")])
    def test_an_endpoint_without_a_path(self, tail: str, target: bytes) -> None:
        """The empty path of an http URL is the same as "/" (RFC 9110 section 4.2.3)."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        with Peer(keeps(received)) as peer:
            Urllib3Fetch()(token_request(f"http://127.0.0.1:{peer.port}{tail}"))
            assert target == received.get(timeout=5).split(b" ")[1]

    def test_one_exchange_one_connection(self) -> None:
        """Our own connections are never kept, even by a peer that would."""
        with Peer(holds(GRANTED)) as peer:
            fetch = Urllib3Fetch()
            for _ in range(3):
                fetch(token_request(peer.url))
            assert 3 == peer.connections

    def test_a_header_that_cannot_be_sent(self) -> None:
        """What http.client refuses, quoting it, becomes an error that quotes nothing."""
        with Peer(silent) as peer:
            request = token_request(peer.url)
            broken = type(request)("POST", peer.url, {"Authorization": f"{SECRET}\r\nX: y"}, b"", 5.0)
            error = failure(Urllib3Fetch(), broken)
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
        assert "ValueError" in str(error)


class TestResponse:
    """What comes back is handed over as it is."""

    @pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 407, 421, 429, 500, 503, 599])
    def test_every_status_is_an_answer(self, status: int) -> None:
        """The fetch judges no status; 204 and 304 have no body (RFC 9110 section 6.4.1)."""
        answer = GRANTED.replace(b"200", b"%d" % status, 1)
        with Peer(answers(answer)) as peer:
            response = Urllib3Fetch()(token_request(peer.url))
        assert (status, b"" if status in (204, 304) else BODY) == (response.status, response.body)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(self, status: int) -> None:
        """C5, C6: a redirect is handed over with its Location, and its target sees no connection."""
        with Peer(silent) as target:
            head = f"HTTP/1.1 {status} Go\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n"
            with Peer(answers(head.encode())) as peer:
                response = Urllib3Fetch()(token_request(peer.url))
            assert (status, target.url) == (response.status, response.header("location"))
            assert (0, 1) == (target.connections, peer.connections)

    def test_headers_are_plain_strings(self) -> None:
        """A header that is repeated is joined (RFC 9110 section 5.3)."""
        head = b"HTTP/1.1 200 OK\r\nX-One: 1\r\nWarning: a\r\nWarning: b\r\nContent-Length: 0\r\n\r\n"
        with Peer(answers(head)) as peer:
            response = Urllib3Fetch()(token_request(peer.url))
        assert {"X-One": "1", "Warning": "a, b", "Content-Length": "0"} == response.headers
        assert all(type(value) is str for item in response.headers.items() for value in item)

    @pytest.mark.parametrize(
        "answer",
        [
            HEAD + b"\r\n" + BODY,
            HEAD + b"Content-Length: -5\r\n\r\n" + BODY,
            HEAD + b"Content-Length: few\r\n\r\n" + BODY,
            CHUNKED + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
            CHUNKED + b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in BODY) + b"0\r\nTrailer: 1\r\n\r\n",
            HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3c\r\n" + BODY + b"\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
            b"HTTP/1.1 200 \r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
            HEAD + b"X-Folded: one\r\n two\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
        ],
        ids=[
            "until-eof", "B17-negative-length", "length-no-number", "chunked", "chunks-of-one-byte",
            "B18-chunked-and-length", "http-1.0", "no-reason", "obs-fold",
        ],
    )  # fmt: skip
    def test_every_framing_is_read(self, answer: bytes) -> None:
        """B4, B17, B18, RFC9112-4, RFC9112-5.2, RFC9112-6.3, RFC9112-7.1.1, RFC9112-7.1.2: each gives the body."""
        with Peer(answers(answer)) as peer:
            assert BODY == Urllib3Fetch()(token_request(peer.url)).body

    @pytest.mark.parametrize("framed", [sized(4000) + b"x" * 4000, CHUNKED + b"1\r\nx\r\n" * 4000 + b"0\r\n\r\n"])
    def test_the_largest_body(self, framed: bytes) -> None:
        """B11: `max_body` bytes are read, in whatever pieces; one more is refused."""
        with Peer(answers(framed)) as peer:
            assert b"x" * 4000 == Urllib3Fetch(max_body=4000)(token_request(peer.url)).body
            error = failure(Urllib3Fetch(max_body=3999), token_request(peer.url))
        assert isinstance(error, InvalidTokenResponse)
        assert (200, "larger than 3999 bytes") == (error.status, error.reason)

    def test_the_buffer_may_hold_more_than_the_headers(self) -> None:
        """A body that comes along with long headers does not count as headers."""
        head = HEAD + b"X-Pad: %s\r\n" % (b"p" * 60_000) + b"Content-Length: 300000\r\n\r\n"
        with Peer(answers(head + b"x" * 300_000)) as peer:
            assert 300_000 == len(Urllib3Fetch()(token_request(peer.url)).body)


TRUNCATED: dict[str, Script] = {
    "B1-length": answers(sized(100) + BODY),
    "B1-nothing-of-it": answers(sized(100)),
    "B2-mid-chunk": answers(CHUNKED + b"40\r\nabc"),
    "B2-before-the-end-of-a-chunk": answers(CHUNKED + b"3\r\nabc"),
    "B2-between-chunks": answers(CHUNKED + b"3\r\nabc\r\n"),
    "B2-no-chunk": answers(CHUNKED),
    "B5-reset": resets(sized(100) + b"abc"),
    "B5-reset-in-a-chunk": resets(CHUNKED + b"40\r\nabc"),
    "in-the-headers": answers(HEAD + b"Content-Ty"),
    "after-the-status": answers(HEAD),
}

HOSTILE: dict[str, tuple[Script, str]] = {
    "B3-chunk-size": (holds(CHUNKED + b"zz\r\nabc\r\n"), "not HTTP"),
    "B3-chunk-size-empty": (holds(CHUNKED + b"\r\nabc\r\n"), "not HTTP"),
    "B3-chunk-size-line": (floods(CHUNKED, b"1" * 65536), "not HTTP"),
    "B3-negative-chunk": (floods(CHUNKED + b"-1\r\n", b"x" * 65536), "larger than 1048576 bytes"),
    "B3-endless-extensions": (floods(CHUNKED, b"1;" + b"x" * 60_000 + b"\r\na\r\n"), "too many bytes"),
    "B3-endless-trailers": (floods(CHUNKED + b"0\r\n", b"X: %s\r\n" % (b"x" * 60_000)), "too many bytes"),
    "B9-continue": (floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "too many bytes"),
    "B11-infinite": (floods(HEAD + b"\r\n", b"x" * 65536), "larger than 1048576 bytes"),
    "B11-infinite-chunks": (floods(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"), "larger than 1048576 bytes"),
    "B11-declared": (floods(sized(10**12), b"x" * 65536), "larger than 1048576 bytes"),
    "B12-bomb": (
        floods(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(2**22))),
        "content-encoding refused",
    ),
    "B13-repeated": (
        holds(HEAD + b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n"),
        "content-encoding refused",
    ),
    "B20-garbage": (answers(b"\x00\x01\x02 no http at all\r\n\r\n"), "not HTTP (BadStatusLine)"),
    "B20-ssh": (holds(b"SSH-2.0-OpenSSH_9.6\r\n"), "not HTTP (BadStatusLine)"),
    "B20-status": (answers(b"HTTP/1.1 abc OK\r\n\r\n"), "not HTTP (BadStatusLine)"),
    "B20-version": (answers(b"HTTP/7.0 200 OK\r\n\r\n"), "not HTTP (UnknownProtocol)"),
    "B20-endless-line": (floods(b"", b"x" * 65536), "not HTTP"),
    "two-lengths": (holds(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "not HTTP (InvalidHeader)"),
    "endless-header": (floods(HEAD + b"X-Endless: ", b"x" * 1000), "response of 127.0.0.1"),
    "endless-headers": (floods(HEAD, b"X-Header: %s\r\n" % (b"x" * 10_000)), "too many bytes"),
    "many-headers": (floods(HEAD, b"X: 1\r\n" * 50), "not HTTP (HTTPException)"),
}


class TestHostilePeers:
    """Nothing whole or nothing valid came back: a typed error, at once, in little memory."""

    @pytest.mark.parametrize("script", TRUNCATED.values(), ids=TRUNCATED)
    def test_cut_short(self, script: Script) -> None:
        """B1, B2, B5: what ends before its end is unreachable, worth another attempt, and named so."""
        with Peer(script) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.url))
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)
        assert "truncated" in str(error)
        assert "abc" not in str(error)

    @pytest.mark.parametrize(("script", "reason"), HOSTILE.values(), ids=HOSTILE)
    def test_not_a_response(self, script: Script, reason: str) -> None:
        """B3, B9, B11 to B13, B20: refused as soon as it shows, not drained, nothing inflated, in less than 8 MB."""
        with Peer(script) as peer, within(10.0):
            tracemalloc.start()
            try:
                error = failure(Urllib3Fetch(), token_request(peer.url, timeout=30.0))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert (InvalidTokenResponse, False) == (type(error), error.retryable)
        assert reason in str(error)
        assert peak < 8 * 2**20

    @pytest.mark.parametrize("status", [200, 201])
    @pytest.mark.parametrize(
        ("head", "body"),
        [
            (b"Content-Encoding: gzip\r\n\r\n", b"x"),
            (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: trailer\r\n" * 1000),
            (b"\r\n", b"x" * 10_000),
        ],
        ids=["compressed", "endless trailers", "too long"],
    )
    def test_the_status_is_kept(self, status: int, head: bytes, body: bytes) -> None:
        """The error of a response that has a status carries it."""
        with Peer(floods(b"HTTP/1.1 %d Hm\r\n" % status + head, body)) as peer:
            error = failure(Urllib3Fetch(max_body=20_000), token_request(peer.url))
        assert isinstance(error, InvalidTokenResponse)
        assert status == error.status

    @pytest.mark.parametrize("script", [answers(), resets()], ids=["closed", "reset"])
    def test_no_answer_at_all(self, script: Script) -> None:
        """B9, RFC9110-9.2.2: a connection that ends without an answer is unreachable, and is not tried again here."""
        with Peer(script) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.url))
            assert 1 == peer.connections
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)
        assert "response of 127.0.0.1: closed without an answer" in str(error)

    def test_headers_that_do_not_parse_are_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """O9: a peer that repeats our secret in a broken header does not get it into a log."""
        caplog.set_level(logging.DEBUG)
        with Peer(answers(HEAD + f"Authorization Basic {SECRET}\r\nX: y\r\n\r\n".encode() + BODY)) as peer:
            assert BODY == Urllib3Fetch()(token_request(peer.url)).body
        assert "" == caplog.text

    @pytest.mark.parametrize("handled", [ValueError("invalid literal for int() with base 16: b'zz'"), ssl.SSLError(1)])
    def test_what_the_caller_handles_is_not_looked_at(self, handled: Exception) -> None:
        """A token asked for in an except block: the error tells of the exchange, not of what is being handled there."""
        with Peer(answers(CHUNKED + b"40\r\nabc")) as peer:
            try:
                raise handled
            except type(handled):
                with pytest.raises(TokenEndpointUnreachable, match="truncated") as raised:
                    Urllib3Fetch()(token_request(peer.url))
        assert raised.value.retryable


SLOW: dict[str, tuple[Script, str]] = {
    "silent": (silent, "response of 127.0.0.1: timed out"),
    "B8-header-drip": (drips(HEAD + b"X-Drip: "), "response of 127.0.0.1: timed out"),
    "B8-status-drip": (drips(b""), "response of 127.0.0.1: timed out"),
    "B9-continue-drip": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "response of 127.0.0.1: timed out"),
    "B7-body-drip": (drips(sized(10**6)), "body of the response with status 200: timed out"),
    "B7-body-drip-until-eof": (drips(HEAD + b"\r\n"), "body of the response with status 200: timed out"),
    "B7-chunk-drip": (drips(CHUNKED, b"1\r\nx\r\n"), "body of the response with status 200: timed out"),
    "B7-chunk-size-drip": (drips(CHUNKED, b"0"), "body of the response with status 200: timed out"),
    "B7-trailer-drip": (drips(CHUNKED + b"0\r\n", b"X: y\r\n"), "body of the response with status 200: timed out"),
    "body-stall": (holds(sized(100) + b"abc"), "body of the response with status 200: timed out"),
}


class TestDeadline:
    """`request.timeout` bounds the whole exchange, whatever a peer does to stretch it."""

    @pytest.mark.parametrize(("script", "reason"), SLOW.values(), ids=SLOW)
    def test_slow_answers(self, script: Script, reason: str) -> None:
        """B7, B8: dripping bytes do not keep the exchange alive, and the error names what was waited for."""
        with Peer(script) as peer, within(0.3):
            error = failure(Urllib3Fetch(), token_request(peer.url, timeout=0.3))
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)
        assert reason in str(error)

    def test_a_peer_that_reads_nothing(self) -> None:
        """Sending counts too."""
        done = threading.Event()

        def reads_little(sock: socket.socket) -> None:
            while not done.wait(0.02):
                sock.recv(1024)

        with Peer(reads_little) as peer, within(0.3):
            request = token_request(peer.url, timeout=0.3)
            error = failure(Urllib3Fetch(), type(request)("POST", peer.url, {}, bytes(2**25), 0.3))
            done.set()
        assert "response of 127.0.0.1: timed out" in str(error)

    def test_a_deadline_that_is_over(self) -> None:
        """A request whose time is up is not sent."""
        with Peer(silent) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.url, timeout=0.0))
            assert 0 == peer.connections
        assert "lookup of 127.0.0.1: timed out" in str(error)

    def test_a_lookup_that_outlasts_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A2: a resolver knows no timeout (callers do not wait for it); what it finds too late is not connected to."""

        def found(*_: object, **__: object) -> list[Address]:
            time.sleep(0.2)
            return [v4(peer.port)]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        with Peer(silent) as peer:
            error = failure(Urllib3Fetch(), token_request("https://token.test/", timeout=0.1))
            assert 0 == peer.connections
        assert "lookup of token.test: timed out" in str(error)

    def test_dialling_has_a_budget_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A5: a dial ends long before a long deadline."""
        assert 5.0 == deadline.CONNECT_SECONDS
        monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.3)
        with black_hole() as port, within(0.3):
            failure(Urllib3Fetch(), token_request(f"http://127.0.0.1:{port}/", timeout=30.0))

    def test_a_share_that_is_used_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An address whose turn comes too late times out like the ones before it."""
        monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.0)
        with black_hole() as port:
            error = failure(Urllib3Fetch(), token_request(f"http://127.0.0.1:{port}/"))
        assert f"connect to 127.0.0.1:{port}: timed out" in str(error)


class TestDial:
    """From a name to a connection."""

    def test_a_name_that_cannot_be(self) -> None:
        """A label of more than 63 characters is not looked up again."""
        error = failure(Urllib3Fetch(), token_request(f"https://{'a' * 64}.test/"))
        assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)

    def test_nothing_waits_to_be_sent(self) -> None:
        """Head and body of a request are one packet, which waits for no acknowledgement (Nagle's algorithm is off)."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def first(sock: socket.socket) -> None:
            received.put(sock.recv(65536))
            sock.sendall(GRANTED)

        with Peer(first) as peer:
            request = token_request(peer.url)
            Urllib3Fetch()(request)
            assert received.get(timeout=5).endswith(b"\r\n\r\n" + request.body)

    def test_the_first_address_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A3: an address that swallows the dial takes its share of the time and no more; the next one is tried."""
        with black_hole() as hole, Peer(answers(GRANTED)) as peer, within(0.6):
            resolve_to(monkeypatch, v4(hole), v4(closed_port()), v4(peer.port))
            assert BODY == Urllib3Fetch()(token_request("http://localhost/", timeout=1.5)).body

    def test_the_last_address_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error is that of the last address, when none answers."""
        with black_hole() as hole:
            resolve_to(monkeypatch, v4(hole), v4(closed_port()))
            error = failure(Urllib3Fetch(), token_request("http://localhost/", timeout=0.4))
        assert "ECONNREFUSED" in str(error)

    def test_ipv6_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A13: a host that has an IPv6 address that leads nowhere is reached by IPv4."""
        with Peer(answers(GRANTED)) as peer:
            resolve_to(monkeypatch, v6(closed_port()), v4(peer.port))
            assert BODY == Urllib3Fetch()(token_request("http://localhost/")).body


class TestArguments:
    """What cannot work is said at once."""

    @pytest.mark.parametrize("max_body", [0, -1, True, 1.5, "1", None])
    def test_max_body(self, max_body: Any) -> None:
        """`max_body` is a positive whole number."""
        with pytest.raises(ValueError, match=r"^max_body must "):
            Urllib3Fetch(max_body=max_body)

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

    @pytest.mark.parametrize("mode", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
    def test_a_context_that_does_not_verify(self, mode: ssl.VerifyMode) -> None:
        """RFC6749-10.9-1: the endpoint's certificate is always verified, by whatever context."""
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

    @pytest.mark.parametrize("kind", [urllib3.ProxyManager, SOCKSProxyManager])
    def test_a_pool_with_a_proxy(self, kind: type[urllib3.PoolManager]) -> None:
        """Nor does it cross a proxy: that would read it."""
        with Peer(silent) as proxy:
            scheme = "http" if kind is urllib3.ProxyManager else "socks5h"
            pool: Any = kind
            fetch = Urllib3Fetch(pool=pool(f"{scheme}://127.0.0.1:{proxy.port}"))
            error = failure(fetch, token_request("http://localhost/token"))
            assert 0 == proxy.connections
        assert f"plain http never goes through a proxy, and the pool has proxy 127.0.0.1:{proxy.port}" in str(error)


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

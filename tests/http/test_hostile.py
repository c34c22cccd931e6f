"""A hostile peer: what is cut short, is no response or takes for ever is a typed error, in time and little memory."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
import tracemalloc

import pytest

from client_credentials import InvalidTokenResponse, TokenEndpointUnreachable, TokenRequest, Urllib3Fetch
from client_credentials._http import wire as deadline
from tests.http.peers import (
    BODY,
    CHUNKED,
    HEAD,
    SECRET,
    Address,
    Peer,
    Script,
    answers,
    at_deadline,
    black_hole,
    drips,
    failure,
    floods,
    holds,
    resets,
    server_context,
    silent,
    sized,
    token_request,
    v4,
    within,
)

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
    "B9-processing": (floods(b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 1000), "too many bytes"),
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
        with Peer(script) as peer:
            error = at_deadline(Urllib3Fetch(), token_request(peer.url), reason)
        assert (TokenEndpointUnreachable, True) == (type(error), error.retryable)

    @pytest.mark.parametrize("context", [None, server_context()], ids=["plain", "TLS"])
    def test_a_peer_that_reads_nothing(self, context: ssl.SSLContext | None) -> None:
        """Sending counts too, over TLS record by record."""
        done = threading.Event()

        def reads_little(sock: socket.socket) -> None:
            while not done.wait(0.02):
                sock.recv(1024)

        reason = f"response of {'localhost' if context else '127.0.0.1'}: timed out"
        with Peer(reads_little, context=context) as peer:
            url = peer.secure_url if context else peer.url
            at_deadline(Urllib3Fetch(), TokenRequest("POST", url, {}, bytes(2**25), 1.0), reason)
            done.set()

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

    def test_a_share_that_is_used_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A5: an address whose turn comes too late times out at once, like the ones before it."""
        monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.0)
        with black_hole() as port, within(0.0):
            error = failure(Urllib3Fetch(), token_request(f"http://127.0.0.1:{port}/", timeout=60.0))
        assert f"connect to 127.0.0.1:{port}: timed out" in str(error)

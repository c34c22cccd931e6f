"""The default fetch over plain loopback sockets: what it sends and takes, and how it connects."""

from __future__ import annotations

import queue
import socket

import pytest
import urllib3

from client_credentials import InvalidTokenResponse, TokenEndpointUnreachable, Urllib3Fetch
from tests.http.peers import (
    BODY,
    CHUNKED,
    CLOSED_PORT,
    GRANTED,
    HEAD,
    SECRET,
    Peer,
    answers,
    black_hole,
    failure,
    holds,
    keeps,
    resolve_to,
    silent,
    sized,
    token_request,
    v4,
    within,
)


class TestRequest:
    """What goes out."""

    @pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
    def test_a_request_arrives_as_it_was_made(self, pool: urllib3.PoolManager | None) -> None:
        """RFC9112-3.2, RFC9112-9.6: Host names the endpoint, our own connection is to be closed, the query is kept."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        with Peer(keeps(received)) as peer:
            Urllib3Fetch(pool=pool)(token_request(f"{peer.url}?tenant=a%20b&x"))
            head, _, body = received.get(timeout=60).decode().partition("\r\n\r\n")
        first, *headers = head.split("\r\n")
        assert "POST /token?tenant=a%20b&x HTTP/1.1" == first
        assert {
            f"Host: 127.0.0.1:{peer.port}",
            "Accept-Encoding: identity",
            f"Authorization: Basic {SECRET}",
            f"Content-Length: {len(body)}",
        } <= set(headers)
        assert (pool is None) is ("Connection: close" in headers)
        assert f"client_secret={SECRET}" == body

    @pytest.mark.parametrize(("tail", "target"), [("", b"/"), ("?a=b", b"/?a=b")])
    def test_an_endpoint_without_a_path(self, tail: str, target: bytes) -> None:
        """The empty path of an http URL is the same as "/" (RFC 9110 section 4.2.3)."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        with Peer(keeps(received)) as peer:
            Urllib3Fetch()(token_request(f"http://127.0.0.1:{peer.port}{tail}"))
            assert target == received.get(timeout=60).split(b" ")[1]

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


class TestDial:
    """From a name to a connection."""

    @pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["own", "pool"])
    def test_a_name_that_cannot_be(self, pool: urllib3.PoolManager | None) -> None:
        """A label of more than 63 characters is not looked up again."""
        error = failure(Urllib3Fetch(pool=pool), token_request(f"https://{'a' * 64}.test/"))
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
            assert received.get(timeout=60).endswith(b"\r\n\r\n" + request.body)

    def test_the_first_of_several_addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the first address answers, no other is tried."""
        with Peer(answers(GRANTED)) as peer:
            resolve_to(monkeypatch, v4(peer.port), v4(CLOSED_PORT))
            assert BODY == Urllib3Fetch()(token_request("http://localhost/")).body

    def test_the_first_address_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A3: an address that swallows the dial takes its share of the time and no more; the next one is tried."""
        with black_hole() as hole, Peer(answers(GRANTED)) as peer, within(0.6):
            resolve_to(monkeypatch, v4(hole), v4(CLOSED_PORT), v4(peer.port))
            assert BODY == Urllib3Fetch()(token_request("http://localhost/", timeout=1.5)).body

    def test_the_last_address_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error is that of the last address, when none answers."""
        with black_hole() as hole:
            resolve_to(monkeypatch, v4(hole), v4(CLOSED_PORT))
            error = failure(Urllib3Fetch(), token_request("http://localhost/", timeout=0.4))
        assert "ECONNREFUSED" in str(error)

    def test_ipv6_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A13: a host that has an IPv6 address that leads nowhere is reached by IPv4."""
        with Peer(answers(GRANTED)) as peer:
            v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", CLOSED_PORT, 0, 0))
            resolve_to(monkeypatch, v6, v4(peer.port))
            assert BODY == Urllib3Fetch()(token_request("http://localhost/")).body

"""Status and headers come first: interim responses are passed over, and a refusal needs no whole body."""

from __future__ import annotations

import gzip
import time
from types import SimpleNamespace
from typing import Any

import pytest

from client_credentials import InvalidTokenResponse, Urllib3Fetch
from client_credentials._http.response import token_response
from client_credentials._http.wire import Exchange
from tests.http.peers import BODY, GRANTED, Peer, Script, answers, drips, failure, floods, holds, token_request, within

OK = b"HTTP/1.1 200 OK\r\n"


class TestInterim:
    """RFC 9110 section 15.2: any number of 1xx may come before the response; a client must be able to parse them."""

    @pytest.mark.parametrize(
        "interim",
        [
            b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
            b"HTTP/1.1 102 Processing\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 X\r\n\r\n",
        ],
        ids=["100", "102", "103", "several"],
    )
    def test_they_are_passed_over(self, interim: bytes) -> None:
        """RFC9110-15.2: whatever an interim response says, status, headers and body are the final one's."""
        with Peer(answers(interim + GRANTED)) as peer:
            response = Urllib3Fetch()(token_request(peer.url))
        assert (200, BODY) == (response.status, response.body)
        assert ["Content-Type", "Content-Length"] == [*response.headers]

    @pytest.mark.parametrize("status", [102, 103])
    def test_endless_ones(self, status: int) -> None:
        """B9: a flood of interim responses ends with the bytes that headers may have."""
        with Peer(floods(b"", b"HTTP/1.1 %d Wait\r\n\r\n" % status * 1000)) as peer, within(2.0):
            error = failure(Urllib3Fetch(), token_request(peer.url))
        assert isinstance(error, InvalidTokenResponse)
        assert "response of 127.0.0.1: too many bytes" == error.reason

    def test_another_protocol(self) -> None:
        """C16: 101 is final: nobody asked for another protocol."""
        with Peer(answers(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n" + GRANTED)) as peer:
            response = Urllib3Fetch()(token_request(peer.url))
        assert (101, b"") == (response.status, response.body)


HEAD = b"HTTP/1.1 429 No\r\nRetry-After: 60\r\nWWW-Authenticate: Basic\r\n"
REFUSALS: dict[str, tuple[Script, bytes]] = {
    "cut short": (answers(HEAD + b"Content-Length: 100\r\n\r\nabc"), b"abc"),
    "cut in a chunk": (answers(HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\nabc"), b"abc"),
    "cut in the headers": (answers(HEAD + b"X-Mo"), b""),
    "compressed": (answers(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"slow down")), b""),
    "a bomb": (floods(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(2**22))), b""),
    "too long": (floods(HEAD + b"\r\n", b"x" * 65536), b"x" * 4096),
    "not HTTP": (holds(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"), b"abc"),
    "stalled": (holds(HEAD + b"Content-Length: 100\r\n\r\nabc"), b"abc"),
    "no text": (answers(HEAD + b"\r\n\xff\x00"), b"\xff\x00"),
}


class TestRefusals:
    """C20, H9: any status but 200 and 201 is judged by status line and headers; what comes later undoes nothing."""

    @pytest.mark.parametrize(("script", "body"), REFUSALS.values(), ids=REFUSALS)
    def test_the_body_does_not_matter(self, script: Script, body: bytes) -> None:
        """H9, H16: Retry-After and WWW-Authenticate survive whatever happens to the body; the usable part is kept."""
        with Peer(script) as peer, within(0.6):
            response = Urllib3Fetch(max_body=4096)(token_request(peer.url, timeout=0.6))
        assert (429, "60", "Basic") == (
            response.status,
            response.header("Retry-After"),
            response.header("WWW-Authenticate"),
        )
        assert body == response.body

    def test_before_the_deadline(self) -> None:
        """B7: a refusal whose body drips is known while there is still time to tell who waits for it."""
        with Peer(drips(HEAD + b"\r\n")) as peer:
            begun = time.monotonic()
            response = Urllib3Fetch()(token_request(peer.url, timeout=1.0))
            assert time.monotonic() - begun < 0.9
        assert 429 == response.status

    def test_a_long_one(self) -> None:
        """H9: what a refusal says is read to its end, though it takes more than one read."""
        body = b"x" * 100_000
        with Peer(answers(HEAD + b"\r\n" + body)) as peer:
            assert body == Urllib3Fetch()(token_request(peer.url)).body


def test_each_read_of_a_pool_has_what_is_left() -> None:
    """B7: before each read the socket of a pool's connection is given the time that is left, not the pool's own."""
    given: list[float] = []
    parts = [b"ab", b"c", b""]
    connection = SimpleNamespace(sock=SimpleNamespace(settimeout=given.append))

    def read1(_: int) -> bytes:
        return parts.pop(0)

    response: Any = SimpleNamespace(status=200, headers={}, connection=connection, read1=read1)
    assert b"abc" == token_response(response, Exchange.begin("https://issuer.example/", 5.0), 100).body
    assert 3 == len(given)
    assert 5.0 >= given[0] > given[1] > given[2] > 4.0


class TestContentEncoding:
    """Compressed bodies are refused by their label; no other label says that a body is compressed."""

    @pytest.mark.parametrize(
        "label", ["", "identity", "Identity, identity", "UTF-8", "none", "binary", "application/json", ", ,", "*"]
    )
    def test_labels_of_what_is_not_compressed(self, label: str) -> None:
        """RFC9110-8.4: a body that is sent as it is, under an odd label, is read as it is."""
        answer = GRANTED.replace(b"\r\n\r\n", f"\r\nContent-Encoding: {label}\r\n\r\n".encode(), 1)
        with Peer(answers(answer)) as peer:
            assert BODY == Urllib3Fetch()(token_request(peer.url)).body

    @pytest.mark.parametrize("label", ["gzip", "X-GZIP", "deflate", "br", "zstd", "identity,gzip", "utf-8, br"])
    def test_labels_of_compression(self, label: str) -> None:
        """B12 to B15, RFC9110-8.4: a compressed body of a grant is not read at all; the response keeps its status."""
        with Peer(holds(OK + f"Content-Encoding: {label}\r\n\r\n".encode())) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.url))
        assert isinstance(error, InvalidTokenResponse)
        assert (200, "content-encoding refused: none was asked for") == (error.status, error.reason)

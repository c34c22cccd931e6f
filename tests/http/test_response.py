"""Status and headers come first: interim responses are passed over, and a refusal needs no whole body."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from client_credentials import InvalidTokenResponse, Urllib3Fetch
from client_credentials._http.response import token_response
from client_credentials._http.wire import Exchange
from tests.http.peers import BODY, GRANTED, HEAD, Peer, Script, answers, failure, floods, holds, token_request, within


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


LIMITED = b"HTTP/1.1 429 No\r\nRetry-After: 60\r\nWWW-Authenticate: Basic\r\n"
REFUSALS: dict[str, tuple[Script, bytes]] = {
    "cut short": (answers(LIMITED + b"Content-Length: 100\r\n\r\nabc"), b"abc"),
    "cut in a chunk": (answers(LIMITED + b"Transfer-Encoding: chunked\r\n\r\n40\r\nabc"), b"abc"),
    "cut in the headers": (answers(LIMITED + b"X-Mo"), b""),
    "compressed": (answers(LIMITED + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"slow down")), b""),
    "a bomb": (floods(LIMITED + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(2**22))), b""),
    "too long": (floods(LIMITED + b"\r\n", b"x" * 65536), b"x" * 4096),
    "not HTTP": (holds(LIMITED + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"), b"abc"),
    "stalled": (holds(LIMITED + b"Content-Length: 100\r\n\r\nabc"), b"abc"),
    "no text": (answers(LIMITED + b"\r\n\xff\x00"), b"\xff\x00"),
}


class TestRefusals:
    """C20, H9: any status but 200 and 201 is judged by status line and headers; what comes later undoes nothing."""

    @pytest.mark.parametrize(("script", "body"), REFUSALS.values(), ids=REFUSALS)
    def test_the_body_does_not_matter(self, script: Script, body: bytes) -> None:
        """H9, H16: Retry-After and WWW-Authenticate survive whatever happens to the body; the usable part is kept."""
        with Peer(script) as peer, within(2.0):
            response = Urllib3Fetch(max_body=4096)(token_request(peer.url, timeout=2.0))
        assert (429, "60", "Basic") == (
            response.status,
            response.header("Retry-After"),
            response.header("WWW-Authenticate"),
        )
        assert body == response.body

    def test_a_long_one(self) -> None:
        """H9: what a refusal says is read to its end, though it takes more than one read."""
        body = b"x" * 100_000
        with Peer(answers(LIMITED + b"\r\n" + body)) as peer:
            assert body == Urllib3Fetch()(token_request(peer.url)).body


@pytest.mark.parametrize(("status", "most"), [(200, 5.0), (429, 2.5)])
def test_each_read_of_a_pool_has_what_is_left(status: int, most: float) -> None:
    """B7: before each read a pool's socket is given the time that is left: of a refusal half, to be told in time."""
    given: list[float] = []
    parts = [b"ab", b"c", b""]
    connection = SimpleNamespace(sock=SimpleNamespace(settimeout=given.append))

    def read1(_: int) -> bytes:
        return parts.pop(0)

    response: Any = SimpleNamespace(status=status, headers={}, connection=connection, read1=read1)
    assert b"abc" == token_response(response, Exchange.begin("https://issuer.example/", 5.0), 100).body
    assert 3 == len(given)
    assert most >= given[0] > given[1] > given[2] > most - 1.0


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
        with Peer(holds(HEAD + f"Content-Encoding: {label}\r\n\r\n".encode())) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.url))
        assert isinstance(error, InvalidTokenResponse)
        assert (200, "content-encoding refused: none was asked for") == (error.status, error.reason)

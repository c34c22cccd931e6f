"""What the loopback token endpoint grants and what it refuses: a class for each part of RFC 6749 that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_credentials.testing import Answer, TokenServer, refusal
from client_credentials.testing.endpoint import judge
from tests.http.loopback import CLIENT, FORM, GRANT, Reply, ask, basic

CREDENTIALS = (("client_id", CLIENT[0]), ("client_secret", CLIENT[1]))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


class TestGrant:
    """Section 5.1: the authorization server issues an access token."""

    def test_a_good_request_earns_a_token(self, server: TokenServer) -> None:
        """The answer has the members of the section, nothing else, and is not to be stored."""
        reply = ask(server.url)
        assert 200 == reply.status
        assert {"access_token": server.issued[0], "token_type": "Bearer", "expires_in": 3600} == reply.json
        assert ("no-store", "application/json") == (reply.headers["Cache-Control"], reply.headers["Content-Type"])

    def test_every_token_is_another(self, server: TokenServer) -> None:
        """No two grants give the same token, and `issued` has all of them in order."""
        tokens = [ask(server.url).json["access_token"] for _ in range(3)]
        assert tokens == server.issued
        assert 3 == len(set(tokens))

    def test_the_lifetime_is_the_servers_or_the_answers(self) -> None:
        """`expires_in` is what the server was made with, unless the answer names another, zero included."""
        with TokenServer(*CLIENT, lifetime=30) as server:
            server.answer(Answer(), Answer(lifetime=7), Answer(lifetime=0))
            assert [30, 7, 0] == [ask(server.url).json["expires_in"] for _ in range(3)]

    def test_the_scope_is_what_was_asked_for(self, server: TokenServer) -> None:
        """Scopes that were asked for are granted; a parameter without a value counts as left out (section 3.2)."""
        assert "a b" == ask(server.url, (*GRANT, ("scope", "a b"))).json["scope"]
        assert "scope" not in ask(server.url, (*GRANT, ("scope", ""))).json

    def test_odd_is_not_wrong(self, server: TokenServer) -> None:
        """An endpoint may have a query (section 3.2), a content type parameters, a request two resources (RFC 8707)."""
        form = (*GRANT, ("resource", "https://a.example"), ("resource", "https://b.example"))
        assert 200 == ask(f"{server.url}?tenant=1", form, content_type=f"{FORM.upper()}; charset=utf-8").status


class TestClientAuthentication:
    """Section 2.3.1: the client authenticates with its password."""

    def test_in_the_body(self, server: TokenServer) -> None:
        """Id and secret are taken from the body, where there is no Authorization header."""
        assert 200 == ask(server.url, (*GRANT, *CREDENTIALS), authorization=None).status
        assert "my-client" == server.requests[0].client_id

    def test_the_id_alone_is_no_second_way(self, server: TokenServer) -> None:
        """Who authenticates by header may name itself in the body."""
        assert 200 == ask(server.url, (*GRANT, CREDENTIALS[0])).status

    @given(client_id=WORDS, secret=WORDS)
    def test_by_header_form_encoded(self, client_id: str, secret: str) -> None:
        """Any id and secret come through, form-encoded, as the section asks."""
        headers = {"content-type": FORM, "authorization": basic(quote_plus(client_id), quote_plus(secret))}
        request, verdict = judge("POST", "/api/token", headers, b"grant_type=client_credentials", (client_id, secret))
        assert (None, client_id) == (verdict, request.client_id)

    @example(client_id="50%25+", secret="a+b%41")
    @given(client_id=WORDS.filter(lambda text: ":" not in text), secret=WORDS)
    def test_by_header_raw(self, client_id: str, secret: str) -> None:
        """Any id and secret come through just as they are, as many clients send them."""
        headers = {"content-type": FORM, "authorization": basic(client_id, secret).replace("Basic", "bAsIc")}
        request, verdict = judge("POST", "/api/token", headers, b"grant_type=client_credentials", (client_id, secret))
        assert (None, client_id) == (verdict, request.client_id)


FAULTS: list[tuple[Callable[[str], Reply], int, str, str]] = [
    (lambda url: ask(f"{url}/"), 404, "server_error", "Unexpected status: 404"),
    (partial(ask, method="GET"), 405, "server_error", "Unexpected status: 405"),
    (partial(ask, content_type=None), 415, "server_error", "Unexpected status: 415"),
    (partial(ask, content_type="application/json"), 415, "server_error", "Unexpected status: 415"),
    (partial(ask, form=GRANT * 2), 400, "invalid_request", "A parameter is repeated"),
    (partial(ask, form=(*GRANT, ("scope", "a"), ("scope", "a"))), 400, "invalid_request", "A parameter is repeated"),
    (partial(ask, form=(*GRANT, *CREDENTIALS)), 400, "invalid_request", "The client authenticates in two ways"),
    (partial(ask, form=()), 400, "unsupported_grant_type", "grant_type parameter is missing"),
    (partial(ask, form=(("grant_type", ""),)), 400, "unsupported_grant_type", "grant_type parameter is missing"),
    (
        partial(ask, form=(("grant_type", "password"),)),
        400,
        "unsupported_grant_type",
        "grant_type must be client_credentials",
    ),
    *(
        (partial(ask, authorization=shown), 400, "invalid_client", "Failed to get client")
        for shown in (None, basic("other", CLIENT[1]), basic("", ""), basic(*CLIENT).replace("Basic", "Bearer"))
    ),
    *(
        (partial(ask, authorization=shown), 400, "invalid_client", "Failed to get client")
        for shown in ("Basic", "Basic ?", "Basic /w==", "Basic bXktY2xpZW50")
    ),
    (partial(ask, authorization=basic(CLIENT[0], "no")), 400, "invalid_client", "Invalid client secret"),
    (
        partial(ask, form=(*GRANT, CREDENTIALS[0]), authorization=None),
        400,
        "invalid_client",
        "Invalid client secret",
    ),
]


class TestRefusal:
    """Section 5.2, in the words of the real endpoint."""

    @pytest.mark.parametrize(("attempt", "status", "error", "description"), FAULTS)
    def test_a_fault_has_its_own_words(
        self, server: TokenServer, attempt: Callable[[str], Reply], status: int, error: str, description: str
    ) -> None:
        """Each fault has its status, error and description, is kept with the request, and earns no token."""
        reply = attempt(server.url)
        assert (status, {"error": error, "error_description": description}) == (reply.status, reply.json)
        assert [description] == [request.problem for request in server.requests]
        assert [] == server.issued

    @example(body=b"grant_type=client_credential\xf3")
    @given(body=st.binary())
    def test_junk_is_judged_too(self, body: bytes) -> None:
        """Any bytes are a request, for want of a better name, and earn no token."""
        headers = {"content-type": FORM, "authorization": basic(*CLIENT)}
        request, verdict = judge("POST", "/api/token", headers, body, CLIENT)
        assert verdict is not None
        assert (body, verdict[1]) == (request.body, request.problem)


HEAD = b"Cache-Control: no-store\r\nConnection: close\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (Answer(body=b"<html>", status=299), b"HTTP/1.1 299 \r\n%sContent-Length: 6\r\n\r\n<html>" % HEAD),
        (Answer(body=b""), b"HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n" % HEAD),
        (Answer(body={"a": None}), b'HTTP/1.1 200 OK\r\n%s%sContent-Length: 11\r\n\r\n{"a": null}' % (HEAD, JSON)),
        (
            Answer(body={}, headers={"content-type": "text/html", "X-A": "1"}),
            b"HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\ncontent-type: text/html\r\nX-A: 1\r\n\r\n{}" % HEAD,
        ),
        (Answer(body=b"{", headers={"Content-Length": "9"}), b"HTTP/1.1 200 OK\r\n%sContent-Length: 9\r\n\r\n{" % HEAD),
        (
            refusal("a", "b"),
            b'HTTP/1.1 400 Bad Request\r\n%s%sContent-Length: 40\r\n\r\n{"error": "a", "error_description": "b"}'
            % (HEAD, JSON),
        ),
        (Answer(raw=b"SSH-2.0", status=503), b"SSH-2.0"),
    ],
)
def test_what_is_sent(answer: Answer, sent: bytes) -> None:
    """Bytes as they are, a mapping as a JSON object; a header given, in any case, outranks the server's own."""
    assert sent == answer.encode()

"""RFC 6749, The OAuth 2.0 Authorization Framework: the lines that concern a client of section 4.4."""

from __future__ import annotations

import base64
import json
import pickle
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest

from client_credentials import (
    ClientAuthentication,
    FileCachingStrategy,
    InvalidTokenResponse,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
)
from client_credentials.testing import Answer, TokenServer, refusal
from tests.http.peers import server_context, trust
from tests.rfc.kit import BY_SECRET, GRANT, ID, SECRET, basic, failed, given, make, sent, timed
from tests.strategy.kit import settled

ODD = ("a:b%c+d é", 'p:q%r+s é€"\\')
EVERYTHING: dict[str, Any] = {
    "scopes": ["b", "a"],
    "audience": "api",
    "resources": ["urn:x", "urn:y"],
    "extra_params": {"tenant": "t", "nothing": ""},
}


class TestClientAuthentication:
    """Section 2.3."""

    @pytest.mark.parametrize("way", ClientAuthentication)
    def test_one_method(self, server: TokenServer, way: ClientAuthentication) -> None:
        """RFC6749-2.3-1: a request never carries two methods of client authentication (section 2.3)."""
        server.always(Answer(body=GRANT))
        request = sent(server, client_authentication=way)
        form = dict(request.form)
        methods = ["authorization" in request.headers, "client_secret" in form, "client_assertion" in form]
        assert (way is not ClientAuthentication.TLS) == sum(methods)
        assert ("client_assertion" in form) is ("client_assertion_type" in form)
        for name in ("client_secret", "client_assertion"):
            with pytest.raises(ValueError, match=r"^extra_params must "):
                make(server.url, extra_params={name: "x"})

    @pytest.mark.parametrize("credentials", [ODD, (ID, SECRET), ("é", "€"), ("+", "%"), (" ", ":")])
    def test_basic(self, credentials: tuple[str, str]) -> None:
        """RFC6749-2.3.1-1: Basic carries the form-encoded id and secret, whatever is in them (section 2.3.1)."""
        with TokenServer(*credentials) as server:
            request = sent(server, client_id=credentials[0], client_secret=credentials[1])
        assert (credentials, None) == (basic(request), request.problem)

    def test_the_default(self, server: TokenServer) -> None:
        """RFC6749-2.3.1-2: credentials go into the body only where that is asked for (section 2.3.1)."""
        assert (ID, SECRET) == basic(sent(server))
        asked_for = sent(server, client_authentication=ClientAuthentication.POST)
        assert [("client_id", ID), ("client_secret", SECRET)] == asked_for.form[1:]

    @pytest.mark.parametrize("way", ClientAuthentication)
    def test_never_in_the_uri(self, server: TokenServer, way: ClientAuthentication) -> None:
        """RFC6749-2.3.1-3: neither id nor secret is ever in the request URI (section 2.3.1)."""
        server.always(Answer(body=GRANT))
        request = sent(server, client_authentication=way)
        assert "/api/token" == request.target
        with pytest.raises(ValueError, match=r"^token_url must "):
            make(f"{server.url}?client_id=a&client_secret=b")

    def test_no_empty_secret(self) -> None:
        """RFC6749-2.3.1-4: an empty secret is refused, so none has a parameter to leave out (section 2.3.1)."""
        for way in (*BY_SECRET, ClientAuthentication.ASSERTION):
            with pytest.raises(ValueError, match=r"^client_secret must "):
                make("https://issuer.example/", client_secret="", client_authentication=way)


class TestEndpoint:
    """Section 3.2."""

    def test_query(self, server: TokenServer) -> None:
        """RFC6749-3.2-1: the endpoint's own query is kept as it is (section 3.2)."""
        make(f"{server.url}?tenant=a%20b&x").get_or_create_access_token()
        assert ["/api/token?tenant=a%20b&x"] == [request.target for request in server.requests]

    @pytest.mark.parametrize("fragment", ["#", "#f", "?a=b#f"])
    def test_fragment(self, fragment: str) -> None:
        """RFC6749-3.2-2: an endpoint with a fragment is refused before anything is sent (section 3.2)."""
        with pytest.raises(ValueError, match=r"^token_url must not have a fragment"):
            make(f"https://issuer.example/token{fragment}")

    def test_post(self, server: TokenServer) -> None:
        """RFC6749-3.2-3: the method is POST (section 3.2)."""
        assert "POST" == sent(server).method

    def test_no_empty_parameter(self, server: TokenServer) -> None:
        """RFC6749-3.2-4: a parameter without a value is not sent (section 3.2)."""
        request = sent(server, scopes=(), audience="", resources=(), extra_params={"tenant": ""})
        assert [("grant_type", "client_credentials")] == request.form

    def test_nothing_twice(self, server: TokenServer) -> None:
        """RFC6749-3.2-5: no parameter is sent twice, but for `resource`, and none is taken twice (section 3.2)."""
        names = [name for name, _ in sent(server, **EVERYTHING).form]
        assert ["resource"] == [name for name in {*names} if names.count(name) > 1]
        twice = Answer(body=b'{"access_token": "a", "access_token": "b", "token_type": "bearer"}')
        assert isinstance(failed(server, twice), InvalidTokenResponse)

    def test_each_request_authenticates(self, server: TokenServer) -> None:
        """RFC6749-3.2.1-1: the client authenticates on each token request, a later one as the first (section 3.2.1)."""
        strategy, clock = timed(server)
        server.answer(Answer(), refusal("invalid_client"))
        strategy.get_or_create_access_token()
        clock.advance(3600)
        with pytest.raises(TokenRefused):
            strategy.get_or_create_access_token()
        clock.advance(60)
        strategy.get_or_create_access_token()
        assert [(ID, SECRET)] * 3 == [basic(request) for request in server.requests]


class TestScope:
    """Section 3.3."""

    @pytest.mark.parametrize("scope", ["", " ", "a b", 'a"b', "a\\b", "é", "a\tb", "a\x7f", "a\n"])
    def test_syntax(self, scope: str) -> None:
        """RFC6749-3.3-1: what is not %x21 / %x23-5B / %x5D-7E is refused before sending (section 3.3)."""
        with pytest.raises(ValueError, match=r"^scopes must "):
            make("https://issuer.example/", scopes=[scope])

    def test_space_delimited(self, server: TokenServer) -> None:
        """RFC6749-3.3-1: every other character goes through, the words parted by one space (section 3.3)."""
        words = [chr(each) for each in range(0x21, 0x7F) if chr(each) not in '"\\']
        assert " ".join(words) == dict(sent(server, scopes=words).form)["scope"]

    def test_order(self, server: TokenServer) -> None:
        """RFC6749-3.3-2: two orders of the same scopes are one request in a shared cache; another case is another."""
        shared = SdkConfiguration()
        for scopes in (["a", "b"], ["b", "a"], ["b", "a", "b"], ["A", "b"]):
            strategy = make(server.url, scopes=scopes)
            strategy.set_configuration(shared)
            strategy.get_or_create_access_token()
        assert ["a b", "A b"] == [dict(request.form)["scope"] for request in server.requests]

    @pytest.mark.parametrize(
        ("said", "expected"),
        [({"scope": "a"}, "a"), ({"scope": "a b c"}, "a b c"), ({}, "a b"), ({"scope": None}, "a b")],
    )
    def test_granted_scope(self, server: TokenServer, said: dict[str, str], expected: str) -> None:
        """RFC6749-3.3-3: the scope that was granted is exposed; where it is not said, it is the one asked for."""
        assert expected == given(server, {**GRANT, **said}, scopes=["a", "b"]).scope


class TestGrant:
    """Section 4.4."""

    def test_confidential_clients_alone(self) -> None:
        """RFC6749-4.4-1: there is no way to use the grant without client authentication (section 4.4)."""
        assert ["BASIC", "BASIC_RAW", "POST", "ASSERTION", "TLS"] == [way.name for way in ClientAuthentication]
        with pytest.raises(ValueError, match=r"^client_secret must "):
            make("https://issuer.example/", client_secret=None)
        with pytest.raises(ValueError, match=r"^client_secret must "):
            make("https://issuer.example/", client_secret="")
        with pytest.raises(ValueError, match=r"^client_authentication must "):
            make("https://issuer.example/", client_authentication=None)

    def test_grant_type(self, server: TokenServer) -> None:
        """RFC6749-4.4.2-1: the body is exactly grant_type=client_credentials (section 4.4.2)."""
        assert b"grant_type=client_credentials" == sent(server).body

    def test_format(self, server: TokenServer) -> None:
        """RFC6749-4.4.2-2: application/x-www-form-urlencoded, UTF-8, by the vector of appendix B (section 4.4.2)."""
        request = sent(server, extra_params={"x": " %&+£€"})
        assert "application/x-www-form-urlencoded" == request.headers["content-type"]
        assert b"grant_type=client_credentials&x=+%25%26%2B%C2%A3%E2%82%AC" == request.body

    def test_refresh_token(self, server: TokenServer) -> None:
        """RFC6749-4.4.3-1: a refresh token is ignored: it is not shown, kept or used (section 4.4.3)."""
        strategy, clock = timed(server)
        server.answer(Answer(body={**GRANT, "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA"}))
        token = strategy.get_or_create_access_token()
        assert (None, {}) == (token.refresh_token, dict(token.extra))
        clock.advance(3600)
        strategy.get_or_create_access_token()
        assert [b"grant_type=client_credentials"] * 2 == [request.body for request in server.requests]


class TestResponse:
    """Section 5.1."""

    @pytest.mark.parametrize("said", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}])
    def test_access_token(self, server: TokenServer, said: dict[str, object]) -> None:
        """RFC6749-5.1-1: without an access_token that is a string and not empty there is no token (section 5.1)."""
        assert isinstance(failed(server, Answer(body={"token_type": "bearer", **said})), InvalidTokenResponse)

    @pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER"])
    def test_token_type(self, server: TokenServer, kind: str) -> None:
        """RFC6749-5.1-2: token_type is case-insensitive, and one that is missing is taken as Bearer (section 5.1)."""
        assert "Bearer" == given(server, {**GRANT, "token_type": kind}).token_type
        assert "Bearer" == given(server, {"access_token": "a", "expires_in": 60}).token_type

    def test_expires_in(self, server: TokenServer) -> None:
        """RFC6749-5.1-3: a token of no stated lifetime has the one that is assumed, and ends with it (section 5.1)."""
        strategy, clock = timed(server, policy=RenewalPolicy(assumed_lifetime=100))
        server.answer(Answer(body={"access_token": "a", "token_type": "bearer"}))
        assert 100 == strategy.get_or_create_access_token().expires_in
        clock.advance(100)
        assert None is strategy.get_access_token()

    def test_unknown_members(self, server: TokenServer) -> None:
        """RFC6749-5.1-4: members that nobody knows are ignored, and available (section 5.1)."""
        token = given(server, {**GRANT, "example_parameter": "example_value", "n": [1]})
        assert ("2YotnFZFEjr1zCsicMWpAA", {"example_parameter": "example_value", "n": (1,)}) == (
            token.access_token,
            dict(token.extra),
        )

    @pytest.mark.parametrize("length", [1, 65536])
    def test_any_length(self, server: TokenServer, length: int) -> None:
        """RFC6749-5.1-5: nothing is assumed of the length of a token, up to 64 KiB (section 5.1)."""
        assert "x" * length == given(server, {**GRANT, "access_token": "x" * length}).access_token

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            *(("access_token", "a b"), ("access_token", "é"), ("token_type", "Bear er"), ("token_type", "")),
            *(("expires_in", "-1"), ("expires_in", "1.5"), ("expires_in", "x")),
        ],
    )
    def test_syntax(self, server: TokenServer, member: str, value: str) -> None:
        """RFC6749-A.12-A.14: visible characters, a type's name, digits: what has another syntax is refused."""
        assert isinstance(failed(server, Answer(body={**GRANT, member: value})), InvalidTokenResponse)
        assert 60 == given(server, {**GRANT, "expires_in": "60"}).expires_in

    @pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
    def test_error(self, server: TokenServer, status: int) -> None:
        """RFC6749-5.2-1: error, error_description and error_uri are on the exception, under 200 too (section 5.2)."""
        said = {"error": "invalid_scope", "error_description": "No such scope", "error_uri": "https://e.example/"}
        error = failed(server, *[Answer(status=status, body=said)] * 3, policy=RenewalPolicy(deadline=0.2))
        assert isinstance(error, TokenRefused)
        assert (status, *said.values()) == (error.status, error.error, error.error_description, error.error_uri)

    def test_challenge(self, server: TokenServer) -> None:
        """RFC6749-5.2-2: after a 401 the server's WWW-Authenticate is on the exception (section 5.2)."""
        headers = {"WWW-Authenticate": "Basic realm=example"}
        error = failed(server, Answer(status=401, headers=headers, body={"error": "invalid_client"}))
        assert isinstance(error, TokenRefused)
        assert (401, "Basic realm=example") == (error.status, error.www_authenticate)

    def test_characters(self, server: TokenServer) -> None:
        """RFC6749-5.2-3: what is outside %x20-21 / %x23-5B / %x5D-7E comes into no message (section 5.2)."""
        error = failed(server, refusal("inva\r\nlid", 'a"b\\c\x1b[0m\u2028é\nERROR root: all is lost'))
        assert isinstance(error, TokenRefused)
        assert ("invalid", "abc[0mERROR root: all is lost") == (error.error, error.error_description)
        assert str(error).isascii()
        assert str(error).isprintable()


def test_another_token_type(server: TokenServer) -> None:
    """RFC6749-7.1-1: a token of a type that is not known is never used as a bearer token (section 7.1)."""
    for kind in ("mac", "DPoP", "N_A"):
        assert isinstance(failed(server, Answer(body={**GRANT, "token_type": kind})), InvalidTokenResponse)


class TestSecurity:
    """Section 10."""

    def test_the_secret_is_confidential(self, server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
        """RFC6749-10.1-1: the secret is in no repr, text, log, exception or pickle (section 10.1)."""
        server.always(refusal("invalid_client", f"Wrong: {SECRET} {base64.b64encode(SECRET.encode()).decode()}"))
        strategy = make(server.url)
        with pytest.raises(TokenRefused) as caught, caplog.at_level("DEBUG"):
            strategy.get_or_create_access_token()
        with pytest.raises(TypeError):
            pickle.dumps(strategy)
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        locals_of_ours = [frame.locals for frame in shown.stack if frame.filename != __file__]
        error = caught.value
        assert locals_of_ours
        seen = [repr(strategy), str(strategy), json.dumps([strategy], default=str), str(error), repr(error)]
        seen += [caplog.text, str(locals_of_ours), pickle.dumps(error).decode("latin-1")]
        assert [] == [text for text in seen if SECRET in text]

    def test_the_token_in_storage(self, server: TokenServer, tmp_path: Path) -> None:
        """RFC6749-10.3-1: a token is confidential in storage: its file is for its owner alone (section 10.3)."""
        strategy = make(server.url)
        strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(tmp_path / "tokens")))
        token = strategy.get_or_create_access_token().access_token
        settled(strategy)
        holding = [path for path in tmp_path.rglob("*") if path.is_file() and token in path.read_text()]
        assert [0o600] == [stat.S_IMODE(path.stat().st_mode) for path in holding]
        assert [] == [path for path in tmp_path.rglob("*") if token in str(path)]

    def test_tls_alone(self) -> None:
        """RFC6749-10.3-2: plain http is for a loopback host that was parsed as such, and for nothing else."""
        for url in ("http://issuer.example/", "http://localhost@evil.example/", "http://127.0.0.1.evil.example/"):
            with pytest.raises(ValueError, match=r"^token_url must "):
                make(url)
        for url in ("http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"):
            assert url in repr(make(url))

    def test_no_scope_of_our_own(self, server: TokenServer) -> None:
        """RFC6749-10.3-3: no scope is asked for but those that were named (section 10.3)."""
        assert "scope" not in dict(sent(server).form)
        assert "read" == dict(sent(server, scopes=["read"]).form)["scope"]

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_never_in_clear(self, server: TokenServer, status: int) -> None:
        """RFC6749-10.8-1: credentials are not sent in clear, and not after a redirect either (section 10.8)."""
        with TokenServer(ID, SECRET) as other:
            error = failed(server, Answer(status=status, headers={"Location": other.url}))
            assert (InvalidTokenResponse, 0) == (type(error), other.connections)

    def test_certificates(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """RFC6749-10.9-1: certificate and host name are verified, and no secret is sent before (section 10.9)."""
        trust(monkeypatch, tmp_path)
        for names, requests in ((("localhost",), 1), (("other.example",), 0)):
            with TokenServer(ID, SECRET, ssl_context=server_context(*names)) as server:
                strategy = make(server.url)
                if requests:
                    token = strategy.get_or_create_access_token()
                    assert [token.access_token] == server.issued
                else:
                    with pytest.raises(TokenEndpointUnreachable):
                        strategy.get_or_create_access_token()
                assert requests == len(server.requests)

    def test_received_values(self, server: TokenServer) -> None:
        """RFC6749-10.14-1: what was received is validated before it goes into a header (section 10.14)."""
        for bad in ("a\r\nX-Admin: 1", "a\nb", "a\0b", "a\tb", "a\x7f"):
            assert isinstance(failed(server, Answer(body={**GRANT, "access_token": bad})), InvalidTokenResponse)

"""RFC 6750 (Bearer Token Usage), RFC 9700 (Best Current Practice) and RFC 8707 (Resource Indicators), line by line."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

import client_credentials
from client_credentials import (
    AccessToken,
    ClientCredentialsStrategy,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
)
from client_credentials.integrations.requests import BearerAuth
from client_credentials.testing import Answer, TokenServer, refusal
from tests.http.peers import server_context, trust
from tests.integrations.kit import INVALID, YESTERDAY, Api
from tests.rfc.kit import BY_SECRET, GRANT, ID, SECRET, failed, given, make, sent, timed


@pytest.fixture
def api(server: TokenServer) -> Generator[Api]:
    """A resource server that takes the endpoint's tokens."""
    with Api(lambda: server.issued) as api:
        yield api


@pytest.fixture
def session(server: TokenServer) -> Generator[requests.Session]:
    """A session of requests that sends the endpoint's tokens, and knows no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        strategy = make(server.url)
        strategy.set_configuration(SdkConfiguration(clock=YESTERDAY))
        session.auth = BearerAuth(strategy)
        yield session


class TestBearer:
    """RFC 6750."""

    def test_one_way_of_sending(self, server: TokenServer, api: Api, session: requests.Session) -> None:
        """RFC6750-2-1: a token is sent in one way per request (section 2)."""
        response = session.post(api.url("/form"), data={"a": "b"})
        assert [("/form", server.issued[0], b"a=b")] == [(hit.path, hit.token, hit.body) for hit in api.hits]
        assert f"Bearer {server.issued[0]}" == response.request.headers["Authorization"]

    @pytest.mark.parametrize("kind", ["bearer", "BEARER", "Bearer"])
    def test_header(self, server: TokenServer, kind: str) -> None:
        """RFC6750-2.1-1: the header's scheme is the canonical `Bearer`, however token_type is written (section 2.1)."""
        token = given(server, {"access_token": "mF_9.B5f-4.1JqM", "token_type": kind})
        assert "Bearer mF_9.B5f-4.1JqM" == token.authorization

    def test_no_query_parameter(self, server: TokenServer, api: Api, session: requests.Session) -> None:
        """RFC6750-2.3-1: nothing of ours puts a token into a URL (section 2.3)."""
        session.get(api.url("/me?a=b"))
        assert ["/me?a=b"] == [hit.path for hit in api.hits]
        assert ["authorization", "expires_at"] == [
            name for name, it in vars(AccessToken).items() if isinstance(it, property)
        ]

    def test_invalid_token(self, server: TokenServer, api: Api, session: requests.Session) -> None:
        """RFC6750-3.1-1: after invalid_token there is a new token and one repetition, not two (section 3.1)."""
        session.get(api.url())
        api.revoked.update(server.issued)
        assert 200 == session.get(api.url()).status_code
        api.refuses_all = True
        assert 401 == session.get(api.url()).status_code
        first, second = server.issued
        assert [first, first, second, second] == api.tokens
        assert INVALID == api.challenge

    def test_insufficient_scope(self, server: TokenServer, api: Api, session: requests.Session) -> None:
        """RFC6750-3.1-2: insufficient_scope does not cause a renewal (section 3.1)."""
        api.forbidden, api.challenge = "/admin", 'Bearer error="insufficient_scope", scope="admin"'
        assert [403, 403] == [session.get(api.url("/admin")).status_code for _ in range(2)]
        assert (1, server.issued * 2) == (len(server.requests), api.tokens)

    def test_tls(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """RFC6750-5.2-1, RFC6750-5.3-1: tokens come over TLS, from a server whose chain was validated (section 5.3)."""
        trust(monkeypatch, tmp_path)
        with TokenServer(ID, SECRET, ssl_context=server_context("localhost", expired=True)) as server:
            with pytest.raises(TokenEndpointUnreachable) as caught:
                make(server.url).get_or_create_access_token()
            assert (False, []) == (caught.value.retryable, server.requests)
        with pytest.raises(ValueError, match=r"^token_url must be https"):
            make("http://issuer.example/")

    def test_not_for_others(self, server: TokenServer, api: Api, session: requests.Session) -> None:
        """RFC6750-5.3-2: a token goes to nobody else, and is in no repr (section 5.3)."""
        with Api(lambda: server.issued) as elsewhere:
            api.moved_for_all["/me"] = (307, elsewhere.url())
            session.get(api.url())
            assert [None] == elsewhere.tokens
        assert server.issued[0] not in repr(make(server.url).get_or_create_access_token())

    def test_short_lifetimes(self) -> None:
        """RFC6750-5.3-3: a token of an hour, or of ten seconds, is used for most of its life (section 5.3)."""
        for lifetime, reused in ((3600, 3400), (10, 5), (2, 1)):
            with TokenServer(ID, SECRET, lifetime=lifetime) as server:
                strategy, clock = timed(server)
                first = strategy.get_or_create_access_token()
                clock.advance(reused)
                assert (first, 1) == (strategy.get_or_create_access_token(), len(server.requests))
                clock.advance(lifetime - reused)
                assert first != strategy.get_or_create_access_token()
                assert 2 == len(server.requests)


RESTRICTIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"audience": "a"},
    {"resources": ["urn:a"]},
    {"scopes": ["a"]},
    {"scopes": ["b"]},
)


class TestBestPractice:
    """RFC 9700."""

    def test_sender_constrained(self, server: TokenServer) -> None:
        """RFC9700-2.2.1: a sender-constrained token is not sent as if it were a bearer token (section 2.2.1)."""
        error = failed(server, Answer(body={**GRANT, "token_type": "DPoP"}))
        assert isinstance(error, InvalidTokenResponse)

    def test_restricted(self, server: TokenServer) -> None:
        """RFC9700-2.3: audience, resources and scopes are arguments, and each combination has its own token."""
        shared = SdkConfiguration()
        tokens: set[str] = set()
        for restriction in RESTRICTIONS:
            strategy = make(server.url, **restriction)
            strategy.set_configuration(shared)
            tokens.add(strategy.get_or_create_access_token().access_token)
        assert (5, 5) == (len(tokens), len(server.requests))

    def test_no_password_grant(self, server: TokenServer) -> None:
        """RFC9700-2.4: there is no way to ask for another grant than this one (section 2.4)."""
        with pytest.raises(ValueError, match=r"^extra_params must not hold grant_type: "):
            make(server.url, extra_params={"grant_type": "password"})
        with pytest.raises(ValueError, match=r"^token_url must "):
            make(f"{server.url}?grant_type=password")
        assert [] == [name for name in client_credentials.__all__ if "password" in name.lower()]

    def test_end_to_end_tls(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """RFC9700-2.6-2: TLS ends at the endpoint: a name that its certificate does not have is not spoken to."""
        trust(monkeypatch, tmp_path)
        with TokenServer(ID, SECRET, ssl_context=server_context("proxy.example")) as server:
            with pytest.raises(TokenEndpointUnreachable):
                make(server.url).get_or_create_access_token()
            assert [] == server.requests

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_other_origins(self, server: TokenServer, api: Api, session: requests.Session, status: int) -> None:
        """RFC9700-4.9, RFC9700-4.10: an adapter sends the token to the resource's own origin alone."""
        with Api(lambda: server.issued) as elsewhere:
            api.moved_for_all["/me"] = (status, elsewhere.url())
            assert 401 == session.get(api.url()).status_code
            assert ([server.issued[0]], [None], 1) == (api.tokens, elsewhere.tokens, len(server.requests))

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
    def test_no_redirect(self, server: TokenServer, status: int) -> None:
        """RFC9700-4.12: every 3xx of the token endpoint is refused, wherever it leads (section 4.12)."""
        with TokenServer(ID, SECRET) as other:
            for location in (other.url, server.url, "/api/token"):
                error = failed(server, Answer(status=status, headers={"Location": location}))
                assert isinstance(error, InvalidTokenResponse)
                assert (status, False) == (error.status, error.retryable)
            assert (0, 3) == (other.connections, len(server.requests))


class TestResourceIndicators:
    """RFC 8707."""

    @pytest.mark.parametrize("resource", ["/api", "api.example", "//api.example/", "", "https:", "https://[", "a b:c"])
    def test_absolute(self, resource: str) -> None:
        """RFC8707-2-1: a resource is an absolute URI (section 2)."""
        with pytest.raises(ValueError, match=r"^resources must "):
            make("https://issuer.example/", resources=[resource])

    def test_no_fragment(self) -> None:
        """RFC8707-2-2: it has no fragment (section 2)."""
        for resource in ("https://api.example/#", "https://api.example/#f", "urn:a#b"):
            with pytest.raises(ValueError, match=r"^resources must "):
                make("https://issuer.example/", resources=[resource])

    def test_query(self, server: TokenServer) -> None:
        """RFC8707-2-3: it should have no query, but one that has is sent as it is (section 2)."""
        resource = "https://api.example/?tenant=a%20b"
        assert [resource] == [value for name, value in sent(server, resources=[resource]).form if name == "resource"]

    def test_several(self, server: TokenServer) -> None:
        """RFC8707-2-4: several are several parameters, in their order (section 2)."""
        resources = ["https://b.example/", "https://a.example/", "urn:c"]
        request = sent(server, resources=resources)
        assert [("resource", each) for each in resources] == request.form[1:]

    def test_invalid_target(self, server: TokenServer) -> None:
        """RFC8707-2-5: invalid_target is a typed error that asking again does not mend (section 2)."""
        error = failed(server, refusal("invalid_target"), resources=["urn:a"])
        assert isinstance(error, TokenRefused)
        assert (400, "invalid_target", False) == (error.status, error.error, error.retryable)
        assert 1 == len(server.requests)

    def test_part_of_the_identity(self, server: TokenServer) -> None:
        """RFC8707-2.2-1: another resource is another token, in whatever cache; its scope may be narrower."""
        shared = SdkConfiguration()
        for resources in (["urn:a"], ["urn:b"], ["urn:a", "urn:b"], ["urn:b", "urn:a"]):
            strategy = make(server.url, resources=resources)
            strategy.set_configuration(shared)
            strategy.get_or_create_access_token()
        assert 3 == len(server.requests)
        assert "read" == given(server, {**GRANT, "scope": "read"}, resources=["urn:a"], scopes=["read", "write"]).scope

    def test_one_strategy_per_resource(self, server: TokenServer) -> None:
        """RFC8707-3-1: a strategy per resource, all on one cache, gives each a token of its own (section 3)."""
        shared = SdkConfiguration()
        strategies: dict[str, ClientCredentialsStrategy] = {}
        for resource in ("https://a.example/", "https://b.example/"):
            strategies[resource] = make(server.url, resources=[resource])
            strategies[resource].set_configuration(shared)
        tokens = {resource: each.get_or_create_access_token() for resource, each in strategies.items()}
        again = {resource: each.get_or_create_access_token() for resource, each in strategies.items()}
        assert (tokens, 2) == (again, len({token.access_token for token in tokens.values()}))
        assert [[resource] for resource in strategies] == [
            [value for name, value in request.form if name == "resource"] for request in server.requests
        ]


def test_every_way_is_granted(server: TokenServer) -> None:
    """RFC6749-3.2.1-1: whichever way the client shows its secret, the endpoint knows it and has nothing against it."""
    problems = {way: sent(server, client_authentication=way).problem for way in BY_SECRET}
    assert dict.fromkeys(BY_SECRET) == problems

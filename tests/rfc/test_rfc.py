"""RFC 6750 (Bearer Token Usage), RFC 9700 (Best Current Practice) and RFC 8707 (Resource Indicators), line by line."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from client_credentials import (
    AccessToken,
    ClientCredentialsStrategy,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenEndpointUnreachable,
)
from client_credentials.integrations.requests import BearerAuth
from client_credentials.testing import Answer, TokenServer
from tests.http.peers import server_context, trust
from tests.integrations.kit import INVALID, YESTERDAY, Api
from tests.rfc.kit import BY_SECRET, ID, SECRET, failed, make, sent


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


RESTRICTIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"audience": "a"},
    {"resources": ["urn:a"]},
    {"scopes": ["a"]},
    {"scopes": ["b"]},
)


class TestBestPractice:
    """RFC 9700."""

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

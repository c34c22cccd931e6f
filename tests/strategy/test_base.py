"""What a strategy passes on: its arguments to the request, and who asked whom to each error."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from client_credentials import (
    ClientAuthentication,
    ClientCredentialsStrategy,
    SdkConfiguration,
    SystemClock,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenResponse,
)
from client_credentials.testing import FakeClock
from tests.strategy.kit import EXACT, Endpoint, Shelf, grant, outcome, refuse, settled, strategy_of

URL = "https://issuer.example/token"


def test_each_argument_is_in_the_request() -> None:
    """What a token is for, and how the client says who it is, reaches the endpoint as it was given."""
    endpoint = Endpoint(grant())
    strategy = ClientCredentialsStrategy(
        "an-id",
        "a-secret",
        token_url=URL,
        scopes=("read",),
        audience="an-api",
        resources=("https://api.example/",),
        extra_params={"tenant": "t"},
        headers={"X-Tenant": "h"},
        client_authentication=ClientAuthentication.POST,
    )
    strategy.set_configuration(SdkConfiguration(fetch=endpoint))
    strategy.get_or_create_access_token()
    request = endpoint.requests[0]
    expected = {
        "grant_type": ["client_credentials"],
        "client_id": ["an-id"],
        "client_secret": ["a-secret"],
        "scope": ["read"],
        "audience": ["an-api"],
        "resource": ["https://api.example/"],
        "tenant": ["t"],
    }
    assert expected == parse_qs(request.body.decode())
    assert (URL, "h") == (request.url, request.headers["X-Tenant"])


class TestWhoseFailureItIs:
    """An error says which client it is about, at which endpoint, and how long the backoff lasts, whoever is told."""

    def test_a_caller(self, clock: FakeClock) -> None:
        """So does the one raised while no request may be made, to one who comes later."""

        def sealed() -> str:
            reads.append(1)
            raise TokenEndpointUnreachable("the vault is sealed", retry_after=7.0)

        reads: list[int] = []
        strategy = ClientCredentialsStrategy("an-id", sealed, token_url=URL, policy=EXACT)
        strategy.set_configuration(SdkConfiguration(clock=clock))
        for waits in (7.0, 5.0):
            error = outcome(strategy.get_or_create_access_token)
            assert isinstance(error, TokenError)
            assert (URL, "an-id", waits) == (error.token_url, error.client_id, error.retry_after)
            settled(strategy)
            clock.advance(2.0)
        assert 1 == len(reads)

    def test_the_error_handler(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """So does the one for the error handler, and the log has its text."""
        told: list[TokenError] = []
        strategy = strategy_of(Endpoint(refuse("slow", 429, Retry_After="7")), clock, error_handler=told.append)
        outcome(strategy.get_or_create_access_token)
        settled(strategy)
        assert [("my-client", 7.0)] == [(error.client_id, error.retry_after) for error in told]
        assert [str(error) for error in told] == caplog.messages


class TestSharing:
    """What the server said no with is shared through a cache; what failed here is not."""

    def test_a_refusal(self) -> None:
        """Another strategy of the same client makes no request while the gate is shut."""
        shelf, endpoint = Shelf(), Endpoint(grant())
        one = strategy_of(Endpoint(refuse("invalid_scope")), caching_strategy=shelf)
        outcome(one.get_or_create_access_token)
        settled(one)
        error = outcome(strategy_of(endpoint, caching_strategy=shelf).get_or_create_access_token)
        assert isinstance(error, TokenRefused)
        assert [] == endpoint.requests


def test_a_remark_is_made_once(caplog: pytest.LogCaptureFixture) -> None:
    """F1: an odd answer is remarked on when it is first seen, by the URL of the endpoint."""
    strategy = strategy_of(Endpoint(TokenResponse(200, {}, b'{"access_token": "a", "expires_in": 3600}')))
    for _ in range(2):
        assert "a" == outcome(strategy.get_or_create_access_token)
        settled(strategy)
        strategy.remove_access_token()
    said = "https://accounts.spotify.com/api/token (client 'my-client'): token_type is missing; taken as Bearer"
    assert [said] == caplog.messages


def test_how_they_are_shown() -> None:
    """A strategy shows whose it is, and no secret; a clock shows its kind."""
    shown = "ClientCredentialsStrategy(client_id='an-id', token_url='https://issuer.example/token')"
    assert shown == repr(ClientCredentialsStrategy("an-id", "a-secret", token_url=f"{URL}?key=hidden"))
    assert "SystemClock()" == repr(SystemClock())

"""What a strategy passes on: its arguments to the request, and who asked whom to each error."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import pickle
from urllib.parse import parse_qs

import pytest

from client_credentials import (
    AsyncClientCredentialsStrategy,
    ClientAuthentication,
    ClientCredentialsStrategy,
    SdkConfiguration,
    SystemClock,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
)
from client_credentials._shell import threads
from client_credentials.testing import FakeClock, TokenServer, refusal
from tests.shell.kit import (
    CLIENT_ID,
    CLIENT_SECRET,
    EXACT,
    Endpoint,
    Shelf,
    grant,
    outcome,
    refuse,
    settled,
    strategy_of,
)

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


def test_how_they_are_shown() -> None:
    """A strategy shows whose it is, and no secret; a clock shows its kind."""
    shown = "ClientCredentialsStrategy(client_id='an-id', token_url='https://issuer.example/token')"
    assert shown == repr(ClientCredentialsStrategy("an-id", "a-secret", token_url=f"{URL}?key=hidden"))
    assert "SystemClock()" == repr(SystemClock())


def test_it_is_not_pickled() -> None:
    """The error names the class, and says what to do."""
    said = r"^ClientCredentialsStrategy holds a client secret, so it cannot be pickled or copied; make another$"
    with pytest.raises(TypeError, match=said):
        pickle.dumps(ClientCredentialsStrategy("an-id", "a-secret"))


class TestTheDefaults:
    """Without `set_configuration` there is no cache, since nobody else could have put anything there."""

    def test_a_refusal(self, server: TokenServer) -> None:
        """A gate is known without a look anywhere."""
        server.always(refusal("invalid_scope"))
        strategy, flights = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url), list[object]()
        for _ in range(2):
            assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
            settled(strategy)
            flights.append(strategy._active.flight.latest())
        assert (1, 1) == (len(server.requests), len({id(flight) for flight in flights}))

    def test_tasks(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A task that removes a token waits for no thread."""
        monkeypatch.delattr(threads, "in_thread")
        strategy = AsyncClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url)

        async def scenario() -> None:
            token = await strategy.get_or_create_access_token()
            await strategy.remove_access_token(token)
            assert await strategy.get_access_token() is None

        asyncio.run(scenario())

    def test_no_secret(self) -> None:
        """Where the certificate is the proof there is no secret to read, and the request carries none."""
        endpoint = Endpoint(grant())
        strategy = ClientCredentialsStrategy(CLIENT_ID, None, client_authentication=ClientAuthentication.TLS)
        strategy.set_configuration(SdkConfiguration(fetch=endpoint))
        assert "a-token" == outcome(strategy.get_or_create_access_token)
        assert (False, True) == (
            "Authorization" in endpoint.requests[0].headers,
            b"client_id" in endpoint.requests[0].body,
        )

    def test_half_made(self) -> None:
        """A strategy whose constructor was refused shows itself in a traceback nevertheless."""
        assert "ClientCredentialsStrategy()" == repr(ClientCredentialsStrategy.__new__(ClientCredentialsStrategy))

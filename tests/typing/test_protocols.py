"""What counts as what: our own classes fit the protocols, for the type checkers and when they are put to use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aiohttp
import httpx
import httpx2
import requests.auth

from client_credentials import (
    AsyncAuthStrategy,
    AsyncClientCredentialsStrategy,
    AuthStrategy,
    CachingStrategy,
    ClientCredentialsStrategy,
    Clock,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    LockingCachingStrategy,
    RedisCachingStrategy,
    SdkConfiguration,
    SystemClock,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from client_credentials.testing import FakeClock, TokenServer


class NoRedis:
    """A Redis client that has nothing."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Answer nothing to anything."""
        return None


class Unlocked:
    """A cache of a user's that keeps nothing and has no lock."""

    def get(self, key: str) -> None:
        """Give nothing."""

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep nothing."""

    def remove(self, key: str) -> None:
        """Forget what was never kept."""


def test_strategies() -> None:
    """Each strategy is what the SDK's interface of its kind asks for."""
    blocking: AuthStrategy = ClientCredentialsStrategy("an-id", "a-secret")
    awaited: AsyncAuthStrategy = AsyncClientCredentialsStrategy("an-id", "a-secret")
    blocking.set_configuration(SdkConfiguration())
    awaited.set_configuration(SdkConfiguration())
    assert blocking.get_access_token() is None


def test_caches(tmp_path: Path) -> None:
    """All three caches lock, a user's may do without; each may be configured."""
    locking: tuple[LockingCachingStrategy, ...] = (
        InMemoryCachingStrategy(clock=FakeClock()),
        FileCachingStrategy(str(tmp_path)),
        RedisCachingStrategy(NoRedis()),
    )
    plain: tuple[CachingStrategy, ...] = (*locking, Unlocked())
    configured = [SdkConfiguration(caching_strategy=each).caching_strategy for each in plain]
    assert [True, True, True, False] == [isinstance(each, LockingCachingStrategy) for each in configured]


def test_clocks() -> None:
    """The clock of the system and the fake one are clocks, for a configuration and for the cache in memory."""
    clocks: tuple[Clock, ...] = (SystemClock(), FakeClock())
    for clock in clocks:
        assert clock is SdkConfiguration(clock=clock, caching_strategy=InMemoryCachingStrategy(clock=clock)).clock


def test_fetches() -> None:
    """Urllib3Fetch is a fetch, and so is any function that takes a request and gives a response."""
    given: list[TokenRequest] = []

    def canned(request: TokenRequest) -> TokenResponse:
        given.append(request)
        return TokenResponse(200, {}, b'{"access_token":"a-token"}')

    fetches: tuple[Callable[[TokenRequest], TokenResponse], ...] = (Urllib3Fetch(), canned)
    with TokenServer("an-id", "a-secret") as server:
        for fetch in fetches:
            strategy = ClientCredentialsStrategy("an-id", "a-secret", token_url=server.url)
            strategy.set_configuration(SdkConfiguration(fetch=fetch))
            strategy.get_or_create_access_token()
    assert (1, 1) == (len(server.requests), len(given))


def test_bearers() -> None:
    """A bearer is what its library takes for `auth`, and takes the strategies that it can use."""
    blocking = ClientCredentialsStrategy("an-id", "a-secret")
    awaited = AsyncClientCredentialsStrategy("an-id", "a-secret")
    for_a_session: requests.auth.AuthBase = for_requests.BearerAuth(blocking)
    for_clients: tuple[httpx.Auth, ...] = (for_httpx.BearerAuth(blocking), for_httpx.BearerAuth(awaited))
    for_new_clients: tuple[httpx2.Auth, ...] = (for_httpx2.BearerAuth(blocking), for_httpx2.BearerAuth(awaited))
    for_sessions: tuple[aiohttp.ClientMiddlewareType, ...] = (for_aiohttp.bearer(blocking), for_aiohttp.bearer(awaited))
    assert all(callable(middleware) for middleware in for_sessions)
    with requests.Session() as session:
        session.auth = for_a_session
    for each in for_new_clients:
        with httpx2.Client(auth=each) as new_client:
            assert each is new_client.auth
    for bearer in for_clients:
        with httpx.Client(auth=bearer) as client:
            assert bearer is client.auth

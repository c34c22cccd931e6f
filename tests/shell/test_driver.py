"""A flight in its thread: how it waits for other hosts, and in which order it ends."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import re
import threading
from typing import NoReturn

import pytest

from client_credentials import (
    CacheEntry,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    TokenEndpointUnreachable,
    TokenError,
    TokenResponse,
)
from client_credentials._core.acquisition import Command, Record, Send, Settle
from client_credentials._core.lifecycle import granted
from client_credentials._core.model import Granted
from client_credentials._shell import active, flight, log
from client_credentials._shell.driver import Driver
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.shell.kit import (
    CLIENT_ID,
    CLIENT_SECRET,
    EXACT,
    Endpoint,
    Held,
    Shelf,
    grant,
    outcome,
    refuse,
    settled,
    strategy_of,
)


class TestTheThreadOfAFlight:
    """A flight has a thread of ours, which is told from others by its name and delays no exit."""

    def test_its_name(self) -> None:
        """It is a daemon, and has a name."""
        seen: list[tuple[str, bool]] = []

        def note(_: object) -> None:
            seen.append((threading.current_thread().name, threading.current_thread().daemon))

        strategy_of(Endpoint(grant()), before_request=note).get_or_create_access_token()
        assert [("client-credentials", True)] == seen

    @pytest.mark.parametrize("answer", [grant(), grant(access_token="")], ids=["granted", "failed"])
    def test_once_it_is_over(self, answer: TokenResponse) -> None:
        """What it kept from exiting is kept no longer."""
        strategy = strategy_of(Endpoint(answer))
        outcome(strategy.get_or_create_access_token)
        settled(strategy)
        assert strategy._active.flight not in flight.publishing


class Watched(InMemoryCachingStrategy):
    """A cache that notes, at each write, who keeps the process from exiting."""

    def __init__(self) -> None:
        super().__init__()
        self.holding: list[set[flight.Flight]] = []

    def set(self, key: str, value: str, ttl: float) -> None:
        self.holding.append(set(flight.publishing))
        super().set(key, value, ttl)


class TestTheEndOfAFlight:
    """Record, wake, publish, release the lock, tell: in that order."""

    def test_the_exit_waits_for_the_cache(self) -> None:
        """What callers have got is in the cache before this process exits."""
        cache = Watched()
        strategy = strategy_of(Endpoint(grant()), caching_strategy=cache)
        strategy.get_or_create_access_token()
        settled(strategy)
        assert [True] == [strategy._active.flight in holding for holding in cache.holding]

    def test_an_exit_waits_for_no_log_handler(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a cache there is nothing to wait for, however long it takes to tell of an odd answer."""
        holding: list[bool] = []
        strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url)

        def note(*_: object) -> None:
            holding.append(strategy._active.flight in flight.publishing)

        monkeypatch.setattr(log, "warn", note)
        server.answer(Answer(body={"access_token": "a-token"}))
        strategy.get_or_create_access_token()
        settled(strategy)
        assert [False] == holding

    def test_the_lock_is_free_when_it_tells(self) -> None:
        """An error handler may take its time: no other host waits for it."""
        free: list[bool] = []

        def handle(_: object) -> None:
            with cache.lock(strategy._identity.keys[0], 1.0) as has:
                free.append(has)

        cache = InMemoryCachingStrategy()
        strategy = strategy_of(Endpoint(refuse("invalid_scope")), caching_strategy=cache, error_handler=handle)
        outcome(strategy.get_or_create_access_token)
        settled(strategy)
        assert [True] == free


def test_a_token_from_another_host_while_the_gate_is_shut(clock: FakeClock) -> None:
    """After a refusal here, the cache is still looked in: another host may have had more luck."""
    endpoint = Endpoint(refuse("slow", 429, Retry_After="600"))
    strategy = strategy_of(endpoint, clock)
    outcome(strategy.get_or_create_access_token)
    settled(strategy)
    clock.advance(1.0)
    used = strategy._active
    assert used.cache is not None
    said = Granted(access_token="theirs", expires_in=3600, scope=None)
    fact = granted(said, used.now(), EXACT, (), 0.0)
    used.cache.store(used.identity.keys[0], fact, used.now())
    assert "theirs" == outcome(strategy.get_or_create_access_token)
    assert 1 == len(endpoint.requests)


def test_the_threads_of_a_cache_have_a_name() -> None:
    """What calls a cache is told from what makes requests."""
    seen: set[str] = set()

    class Named(Shelf):
        def get(self, key: str) -> CacheEntry | None:
            seen.add(threading.current_thread().name)
            return super().get(key)

    strategy_of(Endpoint(grant()), caching_strategy=Named()).get_or_create_access_token()
    assert {"client-credentials-cache"} == seen


def test_a_token_to_be_renewed_from_another_host(clock: FakeClock) -> None:
    """It goes to those who wait at once, while the request for the next one is under way."""
    cache, held = InMemoryCachingStrategy(clock=clock), Held(grant("next"))
    first = strategy_of(Endpoint(grant("theirs")), clock, caching_strategy=cache)
    first.get_or_create_access_token()
    settled(first)
    clock.advance(3500)
    second = strategy_of(Endpoint(held), clock, caching_strategy=cache)
    assert "theirs" == outcome(second.get_or_create_access_token)
    assert not held.is_over
    held.go.set()
    settled(second)


def test_a_renewal_is_not_retried(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no caller waits, what fails is tried again only once the backoff is over."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
    endpoint = Endpoint(grant(), refuse(status=503))
    strategy = strategy_of(endpoint, clock)
    strategy.get_or_create_access_token()
    settled(strategy)
    clock.advance(3500)
    assert "a-token" == outcome(strategy.get_or_create_access_token)
    settled(strategy)
    assert 2 == len(endpoint.requests)


@pytest.mark.parametrize("broken", [Record, Send, Settle])
def test_a_flight_that_breaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: type[object]
) -> None:
    """Even a defect of ours ends a flight with a backoff: one request, and an error that names it."""
    perform = Driver._perform
    left = [None]

    def breaking(self: Driver, command: Command) -> object:
        if isinstance(command, broken) and left:
            left.clear()
            raise ZeroDivisionError
        return perform(self, command)

    async def not_sent(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(Driver, "_perform", breaking)
    if broken is Send:
        monkeypatch.setattr(Driver, "_send", not_sent)
    told: list[TokenError] = []
    endpoint = Endpoint(grant())
    strategy = strategy_of(endpoint, error_handler=told.append)
    for _ in range(3):
        got = outcome(strategy.get_or_create_access_token)
        assert got == "a-token" if broken is Settle else isinstance(got, TokenEndpointUnreachable)
        settled(strategy)
    assert (0 if broken is Send else 1) == len(endpoint.requests)
    assert [True] == [
        "unexpected ZeroDivisionError in client_credentials._shell.driver, line" in str(each) and not each.retryable
        for each in told
    ]
    caplog.clear()


def test_a_flight_that_breaks_after_its_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong once callers have their token is for the log alone, which names the place."""

    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(active, "publication", broken)
    told: list[TokenError] = []
    strategy = strategy_of(Endpoint(grant()), error_handler=told.append)
    assert "a-token" == outcome(strategy.get_or_create_access_token)
    settled(strategy)
    assert ([], 1) == (told, len(caplog.messages))
    said = r"unexpected ZeroDivisionError in client_credentials\._shell\.active, line \d+; please report it"
    assert re.fullmatch(said, caplog.messages[0])
    assert strategy._active.flight not in flight.publishing
    caplog.clear()

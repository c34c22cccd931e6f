"""What a strategy and its flights make of a shared cache: what they write there, what they take away, how they wait."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from client_credentials import CacheEntry, InMemoryCachingStrategy, TokenError, TokenResponse
from client_credentials._core.lifecycle import failed, granted, removed
from client_credentials._core.model import Granted, Refused
from client_credentials._core.state import EMPTY, Asked, State
from client_credentials._shell import flight
from client_credentials._shell.active import ActiveConfiguration, Lease
from client_credentials.testing import FakeClock
from tests.strategy.kit import EXACT, HASTY, Endpoint, Held, Shelf, grant, outcome, refuse, settled, strategy_of, until


class TestPublishing:
    """What this process granted or removed meanwhile goes along with whatever it writes."""

    def cached(self, active: ActiveConfiguration) -> State:
        """Read what the cache keeps."""
        key = active.identity.key()
        assert active.cache is not None
        assert key is not None
        return active.cache.load(key, active.now(), 0.0)

    def test_a_removal(self) -> None:
        """A token that was removed here is not left in a cache that is written to."""
        strategy = strategy_of(Endpoint(grant()))
        strategy.get_or_create_access_token()
        settled(strategy)
        active = strategy._active
        assert self.cached(active).held
        active.record(removed(active.known().state, None))
        active.publish(active.identity.keys[0], EMPTY)
        assert not self.cached(active).held

    def test_a_grant(self, clock: FakeClock) -> None:
        """A failure that a grant here has mooted is mooted in the cache too."""
        active = strategy_of(Endpoint(grant()), clock)._active
        key = active.identity.key()
        assert key is not None
        asked = active.now()
        refusal = Refused(status=400, error="invalid_scope", retryable=False)
        active.publish(key, State(gates=(failed(EMPTY, refusal, asked, asked, 0.0),)))
        assert self.cached(active).gates
        clock.advance(1.0)
        said = Granted(access_token="a", expires_in=3600, scope=None)
        active.record(State(granted=granted(said, active.now(), EXACT, (), 0.0).granted))
        active.publish(key, EMPTY)
        assert not self.cached(active).gates


def test_what_one_removes_the_others_do_not_find() -> None:
    """Removal takes the token out of the cache, for all who share it, and leaves it to one who has another token."""
    shelf = Shelf()
    one, other = (strategy_of(Endpoint(grant(text)), caching_strategy=shelf) for text in ("a", "b"))
    token = one.get_or_create_access_token()
    settled(one)
    other.remove_access_token(token)
    assert strategy_of(Endpoint(grant("c")), caching_strategy=shelf).get_access_token() is None
    assert "b" == other.get_or_create_access_token().access_token
    settled(other)
    one.remove_access_token(token)
    assert other.get_access_token() == strategy_of(Endpoint(), caching_strategy=shelf).get_access_token() is not None


class Locked(Shelf):
    """A cache whose lock somebody else holds for ever; counts how often it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def get(self, key: str) -> CacheEntry | None:
        self.looks += 1
        return super().get(key)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        yield False


def test_waiting_for_another_host_is_no_busy_loop() -> None:
    """Who does not get the lock looks a few times a second whether the token is there, and asks in the end."""
    locked = Locked()
    strategy = strategy_of(Endpoint(grant()), caching_strategy=locked, policy=HASTY)
    assert "a-token" == outcome(strategy.get_or_create_access_token)
    assert 2 <= locked.looks < 40


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


def test_the_argument_of_a_removal_is_named() -> None:
    """What is no AccessToken is refused by the name of the argument."""
    strategy = strategy_of(Endpoint(grant()))
    with pytest.raises(ValueError, match=r"^token must be"):
        strategy.remove_access_token("a-token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


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


def test_the_lock_is_free_after_a_removal() -> None:
    """A removal that has rewritten the entry gives the lock back."""
    cache = InMemoryCachingStrategy()
    strategy = strategy_of(Endpoint(grant()), caching_strategy=cache)
    strategy.get_or_create_access_token()
    settled(strategy)
    strategy.remove_access_token()
    with cache.lock(strategy._identity.keys[0], 1.0) as has:
        assert has


def test_the_newest_state_is_found() -> None:
    """One who was interrupted after recording it has left it behind the one before."""
    active = strategy_of(Endpoint(grant()))._active
    newest = Lease(State(granted=Asked.here(active.now())))
    active.lease.succeed(newest)
    assert newest is active.known() is active.lease


class TestTheLease:
    """How long a token is served without deciding again."""

    def test_by_the_clock_of_the_system(self) -> None:
        """A second at most, and not once something else is known."""
        strategy = strategy_of(Endpoint(grant()))
        strategy.get_or_create_access_token()
        strategy.get_or_create_access_token()
        lease = strategy._active.lease
        assert 0 < lease.until - time.time() <= 1
        strategy._active.record(removed(lease.state, None))
        assert -math.inf == lease.until

    def test_by_another_clock(self, clock: FakeClock) -> None:
        """Not at all: both clocks are read on every call."""
        strategy = strategy_of(Endpoint(grant()), clock)
        strategy.get_or_create_access_token()
        strategy.get_or_create_access_token()
        assert -math.inf == strategy._active.lease.until


def test_a_token_from_another_host_while_the_gate_is_shut(clock: FakeClock) -> None:
    """After a refusal here, the cache is still looked in: another host may have had more luck."""
    endpoint = Endpoint(refuse("slow", 429, Retry_After="600"))
    strategy = strategy_of(endpoint, clock)
    outcome(strategy.get_or_create_access_token)
    settled(strategy)
    clock.advance(1.0)
    active = strategy._active
    assert active.cache is not None
    said = Granted(access_token="theirs", expires_in=3600, scope=None)
    fact = granted(said, active.now(), EXACT, (), 0.0)
    active.cache.store(active.identity.keys[0], fact, active.now())
    assert "theirs" == outcome(strategy.get_or_create_access_token)
    assert 1 == len(endpoint.requests)


def test_an_overdue_flight_shuts_the_gate() -> None:
    """Who comes after a request that gave nothing in time is told so at once, and makes no other; so is the log."""
    told: list[TokenError] = []
    held = Held(grant("late"))
    endpoint = Endpoint(held)
    strategy = strategy_of(endpoint, policy=HASTY, error_handler=told.append)
    for _ in range(2):
        assert "nothing came within 0.4 s" in str(outcome(strategy.get_or_create_access_token))
    assert 1 == len(endpoint.requests)
    until(lambda: told)
    assert told[0].retry_after is not None
    held.go.set()


def test_the_threads_of_a_cache_have_a_name() -> None:
    """What calls a cache is told from what makes requests."""
    seen: set[str] = set()

    class Named(Shelf):
        def get(self, key: str) -> CacheEntry | None:
            seen.add(threading.current_thread().name)
            return super().get(key)

    strategy_of(Endpoint(grant()), caching_strategy=Named()).get_or_create_access_token()
    assert {"client-credentials-cache"} == seen


def test_each_remark_is_made_once() -> None:
    """Whatever was remarked on in between."""
    identity = strategy_of(Endpoint(grant()))._active.identity
    assert [["a"], ["b"], []] == [identity.news((remark,)) for remark in "aba"]

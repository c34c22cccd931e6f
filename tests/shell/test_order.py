"""What is known is ordered by when it was asked for: between memory, cache, callers and time, however late it comes."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from client_credentials import (
    InMemoryCachingStrategy,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
)
from client_credentials._shell.driver import forget_in_cache
from client_credentials._shell.flight import Flight
from client_credentials.testing import FakeClock
from tests.shell.kit import EXACT, Endpoint, Held, Shelf, grant, hasty, outcome, refuse, settled, strategy_of, until

HOUR = refuse("slow_down", 429, Retry_After="3600")


class Forgetful(Shelf):
    """A cache that keeps nothing."""

    def set(self, key: str, value: str, ttl: float) -> None:
        pass


class Stuck(InMemoryCachingStrategy):
    """A cache in which one operation hangs until it is let go."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.operation = operation
        self.go = threading.Event()
        self.let_go: list[bool] = []

    def _hang(self, operation: str) -> None:
        if operation == self.operation:
            self.let_go.append(self.go.wait(60))

    def set(self, key: str, value: str, ttl: float) -> None:
        self._hang("set")
        super().set(key, value, ttl)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        with super().lock(key, ttl) as mine:
            yield mine
            self._hang("unlock")


class TestAGrant:
    """Once a token is granted, it goes to those who wait for it."""

    @pytest.mark.parametrize("operation", ["set", "unlock"])
    def test_waits_for_no_cache(self, operation: str) -> None:
        """Q5/user: a cache that is slow to keep a token, or to give its lock back, delays nobody, and is no failure."""
        told: list[TokenError] = []
        cache = Stuck(operation)
        strategy = strategy_of(Endpoint(grant("one")), caching_strategy=cache, error_handler=told.append)
        assert ["one"] * 3 == [outcome(strategy.get_or_create_access_token) for _ in range(3)]
        strategy._active.flight.deadline = time.monotonic() - 0.1
        assert "one" == outcome(strategy.get_or_create_access_token)
        assert [] == cache.let_go
        cache.go.set()
        settled(strategy)
        until(lambda: cache.let_go)
        assert ([True], []) == (cache.let_go, told)

    def test_comes_late(self) -> None:
        """J8: a grant that comes after its flight was given up counts, if nothing newer was granted."""
        late = Held(grant("late"))
        strategy = strategy_of(Endpoint(late, grant("newer")))
        with hasty(strategy):
            assert isinstance(outcome(strategy.get_or_create_access_token), TokenEndpointUnreachable)
        late.go.set()
        until(strategy.get_access_token)
        assert "late" == outcome(strategy.get_or_create_access_token)

    def test_does_not_end_a_wait_ordered_later(self, clock: FakeClock) -> None:
        """Q3/user: a late grant is served, but a wait that the server ordered after it was asked for stands."""
        late = Held(grant("late", expires_in=100))
        endpoint = Endpoint(late, HOUR, grant("never"))
        strategy = strategy_of(endpoint, clock, caching_strategy=Forgetful())
        with hasty(strategy):
            outcome(strategy.get_or_create_access_token)
        clock.advance(61)
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
        late.go.set()
        until(strategy.get_access_token)
        assert "late" == outcome(strategy.get_or_create_access_token)
        clock.advance(200)
        error = outcome(strategy.get_or_create_access_token)
        assert isinstance(error, TokenRefused)
        assert 3400 == pytest.approx(error.retry_after)
        assert 2 == len(endpoint.requests)


class TestAnOrderedWait:
    """A wait that the server ordered stands until it is over."""

    def test_is_as_long_in_a_cache(self, clock: FakeClock) -> None:
        """What a cache may take to write a token down shortens no wait, however often it is written down anew."""
        cache = Shelf()
        endpoint = Endpoint(refuse(status=429, Retry_After="60"))
        strategy = strategy_of(endpoint, clock, caching_strategy=cache)
        outcome(strategy.get_or_create_access_token)
        settled(strategy)
        for _ in range(3):
            strategy.remove_access_token()
            outcome(strategy.get_or_create_access_token)
        error = outcome(strategy.get_or_create_access_token)
        assert isinstance(error, TokenRefused)
        assert 59.7 < (error.retry_after or 0) <= 60
        assert 1 == len(endpoint.requests)


class TestTheFleet:
    """What other hosts put into the cache is known here, whatever happened here."""

    def test_a_lifetime_is_cut_to_this_policy(self) -> None:
        """`max_lifetime` holds for a token from the cache too, and shows in `expires_in` and `expires`."""
        shelf, endpoint = Shelf(), Endpoint(grant(expires_in=86400))
        settled_one = strategy_of(endpoint, caching_strategy=shelf)
        settled_one.get_or_create_access_token()
        settled(settled_one)
        token = strategy_of(
            endpoint, policy=attrs.evolve(EXACT, max_lifetime=600.0), caching_strategy=shelf
        ).get_or_create_access_token()
        assert 1 == len(endpoint.requests)
        assert (600, True) == (token.expires_in, token.expires / 1000 <= time.time() + 600)

    def test_a_slow_look(self, clock: FakeClock) -> None:
        """Q5/user: a token is judged when it is handed out, and not by the time before a slow look into the cache."""

        class Slow(InMemoryCachingStrategy):
            delay = 0.0

            def get(self, key: str) -> Any:
                found = super().get(key)
                clock.advance(self.delay)
                return found

        slow = Slow(clock=clock)
        first = strategy_of(Endpoint(grant()), clock, caching_strategy=slow)
        first.get_or_create_access_token()
        settled(first)
        clock.advance(3585)
        assert strategy_of(Endpoint(grant()), clock, caching_strategy=slow).get_access_token() is not None
        slow.delay = 6.0
        assert strategy_of(Endpoint(grant()), clock, caching_strategy=slow).get_access_token() is None


class TestASecretThatIsRotated:
    """What a request with an old secret comes to says nothing of the new one."""

    @pytest.mark.parametrize("answer", [grant("by-the-old"), refuse()], ids=["granted", "refused"])
    def test_a_late_answer(self, answer: TokenResponse) -> None:
        """Q14: a late answer to the old secret is not for hosts that have the new one, and backs nothing off."""
        late, secrets, shelf = Held(answer), ["the-old-secret"], Shelf()

        def fetch(request: TokenRequest) -> TokenResponse:
            sent = base64.b64decode(request.headers["Authorization"].partition(" ")[2]).decode()
            return late(request) if "old" in sent else grant("by-the-new")

        strategy = strategy_of(fetch, secret=lambda: secrets[0], caching_strategy=shelf)
        with hasty(strategy):
            assert isinstance(outcome(strategy.get_or_create_access_token), TokenEndpointUnreachable)
        secrets[0] = "the-new-secret"
        until(lambda: outcome(strategy.get_or_create_access_token) == "by-the-new")
        late.go.set()
        until(lambda: late.is_over)
        until(lambda: all(flight.is_over for flight in strategy._unfinished))
        strategy.remove_access_token()
        elsewhere = strategy_of(fetch, secret="the-new-secret", caching_strategy=shelf)
        assert ["by-the-new"] * 2 == [outcome(each.get_or_create_access_token) for each in (strategy, elsewhere)]


class TestARemoval:
    """What was removed never comes back, and what is newer stays."""

    def test_while_its_flight_publishes(self) -> None:
        """Q4/user: a token that is removed while its flight publishes it is handed out no more, here or elsewhere."""
        cache = Stuck("set")
        endpoint = Endpoint(grant("one"), grant("two"))
        strategy = strategy_of(endpoint, caching_strategy=cache)
        token = strategy.get_or_create_access_token()
        with hasty(strategy):
            strategy.remove_access_token(token)
        assert strategy.get_access_token() is None
        threading.Timer(0.1, cache.go.set).start()
        assert "two" == outcome(strategy.get_or_create_access_token)
        cache.go.set()
        settled(strategy)
        assert "one" != outcome(strategy_of(endpoint, caching_strategy=cache).get_access_token)

    def test_that_is_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Q4/user: a removal whose look into the cache is slow does not wipe the token that came meanwhile."""
        monkeypatch.setattr("client_credentials.caching._circuit_breaker.BUDGET", 60.0)
        held, go = threading.Event(), threading.Event()

        class Stepped(InMemoryCachingStrategy):
            is_slow = False

            def get(self, key: str) -> Any:
                found = super().get(key)
                if self.is_slow:
                    self.is_slow = False
                    held.set()
                    go.wait(60)
                return found

        cache = Stepped()
        endpoint = Endpoint(grant("old"), grant("new"), grant("third"))
        one, two, three = (strategy_of(endpoint, caching_strategy=cache) for _ in range(3))
        old, _, _ = (each.get_or_create_access_token() for each in (one, two, three))
        settled(one)
        cache.is_slow = True
        removing = threading.Thread(target=one.remove_access_token, args=(old,))
        removing.start()
        assert held.wait(60)
        two.remove_access_token(old)
        assert "new" == outcome(two.get_or_create_access_token)
        settled(two)
        go.set()
        removing.join()
        three.remove_access_token(old)
        assert ["new"] * 3 == [outcome(each.get_or_create_access_token) for each in (one, two, three)]
        assert 2 == len(endpoint.requests)

    def test_of_what_only_the_cache_holds(self) -> None:
        """An expired token in memory is not the current one, which another host has put into the cache."""
        endpoint, shelf, time = Endpoint(grant("one", expires_in=60), grant("two")), Shelf(), FakeClock()
        one, two = (strategy_of(endpoint, time, caching_strategy=shelf) for _ in range(2))
        assert "one" == outcome(one.get_or_create_access_token)
        settled(one)
        time.advance(100)
        shelf.entries.clear()
        assert "two" == outcome(two.get_or_create_access_token)
        settled(two)
        one.remove_access_token()
        assert [None, None] == [
            outcome(each.get_access_token) for each in (one, strategy_of(endpoint, time, caching_strategy=shelf))
        ]

    def test_of_the_second_secrets_token(self) -> None:
        """Whoever has several secrets forgets it under the key of the one that it was granted to."""

        def fetch(request: TokenRequest) -> TokenResponse:
            sent = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
            return grant("by-the-new") if sent.endswith(":new-secret-4") else refuse(status=401)

        shelf = Shelf()
        new = strategy_of(fetch, secret="new-secret-4", caching_strategy=shelf)
        both = strategy_of(fetch, secret=["old-secret-3", "new-secret-4"], caching_strategy=shelf)
        token = new.get_or_create_access_token()
        settled(new)
        assert token == both.get_or_create_access_token()
        settled(both)
        both.remove_access_token(token)
        assert strategy_of(fetch, secret="new-secret-4", caching_strategy=shelf).get_access_token() is None

    def test_that_outlasts_its_caller(self) -> None:
        """A removal that found no token, and hangs until after its deadline, leaves alone what is granted after it."""
        go, reads = threading.Event(), list[None]()

        def secret() -> str:
            reads.append(None)
            return str(len(reads) > 1 or go.wait(60))

        strategy = strategy_of(Endpoint(grant("new")), secret=secret, caching_strategy=Shelf())
        with hasty(strategy):
            strategy.remove_access_token()
        assert "new" == outcome(strategy.get_or_create_access_token)
        settled(strategy)
        (removing,) = strategy._unfinished
        go.set()
        until(lambda: removing.is_over)
        assert "new" == outcome(strategy.get_access_token)

    def test_while_a_first_request_is_under_way(self) -> None:
        """What that brings is newer than the removal, also for the removal's own late look in the cache."""
        held = Held(grant("new"))
        endpoint = Endpoint(held)
        strategy = strategy_of(endpoint, caching_strategy=Shelf())
        caller = threading.Thread(target=strategy.get_or_create_access_token)
        caller.start()
        until(lambda: endpoint.requests)
        _, forget = strategy._active.forget(None)
        held.go.set()
        caller.join()
        settled(strategy)
        forget_in_cache(forget, Flight(strategy._active, time.monotonic() + 10))
        assert "new" == outcome(strategy.get_access_token)


class TestTime:
    """A token is served until its end by whichever clock says more, and no longer."""

    @pytest.mark.parametrize("bad", [lambda: math.nan, lambda: 1 / 0], ids=["NaN", "raises"])
    @pytest.mark.parametrize("hand", ["wall", "monotonic"])
    @pytest.mark.parametrize("answer", [refuse(), grant("two")], ids=["refuses", "grants"])
    def test_one_clock_that_gives_none(
        self, clock: FakeClock, hand: str, bad: Callable[[], Any], answer: TokenResponse
    ) -> None:
        """I9, Q8/process: where one clock gives no time, the other does, before, in and past the life of a token."""
        strategy = strategy_of(Endpoint(grant("one"), answer), clock)
        strategy.get_or_create_access_token()
        settled(strategy)
        setattr(clock, hand, bad)
        assert "one" == outcome(strategy.get_or_create_access_token)
        clock.advance(86400)
        assert strategy.get_access_token() is None
        assert "one" != outcome(strategy.get_or_create_access_token)

    def test_clocks_that_give_none(self) -> None:
        """Q8/process: where neither clock gives a time, that of the system counts."""

        class Dead(FakeClock):
            def wall(self) -> float:
                raise OSError

            monotonic = wall

        endpoint = Endpoint(grant("one"))
        strategy = strategy_of(endpoint, Dead(), caching_strategy=Shelf())
        assert ["one"] * 2 == [outcome(strategy.get_or_create_access_token) for _ in range(2)]
        assert 1 == len(endpoint.requests)

    @pytest.mark.parametrize("step", [7200, -7200])
    def test_the_wall_clock_steps(self, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
        """I12, Q7/idle: a thawed machine, or a test that travels in time, gets no expired token on its next call."""
        endpoint = Endpoint(grant("one"), grant("two"))
        strategy = strategy_of(endpoint)
        assert ["one"] * 2 == [outcome(strategy.get_or_create_access_token) for _ in range(2)]
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + step)
        assert ("two" if step > 0 else "one") == outcome(strategy.get_or_create_access_token)

    def test_an_end_that_nobody_stated(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Past an end that is only assumed a token is asked for; none to be had, the old one is served on."""
        monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.0)
        endpoint = Endpoint(grant("old", expires_in=None), refuse(status=503))
        strategy = strategy_of(endpoint, clock, policy=attrs.evolve(EXACT, max_lifetime=1000.0))
        for _ in range(19):
            assert "old" == outcome(strategy.get_or_create_access_token)
            settled(strategy)
            clock.advance(50)
        clock.advance(50)
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
        assert len(endpoint.requests) > 10

    def test_an_end_that_nobody_stated_and_no_answer(self, clock: FakeClock) -> None:
        """Past an end that is only assumed, nobody is told that nothing came in time: the old token is there."""
        hangs = Held(grant("new"))
        strategy = strategy_of(Endpoint(grant("old", expires_in=None), hangs), clock)
        strategy.get_or_create_access_token()
        clock.advance(301)
        with hasty(strategy):
            assert "old" == outcome(strategy.get_or_create_access_token)
        hangs.go.set()

    def test_dead_on_arrival(self, clock: FakeClock) -> None:
        """A token that is expired when it arrives is handed to nobody, and is no reason to ask without a pause."""

        def slow(_: TokenRequest) -> TokenResponse:
            clock.advance(20)
            return grant(expires_in=10)

        endpoint = Endpoint(slow)
        strategy = strategy_of(endpoint, clock)
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenError)
        assert len(endpoint.requests) <= 9

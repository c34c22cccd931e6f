"""A configuration in use: what is known in memory, how long a token is served from there, what its cache is told."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from client_credentials import ClientCredentialsStrategy, InMemoryCachingStrategy
from client_credentials._core import state
from client_credentials._core.lifecycle import failed, granted, removed
from client_credentials._core.model import Granted, Refused
from client_credentials._core.state import EMPTY, Asked, State
from client_credentials._shell import active
from client_credentials._shell.active import ActiveConfiguration, Lease
from client_credentials.testing import FakeClock
from tests.shell.kit import EXACT, Endpoint, Shelf, grant, outcome, settled, strategy_of


def fact(strategy: ClientCredentialsStrategy, text: str) -> State:
    """Make the fact of a grant, asked for now."""
    said = Granted(access_token=text, expires_in=3600, scope=None)
    return granted(said, strategy._active.now(), EXACT, (), 0.0)


class TestTheState:
    """What is known is replaced as a whole, whoever else replaces it at the same time."""

    def test_two_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two facts that are recorded at the same time none is lost."""
        strategy = strategy_of(Endpoint(grant()))
        first, second, merge = fact(strategy, "first"), fact(strategy, "second"), state.merge
        calls: list[None] = []

        def interrupted(*given: Any) -> State:
            calls.append(None)
            if len(calls) == 1:
                strategy._active.record(second)
            return merge(*given)

        monkeypatch.setattr(active, "merge", interrupted)
        strategy._active.record(first)
        assert "second" == outcome(strategy.get_access_token)
        assert strategy._lease.state.granted == second.granted

    def test_a_lease_that_is_over(self) -> None:
        """A state that has a successor is served no longer without a look, even if a caller is about to say so."""
        strategy = strategy_of(Endpoint(grant()))
        lease = strategy._lease
        strategy._active.record(fact(strategy, "newer"))
        strategy._active.extend(lease, strategy._active.now(), 60.0)
        assert lease.until < 0


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


def test_the_newest_state_is_found() -> None:
    """One who was interrupted after recording it has left it behind the one before."""
    active = strategy_of(Endpoint(grant()))._active
    newest = Lease(State(granted=Asked.here(active.now())))
    active.lease.append(newest)
    assert newest is active.known() is active.lease


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


def test_a_removal_by_one_who_never_had_a_token() -> None:
    """It removes what another host has put into the cache, though that is newer than this strategy."""
    shelf = Shelf()
    one, other, third = (strategy_of(Endpoint(grant()), caching_strategy=shelf) for _ in range(3))
    one.get_or_create_access_token()
    settled(one)
    other.remove_access_token()
    assert third.get_access_token() is None


def test_the_argument_of_a_removal_is_named() -> None:
    """What is no AccessToken is refused by the name of the argument."""
    strategy = strategy_of(Endpoint(grant()))
    with pytest.raises(ValueError, match=r"^token must be"):
        strategy.remove_access_token("a-token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_lock_is_free_after_a_removal() -> None:
    """A removal that has rewritten the entry gives the lock back."""
    cache = InMemoryCachingStrategy()
    strategy = strategy_of(Endpoint(grant()), caching_strategy=cache)
    strategy.get_or_create_access_token()
    settled(strategy)
    strategy.remove_access_token()
    with cache.lock(strategy._identity.keys[0], 1.0) as has:
        assert has

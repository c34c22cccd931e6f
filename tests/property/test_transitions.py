"""Properties of what happens to a state: tokens that come, go and stay away, and what a cache may add."""

from __future__ import annotations

from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._core.lifecycle import (
    EMPTY,
    Gate,
    Held,
    Serve,
    State,
    adopted,
    decide,
    elapsed,
    failed,
    good_token,
    granted,
    hold,
    published,
    removed,
)
from tests.strategies import NOW, gates, helds, seconds, states

NAMES: Final = st.sampled_from("abcdef")


def left(held: Held | None) -> float:
    """The seconds for which a token is good yet."""
    return 0.0 if held is None else max(held.end - elapsed(held.asked, NOW), 0.0)


def remaining(gate: Gate | None) -> float:
    """The seconds for which a gate is shut yet."""
    return 0.0 if gate is None else max(gate.remaining(NOW), 0.0)


def value(state: State) -> str | None:
    """The token held, as text."""
    return state.held.token.access_token if state.held else None


class TestGranted:
    """A new token opens the gate."""

    @given(states(), helds())
    def test_held(self, state: State, held: Held) -> None:
        """It replaces the old one, whatever that was, and the failure is forgotten."""
        assert attrs.evolve(state, held=held, gate=None) == granted(state, held)


class TestRemoved:
    """remove_access_token(token=None): forget it; with a token, only if that is still the current one."""

    @given(states())
    def test_any(self, state: State) -> None:
        """Without a token, none is left, and the gate stays as it is; doing it again changes nothing."""
        after = removed(state, None)
        assert (None, None, state.gate) == (after.held, good_token(after, NOW), after.gate)
        assert after == removed(after, None)

    @given(states(), helds())
    def test_the_current_one(self, state: State, held: Held) -> None:
        """With the current token it is the same as without one; with another the current one stays."""
        state = attrs.evolve(state, held=held)
        assert removed(state, None) == removed(state, held.token.access_token)
        after = removed(state, held.token.access_token + "x")
        assert (state.held, state.gate) == (after.held, after.gate)

    @given(states(), helds(), st.lists(NAMES, max_size=7), states())
    def test_stays_away(self, state: State, held: Held, others: list[str], cached: State) -> None:
        """A token that was removed comes back neither from the cache nor into it, whatever was removed after it."""
        after = removed(attrs.evolve(state, held=held), held.token.access_token)
        for other in others:
            after = removed(after, other)
        again = attrs.evolve(cached, held=attrs.evolve(held, asked=NOW))
        assert (None, None) == (adopted(after, again, NOW).held, published(again, after, NOW).held)

    @given(st.lists(NAMES, max_size=40))
    def test_few_are_remembered(self, names: list[str]) -> None:
        """What was removed is remembered without growing: the last eight, each once, the newest at the end."""
        state = EMPTY
        for name in names:
            state = removed(state, name)
        newest = list(dict.fromkeys(reversed(names)))[:8]
        assert tuple(reversed(newest)) == state.removed


class TestAdopted:
    """What memory knows about the same token outranks the cache; otherwise the better of both counts."""

    @given(states(), states())
    def test_the_better_token(self, state: State, cached: State) -> None:
        """The later expiry is kept, and of two that are equal what is held."""
        after = adopted(state, cached, NOW)
        known = {value(state), *state.removed}
        better = cached.held if value(cached) not in known and left(cached.held) > left(state.held) else state.held
        assert (better, state.removed) == (after.held, after.removed)

    @given(states(), states())
    def test_the_later_gate(self, state: State, cached: State) -> None:
        """The gate that opens later is kept; an open one of a cache tells nothing."""
        after = adopted(state, cached, NOW)
        assert max(remaining(state.gate), remaining(cached.gate)) == remaining(after.gate)
        assert remaining(cached.gate) > 0 or state.gate == after.gate

    @given(states(), helds(), seconds(4000))
    def test_memory_outranks_the_cache(self, state: State, held: Held, age: float) -> None:
        """About the token that is held, expired though it may be, the cache has no say."""
        state = attrs.evolve(state, held=attrs.evolve(held, asked=NOW.earlier(age)))
        assert state == adopted(state, State(held=attrs.evolve(held, asked=NOW)), NOW)

    @given(states())
    def test_an_empty_cache(self, state: State) -> None:
        """A miss changes nothing."""
        assert state == adopted(state, EMPTY, NOW)

    @given(states(), states())
    def test_twice_is_once(self, state: State, cached: State) -> None:
        """Looking again finds nothing new."""
        once = adopted(state, cached, NOW)
        assert once == adopted(once, cached, NOW)


class TestPublished:
    """What the cache keeps: neither the token that ends sooner nor the gate that opens sooner, nor what was removed."""

    @given(states(), states())
    def test_a_late_publisher(self, cached: State, mine: State) -> None:
        """It overwrites neither a token that ends later nor, with a failure, a gate that opens later."""
        kept = published(cached, mine, NOW)
        theirs = None if value(cached) in mine.removed else cached.held
        assert left(kept.held) == max(left(theirs), left(mine.held))
        assert kept.held in (theirs, mine.held)
        assert remaining(kept.gate) == (max(remaining(cached.gate), remaining(mine.gate)) if mine.gate else 0.0)
        assert () == kept.removed

    @given(states(), helds())
    def test_a_grant_opens_the_gate(self, cached: State, held: Held) -> None:
        """The server gave a token, so nobody else has to wait."""
        assert None is published(cached, State(held=held), NOW).gate

    @given(states())
    def test_into_an_empty_cache(self, mine: State) -> None:
        """Where nothing is kept, all that is known is."""
        assert attrs.evolve(mine, removed=()) == published(EMPTY, mine, NOW)


class TwoHosts(RuleBasedStateMachine):
    """Two hosts share a cache; tokens are granted, removed, adopted and published in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts = [EMPTY, EMPTY]
        self.cache = EMPTY
        self.gone: list[list[str]] = [[], []]
        self.count = 0

    @rule(host=st.integers(0, 1), lifetime=st.integers(1, 4000))
    def grant(self, host: int, lifetime: int) -> None:
        """The server gives one of them a token."""
        self.count += 1
        token = AccessToken(f"token-{self.count}", "Bearer", lifetime, 0)
        self.hosts[host] = granted(self.hosts[host], hold(token, NOW, RenewalPolicy(), 0.5))

    @rule(host=st.integers(0, 1), gate=gates())
    def fail(self, host: int, gate: Gate) -> None:
        """It refuses one of them."""
        self.hosts[host] = failed(self.hosts[host], attrs.evolve(gate, since=NOW))

    @rule(host=st.integers(0, 1))
    def publish(self, host: int) -> None:
        """One of them writes down what it knows."""
        self.cache = published(self.cache, self.hosts[host], NOW)
        assert value(self.cache) not in self.gone[host]

    @rule(host=st.integers(0, 1))
    def look(self, host: int) -> None:
        """One of them looks into the cache."""
        self.hosts[host] = adopted(self.hosts[host], self.cache, NOW)

    @rule(host=st.integers(0, 1), back=st.integers(0, 3))
    def remove(self, host: int, back: int) -> None:
        """One of them is told that a token is dead: the one that it holds, or one of the last."""
        name = f"token-{self.count - back}" if back else value(self.hosts[host])
        self.hosts[host] = removed(self.hosts[host], name)
        if name:
            self.gone[host] = [*(each for each in self.gone[host] if each != name), name][-8:]

    @invariant()
    def removed_tokens_stay_away(self) -> None:
        """Neither holds a token that it removed."""
        assert not [host for host, gone in zip(self.hosts, self.gone, strict=True) if value(host) in gone]

    @invariant()
    def what_is_served_is_held(self) -> None:
        """Neither serves another token than the one that it holds."""
        for host in self.hosts:
            decision = decide(host, NOW)
            assert not isinstance(decision, Serve) or decision.token == (host.held and host.held.token)


def test_two_hosts() -> None:
    """A removed token never comes back, in whatever order two hosts and their cache do things."""
    run_state_machine_as_test(TwoHosts)

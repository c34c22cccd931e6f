"""Properties of the text kept in a cache: it comes back as it went, and nothing else comes back at all."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any, Final

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client_credentials import AccessToken, CacheEntry, RenewalPolicy
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import EMPTY, Gate, Instant, State, decide, elapsed, hold
from client_credentials._core.model import Refused
from tests.strategies import NOW, access_tokens, draws, json_values, policies, seconds, states

POLICY: Final = RenewalPolicy()
TOKEN: Final = AccessToken("a", "Bearer", 3600, 1, scope="read", extra={"tenant": ["b", 1, None]})
STATE: Final = State(
    held=hold(TOKEN, NOW.earlier(60), POLICY, 0.5),
    gate=Gate(failure=Refused(status=503, retryable=True), since=NOW.earlier(1), wait=30.0, streak=3),
)


def kin(value: object, other: object) -> bool:
    """Whether the one may stand for the other: of the same type, or a whole number for a float, as JSON has them."""
    fits = type(value) is type(other) or (type(value) is float and type(other) is int)
    return fits and (isinstance(other, bool) or not isinstance(other, int | float) or abs(other) < 2**53)


OPTIONAL: Final[dict[str, tuple[object, ...]]] = {
    "held": (None,),
    "gate": (None,),
    "scope": (None,),
    "extra": ({},),
    **dict.fromkeys(("error", "error_description", "error_uri", "www_authenticate", "note"), (None, "")),
    "retry_after": (None, 7.5),
}
"""The members that may be of more than one type, and what they may be."""


def written(state: State = STATE, now: Instant = NOW) -> CacheEntry:
    """What is kept of a state of which something is worth keeping."""
    entry = dump(state, now)
    assert entry is not None
    return entry


def read(entry: CacheEntry, now: Instant = NOW) -> State | None:
    """What comes back of an entry."""
    return load(entry, now, POLICY, 0.5)


def reread(document: object, ttl: float | None = 3540.0) -> State | None:
    """What comes back of a document that somebody put there."""
    return read(CacheEntry(json.dumps(document), ttl))


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each member within a document, as the container and the key; not those that may be of any type."""
    for key in document:
        yield document, key
        if isinstance(document[key], dict) and key != "extra":
            yield from places(document[key])


class TestRoundTrip:
    """What is kept under a key is the lifecycle state as text."""

    @given(states(4000), draws())
    def test_at_once(self, state: State, draw: float) -> None:
        """Token and gate come back with the age that they had; the renewal is drawn anew."""
        entry = dump(state, NOW)
        assume(entry)
        back = load(entry, NOW, POLICY, draw) if entry else None
        assert back is not None
        assert (state.held and state.held.token) == (back.held and back.held.token)
        assert undated(state.gate) == undated(back.gate)
        assert pytest.approx(ages(state), abs=1e-5) == ages(back)

    @given(states(4000), policies(), draws())
    def test_by_the_readers_policy(self, state: State, policy: RenewalPolicy, draw: float) -> None:
        """When a token is renewed and when it ends is for the reader's policy to say."""
        entry = dump(state, NOW)
        assume(entry and state.held)
        back = load(entry, NOW, policy, draw) if entry else None
        assert back is not None
        assert back.held is not None
        assert hold(back.held.token, back.held.asked, policy, draw) == back.held
        assert back.held.end <= max(policy.max_lifetime, 1.0)

    @given(states(4000))
    def test_ttl(self, state: State) -> None:
        """It is kept as long as any of it is worth knowing, and not at all where nothing is."""
        entry = dump(state, NOW)
        left = state.held.token.expires_in - elapsed(state.held.asked, NOW) if state.held else 0.0
        longest = max(left, state.gate.remaining(NOW) if state.gate else 0.0)
        assert (entry.ttl if entry else None) == (longest if longest > 0 else None)

    def test_nothing(self) -> None:
        """Nothing is kept of a state in which nothing is known, or no longer of use."""
        assert None is dump(EMPTY, NOW)
        assert None is dump(STATE, Instant(NOW.wall + 3540, NOW.monotonic))

    @given(json_values())
    def test_any_extra(self, value: Any) -> None:
        """Whatever JSON carries comes back in `extra`."""
        state = State(held=hold(attrs.evolve(TOKEN, extra={"x": value}), NOW, POLICY, 0.5))
        back = read(written(state))
        assert back is not None
        assert back.held is not None
        assert {"x": value} == back.held.token.extra

    @pytest.mark.parametrize("name", ["object", "bytes", "set", "integer", "token", "bytes as a name"])
    def test_no_extra(self, name: str) -> None:
        """What JSON cannot carry, and a user's deserializer may make, costs the extra and not the token."""
        values = {"object": object(), "bytes": b"x", "set": {1, 2}, "integer": 10**5000, "token": TOKEN}
        extra = {"x": values.get(name, {b"x": 1}), "y": 1}
        state = State(held=hold(attrs.evolve(TOKEN, extra=extra), NOW, POLICY, 0.5))
        back = read(written(state))
        assert back is not None
        assert back.held is not None
        assert attrs.evolve(TOKEN, extra={}) == back.held.token

    def test_a_deep_extra(self) -> None:
        """Nesting at the edge of what can be written costs the extra at the most, at any depth."""
        value: list[Any] = []
        for _ in range(1100):
            value = [value]
            back = read(written(State(held=hold(attrs.evolve(TOKEN, extra={"x": value}), NOW, POLICY, 0.5))))
            assert back is not None
            assert back.held is not None
            assert "a" == back.held.token.access_token

    def test_an_extra_that_holds_itself(self) -> None:
        """Neither does a circle matter."""
        circle: list[Any] = []
        circle.append(circle)
        back = read(written(State(held=hold(attrs.evolve(TOKEN, extra={"x": circle}), NOW, POLICY, 0.5))))
        assert back is not None


def undated(gate: Gate | None) -> Gate | None:
    """All of a gate but when it was shut."""
    return gate and attrs.evolve(gate, since=NOW)


def ages(state: State) -> list[float]:
    """How long ago the token was asked for and the gate was shut, as far as there are any."""
    moments = (state.held and state.held.asked, state.gate and state.gate.since)
    return [elapsed(moment, NOW) for moment in moments if moment]


class TestAge:
    """The remaining life of an entry comes from the cache's own clock, where it has one."""

    @given(seconds(3500), seconds(1e8, least=-1e8), seconds(1e6))
    def test_the_caches_clock(self, passed: float, wall: float, monotonic: float) -> None:
        """What the reader's clocks say does not matter then."""
        entry = written()
        there = Instant(NOW.wall + wall, monotonic)
        back = read(CacheEntry(entry.value, (entry.ttl or 0.0) - passed), there)
        assert back is not None
        assert back.held is not None
        assert pytest.approx(60 + passed) == elapsed(back.held.asked, there)
        assert back.gate is not None
        assert pytest.approx(29 - passed) == back.gate.remaining(there)

    @given(seconds(1e8), seconds(1e6))
    def test_the_wall_clock(self, passed: float, monotonic: float) -> None:
        """Where it has none, the writer's wall clock counts, across a reboot as well."""
        there = Instant(NOW.wall + passed, monotonic)
        back = read(CacheEntry(written().value, None), there)
        assert back is not None
        assert back.held is not None
        assert pytest.approx(60 + passed) == elapsed(back.held.asked, there)
        assert (passed + 60 < back.held.end) is (type(decide(attrs.evolve(back, gate=None), there)).__name__ != "Ask")

    @given(seconds(1e8, least=0.125))
    def test_from_the_future(self, ahead: float) -> None:
        """An entry that was written in the future is a miss: the clock was set back, who knows when."""
        assert None is read(CacheEntry(written().value, None), Instant(NOW.wall - ahead, NOW.monotonic))

    @pytest.mark.parametrize("ttl", [3541.5, 1e9, math.inf, -math.inf, math.nan])
    def test_a_cache_that_cannot_be_right(self, ttl: float) -> None:
        """Neither does a cache tell the age of an entry that says it has more left than it was given."""
        assert None is read(CacheEntry(written().value, ttl))

    def test_rounding(self) -> None:
        """A cache that rounds up to whole seconds is believed, and an entry not taken for younger than it is."""
        back = read(CacheEntry(written().value, 3541.0))
        assert back is not None
        assert back.held is not None
        assert 60 == elapsed(back.held.asked, NOW)


class TestAnythingElse:
    """A corrupt entry, one of another version, one that was tampered with: a miss."""

    @given(st.text() | json_values().map(json.dumps), st.none() | st.floats())
    def test_any_text(self, text: str, ttl: float | None) -> None:
        """Any text at all is a miss or a state, and nothing is raised."""
        assert None is read(CacheEntry(text, ttl))

    @pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, '{"version": 1e999}', "\ud800", "", "null", "{}"])
    def test_nasty_texts(self, text: str) -> None:
        """Not even for nesting without end, or numbers without."""
        assert None is read(CacheEntry(text, 10.0))

    @pytest.mark.parametrize("place", range(len(list(places(json.loads(written().value))))))
    def test_any_type_changed(self, place: int) -> None:
        """A member of another type is a miss: nothing is converted, least of all None to "None" and True to 1."""
        sound = json.loads(written().value)
        for other in (None, True, "7", 7, 7.5, [], {}, [7], {"a": 1}, 2**53, -(2**53), 1e300, 10**400):
            document = copy.deepcopy(sound)
            container, key = list(places(document))[place]
            if any(kin(each, other) for each in (container[key], *OPTIONAL.get(key, ()))):
                continue
            container[key] = other
            assert None is reread(document), (key, other)

    @pytest.mark.parametrize("place", range(len(list(places(json.loads(written().value))))))
    def test_any_member_missing_or_added(self, place: int) -> None:
        """A member less is a miss, even where it has a default; so is one more, at any depth."""
        less, more = json.loads(written().value), json.loads(written().value)
        container, key = list(places(less))[place]
        del container[key]
        container, _ = list(places(more))[place]
        container["another"] = 1
        assert (None, None) == (reread(less), reread(more))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("version",), 2),
            (("version",), 0),
            (("ttl",), 2.0**60),
            (("held", "token", "access_token"), "a\r\nX: y"),
            (("held", "token", "access_token"), "a b"),
            (("held", "token", "access_token"), ""),
            (("held", "token", "access_token"), "x" * 65537),
            (("held", "token", "refresh_token"), "r"),
            (("held", "age"), -0.5),
            (("held", "age"), -1e15),
            (("gate", "age"), -0.5),
            (("gate", "wait"), 3600.5),
            (("gate", "wait"), -0.5),
            (("gate", "wait"), 1e15),
            (("gate", "failure", "kind"), "Granted"),
            (("gate", "failure", "kind"), "Unreachable"),
        ],
    )
    def test_tampered(self, path: tuple[str, ...], value: object) -> None:
        """Of the right type, but nothing that we would have written: a miss all the same."""
        document = json.loads(written().value)
        container = document
        for step in path[:-1]:
            container = container[step]
        container[path[-1]] = value
        assert None is reread(document)

    @given(access_tokens(), st.integers(-(2**53) + 1, 2**53 - 1), draws())
    def test_any_lifetime(self, token: AccessToken, expires_in: int, draw: float) -> None:
        """Whatever life an entry claims for a token, it ends by the reader's policy at the latest."""
        document = json.loads(written(State(held=hold(token, NOW, POLICY, 0.5))).value)
        document["held"]["token"]["expires_in"] = expires_in
        back = load(CacheEntry(json.dumps(document), None), NOW, POLICY, draw)
        assert back is not None
        assert back.held is not None
        assert 1 <= back.held.end <= POLICY.max_lifetime

    @given(st.integers(-(2**53) + 1, 2**53 - 1))
    def test_any_streak(self, streak: int) -> None:
        """However many failures an entry claims, the next wait can be told."""
        document = json.loads(written().value)
        document["gate"]["streak"] = streak
        back = reread(document)
        assert back is not None

    def test_strange_words_in_a_failure(self) -> None:
        """What another host wrote of a failure is made fit to be shown again, since it may not have been that host."""
        document = json.loads(written().value)
        document["gate"]["failure"]["error"] = "a\r\n\x1b[31m" + "b" * 1000
        back = reread(document)
        assert back is not None
        assert back.gate is not None
        assert Refused(status=503, error=("a[31m" + "b" * 1000)[:256], retryable=True) == back.gate.failure

"""The text kept in a cache: it comes back as it went, and nothing else comes back at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import CacheEntry, RenewalPolicy
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import Ask, Fail, decide, failed, hold
from client_credentials._core.model import HookFailed, Refused, thawed
from client_credentials._core.state import EMPTY, Asked, Instant, State, elapsed, merge, publishable
from tests.core.states import HOUR, ago, an_hour, granted, later, states
from tests.strategies import NOW, draws, json_values, policies, seconds

POLICY: Final = RenewalPolicy()
GRANT: Final = attrs.evolve(HOUR, scope="read", extra={"tenant": ["b", 1, None]}, refresh_in=900.0)
HELD: Final = hold(GRANT, Asked.here(ago(60)), POLICY, 0.5)
GATE: Final = failed(EMPTY, Refused(status=503, retryable=True, retry_after=30.0), ago(2), ago(1), 0.5)
STATE: Final = State(held=HELD, granted=HELD.asked, gates=(GATE,), removed=Asked.here(ago(100)))


def written(state: State = STATE, now: Instant = NOW) -> CacheEntry:
    """What is kept of a state of which something is worth keeping."""
    entry = dump(state, "my-key", now, POLICY)
    assert entry is not None
    return entry


def read(entry: CacheEntry, now: Instant = NOW, key: str = "my-key") -> State | None:
    """What comes back of an entry."""
    return load(entry, key, now, POLICY, 0.5)


def reread(document: object, ttl: float | None = None) -> State | None:
    """What comes back of a document that somebody put there."""
    return read(CacheEntry(json.dumps(document), ttl))


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each member within a document, as the container and the key; not those that may be of any type."""
    keys: Any = range(len(document)) if hasattr(document, "append") else document
    for key in keys:
        yield document, key
        if isinstance(document[key], dict | list) and key != "extra":
            yield from places(document[key])


def ages(state: State) -> list[float]:
    """How long ago each thing that is known was asked for."""
    facts = [state.held and state.held.asked, state.granted, state.removed, *(gate.asked for gate in state.gates)]
    return [elapsed(asked.at, NOW) for asked in facts if asked] + [gate.remaining(NOW) for gate in state.gates]


class TestRoundTrip:
    """What is kept under a key is the lifecycle state as text."""

    @given(states(), draws())
    def test_at_once(self, state: State, dice: float) -> None:
        """All that others may know comes back with the age that it had; the renewal is drawn anew."""
        entry = dump(state, "my-key", NOW, RenewalPolicy(max_lifetime=1e9))
        back = load(entry, "my-key", NOW, RenewalPolicy(max_lifetime=1e9), dice) if entry else EMPTY
        assert back is not None
        kept = publishable(state) if entry else EMPTY
        assert pytest.approx(ages(kept), abs=1e-5) == ages(back)
        assert [gate.failure for gate in kept.gates] == [gate.failure for gate in back.gates]
        if kept.held and back.held:
            assert (kept.held.token.access_token, kept.held.token.scope) == (
                back.held.token.access_token,
                back.held.token.scope,
            )
            assert (kept.held.is_assumed, kept.held.asked.stamp) == (back.held.is_assumed, back.held.asked.stamp)

    def test_an_equal_token(self) -> None:
        """All who share an entry have an equal token, its date included."""
        grant = granted(HELD)
        back = read(written(grant))
        assert back is not None
        assert back.held is not None
        assert grant.held is not None
        assert grant.held.token == back.held.token
        assert (900.0, False) == (back.held.refresh_in, back.held.is_assumed)

    def test_merging_it_changes_nothing(self) -> None:
        """What comes back from a cache is known already to who put it there."""
        state = merge(EMPTY, STATE, NOW)
        then = later(NOW, 7)
        entry = written(state, NOW)
        back = read(CacheEntry(entry.value, (entry.ttl or 0.0) - 7.0), then)
        assert back is not None
        assert merge(state, EMPTY, then) == merge(state, back, then)

    @given(policies(), draws())
    def test_by_the_readers_policy(self, policy: RenewalPolicy, dice: float) -> None:
        """When a token is renewed and when it ends is for the reader's policy to say."""
        for held in (HELD, an_hour(60, assumed=True)):
            entry = written(granted(held))
            back = load(entry, "my-key", NOW, policy, dice)
            assert back is not None
            assert back.held is not None
            stated = None if held.is_assumed else held.token.expires_in
            grant = attrs.evolve(HOUR, expires_in=stated, refresh_in=held.refresh_in)
            expected = hold(grant, back.held.asked, policy, dice)
            assert (expected.renewal, expected.end, expected.last) == (back.held.renewal, back.held.end, back.held.last)
            assert expected.token.expires_in == back.held.token.expires_in <= max(policy.max_lifetime, 1)

    @given(states())
    def test_ttl(self, state: State) -> None:
        """It is kept as long as any of it is worth knowing, and not at all where nothing is."""
        entry = dump(state, "my-key", NOW, POLICY)
        shared = publishable(state)
        lefts = [gate.remaining(NOW) for gate in shared.gates]
        lefts += [state.held.last - elapsed(state.held.asked.at, NOW)] if state.held else []
        lefts += [POLICY.max_lifetime - elapsed(state.removed.at, NOW)] if state.removed else []
        longest = max(lefts, default=0.0)
        assert (entry.ttl if entry else None) == (longest if longest > 0 else None)

    def test_a_wait_for_all(self) -> None:
        """H9: the wait that a 429 ordered is kept by another host too, whose clock is five minutes late."""
        gate = failed(EMPTY, Refused(status=429, retryable=True, retry_after=5.0), NOW, NOW, 0.5)
        there = Instant(NOW.wall - 300, 77.0)
        back = read(written(State(gates=(gate,))), there)
        assert back is not None
        assert [Fail(gate.failure, 5.0), Ask()] == [decide(back, later(there, passed)) for passed in (0.0, 5.0)]

    def test_what_is_not_kept(self) -> None:
        """Nothing, where nothing is known or of use, or where a clock gave no time; nor what failed here."""
        own = failed(EMPTY, HookFailed(hook="fetch", kind="raised KeyError"), NOW, NOW, 0.5)
        nowhen = Instant(math.nan, NOW.monotonic)
        for state, now in ((EMPTY, NOW), (State(gates=(own,)), NOW), (granted(an_hour()), nowhen)):
            assert None is dump(state, "my-key", now, POLICY)

    @given(json_values())
    def test_any_extra(self, value: Any) -> None:
        """Whatever JSON carries comes back in `extra`."""
        held = attrs.evolve(HELD, token=attrs.evolve(HELD.token, extra={"x": value}))
        back = read(written(granted(held)))
        assert back is not None
        assert back.held is not None
        assert {"x": value} == thawed(back.held.token.extra)

    @pytest.mark.parametrize(
        "extra",
        [
            {"x": object()},
            {"x": b"x"},
            {"x": {1}},
            {"x": 10**5000},
            {"x": HELD},
            {b"x": 1},
            {"x": math.nan},
            {"x": "y" * 262144},
        ],
        ids=["object", "bytes", "set", "integer", "token", "bytes as a name", "NaN", "long"],
    )
    def test_no_extra(self, extra: dict[Any, Any]) -> None:
        """What JSON cannot carry, and a user's deserializer may make, costs the extra and not the token."""
        back = read(written(granted(attrs.evolve(HELD, token=attrs.evolve(HELD.token, extra=extra)))))
        assert back is not None
        assert back.held is not None
        assert attrs.evolve(HELD.token, extra={}, expires=back.held.token.expires) == back.held.token


class TestAge:
    """The remaining life of an entry comes from the cache's own clock, where it has one."""

    @given(seconds(3500), seconds(1e8, least=-1e8), seconds(1e6))
    def test_the_caches_clock(self, passed: float, wall: float, monotonic: float) -> None:
        """I9: what the reader's clocks say does not matter then."""
        entry = written(granted(HELD))
        there = Instant(NOW.wall + wall, monotonic)
        back = read(CacheEntry(entry.value, (entry.ttl or 0.0) - passed), there)
        assert back is not None
        assert back.held is not None
        assert pytest.approx(60 + passed) == elapsed(back.held.asked.at, there)

    @given(seconds(1e8), seconds(1e6))
    def test_the_wall_clock(self, passed: float, monotonic: float) -> None:
        """I11: where it has none, the writer's wall clock counts, across a reboot as well."""
        there = Instant(NOW.wall + passed, monotonic)
        back = read(CacheEntry(written().value, None), there)
        assert back is not None
        assert back.held is not None
        assert pytest.approx(60 + passed) == elapsed(back.held.asked.at, there)

    @given(seconds(1e8, least=0.125))
    def test_from_the_future(self, ahead: float) -> None:
        """An entry that was written in the future is a miss: the clock was set back, who knows when."""
        assert None is read(CacheEntry(written().value, None), Instant(NOW.wall - ahead, NOW.monotonic))

    @pytest.mark.parametrize("ttl", [86405.5, 1e9, math.inf, -math.inf, math.nan])
    def test_a_cache_that_cannot_be_right(self, ttl: float) -> None:
        """Neither does a cache tell the age of an entry that says it has more left than it was given."""
        assert None is read(CacheEntry(written().value, ttl))

    def test_rounding(self) -> None:
        """A cache that rounds up to whole seconds is believed, and an entry not taken for younger than it is."""
        entry = written(granted(HELD))
        back = read(CacheEntry(entry.value, (entry.ttl or 0.0) + 1.0))
        assert back is not None
        assert back.held is not None
        assert 60 == elapsed(back.held.asked.at, NOW)


class TestAnythingElse:
    """A corrupt entry, one of another version or client, one that was tampered with: a miss."""

    @given(st.text() | json_values().map(json.dumps), st.none() | st.floats())
    def test_any_text(self, text: str, ttl: float | None) -> None:
        """Any text at all is a miss, and nothing is raised."""
        assert None is read(CacheEntry(text, ttl))

    @pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, '{"version": 1e999}', "\ud800", "", "null", "{}"])
    def test_nasty_texts(self, text: str) -> None:
        """Not even for nesting without end, or numbers without."""
        assert None is read(CacheEntry(text, 10.0))

    def test_too_long(self) -> None:
        """R2/user: more than 256 KiB is not even looked at."""
        entry = written()
        assert None is read(CacheEntry(entry.value + " " * 262144, entry.ttl))

    def test_whose_it_is(self) -> None:
        """R5/user: an entry of another key, which a cache that mixes up its answers gives, is a miss."""
        assert None is read(written(), key="another-key")

    @pytest.mark.parametrize("place", range(len(list(places(json.loads(written().value))))))
    def test_members(self, place: int) -> None:
        """O8: a member that is missing, of another type, or beside one that is not ours, is a miss."""
        for change in ("missing", "other", "more"):
            document = json.loads(written().value)
            container, key = list(places(document))[place]
            if change == "missing" and isinstance(container, dict):
                del container[key]
            elif change == "other":
                container[key] = [True] if isinstance(container[key], str | None) else "True"
            elif isinstance(container, dict):
                container["more"] = 1
            else:
                continue
            assert None is reread(document), (change, key)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("version",), 2),
            (("owner",), "0123456789abcdef"),
            (("written",), math.nan),
            (("held", "grant", "access_token"), "with space"),
            (("held", "grant", "access_token"), ""),
            (("held", "grant", "expires_in"), 0),
            (("held", "grant", "expires_in"), -5),
            (("held", "grant", "expires_in"), 10**20),
            (("held", "grant", "expires_in"), True),
            (("held", "grant", "expires_in"), 60.0),
            (("held", "grant", "scope"), "a\x1bb"),
            (("held", "grant", "token_type"), "mac"),
            (("held", "grant", "extra"), {"refresh_token": "r"}),
            (("held", "grant", "extra"), {"error": "x"}),
            (("held", "grant", "remarks"), ["x"]),
            (("held", "asked", "at"), -5.0),
            (("granted", "at"), -5.0),
            (("removed", "at"), -5.0),
            (("gates", 0, "wait"), 3601.0),
            (("gates", 0, "wait"), -1.0),
            (("gates", 0, "since"), -5.0),
            (("gates", 0, "streak"), 0),
            (("gates", 0, "failure", "kind"), "HookFailed"),
            (("gates", 0, "failure", "error_description"), "a\x1bb"),
            (("gates", 0, "failure", "status"), "503"),
        ],
    )
    def test_tampered(self, path: tuple[Any, ...], value: object) -> None:
        """An entry is held to what an answer is held to, member by member."""
        document = json.loads(written().value)
        assert None is not reread(document)
        container = document
        for key in path[:-1]:
            container = container[key]
        container[path[-1]] = value
        assert None is reread(document)

    def test_another_spelling(self) -> None:
        """Text that says the same in other words was not written by us."""
        entry = written()
        assert None is read(CacheEntry(json.dumps(json.loads(entry.value), indent=1), entry.ttl))
        assert None is read(CacheEntry(entry.value.replace("{", '{"version": 3, ', 1), entry.ttl))

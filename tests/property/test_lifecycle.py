"""Properties of the life of one token: the table that the docstring is, the boundaries, and both clocks."""

from __future__ import annotations

import re
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._core import lifecycle
from client_credentials._core.lifecycle import (
    Ask,
    Fail,
    Gate,
    Held,
    Instant,
    Renew,
    Serve,
    State,
    adopted,
    backed_off,
    decide,
    elapsed,
    failed,
    good_token,
    granted,
    hold,
    removed,
    token_of,
)
from client_credentials._core.model import Granted, Unreachable
from tests.strategies import NOW, access_tokens, draws, gates, helds, instants, policies, seconds, states

TOKEN: Final = AccessToken("a", "Bearer", 3600, 1)
HELD: Final = Held(token=TOKEN, asked=NOW, renewal=3480.0, end=3590.0)
DOWN: Final = Unreachable(reason="down")


def table(heading: str) -> list[tuple[str, ...]]:
    """The rows of the docstring's table that begins with this heading."""
    text = (lifecycle.__doc__ or "").split(f"| {heading} ", 1)[1].split("\n\n")[0]
    rows = [tuple(cell.strip() for cell in line.strip(" |").split("|")) for line in text.splitlines()[2:]]
    assert rows
    return rows


def later(since: Instant, wall: float, monotonic: float | None = None) -> Instant:
    """The moment so many seconds after, by each of the clocks."""
    return Instant(since.wall + wall, since.monotonic + (wall if monotonic is None else monotonic))


AGES: Final = {"fresh": (0.0, 3480.0), "stale": (3480.125, 3589.875), "expired": (3590.0, 1e9)}
WAITS: Final = {"shut": (0.125, 3600.0), "open": (0.0, -5.0)}


class TestTable:
    """What is done when a token is asked for, and what an event makes of a state, is as the docstring says."""

    @pytest.mark.parametrize(("token", "gate", "decision"), table("token"))
    def test_decisions(self, token: str, gate: str, decision: str) -> None:
        """Each row of the first table holds at both ends of each span, and with no gate at all as with an open one."""
        spans = [HELD] if token == "none" else [attrs.evolve(HELD, asked=later(NOW, -age)) for age in AGES[token]]
        helds = [None] if token == "none" else spans
        shut = [Gate(failure=DOWN, since=later(NOW, wait - 9999), wait=9999.0, streak=1) for wait in WAITS[gate]]
        for state in (State(held=held, gate=each) for held in helds for each in [*shut, *([None] * (gate == "open"))]):
            assert decision == type(decide(state, NOW)).__name__

    def test_all_combinations(self) -> None:
        """The first table has a row for each combination, and no two."""
        expected = sorted((token, gate) for token in ("none", *AGES) for gate in WAITS)
        assert expected == sorted(row[:2] for row in table("token"))

    @given(states(), helds(), gates(), states())
    def test_events(self, state: State, held: Held, gate: Gate, cached: State) -> None:
        """Each row of the second table holds for any state."""
        after = {
            "granted": granted(state, held),
            "failed": failed(state, gate),
            "removed": removed(state, None),
            "adopted": adopted(state, cached, NOW),
        }
        meaning: dict[str, list[object]] = {
            "the new one": [held],
            "none": [None],
            "as it was": [state.held],
            "the better of both": [state.held, cached.held],
        }
        barred: dict[str, list[object]] = {
            "none": [None],
            "shut, for longer": [gate],
            "as it was": [state.gate],
            "the later of both": [state.gate, cached.gate],
        }
        rows = table("event")
        assert sorted(after) == sorted(row[0] for row in rows)
        for event, token, wait in rows:
            assert after[event].held in meaning[token]
            assert after[event].gate in barred[wait]


class TestHold:
    """Renewal begins at min(renew_ahead, lifetime/2) times U(1 - jitter, 1) before expiry; expiry has a leeway."""

    @given(access_tokens(), policies(), draws())
    def test_window(self, token: AccessToken, policy: RenewalPolicy, draw: float) -> None:
        """The window lies between its jittered and its full width, but never before one second has gone by."""
        held = hold(token, NOW, policy, draw)
        lifetime = min(token.expires_in, policy.max_lifetime)
        widest = min(policy.renew_ahead, lifetime / 2)
        earliest, latest = lifetime - widest, lifetime - widest * (1 - policy.jitter)
        assert min(max(earliest, 1.0), held.end) <= held.renewal <= min(max(latest, 1.0), held.end)

    @given(access_tokens(), policies(), draws())
    def test_leeway(self, token: AccessToken, policy: RenewalPolicy, draw: float) -> None:
        """It counts as expired min(leeway, lifetime/10) before its end, but not in its first second."""
        lifetime = min(token.expires_in, policy.max_lifetime)
        assert max(lifetime - min(policy.leeway, lifetime / 10), 1.0) == hold(token, NOW, policy, draw).end

    @given(access_tokens(), policies(), draws())
    def test_half_of_a_life(self, token: AccessToken, policy: RenewalPolicy, draw: float) -> None:
        """A token of 2 s or more serves at least half of its life without a request, and any one serves a second."""
        held = hold(token, NOW, policy, draw)
        lifetime = min(token.expires_in, policy.max_lifetime)
        assert held.renewal >= max(1.0, lifetime / 2 if lifetime >= 2 else 1.0)
        assert isinstance(decide(State(held=held), later(NOW, lifetime / 2 if lifetime >= 2 else 0.5)), Serve)

    @given(access_tokens(), policies())
    def test_the_dice(self, token: AccessToken, policy: RenewalPolicy) -> None:
        """The draw moves the renewal over the whole share that jitter says, and nothing but the renewal."""
        first, last = hold(token, NOW, policy, 0.0), hold(token, NOW, policy, 1.0)
        assert first == attrs.evolve(last, renewal=first.renewal)
        assert first.renewal <= last.renewal
        exact = attrs.evolve(policy, jitter=0)
        assert hold(token, NOW, exact, 1.0) == hold(token, NOW, exact, 0.0)

    @pytest.mark.parametrize(("draw", "renewal"), [(0.0, 3480), (0.5, 3492), (1.0, 3504)])
    def test_the_usual_token(self, draw: float, renewal: float) -> None:
        """An hour's token is renewed between 120 s and 96 s before its end, and expired 10 s before it."""
        held = hold(TOKEN, NOW, RenewalPolicy(), draw)
        assert (renewal, 3590) == (held.renewal, held.end)


class TestBoundaries:
    """The boundaries are strict: with exactly the window left the token is still fresh, as in the SDK."""

    @given(helds())
    def test_renewal(self, held: Held) -> None:
        """At the renewal it is fresh, a moment after it stale, unless it has expired by then."""
        state = State(held=attrs.evolve(held, asked=Instant(0.0, 0.0)))
        assert held.renewal == held.end or Serve(held.token, 0.0) == decide(state, Instant(held.renewal, 0.0))
        after = decide(state, Instant(0.0, held.renewal + 1e-3))
        assert after == (Renew(held.token) if held.renewal + 1e-3 < held.end else Ask())

    @given(helds())
    def test_end(self, held: Held) -> None:
        """A moment before its end it is good, at its end it is not."""
        state = State(held=attrs.evolve(held, asked=Instant(0.0, 0.0)))
        assert held.token == good_token(state, Instant(held.end - 1e-3, 0.0))
        assert (None, Ask()) == (good_token(state, Instant(held.end, 0.0)), decide(state, Instant(0.0, held.end)))

    @given(helds(), gates())
    def test_gate(self, held: Held, gate: Gate) -> None:
        """A moment before it opens a gate is shut, when it opens it is not."""
        gate = attrs.evolve(gate, since=Instant(0.0, 0.0), wait=gate.wait + 1.0)
        state = State(held=attrs.evolve(held, asked=Instant(-1e9, 0.0)), gate=gate)
        before = decide(state, Instant(gate.wait - 1e-3, 0.0))
        assert isinstance(before, Fail)
        assert gate.failure == before.failure
        assert before.wait == pytest.approx(1e-3)
        assert Ask() == decide(state, Instant(0.0, gate.wait))


class TestTwoClocks:
    """Neither a step of the wall clock nor a suspended machine makes it hand out an expired token."""

    @given(instants(), instants(), instants())
    def test_elapsed(self, since: Instant, now: Instant, then: Instant) -> None:
        """Elapsed time is the larger of what the two clocks say."""
        told = (now.wall - since.wall, now.monotonic - since.monotonic)
        assert elapsed(since, now) in told
        assert all(elapsed(since, now) >= each for each in told)
        assert elapsed(since, then) <= elapsed(since, now) + elapsed(now, then)

    @given(helds(), seconds(200_000), seconds(200_000), st.booleans(), st.none() | gates())
    def test_never_an_expired_token(
        self, held: Held, age: float, error: float, stopped: bool, gate: Gate | None
    ) -> None:
        """With one clock right, the other may say what it likes."""
        wrong = age - error  # stepped back or forwards; a monotonic clock that stopped is behind, and not before 0
        now = later(held.asked, age, max(wrong, 0.0)) if stopped else later(held.asked, wrong, age)
        state = State(held=held, gate=gate and attrs.evolve(gate, since=now))
        served = isinstance(decide(state, now), Serve | Renew)
        assert not (served and age >= held.end)
        assert served is (good_token(state, now) is not None)

    @given(helds(), seconds(1e9))
    def test_a_step_forwards_costs_a_request_at_the_most(self, held: Held, step: float) -> None:
        """A wall clock that runs ahead makes a token old, never an error."""
        assert not isinstance(decide(State(held=held), later(held.asked, step, 0.0)), Fail)


class TestLasts:
    """A decision to serve says for how long it holds."""

    @given(states(4000), seconds(3600), seconds(3600), draws())
    def test_sound(self, state: State, wall: float, monotonic: float, share: float) -> None:
        """At any moment before that, by both clocks, it is still the same token that is served."""
        decision = decide(state, NOW)
        if isinstance(decision, Serve):
            passed = max(decision.lasts * share - 1e-6, 0.0)  # a millionth for the rounding of large floats
            then = decide(state, later(NOW, min(wall, passed), min(monotonic, passed)))
            assert isinstance(then, Serve)
            assert decision.token is then.token

    @given(states(4000))
    def test_not_shorter_than_needed(self, state: State) -> None:
        """Just after that, something is to be decided: the token is renewed or expired, or the gate is open."""
        decision = decide(state, NOW)
        if isinstance(decision, Serve):
            then = decide(state, later(NOW, decision.lasts + 1e-3))
            assert not isinstance(then, Serve) or (state.gate and state.gate.remaining(NOW) > decision.lasts)


@given(policies(), draws(), st.integers(0, 10**400), instants())
def test_no_arithmetic_overflows(policy: RenewalPolicy, draw: float, expires_in: int, asked: Instant) -> None:
    """I8: whatever lifetime a server states, under any policy, the sums of seconds come out."""
    token = token_of(Granted(access_token="a", expires_in=expires_in, scope=None), asked, policy, ())
    assert 1 <= hold(token, asked, policy, draw).end <= max(policy.max_lifetime, 1)
    assert isinstance(token.expires, int)


def test_the_docstring_of_the_gate_is_its_table() -> None:
    """The waits that the docstring of `backed_off` names are those that it gives."""
    rows = dict(re.findall(r"^ *\| (.+?) +\| (.+?) +\|$", backed_off.__doc__ or "", re.MULTILINE))
    del rows["failure"]
    assert {
        "with a wait that was ordered": "for that, 1 s to an hour",
        "retryable": "full jitter over 1, 2, 4 … 60 s",
        "any other": "5 s, doubling to 60 s",
    } == rows

"""Properties of the gate: how long it stays shut, and who is worth a retry."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_credentials._core.lifecycle import (
    MOST_RETRIES,
    Gate,
    Instant,
    State,
    backed_off,
    decide,
    failed,
    retry_wait,
)
from client_credentials._core.model import Failure, Refused, Unreachable
from tests.strategies import NOW, draws, failures, gates, instants, seconds, states

FIRST = {True: 1.0, False: 5.0}


def unordered() -> st.SearchStrategy[Failure]:
    """Failures with no wait ordered by the server."""
    return failures().map(lambda failure: attrs.evolve(failure, retry_after=None))


class TestBackoff:
    """Full jitter over 1, 2, 4 … 60 s for what is retryable; 5 s doubling to 60 s for what is not."""

    @given(st.lists(unordered(), min_size=1, max_size=12), draws())
    def test_doubles_to_a_minute(self, row: list[Failure], draw: float) -> None:
        """Failure after failure, the wait is bounded by a doubling that ends at a minute."""
        gate: Gate | None = None
        for before, failure in enumerate(row):
            gate = backed_off(gate, failure, NOW, draw)
            longest = min(FIRST[failure.retryable] * 2**before, 60.0)
            assert (before + 1, failure, NOW) == (gate.streak, gate.failure, gate.since)
            assert gate.wait == (longest * draw if failure.retryable else longest)

    @given(unordered(), st.integers(1, 10**18), draws())
    def test_never_ends(self, failure: Failure, streak: int, draw: float) -> None:
        """However long the row of failures is, the next wait is a minute at the most."""
        gate = backed_off(Gate(failure=failure, since=NOW, wait=1.0, streak=streak), failure, NOW, draw)
        assert (streak + 1, True) == (gate.streak, 0 <= gate.wait <= 60)

    @given(unordered(), st.none() | gates(), draws(), st.floats())
    @example(Unreachable(reason="x"), None, 0.5, math.nan)
    def test_an_order_is_an_order(self, failure: Failure, gate: Gate | None, draw: float, order: float) -> None:
        """A wait that was ordered counts, from a second to an hour, whoever ordered it, and whatever the dice say."""
        shut = backed_off(gate, attrs.evolve(failure, retry_after=order), NOW, draw)
        assert shut.wait == shut.failure.retry_after == (1.0 if math.isnan(order) else min(max(order, 1.0), 3600.0))

    def test_an_order_in_whole_seconds(self) -> None:
        """A hook may give a whole number; a gate counts in floats, as a cache keeps them."""
        gate = backed_off(None, Unreachable(reason="x", retry_after=7), NOW, 0.5)
        assert (7.0, float) == (gate.wait, type(gate.wait))

    @given(states(), gates())
    def test_the_token_is_served_on(self, state: State, gate: Gate) -> None:
        """A failure changes the gate and nothing else."""
        assert attrs.evolve(state, gate=gate) == failed(state, gate)


class TestOpening:
    """The gate opens as soon as either clock says so."""

    @given(gates(), instants())
    def test_remaining(self, gate: Gate, now: Instant) -> None:
        """What remains is the wait, less the larger of what the two clocks say has gone by."""
        passed = max(now.wall - gate.since.wall, now.monotonic - gate.since.monotonic)
        assert gate.wait - passed == gate.remaining(now)

    @given(gates(), st.booleans())
    def test_either_clock(self, gate: Gate, by_wall: bool) -> None:
        """One clock that stands still keeps no gate shut."""
        gate = attrs.evolve(gate, since=Instant(0.0, 0.0))
        now = Instant(gate.wait, 0.0) if by_wall else Instant(0.0, gate.wait)
        assert "Ask" == type(decide(State(gate=gate), now)).__name__


class TestRetries:
    """While a caller is waiting, a retryable failure is retried at most twice, with the gate's own waits."""

    @given(gates(), st.integers(1, 9), seconds(60, least=-5))
    def test_rule(self, gate: Gate, attempts: int, left: float) -> None:
        """Never one with a Retry-After, never one that is not retryable, never past the deadline."""
        allowed = gate.failure.retryable and gate.failure.retry_after is None
        expected = gate.wait if allowed and attempts < 3 and gate.wait < left else None
        assert expected == retry_wait(gate, attempts, left)

    def test_twice(self) -> None:
        """The first and the second attempt may have a successor, the third has none."""
        gate = Gate(failure=Refused(status=503, retryable=True), since=NOW, wait=0.5, streak=1)
        assert [0.5, 0.5, None, None] == [retry_wait(gate, attempts, 60.0) for attempts in (1, 2, 3, 4)]
        assert 2 == MOST_RETRIES

    @pytest.mark.parametrize(("left", "expected"), [(0.5, None), (0.500001, 0.5), (0.0, None), (-1.0, None)])
    def test_the_deadline_is_strict(self, left: float, expected: float | None) -> None:
        """A wait that takes all that is left leaves no time for the attempt."""
        gate = Gate(failure=Refused(status=503, retryable=True), since=NOW, wait=0.5, streak=1)
        assert expected == retry_wait(gate, 1, left)

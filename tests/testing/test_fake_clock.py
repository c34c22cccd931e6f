"""The fake clock moves only when told to, and its hands part only as those of a real machine do."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import Clock
from client_credentials.testing import FakeClock

PASSING = st.integers(min_value=0, max_value=10**9)
ANY = st.integers(min_value=-(10**9), max_value=10**9)


def test_it_stands_still_at_a_plausible_time() -> None:
    """It is a clock that shows a moment of this century and a monotonic zero, however often it is read."""
    clock: Clock = FakeClock()
    assert [(1_700_000_000.0, 0.0)] * 3 == [(clock.wall(), clock.monotonic()) for _ in range(3)]


@given(wall=ANY, monotonic=ANY, passed=PASSING, stepped=ANY, slept=PASSING)
def test_each_move_turns_its_own_hands(wall: int, monotonic: int, passed: int, stepped: int, slept: int) -> None:
    """Time that passes moves both hands, a step or a sleep of the machine the wall clock alone."""
    clock = FakeClock(wall=wall, monotonic=monotonic)
    clock.advance(passed)
    assert (wall + passed, monotonic + passed) == (clock.wall(), clock.monotonic())
    clock.step_wall(stepped)
    clock.suspend(slept)
    assert (wall + passed + stepped + slept, monotonic + passed) == (clock.wall(), clock.monotonic())


@pytest.mark.parametrize("seconds", [-1e-9, -1, -math.inf, math.nan])
def test_time_never_runs_back(seconds: float) -> None:
    """Neither time that passes nor a sleep is negative, and a refused move moves nothing."""
    clock = FakeClock()
    for move in (clock.advance, clock.suspend):
        with pytest.raises(ValueError, match="seconds"):
            move(seconds)
    assert (1_700_000_000.0, 0.0) == (clock.wall(), clock.monotonic())


class Contended(float):
    """A number of seconds whose addition is interrupted by all that another thread can do in the meantime."""

    def __new__(cls, seconds: float, rival: threading.Thread) -> Contended:
        """Make it with the thread that is started in the middle of its first addition."""
        made = super().__new__(cls, seconds)
        made.rival = rival
        return made

    rival: threading.Thread

    def __radd__(self, other: float) -> float:
        """Add once the rival is through, or is found to wait."""
        if self.rival.ident is None:
            self.rival.start()
            self.rival.join(timeout=0.2)
        return float(self) + other


def test_no_move_is_lost_between_threads() -> None:
    """Two threads that move the clock at the same moment both move it."""
    clock = FakeClock(wall=0.0)
    rival = threading.Thread(target=clock.advance, args=(1.0,))
    clock.advance(Contended(2.0, rival))
    rival.join()
    assert (3.0, 3.0) == (clock.wall(), clock.monotonic())

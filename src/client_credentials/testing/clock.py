"""A clock that stands still until it is told to move, for tests that cannot wait an hour."""

from __future__ import annotations

import threading


class FakeClock:
    """A `Clock` whose two clocks move together, or apart as on real machines; safe to use from any thread.

    `wall` is in seconds since the epoch, `monotonic` in seconds since some point.
    """

    def __init__(self, wall: float = 1_700_000_000.0, monotonic: float = 0.0) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def wall(self) -> float:
        """Return the seconds since the epoch."""
        return self._wall

    def monotonic(self) -> float:
        """Return the seconds of the clock that never goes back."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks; raises ValueError for less than 0 seconds, as time does not go back."""
        self._move(wall=seconds, monotonic=_elapsed(seconds))

    def step_wall(self, seconds: float) -> None:
        """Set only the wall clock, forwards or (with less than 0 seconds) back, as an operator or NTP does."""
        self._move(wall=seconds, monotonic=0.0)

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep through this time, with a monotonic clock that sleeps too; ValueError as `advance`."""
        self._move(wall=_elapsed(seconds), monotonic=0.0)

    def _move(self, *, wall: float, monotonic: float) -> None:
        with self._lock:
            self._wall += wall
            self._monotonic += monotonic


def _elapsed(seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError("seconds: time does not go back; step_wall moves the wall clock either way")
    return seconds

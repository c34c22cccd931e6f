"""What differs from call to call: the two clocks of this machine, and randomness."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from .._core.state import Instant

if TYPE_CHECKING:
    from ..protocols import Clock


def _answering() -> Callable[[], float]:
    """The first clock that really answers: some systems name CLOCK_BOOTTIME and refuse it."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        with suppress(AttributeError, OSError):
            clock = partial(time.clock_gettime, getattr(time, name))
            clock()
            return clock
    return time.monotonic


_ticks: Final = _answering()
_dice: Final[dict[int, random.Random]] = {}
"""By process, since a forked child must not draw its parent's numbers; uWSGI's workers run no hook after their fork."""


class SystemClock:
    """The clocks of the operating system."""

    __slots__ = ()

    def wall(self) -> float:
        """Return the seconds since the epoch; they may step either way."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds since some point; they never go back, and go on while the machine is suspended."""
        return _ticks()

    def __repr__(self) -> str:
        return "SystemClock()"


def read(clock: Clock) -> Instant:
    """Read both clocks; one that raises or is infinite gives NaN, and where neither gives a time the system's do."""
    if type(clock) is not SystemClock:  # which needs no care, and is read at every step of a flight
        instant = Instant(_read(clock.wall), _read(clock.monotonic))
        if not (math.isnan(instant.wall) and math.isnan(instant.monotonic)):
            return instant
    return Instant(time.time(), _ticks())


def _read(hand: Callable[[], float]) -> float:
    try:
        seconds = float(hand())
    except Exception:  # a user's clock
        return math.nan
    return seconds if math.isfinite(seconds) else math.nan


def dice() -> float:
    """Draw a random number from 0 to 1, with dice of our own: programs seed `random`.

    Not from the system each time: that releases the GIL, which a busy process gives back only milliseconds later.
    """
    process = os.getpid()
    ours = _dice.get(process) or _dice.setdefault(process, random.Random())  # noqa: S311  # spreads a fleet
    return ours.random()

"""The two clocks of this machine; the monotonic one counts the time that it was suspended, where it can."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .._core.state import Instant

if TYPE_CHECKING:
    from ..protocols import Clock


def _answering() -> Callable[[], float]:
    """The first clock that really answers: some systems name CLOCK_BOOTTIME and refuse it."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        gettime: Any = getattr(time, "clock_gettime", None)
        number: Any = getattr(time, name, None)
        if gettime is not None and number is not None:
            with suppress(OSError):
                gettime(number)
                return partial(gettime, number)
    return time.monotonic


_ticks: Final = _answering()


class SystemClock:
    """The clocks of the operating system."""

    __slots__ = ()

    def wall(self) -> float:
        """Give the seconds since the epoch; they may step either way."""
        return time.time()

    def monotonic(self) -> float:
        """Give the seconds since some point; they never go back, and go on while the machine is suspended."""
        return _ticks()

    def __repr__(self) -> str:
        return "SystemClock()"


def read(clock: Clock) -> Instant:
    """Read both clocks; one that raises gives NaN, and where neither gives a time the system's do."""
    instant = Instant(_read(clock.wall), _read(clock.monotonic))
    if math.isnan(instant.wall) and math.isnan(instant.monotonic):
        return Instant(time.time(), _ticks())
    return instant


def _read(hand: Callable[[], float]) -> float:
    try:
        return float(hand())
    except Exception:  # a user's clock
        return math.nan

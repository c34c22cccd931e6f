"""The two clocks of this machine; the monotonic one counts the time that it was suspended, where it can."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

_gettime: Any = getattr(time, "clock_gettime", None)
# CLOCK_BOOTTIME is Linux's; on macOS CLOCK_MONOTONIC goes on while the machine sleeps; elsewhere there is only one.
_ID: Any = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))

ticks: Final[Callable[[], float]] = partial(_gettime, _ID) if _gettime else time.monotonic
"""The monotonic clock of SystemClock as a bare callable, for the path that is taken at every call."""


class SystemClock:
    """The clocks of the operating system."""

    __slots__ = ()

    def wall(self) -> float:
        """Give the seconds since the epoch; they may step either way."""
        return time.time()

    def monotonic(self) -> float:
        """Give the seconds since some point; they never go back, and go on while the machine is suspended."""
        return ticks()

    def __repr__(self) -> str:
        return "SystemClock()"

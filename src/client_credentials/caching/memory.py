"""Entries in this process's memory, shared by every strategy that is given the same object."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Final

import attrs

from .._core.model import CacheEntry
from .._core.state import Instant, elapsed
from .._core.value import repr_before_init
from .._shell.clock import SystemClock, read
from ._fork import survive_fork

if TYPE_CHECKING:
    from ..protocols import Clock

_CHECKED_PER_WRITE: Final = 2
"""Entries that each write checks for their end: twice what it adds, so that what has expired does not pile up."""


@attrs.frozen(eq=False, repr=False)
class _Kept:
    """A value, which holds a token, and when it expires by the clock of the cache."""

    value: str
    since: Instant
    ttl: float

    def left(self, now: Instant) -> float:
        """Return the seconds until it expires, by whichever of the two clocks has gone further."""
        return self.ttl - elapsed(self.since, now)


_NOTHING = _Kept("", Instant(0.0, 0.0), -math.inf)


class InMemoryCachingStrategy:
    """Keeps entries until they expire by its own clock, and no longer than the process; it never waits or raises.

    A write takes the same time with one entry or 50,000. Raises ValueError if `clock` is not a `Clock`.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        if not all(callable(getattr(self._clock, name, None)) for name in ("wall", "monotonic")):
            raise ValueError("clock must have the methods wall, monotonic")
        self._entries: dict[str, _Kept] = {}
        self._unchecked: Iterator[str] = iter(())
        # Real time, whatever the clock: a lease is for a request, and that takes real time.
        self._leases: dict[str, float] = {}
        self._mutex = RLock()
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Return what was set under the key, unless it has expired."""
        kept = self._entries.get(key, _NOTHING)
        left = kept.left(read(self._clock))
        return CacheEntry(kept.value, left) if left > 0 else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        now = read(self._clock)
        with self._mutex:
            self._entries[key] = _Kept(value, now, ttl)
            checked = list(islice(self._unchecked, _CHECKED_PER_WRITE))
            for name in checked:
                if self._entries.get(name, _NOTHING).left(now) <= 0:
                    self._entries.pop(name, None)
            if not checked:
                self._unchecked = iter(list(self._entries))

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        with self._mutex:
            self._entries.pop(key, None)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once to take the lock, without waiting; it is lost after `ttl` seconds."""
        now = time.monotonic()
        with self._mutex:
            mine = self._leases.get(key, now) <= now
            if mine:
                self._leases[key] = now + ttl
        try:
            yield mine
        finally:
            with self._mutex:
                if mine and self._leases.get(key) == now + ttl:
                    del self._leases[key]

    def _after_fork(self) -> None:
        self._mutex = RLock()
        self._leases = {}

    @repr_before_init
    def __repr__(self) -> str:
        return f"InMemoryCachingStrategy(<{len(self._entries)} entries>)"

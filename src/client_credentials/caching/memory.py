"""Entries in this process's memory, shared by every strategy that is given the same object."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

import attrs

from .._core.model import CacheEntry
from .._shell.clock import SystemClock
from .._shell.fork import survive_fork

if TYPE_CHECKING:
    from ..protocols import Clock


@attrs.frozen
class _Kept:
    """A value, which holds a token, and when its time is up by the clock of the cache."""

    value: str = attrs.field(repr=False)
    end: float


_NOTHING = _Kept("", -math.inf)


class InMemoryCachingStrategy:
    """Keeps entries until their time is up by its own clock, and nothing longer than the process."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        self._entries: dict[str, _Kept] = {}
        # Real time, whatever the clock: a lease is for a request, and that takes real time.
        self._leases: dict[str, float] = {}
        self._mutex = RLock()
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set under the key, if its time is not up."""
        kept = self._entries.get(key, _NOTHING)
        left = kept.end - self._clock.monotonic()
        return CacheEntry(kept.value, left) if left > 0 else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        now = self._clock.monotonic()
        with self._mutex:
            self._entries = {name: kept for name, kept in self._entries.items() if kept.end > now}
            self._entries[key] = _Kept(value, now + ttl)

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        with self._mutex:
            self._entries.pop(key, None)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once, without waiting, to be the one who asks; the lock is lost after `ttl` seconds."""
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

    def __repr__(self) -> str:
        return f"InMemoryCachingStrategy(<{len(self._entries)} entries>)"

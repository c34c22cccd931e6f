"""What the hosts of a simulated fleet have around them: virtual time, an endpoint and a cache."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from random import Random
from typing import Final

import attrs

from .._core.lifecycle import hold
from .._core.model import CacheEntry, Granted, Outcome, RenewalPolicy, Unreachable
from .._core.state import Asked, Instant

_EPOCH: Final = 1_700_000_000.0
_START: Final = 2.0  # seconds whose requests count as those of the start
_LATENCY: Final = (0.05, 0.4)  # seconds that a token request takes, from and to


def first_renewal(policy: RenewalPolicy, lifetime: float) -> float:
    """Say how old a token is, in seconds, when its renewal may begin."""
    grant = Granted(access_token="token", expires_in=int(lifetime), scope=None)
    return hold(grant, Asked.here(Instant(0.0, 0.0)), policy, 0.0).renewal


class Scheduler:
    """Virtual time, as a `Clock`; events happen in the order of their moments, then in that of their planning."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = count()

    def wall(self) -> float:
        return _EPOCH + self.now

    def monotonic(self) -> float:
        return self.now

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan an event for `seconds` seconds from now."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._planned), action))

    def run(self, until: float) -> None:
        """Let everything happen that is due by then."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until


@attrs.define(eq=False)
class Rate:
    """How many requests there were, and how many within one second at most."""

    requests: int = 0
    peak: int = 0
    _recent: deque[float] = attrs.field(factory=deque[float])

    def count(self, now: float) -> None:
        self.requests += 1
        recent = self._recent
        recent.append(now)
        while recent[0] <= now - 1.0:
            recent.popleft()
        self.peak = max(self.peak, len(recent))


@attrs.define(eq=False)
class Endpoint:
    """A token endpoint that refuses connections during its outage."""

    rng: Random
    lifetime: int
    outage: tuple[float, float]
    at_start: Rate = attrs.field(factory=Rate)
    later: Rate = attrs.field(factory=Rate)

    def receive(self, now: float, timeout: float) -> tuple[float, Outcome]:
        """Return how many seconds a request takes, and what comes of it."""
        (self.at_start if now < _START else self.later).count(now)
        begins, ends = self.outage
        took = self.rng.uniform(*_LATENCY)
        if took >= timeout:
            return max(timeout, 0.0), Unreachable(reason="timed out")
        if begins <= now < ends:
            return took, Unreachable(reason="connection refused")
        return took, Granted(access_token=f"token-at-{now}", expires_in=self.lifetime, scope=None)


class Cache:
    """A shared cache of one entry that answers at once; no host dies, so no lock is lost."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.version = 0
        self._scheduler = scheduler
        self._entry = "", 0.0
        self._locks: set[str] = set()

    def get(self, key: str) -> CacheEntry | None:
        del key
        value, end = self._entry
        left = end - self._scheduler.now
        return CacheEntry(value, left) if left > 0 else None

    def set(self, key: str, value: str, ttl: float) -> None:
        del key
        self.version += 1
        self._entry = value, self._scheduler.now + ttl

    def remove(self, key: str) -> None:
        self.set(key, "", 0.0)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        del ttl
        is_mine = key not in self._locks
        self._locks.add(key)
        yield is_mine
        if is_mine:
            self._locks.remove(key)

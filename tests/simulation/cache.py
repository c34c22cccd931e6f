"""A shared cache in virtual time: it keeps entries and locks by its own clock, and fails as a Redis server does."""

from __future__ import annotations

from enum import Enum
from random import Random

import attrs

from client_credentials import CacheEntry
from client_credentials._core.acquisition import TryLock

from .engine import Regime
from .process import CacheStep, Free, Get, Put

BUDGET = 0.5  # seconds that a command may take
FAILURES, PERIOD = 3, 30.0  # so many failures open the breaker, for so many seconds


class Health(Enum):
    """How the cache is; the value that goes with some of them is in seconds or a share."""

    WELL = "well"
    DOWN = "refuses connections"
    SILENT = "no answer ever"
    SLOW = "answers after value seconds"
    LOSSY = "a share of value of all commands, or of their answers, is lost"


@attrs.define(eq=False)
class Breaker:
    """A host's connection to the cache: after some failures in a row it is left alone for a while."""

    failures: int = 0
    open_until: float = 0.0


@attrs.frozen
class Passage:
    """What becomes of a command: the seconds it takes, whether it arrives, and whether its answer does."""

    seconds: float
    arrives: bool
    answers: bool


@attrs.define(eq=False)
class Cache:
    """Entries and locks with their ends, in true time."""

    rng: Random
    health: Regime[Health] = attrs.field(factory=lambda: Regime(Health.WELL))
    entries: dict[str, tuple[str, float]] = attrs.field(factory=dict[str, tuple[str, float]])
    locks: dict[str, tuple[object, float]] = attrs.field(factory=dict[str, tuple[object, float]])

    def passage(self, breaker: Breaker, now: float) -> Passage:
        """Say what becomes of a command that is sent now."""
        if now < breaker.open_until:
            return Passage(0.0, arrives=False, answers=False)
        found = self._passage()
        breaker.failures = 0 if found.answers else breaker.failures + 1
        if breaker.failures >= FAILURES:
            breaker.failures = 0
            breaker.open_until = now + found.seconds + PERIOD
        return found

    def _passage(self) -> Passage:
        health, value = self.health.current
        chance = self.rng.random
        took = 0.0002 + 0.0018 * chance()
        match health:
            case Health.WELL:
                return Passage(took, arrives=True, answers=True)
            case Health.DOWN:
                return Passage(took, arrives=False, answers=False)
            case Health.SILENT:
                return Passage(BUDGET, arrives=False, answers=False)
            case Health.SLOW:
                return Passage(min(value, BUDGET), arrives=True, answers=value < BUDGET)
            case Health.LOSSY:
                lost = chance() < value
                return Passage(BUDGET if lost else took, arrives=not lost or chance() < 0.5, answers=not lost)

    def apply(self, step: CacheStep, owner: object, sent: float, now: float) -> CacheEntry | bool | None:
        """Carry a command out; `owner` is who may give back the locks that he gets.

        The end of an entry does not move with a command that takes its time.
        """
        match step:
            case Get(key=key):
                value, end = self.entries.get(key, ("", 0.0))
                return CacheEntry(value, round(end - now, 3)) if end > now else None
            case Put(key=key, entry=entry):
                left = entry.ttl if entry else None
                self.entries[key] = (entry.value if entry else "", sent + int((left or 0.0) * 1000) / 1000)
            case TryLock(name=name, ttl=ttl):
                if self.locks.get(name, (None, 0.0))[1] > now:
                    return False
                self.locks[name] = (owner, now + ttl)
                return True
            case Free(name=name):
                if self.locks.get(name, (None, 0.0))[0] is owner:
                    del self.locks[name]
        return None

    def flush(self) -> None:
        """Lose everything."""
        self.entries.clear()
        self.locks.clear()

    def spoil(self) -> None:
        """Make garbage of every entry."""
        self.entries = {key: (value[: len(value) // 2], end) for key, (value, end) in self.entries.items()}

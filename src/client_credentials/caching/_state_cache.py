"""Lifecycle states in a caching strategy; a cache that fails counts as empty, and never raises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, cast

import attrs

from .._core.entry import dump, load, strict_converter
from .._core.model import RenewalPolicy
from .._core.state import EMPTY, Instant, State
from .._shell import log
from ..protocols import CachingStrategy, LockingCachingStrategy
from ._circuit_breaker import BUDGET
from .bounded import bounded
from .memory import InMemoryCachingStrategy
from .redis import RedisCachingStrategy

_BOUND_THEMSELVES: Final = (InMemoryCachingStrategy, RedisCachingStrategy)
"""Classes whose methods neither raise nor hang; classes that derive from them may."""


@attrs.define(eq=False, repr=False)
class StateCache:
    """Reads and writes what is known of a client's token under a key."""

    _name: str
    _cache: LockingCachingStrategy
    _policy: RenewalPolicy
    _lateness: float
    """How many seconds a write may take, and an entry be older than its cache says: its token ends that much sooner."""
    _is_readable: bool = True

    @classmethod
    def of(cls, cache: CachingStrategy, policy: RenewalPolicy) -> StateCache:
        """Use a caching strategy, within the bound that all its users share."""
        strict_converter()
        kind = type(cache)
        within_bounds = cast("LockingCachingStrategy", cache) if kind in _BOUND_THEMSELVES else bounded(cache)
        return cls(kind.__name__, within_bounds, policy, 0.0 if kind is InMemoryCachingStrategy else BUDGET)

    def load(self, key: str, at: Instant, dice: float) -> State:
        """Return what is kept under the key; `at` is the time before the look: a slow one makes nothing younger."""
        entry = self._cache.get(key)
        if entry is None:
            return EMPTY
        state = load(entry, key, at, self._policy, dice, self._lateness)
        if state is None and self._is_readable:
            log.warn("%s holds an entry that is not ours; it counts as a miss", self._name)
        self._is_readable = state is not None
        return state or EMPTY

    def store(self, key: str, state: State, now: Instant) -> None:
        """Keep a state under the key, for as long as any of it is worth knowing."""
        entry = dump(state, key, now, self._policy)
        if entry is None or entry.ttl is None:
            self._cache.remove(key)
        else:
            self._cache.set(key, entry.value, entry.ttl)

    def try_lock(self, name: str, ttl: float) -> Callable[[], object] | None:
        """Try once to take a lock for `ttl` seconds, and return what releases it; None: somebody else has it."""
        lock = ExitStack()
        if lock.enter_context(self._cache.lock(name, ttl)):
            return lock.close
        lock.close()
        return None

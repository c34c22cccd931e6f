"""Lifecycle states in a caching strategy; one that fails counts as empty, and is never an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from .._core.entry import dump, load, warm_up
from .._core.model import RenewalPolicy
from .._core.state import EMPTY, Asked, Instant, State
from ..caching.bounded import bounded
from ..caching.memory import InMemoryCachingStrategy
from ..protocols import CachingStrategy, LockingCachingStrategy
from . import log
from .circuit_breaker import BUDGET


@attrs.define(eq=False)
class StateCache:
    """Reads and writes what is known of a client's token under a key."""

    _name: str
    _cache: LockingCachingStrategy
    _policy: RenewalPolicy
    _lateness: float
    """The seconds that a write may take, by which what is known is told older than it is."""
    _is_readable: bool = True

    @classmethod
    def of(cls, cache: CachingStrategy, policy: RenewalPolicy) -> StateCache:
        """Use a caching strategy, within the bound that all who use it share."""
        warm_up()
        is_ours = type(cache) is InMemoryCachingStrategy
        return cls(type(cache).__name__, bounded(cache), policy, 0.0 if is_ours else BUDGET)

    def load(self, key: str, at: Instant, dice: float) -> State:
        """Give what is kept under the key; `at` is the time before the look, since a slow one makes nothing younger."""
        entry = self._cache.get(key)
        if entry is None:
            return EMPTY
        state = load(entry, key, at, self._policy, dice)
        if state is None and self._is_readable:
            log.warn("%s holds an entry that is not ours; it counts as a miss", self._name)
        self._is_readable = state is not None
        return state or EMPTY

    def store(self, key: str, state: State, now: Instant) -> None:
        """Keep a state under the key, for as long as any of it is worth knowing."""
        entry = dump(self._aged(state), key, now, self._policy)
        if entry is None or entry.ttl is None:
            self._cache.remove(key)
        else:
            self._cache.set(key, entry.value, entry.ttl)

    def _aged(self, state: State) -> State:
        """Tell a state older by what a write may take; but not since when a gate is shut, as a wait may be ordered."""

        def aged(asked: Asked) -> Asked:
            return attrs.evolve(asked, at=asked.at.earlier(self._lateness))

        return State(
            held=state.held and attrs.evolve(state.held, asked=aged(state.held.asked)),
            granted=state.granted and aged(state.granted),
            gates=tuple(attrs.evolve(gate, asked=aged(gate.asked)) for gate in state.gates),
            removed=state.removed and aged(state.removed),
        )

    def try_lock(self, name: str, ttl: float) -> Callable[[], object] | None:
        """Try once to take a lock for `ttl` seconds, and give what gives it back; None: somebody else has it."""
        lock = self._cache.lock(name, ttl)
        if lock.__enter__():
            return partial(lock.__exit__, None, None, None)
        lock.__exit__(None, None, None)
        return None

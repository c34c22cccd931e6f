"""What is known of one key in a user's cache; a cache that fails counts as empty, and is never an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import attrs

from . import _log
from ._core.entry import dump, load
from ._core.lifecycle import EMPTY, Instant, State
from ._core.model import RenewalPolicy
from .configuration import CachingStrategy, LockingCachingStrategy

T = TypeVar("T")


@attrs.define
class Vault:
    """Reads and writes lifecycle states in a caching strategy."""

    cache: CachingStrategy
    policy: RenewalPolicy
    _ailing: bool = attrs.field(default=False, init=False)

    def load(self, key: str, now: Instant, draw: float) -> State:
        """Give what is kept under the key; a miss is the empty state."""
        entry = self._try(lambda: self.cache.get(key), None)
        state = None if entry is None else self._try(lambda: load(entry, now, self.policy, draw), None)
        return state or EMPTY

    def store(self, key: str, state: State, now: Instant) -> None:
        """Keep a state under the key, for as long as any of it is worth knowing."""
        entry = dump(state, now)
        if entry is None:
            self._try(lambda: self.cache.remove(key), None)
        else:
            self._try(lambda: self.cache.set(key, entry.value, entry.ttl or 0.0), None)

    def acquire(self, key: str, ttl: float) -> Callable[[], object] | None:
        """Try to be the one who asks, and give what ends that; None: somebody else is.

        Where the cache has no lock, or it fails, everyone is: a token matters more than a request.
        """
        if not isinstance(self.cache, LockingCachingStrategy):
            return _release_nothing
        cache: LockingCachingStrategy = self.cache

        def enter() -> tuple[AbstractContextManager[bool], bool]:
            lock = cache.lock(key, ttl)
            return lock, lock.__enter__()

        entered = self._try(enter, None)
        if entered is None:
            return _release_nothing
        lock, mine = entered

        def leave() -> object:
            return self._try(lambda: lock.__exit__(None, None, None), None)

        if mine:
            return leave
        leave()
        return None

    def _try(self, call: Callable[[], T], otherwise: T) -> T:
        try:
            found = call()
        except Exception as error:  # a user's cache
            if not self._ailing:
                # Its text may quote the value that it was given.
                _log.warn("%s failed with %s; it counts as empty", type(self.cache).__name__, type(error).__name__)
            self._ailing = True
            return otherwise
        self._ailing = False
        return found


def _release_nothing() -> None:
    pass

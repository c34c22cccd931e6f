"""What is known of one key in a user's cache; a cache that fails counts as empty, and is never an error."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TypeVar, cast

import attrs

from .._core.entry import dump, load
from .._core.lifecycle import EMPTY, Instant, State, elapsed
from .._core.model import CacheEntry, RenewalPolicy
from ..protocols import CachingStrategy, LockingCachingStrategy
from . import log

T = TypeVar("T")


class UnreadableEntry(Exception):
    """Something else than a state is kept under our key."""


@attrs.define
class Vault:
    """Reads and writes lifecycle states in a caching strategy."""

    cache: CachingStrategy
    policy: RenewalPolicy
    _ailing: set[str] = attrs.field(factory=set[str], init=False)
    """What the cache did not do when it was last asked to; a full disk can still be read."""
    _seen: tuple[bytes, float, Instant] | None = attrs.field(default=None, init=False, repr=False)
    """The latest entry that we saw, as a digest, with what it had left then, and when that was."""

    def load(self, key: str, now: Instant, draw: float) -> State:
        """Give what is kept under the key; a miss is the empty state."""

        def read() -> State:
            entry = self.cache.get(key)
            if entry is None:
                return EMPTY
            state = load(self._aged(entry, now), now, self.policy, draw)
            if state is None:
                raise UnreadableEntry
            return state

        return self._try("read", read, EMPTY)

    def store(self, key: str, state: State, now: Instant) -> None:
        """Keep a state under the key, for as long as any of it is worth knowing."""
        entry = dump(state, now)
        if entry is None:
            self._try("write", lambda: self.cache.remove(key), None)
        else:
            self._try("write", lambda: self.cache.set(key, entry.value, entry.ttl or 0.0), None)
            self._aged(entry, now)

    def acquire(self, key: str, ttl: float) -> Callable[[], object] | None:
        """Try to be the one who asks, and give what ends that; None: somebody else is.

        Where the cache has no lock, or it fails, everyone is: a token matters more than a request.
        """
        # isinstance would ask for every method of the protocol, which takes longer than all else here.
        if not hasattr(self.cache, "lock"):
            return _release_nothing
        cache = cast("LockingCachingStrategy", self.cache)

        def enter() -> tuple[AbstractContextManager[bool], bool]:
            lock = cache.lock(key, ttl)
            return lock, lock.__enter__()

        entered = self._try("lock", enter, None)
        if entered is None:
            return _release_nothing
        lock, mine = entered

        def leave() -> object:
            return self._try("lock", lambda: lock.__exit__(None, None, None), None)

        if mine:
            return leave
        leave()
        return None

    def _aged(self, entry: CacheEntry, now: Instant) -> CacheEntry:
        """Take off what has passed by our clocks since we first saw the entry, if the cache's own says less.

        So a gate in the cache opens for us as soon as either of our clocks says so, as it does in memory.
        """
        if entry.ttl is None:
            return entry
        text = sha256(entry.value.encode()).digest()
        if self._seen is None or self._seen[0] != text:
            self._seen = text, entry.ttl, now
        _, ttl, since = self._seen
        return CacheEntry(entry.value, min(entry.ttl, ttl - elapsed(since, now)))

    def _try(self, doing: str, call: Callable[[], T], otherwise: T) -> T:
        try:
            found = call()
        except Exception as error:  # a user's cache
            if not self._ailing:
                log.warn("%s failed with %s; it counts as empty", type(self.cache).__name__, _named(error))
            self._ailing.add(doing)
            return otherwise
        self._ailing.discard(doing)
        return found


def _named(error: Exception) -> str:
    """Name an error; its text may quote the value that the cache was given."""
    number = error.errno if isinstance(error, OSError) else None
    code = errno.errorcode.get(number) if isinstance(number, int) else None
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def _release_nothing() -> None:
    pass

"""What is known of one key in a user's cache; a cache that fails counts as empty, and is never an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256

import attrs

from .._core.entry import dump, load
from .._core.lifecycle import EMPTY, Instant, State, elapsed
from .._core.model import CacheEntry, RenewalPolicy
from ..caching.bounded import bounded
from ..protocols import CachingStrategy, LockingCachingStrategy
from . import log


@attrs.define
class Vault:
    """Reads and writes lifecycle states in a caching strategy."""

    cache: CachingStrategy
    policy: RenewalPolicy
    _bounded: LockingCachingStrategy = attrs.field(
        default=attrs.Factory(lambda self: bounded(self.cache), takes_self=True), init=False
    )
    _is_readable: bool = attrs.field(default=True, init=False)
    _seen: tuple[bytes, float, Instant] | None = attrs.field(default=None, init=False, repr=False)
    """The latest entry that we saw, as a digest, with what it had left then, and when that was."""

    def load(self, key: str, now: Instant, draw: float) -> State:
        """Give what is kept under the key; a miss is the empty state."""
        entry = self._bounded.get(key)
        if entry is None:
            return EMPTY
        state = load(self._aged(entry, now), now, self.policy, draw)
        if state is None and self._is_readable:
            log.warn("%s failed with UnreadableEntry; it counts as empty", type(self.cache).__name__)
        self._is_readable = state is not None
        return state or EMPTY

    def store(self, key: str, state: State, now: Instant) -> None:
        """Keep a state under the key, for as long as any of it is worth knowing."""
        entry = dump(state, now)
        if entry is None:
            self._bounded.remove(key)
        else:
            self._bounded.set(key, entry.value, entry.ttl or 0.0)
            self._aged(entry, now)

    def acquire(self, key: str, ttl: float) -> Callable[[], object] | None:
        """Try to be the one who asks, and give what ends that; None: somebody else is.

        Where the cache has no lock, or it fails, everyone is: a token matters more than a request.
        """
        lock = self._bounded.lock(key, ttl)
        if lock.__enter__():
            return partial(lock.__exit__, None, None, None)
        lock.__exit__(None, None, None)
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

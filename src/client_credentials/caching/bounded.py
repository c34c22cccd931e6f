"""A bound around every cache: its failures and delays are misses, and cost half a second at most."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Final, cast

import attrs

from .._core.model import CacheEntry
from .._shell import threads
from ..protocols import CachingStrategy, LockingCachingStrategy
from ._circuit_breaker import BUDGET, THREAD, CircuitBreaker, Future, taken_lock
from ._fork import survive_fork


@attrs.define(eq=False, repr=False)
class _Hold:
    """A lock of a cache, taken and released in one thread, as thread locks and many file locks must be."""

    _open: Callable[[], AbstractContextManager[bool]]
    taken: Future[bool]
    _given_back: Future[None] = attrs.field(factory=lambda: Future[None](0.0, is_probe=False), init=False)
    _is_wanted: threading.Lock = attrs.field(factory=taken_lock, init=False)
    """Released when the lock is no longer wanted."""
    _has_thread: bool = attrs.field(default=True, init=False)
    _lock: ExitStack = attrs.field(factory=ExitStack, init=False)

    def start(self) -> None:
        """Take the lock in a thread that keeps it until it is no longer wanted; where there is no thread, here."""
        if not threads.start(self._run, THREAD):
            self._has_thread = False
            self._take()

    def give_back(self, future: Future[None] | None) -> None:
        """Release the lock, now or once it is taken at last; the future, if any, tells how that went."""
        self._given_back = future or self._given_back
        self._is_wanted.release()
        if not self._has_thread:
            self._leave()

    def _run(self) -> None:
        self._take()
        if self.taken.result:
            self._is_wanted.acquire()
        self._leave()

    def _take(self) -> None:
        self.taken.run(lambda: bool(self._lock.enter_context(self._open())))

    def _leave(self) -> None:
        self._given_back.run(self._lock.close)


@attrs.define(eq=False, repr=False)
class BoundedCache:
    """A cache whose failures and delays are misses, and whose lock is free while it fails."""

    _cache: CachingStrategy
    _breaker: CircuitBreaker

    def get(self, key: str) -> CacheEntry | None:
        """Return what is kept under the key; None where that cannot be had in time."""
        return self._breaker.call("get", partial(_checked_entry, self._cache, key))

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds, if the cache can."""
        self._breaker.call("set", partial(_set_in_time, self._cache, key, value, ttl))

    def remove(self, key: str) -> None:
        """Forget a key, if the cache can."""
        self._breaker.call("remove", partial(self._cache.remove, key))

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once to take the lock; True where the cache has none or fails: a token matters more than a request."""
        taken = self._breaker.admit() if self._has_lock() else None
        if taken is None:
            yield True
            return
        hold = _Hold(lambda: cast("LockingCachingStrategy", self._cache).lock(key, ttl), taken)
        is_known, process = False, os.getpid()
        try:
            hold.start()
            is_known = self._breaker.settle("lock", taken)
            yield taken.result is True or not is_known
        finally:
            if process == os.getpid():  # in a forked child the lock is the parent's
                future = self._breaker.admit() if is_known and taken.result else None
                hold.give_back(future)
                if future is not None:
                    self._breaker.settle("lock", future)

    def _has_lock(self) -> bool:
        # isinstance would ask for every method of the protocol, which takes longer than all else here.
        try:
            return callable(getattr(self._cache, "lock", None))
        except Exception:
            return True  # to fail as a call, which is logged


def _set_in_time(cache: CachingStrategy, key: str, value: str, ttl: float) -> None:
    began = time.monotonic()
    cache.set(key, value, ttl)
    if time.monotonic() - began > BUDGET:
        cache.remove(key)  # it may have been kept late, and would be taken for younger than it is


def _checked_entry(cache: CachingStrategy, key: str) -> CacheEntry | None:
    found = cast("object", cache.get(key))
    if found is None:
        return None
    if isinstance(found, CacheEntry) and type(found.value) is str:
        return found if found.ttl is None else CacheEntry(found.value, float(found.ttl))
    raise TypeError("get must return a CacheEntry or None")


class _Breakers:
    """The breaker of each cache object, by its identity: it may be unhashable, or equal to another one."""

    def __init__(self) -> None:
        self._by_id = weakref.WeakValueDictionary[int, CircuitBreaker]()
        self._mutex = threading.RLock()
        survive_fork(self)

    def of(self, cache: CachingStrategy) -> CircuitBreaker:
        """Return the breaker that all who use this object share."""
        with self._mutex:
            breaker = self._by_id.get(id(cache))
            if breaker is None:
                breaker = self._by_id[id(cache)] = CircuitBreaker(type(cache).__name__)
                # It lives as long as the cache; where that can have no weak references, as long as it is in use.
                with suppress(TypeError):
                    weakref.finalize(cache, self._by_id.pop, id(cache), breaker).atexit = False
            return breaker

    def _after_fork(self) -> None:
        self._mutex = threading.RLock()


_breakers: Final = _Breakers()


def bounded(cache: CachingStrategy) -> LockingCachingStrategy:
    """Wrap a cache so that whatever it does costs half a second once in a while, and never an error.

    All who wrap the same object share its circuit breaker.
    """
    return BoundedCache(cache, _breakers.of(cache))

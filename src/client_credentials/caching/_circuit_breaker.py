"""A circuit breaker around each cache: one that is down, slow or hanging costs half a second once in a while."""

from __future__ import annotations

import errno
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from .._shell import log, threads
from ._fork import survive_fork

T = TypeVar("T")

BUDGET: Final = 0.5
"""Seconds that a cache may take, over all calls until a quick answer, before its circuit opens."""
OPEN_SECONDS: Final = 10.0
"""Seconds for which an open circuit keeps callers from the cache, until one call tries it again."""

THREAD: Final = "client-credentials-cache"
"""The name of the threads in which caches are called."""

# Such a call may hang for ever, and its thread with it: the more of them do, the longer the circuit stays open.
_TIMES_AS_LONG: Final = ((100, 60.0), (8, 2.5))
_QUICK = 0.1  # seconds
_MOST_FAILURES = 3  # in a row
# Seconds of a nap, and how many times its budget a call may take where all naps end late.
_NAP, _STRETCH = 0.05, 4

_CODES: Final = re.compile(r"(?:^|-)([A-Z]{3,16})(?= )")
_LONGEST_CHAIN = 4

_exceptions_by_thread: Final = cast("Callable[[], dict[int, object]]", getattr(sys, "_current_exceptions", dict))


def describe(error: BaseException) -> str:
    """Name an error and those that it came from; their texts may quote a value, so only their codes are shown."""
    names: list[str] = []
    link: BaseException | None = error
    while link is not None and len(names) < _LONGEST_CHAIN:
        code = _code(link)
        names.append(f"{type(link).__name__} ({code})" if code else type(link).__name__)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return " from ".join(dict.fromkeys(names))


def _code(error: BaseException) -> str | None:
    """Name an OSError's errno, OpenSSL's reason, or the first word of a Redis error: WRONGPASS, READONLY, OOM."""
    if type(error).__module__ == "ssl":
        reason: object = getattr(error, "reason", None)
        return reason if isinstance(reason, str) else None
    if isinstance(error, OSError):
        number: object = error.errno
        return errno.errorcode.get(number) if isinstance(number, int) else None
    if not type(error).__module__.startswith(("redis.", "valkey.")):
        return None
    # Recent versions of redis-py move the word to an attribute; an error within a script has another one further on.
    found: list[str] = _CODES.findall(f"{getattr(error, 'status_code', None) or ''} {error}".lstrip())
    return found[-1] if found else None


def taken_lock() -> threading.Lock:
    """Make a lock for others to wait on; an interrupt within an Event, which is Python code, could break the event."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@attrs.define(eq=False, repr=False)
class Future(Generic[T]):
    """The outcome of a call in a thread; its caller can abandon the call, but nothing can stop it."""

    allowed: float
    """Seconds for which the caller waits."""
    is_probe: bool
    """Whether the circuit is open, and this call finds out whether the cache is back."""
    result: T | None = None
    failure: str | None = None
    """What the call failed with, as it may be logged."""
    is_done: bool = False
    thread: int = 0
    _retrying: str = attrs.field(default="", init=False)
    _done: threading.Lock = attrs.field(factory=taken_lock, init=False)

    def run(self, call: Callable[[], T]) -> None:
        """Make the call; raises nothing but what interrupts a caller in whose thread it runs."""
        self.thread = threading.get_ident()
        try:
            self.result = call()
        except threads.catchable() as error:  # a user's cache
            self.failure = describe(error)
        self.is_done = True
        self._done.release()

    def wait(self) -> float:
        """Wait until the call is done or its time is up; returns the seconds that count.

        A nap that ends late shows that this machine is busy, so no more than the nap itself counts.
        """
        waited, end = 0.0, time.monotonic() + self.allowed * _STRETCH
        while not self.is_done and waited < self.allowed and (began := time.monotonic()) < end:
            nap = min(_NAP, self.allowed - waited)
            if not self._done.acquire(timeout=nap):
                self._note_retry()
            waited += min(time.monotonic() - began, nap)
        return waited if self.is_done else self.allowed

    def cause_of_delay(self) -> str:
        """Name what the call is busy with."""
        return f"TimeoutError (no answer within {BUDGET:g} s{self._retrying})"

    def _note_retry(self) -> None:
        """Note the error that the call is handling: a client that waits before it tries again handles the last one."""
        error = _exceptions_by_thread().get(self.thread)
        if isinstance(error, tuple):  # as in Python 3.11
            error = cast("tuple[object, ...]", error)[1]
        if isinstance(error, BaseException):
            self._retrying = f", retrying after {describe(error)}"


@attrs.define(eq=False, repr=False)
class CircuitBreaker:
    """Lets calls through to a cache while it answers: a quick answer restores its budget, waiting uses it up."""

    name: str
    """What the log calls the cache."""
    _left: float = attrs.field(factory=lambda: BUDGET, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _failing: set[str] = attrs.field(factory=set[str], init=False)
    """The operations that failed when last tried; a full disk can still be read."""
    _hung: list[Future[Any]] = attrs.field(factory=list[Future[Any]], init=False)
    """The probes that were abandoned."""
    _open_until: float | None = attrs.field(default=None, init=False)
    _mutex: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    def __attrs_post_init__(self) -> None:
        survive_fork(self)

    def call(self, operation: str, call: Callable[[], T]) -> T | None:
        """Return what the call returns; None where it fails, takes too long or is not let through."""
        future: Future[T] | None = self.admit()
        if future is None:
            return None
        threads.start_or_call(partial(future.run, call), THREAD)
        return future.result if self.settle(operation, future) else None

    def admit(self) -> Future[Any] | None:
        """Let a call through; None: the circuit is open."""
        now = time.monotonic()
        with self._mutex:
            if self._open_until is None:
                return Future(self._left, is_probe=False)
            if now < self._open_until:
                return None
            # One call finds out whether the cache is back; all others go on without it.
            self._open_until = now + self._open_seconds()
            self._left = BUDGET
            return Future(BUDGET, is_probe=True)

    def settle(self, operation: str, future: Future[Any]) -> bool:
        """Wait for a call, learn from how it went, and tell whether it succeeded in time."""
        waited = future.wait()
        failure = future.failure if future.is_done else future.cause_of_delay()
        with self._mutex:
            if not future.is_done and future.is_probe:
                self._hung.append(future)
            self._failures = self._failures + 1 if failure else 0
            # Calls at the same time share their waiting: it is not added up.
            is_quick = failure is None and waited <= _QUICK
            self._left = BUDGET if is_quick else min(self._left, future.allowed - waited)
            if self._failures >= _MOST_FAILURES or self._left <= 0:
                self._open_until = time.monotonic() + self._open_seconds()
            elif failure is None and self._open_until is not None:
                self._open_until = None
                self._failing.clear()
            is_news = not self._failing
            (self._failing.add if failure else self._failing.discard)(operation)
        if failure and is_news:
            log.warn("%s failed with %s; it counts as empty", self.name, failure)
        return failure is None

    def _open_seconds(self) -> float:
        self._hung = [future for future in self._hung if not future.is_done]
        return OPEN_SECONDS * next((times for count, times in _TIMES_AS_LONG if len(self._hung) >= count), 1.0)

    def _after_fork(self) -> None:
        self._mutex = threading.RLock()
        self._left, self._failures, self._open_until = BUDGET, 0, None
        self._failing, self._hung = set(), []

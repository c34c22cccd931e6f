"""Entries in a Redis, for a fleet of hosts; one that is down, slow or hanging costs half a second once in a while."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar, cast

import attrs

from .. import _log
from .._core.model import CacheEntry
from .._fork import survive_fork

T = TypeVar("T")

BUDGET: Final = 0.5
"""The seconds that Redis has, over all calls until a quick answer, before it is left alone."""
LEFT_ALONE: Final = 10.0
"""The seconds for which it is."""

_QUICK = 0.1  # seconds
_MOST_FAILURES = 3  # in a row
_MOST_OVERDUE = 8  # calls that hang, each in a thread

# Each is one round trip, goes to the primary whatever the client does with reads, and to the one slot of its key.
_GET = """
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then return {value, redis.call('PTTL', KEYS[1])} end
if value and not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
return false
"""
_NOW = """
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
"""
_SET = """
redis.call('SET', KEYS[1], ARGV[1])
return redis.call('PEXPIREAT', KEYS[1], ARGV[2])
"""
_REMOVE = "return redis.call('DEL', KEYS[1])"
# A client that tries again after a lost answer may have got the lock the first time.
_LOCK = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0
"""
_UNLOCK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Commands(Protocol):
    """What is needed of a client: `redis.Redis` and `redis.cluster.RedisCluster` have it."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Send a command, and give or raise its answer."""
        ...


@attrs.define(eq=False)
class _Breaker:
    """How long Redis may yet be waited for: half a second until a quick answer, then not at all for a while."""

    _patience: float = BUDGET
    _failures: int = 0
    _overdue: int = 0
    _back_at: float | None = None
    _next_warning: float = 0.0
    _mutex: threading.Lock = attrs.field(factory=threading.Lock)

    def admit(self) -> float:
        """Give the seconds that a call may take; 0: there is to be none."""
        now = time.monotonic()
        with self._mutex:
            if self._overdue >= _MOST_OVERDUE:
                return 0.0
            if self._back_at is None:
                return self._patience
            if now < self._back_at:
                return 0.0
            # One call finds out whether Redis is back; all others go on without it.
            self._back_at = now + LEFT_ALONE
            self._patience, self._failures = BUDGET, _MOST_FAILURES - 1
            return BUDGET

    def settle(self, allowed: float, took: float, failure: Exception | None) -> None:
        """Learn how a call went."""
        now = time.monotonic()
        with self._mutex:
            self._failures = self._failures + 1 if failure else 0
            is_quick = failure is None and took <= _QUICK
            # Calls at the same time share their waiting: it is not added up.
            self._patience = BUDGET if is_quick else min(self._patience, allowed - took)
            if self._failures >= _MOST_FAILURES or self._patience <= 0:
                self._back_at = now + LEFT_ALONE
            elif failure is None:
                self._back_at = None
            warns = failure is not None and now >= self._next_warning
            if warns:
                self._next_warning = now + LEFT_ALONE
        if warns:
            _log.warn("Redis failed with %s; it counts as empty", type(failure).__name__)

    def hang(self, by: int) -> None:
        """Count the calls that are still under way though nobody waits for them."""
        with self._mutex:
            self._overdue += by


class RedisCachingStrategy:
    """Keeps entries in the Redis of a redis-py client, whatever its protocol, decoding, timeouts and retries.

    Redis 5 or later, with leave to run scripts. A failure is a miss, and a lock that is free; the log tells of it once
    in a while. How long an entry has left, Redis alone says, so hosts whose clocks differ agree about it.
    """

    def __init__(self, client: Commands) -> None:
        """Use a client; nothing is sent. Raises ValueError for what is no client, and for an asyncio client."""
        execute: object = getattr(client, "execute_command", None)
        if not callable(execute) or inspect.iscoroutinefunction(execute):
            raise ValueError("client: a redis.Redis is needed, not an asyncio one")
        self._client = client
        self._breaker = _Breaker()
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set under the key, with the seconds that it has left by the clock of Redis."""
        name = _name(key)

        def command() -> CacheEntry | None:
            found = self._eval(_GET, name)
            if found is None:
                return None
            value, left = cast("tuple[str | bytes, int]", found)
            text = value if isinstance(value, str) else value.decode(errors="replace")
            # -1: somebody took its time to live away, so the entry itself is to tell.
            return CacheEntry(text, None if left < 0 else left / 1000)

        return self._call(command, None)

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        name, raw, left = _name(key), value.encode(), int(ttl * 1000)
        over = time.monotonic() + BUDGET

        def command() -> None:
            # A Redis that hangs may get to a command much later, and the end of the entry must not move with that.
            now = cast("int", self._eval(_NOW, name))
            if time.monotonic() < over:
                self._eval(_SET, name, raw, now + left)

        self._call(command, None)

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        name = _name(key)
        self._call(lambda: self._eval(_REMOVE, name), None)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once, without waiting, to be the one who asks; the lock is lost after `ttl` seconds."""
        name, owner = _name(key) + b":lock", os.urandom(16).hex()
        over = time.monotonic() + BUDGET

        def command() -> bool:
            mine = {1: True, 0: False}[cast("int", self._eval(_LOCK, name, owner, max(int(ttl * 1000), 1)))]
            if mine and time.monotonic() > over:
                self._eval(_UNLOCK, name, owner)
            return mine

        mine = self._call(command, True)
        try:
            yield mine
        finally:
            if mine:
                self._call(lambda: self._eval(_UNLOCK, name, owner), None)

    def _eval(self, script: str, name: bytes, *args: str | bytes | int) -> object:
        return self._client.execute_command("EVAL", script, 1, name, *args)

    def _call(self, command: Callable[[], T], otherwise: T) -> T:
        """Run a command while there is patience; what it gives afterwards, nobody takes."""
        # Imports logging, which an import of the package is not to do.
        from concurrent.futures import Future

        breaker, answer = self._breaker, Future[T]()
        allowed = breaker.admit()
        if allowed <= 0:
            return otherwise

        def run() -> None:
            try:
                answer.set_result(command())
            except Exception as error:
                answer.set_exception(error)

        # A client's own timeouts begin anew with each retry, address and read, and a name's lookup is under none.
        thread = threading.Thread(target=run, name="client-credentials-redis", daemon=True)
        failure: Exception | None = None
        began = time.monotonic()
        try:
            thread.start()
            found = answer.result(allowed)
        except Exception as error:  # whatever it is, Redis is of no use
            found, failure = otherwise, error
        if thread.is_alive() and not answer.done():
            breaker.hang(1)
            answer.add_done_callback(lambda _: breaker.hang(-1))
        breaker.settle(allowed, time.monotonic() - began, failure)
        return found

    def _after_fork(self) -> None:
        self._breaker = _Breaker()

    def __repr__(self) -> str:
        return f"RedisCachingStrategy(<{type(self._client).__name__}>)"


def _name(key: str) -> bytes:
    """Name an entry so that its lock, whose name begins with it, is in the same slot of a cluster."""
    return b"{%b}" % key.encode()

"""Entries in a Redis, for a fleet of hosts; one that is down, slow or hanging costs half a second once in a while."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, cast

from .._core.model import CacheEntry
from .._shell.circuit_breaker import Errand, Patience
from .._shell.fork import survive_fork

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
        self._patience = Patience("Redis")
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set under the key, with the seconds that it has left by the clock of Redis."""
        name = _name(key)

        def command(_: object) -> CacheEntry | None:
            found = self._eval(_GET, name)
            if found is None:
                return None
            value, left = cast("tuple[str | bytes, int]", found)
            text = value if isinstance(value, str) else value.decode(errors="replace")
            # -1: somebody took its time to live away, so the entry itself is to tell.
            return CacheEntry(text, None if left < 0 else left / 1000)

        return self._patience.run(command, None)

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        name, raw, left = _name(key), value.encode(), int(ttl * 1000)
        began = time.monotonic()

        def command(errand: Errand[None]) -> None:
            # A Redis that hangs may get to a command much later, and the end of the entry must not move with that.
            now = cast("int", self._eval(_NOW, name))
            if not errand.given_up:
                self._eval(_SET, name, raw, now + left - int((time.monotonic() - began) * 1000))

        self._patience.run(command, None)

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        name = _name(key)
        self._patience.run(lambda _: self._eval(_REMOVE, name), None)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once, without waiting, to be the one who asks; the lock is lost after `ttl` seconds."""
        name, owner = _name(key) + b":lock", os.urandom(16).hex()

        def command(errand: Errand[bool]) -> bool:
            mine = {1: True, 0: False}[cast("int", self._eval(_LOCK, name, owner, max(int(ttl * 1000), 1)))]
            if mine and errand.given_up:
                self._eval(_UNLOCK, name, owner)
            return mine

        mine = self._patience.run(command, True)
        try:
            yield mine
        finally:
            if mine:
                self._patience.run(lambda _: self._eval(_UNLOCK, name, owner), None)

    def _eval(self, script: str, name: bytes, *args: str | bytes | int) -> object:
        return self._client.execute_command("EVAL", script, 1, name, *args)

    def _after_fork(self) -> None:
        self._patience = Patience("Redis")

    def __repr__(self) -> str:
        return f"RedisCachingStrategy(<{type(self._client).__name__}>)"


def _name(key: str) -> bytes:
    """Name an entry so that its lock, whose name begins with it, is in the same slot of a cluster."""
    return b"{%b}" % key.encode()

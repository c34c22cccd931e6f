"""Entries in a Redis, for a fleet of hosts; one that is down, slow or hanging costs half a second once in a while."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

from .._core.model import CacheEntry
from .._core.value import repr_before_init
from ._circuit_breaker import BUDGET, CircuitBreaker
from .bounded import BoundedCache

_LARGEST: Final = 1 << 18  # bytes of an entry that is fetched
_LATEST: Final = int(BUDGET * 800)  # milliseconds after which no caller waits for a write any more, so it is not made

# A script goes to the primary whatever the client does with reads, and to the one slot of its key.
_GET = """
local size = redis.pcall('STRLEN', KEYS[1])
if type(size) == 'number' and size <= tonumber(ARGV[1]) then
  return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
end
if type(size) == 'number' then return redis.error_reply('TOOLARGE the entry has ' .. size .. ' bytes') end
if string.find(size.err, 'WRONGTYPE', 1, true) then return false end
return size
"""
_NOW = """
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
"""
# A Redis that hangs may run this much later: what it writes then must be no younger for it, or not be written.
_SET = """
local time = redis.call('TIME')
local late = math.max(time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[3], 0)
if late > tonumber(ARGV[4]) then return 0 end
local left = ARGV[2] - late
if left <= 0 then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', left)
return 1
"""
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

# Objects that also have execute_command, known by a method that no client has.
_NO_CLIENTS: Final = {"execute": "a pipeline", "subscribe": "a pubsub", "discover_master": "a Sentinel"}


class Commands(Protocol):
    """What is needed of a client: `redis.Redis` and `redis.cluster.RedisCluster` have it."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Send a command, and return or raise its answer."""
        ...


class RedisCachingStrategy(BoundedCache):
    """Keeps entries in the Redis of a redis-py client, whatever its protocol, decoding, timeouts and retries.

    Redis 5 or later: a server, a Sentinel's master (`sentinel.master_for(...)`) or a cluster. Only Redis says how long
    an entry has left, so hosts whose clocks differ agree about it. Any failure is a miss, a lock that cannot be asked
    for is free, and the log names the cause once per outage.

    Each name begins with `prefix`. This ACL suffices (`~tokens:*` for the prefix "tokens:"; `~*` without one):

        ACL SETUSER app on >password ~tokens:* +eval +get +strlen +pttl +set +del +time

    A cluster's client also needs `+cluster|slots` (before Redis 7 `+cluster`) and `+command`.
    """

    def __init__(self, client: Commands, *, prefix: str = "") -> None:
        """Use a client; nothing is sent.

        Raises ValueError if `client` is asynchronous, has a single connection (which threads cannot share) or is a
        class, a pipeline, a pubsub or a Sentinel itself, and if `prefix` is not printable ASCII without braces.
        """
        _check_client(client)
        if not isinstance(cast("object", prefix), str) or not _is_prefix(prefix):
            raise ValueError("prefix must be a string of printable ASCII characters without braces")
        super().__init__(_Entries(client, prefix), CircuitBreaker(type(self).__name__))
        self._client = client

    @repr_before_init
    def __repr__(self) -> str:
        return f"RedisCachingStrategy(<{type(self._client).__name__}>)"


class _Entries:
    """The commands without the bound: errors are raised, and a client that hangs, hangs."""

    def __init__(self, client: Commands, prefix: str) -> None:
        self._client = client
        self._prefix = prefix.encode()

    def get(self, key: str) -> CacheEntry | None:
        found = self._run("EVAL", _GET, 1, self._name(key), _LARGEST)
        value, left = cast("tuple[str | bytes | None, int]", found or (None, 0))
        if value is None:
            return None
        text = value if isinstance(value, str) else value.decode(errors="replace")
        # -1: the key has lost its TTL, so the entry's own time counts.
        return CacheEntry(text, None if left < 0 else left / 1000)

    def set(self, key: str, value: str, ttl: float) -> None:
        name, began = self._name(key), time.monotonic()
        now = cast("int", self._run("EVAL", _NOW, 1, name))
        passed = int((time.monotonic() - began) * 1000)
        if passed <= _LATEST:
            left = int(ttl * 1000) - passed
            self._run("EVAL", _SET, 1, name, value.encode(), left, now, _LATEST)

    def remove(self, key: str) -> None:
        self._run("DEL", self._name(key))

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        name, owner = self._name(key) + b":lock", os.urandom(16).hex()
        answer = cast("int", self._run("EVAL", _LOCK, 1, name, owner, max(int(ttl * 1000), 1)))
        mine = {1: True, 0: False}[answer]
        try:
            yield mine
        finally:
            if mine:
                self._run("EVAL", _UNLOCK, 1, name, owner)

    def _name(self, key: str) -> bytes:
        """Name an entry so that its lock, whose name begins with it, is in the same slot of a cluster."""
        return b"%b{%b}" % (self._prefix, key.encode())

    def _run(self, *command: str | bytes | int) -> object:
        try:
            return self._client.execute_command(*command)
        except Exception as error:
            # In a script it is an error like any other to the client before Redis 7, which keeps the connection.
            if type(error).__name__ != "ReadOnlyError" and "READONLY" not in str(error):
                raise
        # This was the primary when the connection was made; a new one finds the present one.
        disconnect: Any = getattr(getattr(self._client, "connection_pool", None), "disconnect", None)
        if disconnect is not None:
            try:
                disconnect(inuse_connections=False)
            except TypeError:  # a BlockingConnectionPool of an older redis-py can only disconnect them all
                disconnect()
        return self._client.execute_command(*command)


def _check_client(client: object) -> None:
    kind, execute = type(client), getattr(client, "execute_command", None)
    reason = next((what for name, what in _NO_CLIENTS.items() if callable(getattr(kind, name, None))), None)
    if isinstance(client, type):
        reason = f"the class {client.__name__} itself"
    elif not callable(execute):
        reason = kind.__name__
    elif reason is None and _is_async(execute):
        reason = "an asyncio client"
    elif reason is None and getattr(client, "__dict__", {}).get("connection") is not None:
        reason = "a client with single_connection_client=True"
    if reason:
        raise ValueError(f"client must be a redis.Redis or a RedisCluster, not {reason}")


def _is_async(function: object) -> bool:
    # By its flags: an AsyncMock has them too, and inspect takes any mock of a function for asynchronous.
    flags = getattr(getattr(function, "__code__", None), "co_flags", None)
    return type(flags) is int and bool(flags & inspect.CO_COROUTINE)


def _is_prefix(text: str) -> bool:
    return text.isascii() and text.isprintable() and not {"{", "}"} & set(text)

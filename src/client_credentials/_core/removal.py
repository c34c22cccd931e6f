"""How a cache is made to forget a token: a pure coroutine of commands, as an acquisition is."""

from __future__ import annotations

from .acquisition import Peek, Publish, ReadSecrets, Record, Sleep, TryLock, Unlock
from .lifecycle import LOCK_MARGIN, REMOVAL_WAITS, is_overtaken, is_shut, removed
from .model import AccessToken
from .state import EMPTY, Instant, State


async def forget(token: AccessToken | None, fact: State, before: Instant, keys: tuple[str, ...]) -> None:
    """Make the cache forget a token as memory has, which is `fact`; where memory had none, what it holds itself.

    The removal counts from `before`. `keys` are the cache keys of the secrets, if they were read before.
    """
    if not keys:
        known = await Record(EMPTY)
        read = None if is_shut(known.value, known.now) else await ReadSecrets()
        if read is None or not isinstance(read.value, tuple):
            return
        keys = tuple(key for _, key in read.value)
    for key in keys:
        await _forget_under(key, token, fact, before)
        fact = EMPTY  # what memory held may lie under a key of a later secret, which is written to if it does


async def _forget_under(key: str, token: AccessToken | None, fact: State, before: Instant) -> None:
    cached = await Peek(key)
    known = await Record(EMPTY)
    if token is None and is_overtaken(before, known.value, cached.value):
        return
    theirs = removed(cached.value, token)
    await Record(theirs)
    if EMPTY == fact == theirs:
        return
    for seconds in REMOVAL_WAITS:
        # A flight that holds the lock may be publishing a newer token, which this must not overwrite.
        lock = await TryLock(key, LOCK_MARGIN)
        if lock.value:
            break
        await Sleep(seconds)
    await Publish(key, EMPTY)
    await Unlock()

"""How a token is obtained where memory has none: a pure coroutine, each of whose awaits is a command and its result.

Read from top to bottom: read the secrets; look in the cache and try the lock until one of them gives something; look
again; send, and try again while a caller waits; record, settle, publish, unlock, tell. The driver in the shell performs
the commands, and so do the simulated fleet and the explorer of interleavings in the tests.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from .lifecycle import (
    LOCK_MARGIN,
    LOCKS,
    Ask,
    Fail,
    Renew,
    begin,
    decide,
    failed,
    granted,
    is_overdue,
    is_shut,
    lost_time,
    poll_wait,
    retry_wait,
    timed_out,
    token_in_hand,
)
from .model import Client, Failure, Granted, Outcome, RenewalPolicy
from .secret import Secret
from .state import EMPTY, Gate, Instant, State, is_refused_secret, is_shared, merge
from .value import Value

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Done(Value, Generic[T]):
    """The result of a command, with the time and the randomness that the next step needs.

    It was done `now`, by the two clocks; `left` are the seconds until the flight's deadline, in real time, less than 0
    once that has passed; `dice` is a random number from 0 to 1; `waited` says whether any caller waits, and `current`
    whether no newer flight has read other secrets since.
    """

    value: T
    now: Instant
    left: float
    dice: float
    waited: bool
    current: bool


class _Command(Value, Generic[T]):
    """Something for the driver to do."""

    __slots__ = ()

    def __await__(self) -> Generator[Command, Done[T], Done[T]]:
        return (yield self)


class ReadSecrets(_Command[tuple[tuple[Secret, str], ...] | Failure]):
    """Read the client secrets, each with its cache key, the one to try first in front."""


@attrs.frozen(eq=False, repr=False)
class LookUp(_Command[State]):
    """Merge into memory what the cache keeps under the key, and return what is known then."""

    key: str


@attrs.frozen(eq=False, repr=False)
class Peek(_Command[State]):
    """Return what the cache keeps under the key."""

    key: str


@attrs.frozen(eq=False, repr=False)
class TryLock(_Command[bool]):
    """Try once to take a lock of the cache for `ttl` seconds; True too for a cache without locks."""

    name: str
    ttl: float


@attrs.frozen(eq=False, repr=False)
class Sleep(_Command[None]):
    """Let `seconds` pass."""

    seconds: float


@attrs.frozen(eq=False, repr=False)
class Send(_Command[Outcome]):
    """Make the token request, with its hooks; `asked` is the moment that it counts from."""

    secret: Secret
    asked: Instant


@attrs.frozen(eq=False, repr=False)
class Record(_Command[State]):
    """Merge a fact into memory, and return what is known then; with `EMPTY` it only reads."""

    fact: State


class Wake(_Command[None]):
    """Let waiting callers decide again; the flight goes on without them."""


@attrs.frozen(eq=False, repr=False)
class Settle(_Command[None]):
    """End the flight for all callers: those who wait decide again, and without a token get this failure."""

    ended: Fail | None = None


@attrs.frozen(eq=False, repr=False)
class Publish(_Command[None]):
    """Merge a fact into the cache."""

    key: str
    fact: State


class Unlock(_Command[None]):
    """Give back the lock, if any was taken."""


@attrs.frozen(eq=False, repr=False)
class Prefer(_Command[None]):
    """Try this secret first from now on, of several."""

    secret: Secret


@attrs.frozen(eq=False, repr=False)
class Tell(_Command[None]):
    """Log what was odd, and tell the error handler of each failure; the last is logged, too, if the flight failed."""

    remarks: tuple[str, ...]
    gates: tuple[Gate, ...]
    has_failed: bool = False


Command: TypeAlias = _Command[Any]

_SECOND_CHOICE: Final = "the first client secret is refused (invalid_client); another of them is in use"


async def acquire(client: Client, policy: RenewalPolicy, key: str | None, *, has_cache: bool) -> None:
    """Obtain a token for a client, once; whatever comes of it is in memory, in the cache if there is one, and told.

    `key` is the cache key of an earlier flight: while the gate is shut there is only the cache to look in.
    """
    if key is not None:
        known = await Record(EMPTY)
        if is_shut(known.value, known.now) and await _look(key) is None:
            return
    gates: tuple[Gate, ...] = ()
    remarks: tuple[str, ...] = ()
    refused: list[Secret] = []
    state, looked = EMPTY, None
    while True:
        read = await ReadSecrets()  # anew for each request
        ready: Done[Any] = read
        if not isinstance(read.value, tuple):
            await fail(read.value, gates)
            return
        secrets = [(secret, key) for secret, key in read.value if secret not in refused]
        secret, key = secrets[0]
        is_later = len(secrets) < len(read.value)
        if key != looked:
            if looked is not None:
                await Unlock()
            look = await (_look_and_lock(key, policy) if has_cache else _look(key))
            if look is None:
                remarks = await _preferred(secret) if is_later else ()
                break
            ready, state, looked = look, look.value, key
        if is_overdue(ready.left):  # this thread did not run for so long that no caller waits any more
            await Settle(Fail(timed_out(policy.deadline), 0.0))
            await Unlock()
            return
        asked = begin(state, ready.now)
        done = await Send(secret, asked)
        if isinstance(done.value, Granted):
            fact = granted(done.value, asked, policy, client.scopes, done.dice)
            await Record(fact)
            preferred = await _preferred(secret) if is_later else ()  # before a caller comes again
            await Settle()
            if has_cache:
                await Publish(key, fact)
                await Unlock()
            remarks = (*done.value.remarks, *preferred)
            break
        gate = failed(state, done.value, asked, done.now, done.dice)
        gates = (*gates, gate)
        if is_refused_secret(done.value):
            refused.append(secret)
            if len(secrets) > 1 or (len(refused) == 1 and await _is_rotated(key)):
                continue
        wait = retry_wait(gate, len(gates), done.left) if done.waited else None
        if wait is None:
            await _give_up(gates, done, key if has_cache else None)
            return
        state = merge(state, State(gates=(gate,)), done.now)
        await Sleep(wait)
    if remarks or gates:
        await Tell(remarks, gates)


async def fail(failure: Failure, gates: tuple[Gate, ...] = ()) -> None:
    """End a flight with a failure that is no answer of the server: the secret cannot be read, or something broke."""
    known = await Record(EMPTY)
    gate = failed(known.value, failure, begin(known.value, known.now), known.now, known.dice)
    await _give_up((*gates, gate), known, None)


async def _preferred(secret: Secret) -> tuple[str, ...]:
    """Prefer a later secret, if there is a token by it, and return the remark on that."""
    known = await Record(EMPTY)
    if token_in_hand(known.value, known.now) is None:
        return ()
    await Prefer(secret)
    return (_SECOND_CHOICE,)


async def _is_rotated(key: str) -> bool:
    """Tell whether the secret was rotated while a request with the former one was under way."""
    read = await ReadSecrets()
    return isinstance(read.value, tuple) and key not in [other for _, other in read.value]


async def _look_and_lock(key: str, policy: RenewalPolicy) -> Done[State] | None:
    """Look in the cache until the lock is ours, or it is time to ask without it; None: there is nothing to ask for."""
    look: Done[State] | None = None
    for suffix, share in LOCKS:
        kept_back = policy.deadline * (1 - share)  # for the request itself
        while True:
            look = await _look(key)
            if look is None:
                return None
            if look.left <= kept_back:
                break
            lock = await TryLock(key + suffix, policy.deadline + LOCK_MARGIN)
            if lock.value:
                look = await _look(key)  # the holder before us may have published before it was free
                if look is None:
                    await Unlock()
                return look
            await Sleep(poll_wait(lock.dice, lock.left - kept_back))
    return look


async def _look(key: str) -> Done[State] | None:
    """Look in memory and in the cache; None: there is nothing to ask for, and the flight is settled.

    A token to be renewed goes to the waiting callers at once.
    """
    look = await LookUp(key)
    decision = decide(look.value, look.now)
    if isinstance(decision, Renew):
        await Wake()
    if isinstance(decision, Ask | Renew):
        return look
    await Settle(decision if isinstance(decision, Fail) else None)
    return None


async def _give_up(gates: tuple[Gate, ...], done: Done[Any], key: str | None) -> None:
    """Shut the last gate for all who come now, here and, where the server said no, for all who share the cache."""
    last = gates[-1]
    failure, fact = last.failure, State(gates=(last,))
    if lost_time(done.left):
        await Settle(Fail(failure, 0.0))
        await Unlock()
        return
    # The refusal of a secret that is no longer in use says nothing of the one that is.
    counts = done.current or not is_refused_secret(failure)
    await Record(fact if counts else EMPTY)
    await Settle(Fail(failure, last.wait))
    if key is not None and counts and is_shared(failure):
        await Publish(key, fact)
    await Unlock()
    await Tell((), gates, has_failed=True)

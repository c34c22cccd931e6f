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
)
from .model import Client, Failure, Granted, Outcome, Refused, RenewalPolicy
from .request import cache_key
from .secret import Secret
from .state import EMPTY, Instant, State, is_shared, merge
from .value import Value

T = TypeVar("T")


@attrs.frozen(repr=False)
class Done(Value, Generic[T]):
    """What came of a command: its value, and the time, randomness and who waits, by which the next step is decided.

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


@attrs.frozen(repr=False)
class ReadSecrets(_Command[tuple[Secret, ...] | Failure]):
    """Read the client secrets, the one to try first in front."""


@attrs.frozen(repr=False)
class LookUp(_Command[State]):
    """Merge into memory what the cache keeps under the key, and give what is known then."""

    key: str


@attrs.frozen(repr=False)
class TryLock(_Command[bool]):
    """Try once to take a lock of the cache, for so many seconds; True too where the cache has none."""

    name: str
    ttl: float


@attrs.frozen(repr=False)
class Sleep(_Command[None]):
    """Let so many seconds pass."""

    seconds: float


@attrs.frozen(repr=False)
class Send(_Command[Outcome]):
    """Make the token request, with its hooks; `asked` is the moment that it counts from."""

    secret: Secret
    asked: Instant


@attrs.frozen(repr=False)
class Record(_Command[State]):
    """Merge a fact into memory, and give what is known then."""

    fact: State


@attrs.frozen(repr=False)
class Wake(_Command[None]):
    """Let the callers who wait decide again; the flight goes on without them."""


@attrs.frozen(repr=False)
class Settle(_Command[None]):
    """End the flight for all callers: who waits decides again, and without a token gets this failure."""

    ended: Fail | None = None


@attrs.frozen(repr=False)
class Publish(_Command[None]):
    """Merge a fact into the cache."""

    key: str
    fact: State


@attrs.frozen(repr=False)
class Unlock(_Command[None]):
    """Give back the lock, if any was taken."""


@attrs.frozen(repr=False)
class Tell(_Command[None]):
    """Log what was odd, and tell the error handler of each failure and its wait in seconds."""

    remarks: tuple[str, ...]
    failures: tuple[tuple[Failure, float], ...]
    ends_failed: bool = False
    """Whether the last failure is what the flight ended with: that one is logged, those that were retried are not."""


Command: TypeAlias = _Command[Any]

_Told: TypeAlias = tuple[tuple[Failure, float], ...]

_SECOND_CHOICE: Final = "the first client secret is refused (invalid_client); another of them is in use"


async def acquire(client: Client, policy: RenewalPolicy, key: str | None = None) -> None:
    """Obtain a token for a client, once; whatever comes of it is in memory, in the cache, and told.

    `key` is the cache key of an earlier flight: while the gate is shut there is only the cache to look in.
    """
    if key is not None:
        known = await Record(EMPTY)
        if is_shut(known.value, known.now) and await _is_served(await LookUp(key)):
            return
    read = await ReadSecrets()
    secrets = read.value
    if not isinstance(secrets, tuple):
        await fail(secrets)
        return
    told: _Told = ()
    untried = [*secrets]
    while True:
        secret = untried.pop(0)
        key = cache_key(client, secret.reveal())
        look = await _look_and_lock(key, policy)
        if look is None:
            return
        if is_overdue(look.left):  # this thread did not run for so long that no caller waits any more
            await Settle(Fail(timed_out(policy.deadline), 0.0))
            await Unlock()
            return
        fact, done, failures = await _ask(client, policy, secret, look)
        told += failures
        if isinstance(done.value, Granted):
            await Record(fact)
            await Settle()
            await Publish(key, fact)
            await Unlock()
            remarks = done.value.remarks if secret is secrets[0] else (*done.value.remarks, _SECOND_CHOICE)
            await Tell(remarks, told)
            return
        if not (untried and _is_refused_secret(done.value)):
            await _give_up(fact, done, key, told)
            return
        await Unlock()


async def fail(failure: Failure) -> None:
    """End a flight with a failure that is no answer of the server: the secret cannot be read, or something broke."""
    known = await Record(EMPTY)
    gate = failed(known.value, failure, begin(known.value, known.now), known.now, known.dice)
    await _give_up(State(gates=(gate,)), known, None, ((gate.failure, gate.wait),))


async def _look_and_lock(key: str, policy: RenewalPolicy) -> Done[State] | None:
    """Look in the cache until the lock is ours, or it is time to ask without it; None: there is nothing to ask for."""
    look: Done[State] | None = None
    for suffix, share in LOCKS:
        kept_back = policy.deadline * (1 - share)  # for the request itself
        while not await _is_served(look := await LookUp(key)):
            if look.left <= kept_back:
                break
            lock = await TryLock(key + suffix, policy.deadline + LOCK_MARGIN)
            if lock.value:
                # The holder before us may have published before it was free.
                if not await _is_served(look := await LookUp(key)):
                    return look
                await Unlock()
                return None
            await Sleep(poll_wait(lock.dice, lock.left - kept_back))
        else:
            return None
    return look


async def _is_served(look: Done[State]) -> bool:
    """Tell whether what is known leaves nothing to ask for; a token to be renewed goes to those who wait at once."""
    decision = decide(look.value, look.now)
    if isinstance(decision, Renew):
        await Wake()
    if isinstance(decision, Ask | Renew):
        return False
    await Settle(decision if isinstance(decision, Fail) else None)
    return True


async def _ask(
    client: Client, policy: RenewalPolicy, secret: Secret, look: Done[State]
) -> tuple[State, Done[Outcome], _Told]:
    """Make the request, and retry it while a caller waits; gives what is known by it, and each failure."""
    known, now = look.value, look.now
    told: _Told = ()
    while True:
        asked = begin(known, now)
        done = await Send(secret, asked)
        if isinstance(done.value, Granted):
            return granted(done.value, asked, policy, client.scopes, done.dice), done, told
        gate = failed(known, done.value, asked, done.now, done.dice)
        fact = State(gates=(gate,))
        told = (*told, (gate.failure, gate.wait))
        wait = retry_wait(gate, len(told), done.left) if done.waited else None
        if wait is None:
            return fact, done, told
        known = merge(known, fact, done.now)
        now = (await Sleep(wait)).now


async def _give_up(fact: State, done: Done[Any], key: str | None, told: _Told) -> None:
    """Shut the gate for all who come now, here and, where the server said no, for all who share the cache."""
    failure, wait = told[-1]
    if lost_time(done.left):
        await Settle(Fail(failure, 0.0))
        await Unlock()
        return
    # The refusal of a secret that is no longer in use says nothing of the one that is.
    counts = done.current or not _is_refused_secret(failure)
    await Record(fact if counts else EMPTY)
    await Settle(Fail(failure, wait))
    if key is not None and counts and is_shared(failure):
        await Publish(key, fact)
    await Unlock()
    await Tell((), told, ends_failed=True)


def _is_refused_secret(failure: Failure) -> bool:
    return isinstance(failure, Refused) and failure.error == "invalid_client"

"""A strategy in virtual time: the product's callers, memory and machine, each step of which waits for the test's world.

The decisions are the product's own: `BaseStrategy`, `ActiveConfiguration`, `Flight`, `StateCache`, `acquire` and
`forget` as they are. Written again is only the loop that blocks, that of `Driver`; a test beside compares the two.
Not here: threads within a step, the lease of SystemClock, hooks, event loops.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast
from unittest import mock

import attrs

from client_credentials import AccessToken, CacheEntry, SdkConfiguration
from client_credentials._core.acquisition import (
    Command,
    Done,
    LookUp,
    Peek,
    Publish,
    ReadSecrets,
    Record,
    Send,
    Sleep,
    Tell,
    TryLock,
    Unlock,
    acquire,
)
from client_credentials._core.state import Instant, State
from client_credentials._shell import active, base, driver, threads
from client_credentials._shell import flight as flights
from client_credentials._shell.active import ActiveConfiguration
from client_credentials._shell.base import BaseStrategy
from client_credentials._shell.flight import Flight
from client_credentials._shell.identity import Identity
from client_credentials.caching._circuit_breaker import BUDGET
from client_credentials.caching._state_cache import StateCache

T = TypeVar("T")


@attrs.frozen
class Get:
    """Read a cache entry; the answer is one or None."""

    key: str


@attrs.frozen
class Put:
    """Write a cache entry; None: remove it."""

    key: str
    entry: CacheEntry | None


@attrs.frozen
class Free:
    """Give a lock back."""

    name: str


@attrs.frozen(eq=False)
class Wait:
    """Wait for a flight until it wakes its callers, or this moment of the process's monotonic clock."""

    flight: Flight
    until: float


CacheStep: TypeAlias = Get | Put | TryLock | Free
Step: TypeAlias = Command | Get | Put | Free | Wait
Steps: TypeAlias = Generator[Step, Any, Any]


class Host(Protocol):
    """What a process has from its world."""

    def now(self) -> Instant:
        """Read both clocks."""
        ...

    def monotonic(self) -> float:
        """Read the clock that deadlines are measured by."""
        ...

    def draw(self) -> float:
        """Draw a random number from 0 to 1."""
        ...

    def start(self, steps: Steps, flight: Flight) -> bool:
        """Start a thread for a flight, or for a look in the cache meanwhile; False: there is none."""
        ...


class _Clock:
    """The host whose code runs, in place of `time` and the dice in the product's modules."""

    host: Host

    def monotonic(self) -> float:
        return self.host.monotonic()

    def draw(self) -> float:
        return self.host.draw()


_CLOCK: Final = _Clock()
_CONFIGURATION: Final = SdkConfiguration()


@contextmanager
def virtual_time() -> Generator[None]:
    """Take the clock, the dice and the threads of all strategies from the host whose steps run."""
    with ExitStack() as stack:
        for module, name, value in (
            (base, "time", _CLOCK),
            (flights, "time", _CLOCK),
            (base, "dice", _CLOCK.draw),
            (active, "dice", _CLOCK.draw),
            (threads, "start", _start),
            (threads, "start_or_call", _nothing),
            (driver, "tell", _nothing),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield


def run_on(host: Host, act: Callable[[], T]) -> T:
    """Run a step of a host."""
    _CLOCK.host = host
    return act()


def _start(call: partial[None]) -> bool:
    (flight,) = call.args
    return _CLOCK.host.start(_thread(call, flight), flight)


def _thread(call: partial[None], flight: Flight) -> Steps:
    """Do what a thread is started for: a flight, or a look in the cache for those who wait for one."""
    if call.func is not driver.fly:
        yield from _exchange(cast("Memory", flight.active), call)
    elif flight.claim():
        yield from _fly(flight)


def _fly(flight: Flight) -> Steps:
    """Make a flight as `Driver.drive` does."""
    identity, has_cache = flight.active.identity, flight.active.cache is not None
    yield from _follow(flight, acquire(identity.client, identity.policy, identity.keys[0], has_cache=has_cache))
    flight.settle(None)
    flight.is_over = True


def _follow(flight: Flight, machine: Coroutine[Command, Done[Any], None]) -> Steps:
    """Perform the machine's commands as `Driver` does; what would block, or let others run, is yielded."""
    memory = cast("Memory", flight.active)
    perform = driver.Driver(flight)._perform  # pyright: ignore[reportPrivateUsage]
    done: Done[Any] | None = None
    lock: str | None = None
    while True:
        try:
            command = machine.send(cast("Done[Any]", done))
        except StopIteration:
            break
        value: Any = None
        match command:
            case LookUp() | Peek() | Publish() if memory.cache:
                value = yield from _exchange(memory, partial(perform, command))
            case TryLock(name=name):
                value = (yield command) is not False
                lock = name if value else None
            case Unlock():
                if lock:
                    yield Free(lock)
                lock = None
            case Send(asked=asked):
                flight.asked = asked
                flight.has_asked = True
                value = yield command
            case Sleep():
                yield command
            case ReadSecrets() | Tell() | Record(fact=State(held=None, gates=())):  # concerns nobody else
                value = perform(command)
            case _:
                yield command
                value = perform(command)
        done = Done(value, memory.now(), flight.left, memory.host.draw(), flight.is_waited, current=True)


def _exchange(memory: Memory, act: Callable[[], Any]) -> Steps:
    """Look in the cache, do something, and write there what it wants written."""
    asked = memory.now()
    connection = memory.connection
    entry = yield Get(memory.identity.key() or "")
    connection.entry, connection.asked, connection.is_written = entry, asked, False
    value = act()
    connection.asked = None
    if connection.is_written:
        yield Put(memory.identity.key() or "", connection.entry)
    return value


def _nothing(*_: object, **__: object) -> None:
    """Tell neither the log nor an error handler."""


class Connection:
    """The cache as the product sees it within one step: the answer that came, and the entry that is to go there."""

    def __init__(self) -> None:
        self.entry: CacheEntry | None = None
        self.asked: Instant | None = None
        self.is_written = False

    def get(self, key: str) -> CacheEntry | None:
        del key
        self.asked = None
        return self.entry

    def set(self, key: str, value: str, ttl: float) -> None:
        del key
        self.entry = CacheEntry(value, ttl)
        self.is_written = True

    def remove(self, key: str) -> None:
        del key
        self.entry = None
        self.is_written = True

    def lock(self, key: str, ttl: float) -> AbstractContextManager[bool]:
        """Give the lock to a removal, which is one step here and waits for no flight."""
        del key, ttl
        return nullcontext(enter_result=True)


class Memory(ActiveConfiguration):
    """A configuration in use, by the clocks of its host."""

    def __init__(self, host: Host, identity: Identity, *, shared: bool) -> None:
        self.host = host
        self.connection = Connection()
        cache = StateCache("Cache", self.connection, identity.policy, BUDGET) if shared else None
        super().__init__(identity, _CONFIGURATION, cache)

    def now(self) -> Instant:
        """Read both clocks; what the cache gives is as old as it was before the look."""
        return self.connection.asked or self.host.now()


class Strategy(BaseStrategy):
    """The product's strategy, whose threads are its host's."""

    def __init__(self, host: Host, identity: Identity, *, shared: bool) -> None:
        self.host = host
        self._identity = identity
        self._unfinished = set()
        self.configure(shared=shared)

    def configure(self, *, shared: bool) -> None:
        """Do what `set_configuration` does."""
        self._active = Memory(self.host, self._identity, shared=shared)

    @property
    def memory(self) -> ActiveConfiguration:
        """The configuration in use."""
        return self._active

    @property
    def state(self) -> State:
        """What is known."""
        return self._active.known().state

    def call(self) -> Steps:
        """Ask for a token as both strategies do; raises TokenError."""
        steps = self._obtain()
        while not isinstance(step := next(steps), AccessToken):
            flight, until = step
            if flight.has_no_thread and flight.claim():
                yield from _fly(flight)
            yield Wait(flight, until)
        return step

    def remove(self, token: AccessToken | None) -> Steps:
        """Remove a token as `remove_access_token` does, but that its caller waits to the end."""
        _, forget = self._active.forget(token)
        if self._active.cache is not None:
            yield from _follow(Flight(self._active, self.host.monotonic() + self._deadline), forget())

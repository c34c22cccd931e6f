"""The driver of a flight: performs the commands of an acquisition, and reads the clocks after each."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .._core.acquisition import (
    Command,
    Done,
    LookUp,
    Peek,
    Prefer,
    Publish,
    ReadSecrets,
    Record,
    Send,
    Settle,
    Sleep,
    Tell,
    TryLock,
    Unlock,
    Wake,
    acquire,
    fail,
)
from .._core.lifecycle import Fail, is_overdue
from .._core.model import Failure, Outcome, TokenRequest, Unreachable, without_query
from .._core.secret import Secret
from ..errors import TokenEndpointUnreachable, error_of
from . import log, threads
from .active import ActiveConfiguration
from .clock import dice
from .flight import Flight, publishing
from .request import Fetch, attempt

if TYPE_CHECKING:
    from ..caching._state_cache import StateCache

T = TypeVar("T")

_PACKAGE: Final = "client_credentials."
_NO_LOOP: Final = "no event loop is left to run fetch in"
_SHORTEST_TIMEOUT: Final = 0.001  # seconds; 0 means something else to many clients
_LOOP_CHECK: Final = 0.1  # seconds between looks whether a loop in which fetch runs is still open


def fly(flight: Flight) -> None:
    """Make a flight in a thread of ours."""
    driver = Driver(flight)
    run_sync(driver.drive(driver.fetch_in_thread))


def forget_in_cache(machine: Callable[[], Coroutine[Command, Done[Any], None]], flight: Flight) -> None:
    """Make the cache forget a token, within the bounds of a flight that is for this alone."""
    Driver(flight).perform(machine())


async def fly_here(flight: Flight) -> None:
    """Make a flight in the caller's thread; only what interrupts it is raised."""
    await Driver(flight).drive(flight.active.configuration.fetch)


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing; a fetch that does wait gets an error: there is no loop."""
    try:
        coroutine.send(None)
        while True:
            coroutine.throw(TokenEndpointUnreachable(_NO_LOOP))
    except StopIteration as stop:
        return cast("T", stop.value)


def tell(active: ActiveConfiguration, failure: Failure, wait: float, *, is_logged: bool) -> None:
    """Call the error handler with a failure, and log it first if asked to; what either raises goes no further."""
    error = error_of(failure, wait, active.identity.client)
    if is_logged:
        log.warn("%s", error)
    try:
        active.configuration.error_handler(error)
    except threads.catchable() as raised:  # the program's code
        log.warn("error_handler raised %s", type(raised).__name__)


def tell_given_up(flight: Flight, ended: Fail) -> None:
    """Tell of a flight that was given up, in a thread that belongs to it."""
    flight.enter()
    tell(flight.active, ended.failure, ended.wait, is_logged=True)


class Driver:
    """Performs the commands of one flight, or of one removal, whose deadline it is then."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._active = flight.active
        self._identity = flight.active.identity
        self._keys: tuple[str, ...] = ()
        self._cause: BaseException | None = None
        self._unlock: Callable[[], object] | None = None

    async def drive(self, fetch: Fetch) -> None:
        """Perform one command after the other, until there is none; does nothing if another driver does it."""
        flight = self._flight
        if not flight.claim():
            return
        flight.enter()
        key = next(iter(self._identity.keys), None)
        try:
            has_cache = self._active.cache is not None
            await self._follow(acquire(self._identity.client, self._identity.policy, key, has_cache=has_cache), fetch)
        except Exception as error:  # a defect, which is no reason to ask again at once
            reason = _place_of(error)
            if flight.is_settled:
                log.warn("%s", reason)
            else:
                await self._follow(fail(Unreachable(reason=reason, retryable=False)), fetch)
        finally:
            flight.settle(None)
            self._give_back()
            flight.is_over = True

    def perform(self, machine: Coroutine[Command, Done[Any], None]) -> None:
        """Perform the commands of a removal."""
        try:
            run_sync(self._follow(machine, self._active.configuration.fetch))
        except Exception as error:  # a defect; memory has forgotten it
            log.warn("%s", _place_of(error))
        finally:
            self._give_back()

    async def _follow(self, machine: Coroutine[Command, Done[Any], None], fetch: Fetch) -> None:
        done: Done[Any] | None = None
        while True:
            try:
                command = machine.send(cast("Done[Any]", done))
            except StopIteration:
                return
            value = await self._send(command, fetch) if isinstance(command, Send) else self._perform(command)
            current = set(self._identity.keys) == set(self._keys)
            done = Done(value, self._active.now(), self._flight.left, dice(), self._flight.is_waited, current)

    def _perform(self, command: Command) -> object:
        active = self._active
        match command:
            case ReadSecrets():
                return self._read_secrets()
            case LookUp(key=key):
                return active.look(key)
            case Peek(key=key):
                return active.peek(key)
            case TryLock(name=name, ttl=ttl):
                self._unlock = cast("StateCache", active.cache).try_lock(name, ttl)
                return self._unlock is not None
            case Sleep(seconds=seconds):
                time.sleep(seconds)
            case Record(fact=fact):
                return active.record(fact)
            case Wake():
                self._flight.wake()
            case Settle(ended=ended):
                if active.cache is not None:
                    publishing.add(self._flight)
                self._flight.settle(ended, self._cause)
            case Publish(key=key, fact=fact):
                active.publish(key, fact)
            case Unlock():
                self._give_back()
            case Prefer(secret=secret):
                self._identity.prefer(secret)
            case Tell():
                self._tell(command)
            case _:
                raise TypeError(command)
        return None

    def _read_secrets(self) -> tuple[tuple[Secret, str], ...] | Failure:
        read = self._identity.read_secrets()
        self._keys = self._identity.keys
        if isinstance(read, tuple):
            return read
        self._cause = read.cause
        return cast("Failure", read.outcome)

    async def _send(self, command: Send, fetch: Fetch) -> Outcome:
        flight = self._flight
        flight.asked = command.asked
        flight.has_asked = True
        attempted = await attempt(
            self._identity.client,
            command.secret,
            self._active.configuration,
            fetch,
            max(flight.left, _SHORTEST_TIMEOUT),
            self._active.tokens,
        )
        self._cause = attempted.cause
        return attempted.outcome

    def fetch_in_thread(self, request: TokenRequest) -> object:
        """Call the fetch; what it awaits runs in the event loop of a task that waits, while this thread waits too."""
        fetched: object = self._active.configuration.fetch(request)
        if not isawaitable(fetched):
            return fetched
        loops = (self._flight.loop, *self._flight.events)
        loop = next((loop for loop in loops if loop is not None and loop.is_running()), None)
        if loop is None:
            _close(fetched)
            raise TokenEndpointUnreachable(_NO_LOOP)
        # Imported already where there is an event loop.
        from asyncio import run_coroutine_threadsafe
        from concurrent.futures import CancelledError, wait

        fetching = _awaited(fetched)
        future = run_coroutine_threadsafe(fetching, loop)
        while not (loop.is_closed() or is_overdue(left := self._flight.left)):
            if wait((future,), min(left, _LOOP_CHECK)).done:
                break
        try:
            return future.result(0)
        except (TimeoutError, CancelledError):
            if future.done() and not future.cancelled():
                raise
            if loop.is_closed():  # it came too late to be begun there
                _close(fetching)
                _close(fetched)
                raise TokenEndpointUnreachable(_NO_LOOP) from None
            future.cancel()
            raise TokenEndpointUnreachable("fetch was cancelled or timed out") from None

    def _tell(self, command: Tell) -> None:
        client = self._identity.client
        for remark in self._identity.news(command.remarks):
            log.warn("%s (client %r): %s", without_query(client.token_url), client.client_id, remark)
        for gate in command.gates:
            # What a retry made good is not worth a line in the log.
            is_logged = command.has_failed and gate is command.gates[-1]
            tell(self._active, gate.failure, gate.wait, is_logged=is_logged)

    def _give_back(self) -> None:
        unlock, self._unlock = self._unlock, None
        if unlock is not None:
            unlock()
        publishing.discard(self._flight)


def _place_of(error: Exception) -> str:
    """Say where in this package a defect showed, in no words of the error, which may hold anything."""
    places = [(str(frame.f_globals.get("__name__")), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    module, line = [place for place in places if place[0].startswith(_PACKAGE)][-1]
    return f"unexpected {type(error).__name__} in {module}, line {line}; please report it"


async def _awaited(fetched: Awaitable[object]) -> object:
    return await fetched


def _close(fetched: object) -> None:
    """Close a coroutine that nobody will await, which would warn otherwise."""
    if iscoroutine(fetched):
        fetched.close()

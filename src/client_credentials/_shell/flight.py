"""Single flight: one request under way, and everyone who waits for what it brings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from .._core.lifecycle import Fail, Instant
from .._core.model import AccessToken
from ..configuration import SdkConfiguration
from .state_cache import Vault

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

Landing: TypeAlias = AccessToken | Fail
"""What a flight brought, for all who waited."""


_led: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("client_credentials_flights", default=())


@attrs.frozen(eq=False)
class Setup:
    """A configuration in use, with what is remembered of its cache; setting it again makes another one."""

    configuration: SdkConfiguration
    vault: Vault

    def now(self) -> Instant:
        """Read both clocks."""
        clock = self.configuration.clock
        return Instant(clock.wall(), clock.monotonic())


@attrs.define(eq=False)
class Flight:
    """A request under way. It lands once; with None where its leader was interrupted, and whoever waits goes on.

    `deadline` is in seconds of `time.monotonic`, whatever clock the strategy was given. `waiters` counts those for
    whom a retry is worth it. `cause` is for the caller who led alone.
    """

    number: int
    setup: Setup
    deadline: float
    waiters: int = 0
    landing: Landing | None = None
    cause: Exception | None = None
    rooms: dict[AbstractEventLoop, Event] = attrs.field(factory=dict["AbstractEventLoop", "Event"], init=False)
    """Where the tasks of each event loop wait; each room is used by the thread of its loop alone."""
    _landed: threading.Event = attrs.field(factory=threading.Event, init=False)
    _listeners: list[Callable[[], object]] = attrs.field(factory=list[Callable[[], object]], init=False)
    _mutex: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    @property
    def left(self) -> float:
        """The seconds until the deadline; less than 0 once it has passed."""
        return self.deadline - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it has landed."""
        return self._landed.is_set()

    def lead(self) -> None:
        """Note, in the context of whoever makes the request, that what it calls is part of it."""
        _led.set((*_led.get(), self))

    @property
    def is_led_here(self) -> bool:
        """Whether this code is called by a hook of it; unlike a thread, a context goes along into tasks."""
        return self in _led.get()

    def wait(self, seconds: float) -> None:
        """Wait until it lands, for so many seconds at the most."""
        self._landed.wait(max(seconds, 0.0))

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener` called when it lands, in whatever thread; at once if it has landed."""
        with self._mutex:
            if not self.is_over:
                self._listeners.append(listener)
                return
        listener()

    def land(self, landing: Landing | None, cause: Exception | None = None) -> None:
        """Tell everyone what it brought."""
        with self._mutex:
            self.landing = landing
            self.cause = cause
            self._landed.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

"""Single flight: one token request under way, and the callers who wait for what it brings; `base` lets them join."""

from __future__ import annotations

import _thread
import atexit
import os
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeAlias

from .._core.lifecycle import Fail
from .._core.model import Client
from .chain import Link

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

    from .active import ActiveConfiguration

Ending: TypeAlias = tuple[Fail | None, BaseException | None]
"""What a flight ended with for its callers: a failure, if any, and what the program's own code raised."""

_LONGEST_AT_EXIT: Final = 100  # milliseconds


class Flight(Link):
    """Work that callers wait for: a token request, or a look into the cache or a removal from it.

    It runs in a thread of ours and ends once; then its callers decide again by what is known.

    `deadline` is in seconds of `time.monotonic`, whatever clock the strategy was given. `loop` is the event loop of the
    task that began it, for a fetch that needs one.
    """

    def __init__(self, active: ActiveConfiguration, deadline: float, loop: AbstractEventLoop | None = None) -> None:
        super().__init__()
        self.active = active
        self.deadline = deadline
        self.loop = loop
        self.asked = active.now()
        """When its latest request was made."""
        self.has_asked = False
        """Whether a request was sent."""
        self.is_waited = False
        """Whether any caller waits, or did."""
        self.is_over = False
        """Whether all of it has ended."""
        self.has_no_thread = False
        """Whether no thread could be started for it."""
        self.events: dict[AbstractEventLoop, Event] = {}
        """What the tasks of each event loop wait for; each is used only by the thread of its loop."""
        self.looks: dict[None, object] = {}
        """Holds a mark while a thread looks in the cache; put there by `dict.setdefault`, as a `Link`'s next one is."""
        self._waiting: list[Callable[[], object]] = []
        self._claim = _thread.allocate_lock()
        self._ending: dict[None, Ending] = {}
        self._process = os.getpid()

    @property
    def left(self) -> float:
        """The seconds until the deadline; less than 0 once it has passed."""
        return self.deadline - time.monotonic()

    @property
    def ending(self) -> Ending:
        """What it ended with for its callers, if it has."""
        return self._ending.get(None, (None, None))

    @property
    def is_settled(self) -> bool:
        """Whether callers have their answer."""
        return bool(self._ending)

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing to wait for: it is settled, or was left behind in the parent of a forked child."""
        return self.is_settled or self.is_left_behind

    @property
    def is_left_behind(self) -> bool:
        """Whether this is a forked child, and the flight its parent's."""
        return self._process != os.getpid()

    def claim(self) -> bool:
        """Claim it; True only the first time, so that it may be started twice and runs once."""
        return self._claim.acquire(blocking=False)

    def call_when_ready(self, wake: Callable[[], object]) -> None:
        """Have `wake` called, in whatever thread, when there is reason to decide again."""
        self.is_waited = True
        self._waiting.append(wake)
        if self.is_settled:
            self.wake()

    def wake(self) -> None:
        """Let all waiting callers decide again."""
        while self._waiting:
            with suppress(IndexError):  # another thread may wake them at the same time
                self._waiting.pop()()

    def settle(self, failure: Fail | None, cause: BaseException | None = None) -> bool:
        """Give all waiting callers their answer; False: it was settled before."""
        ending = failure, cause
        is_first = self._ending.setdefault(None, ending) is ending
        if is_first:
            self.wake()
        return is_first

    def enter(self) -> None:
        """Note in this context that what it calls is part of the flight, or waits for it."""
        _entered.set((*_entered.get(), self))

    @property
    def is_entered(self) -> bool:
        """Whether this code is called by the flight itself, which it therefore must not wait for."""
        return self in _entered.get()

    @staticmethod
    def any_entered(client: Client) -> bool:
        """Tell whether this code is called by a flight for that client, or interrupts a caller who waits for one.

        Unlike a thread, a context goes along into tasks; and unlike a lock, it is no obstacle once the flight is over.
        """
        flights = (flight for flight in _entered.get() if not flight.is_over and not flight.is_left_behind)
        return any(flight.active.identity.client == client for flight in flights)


_entered: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("client_credentials_flights", default=())

publishing: Final[set[Flight]] = set()
"""The flights that have answered their callers and may still write to the cache: an exit waits a moment for them."""


@atexit.register
def _wait_for_publications() -> None:
    for _ in range(_LONGEST_AT_EXIT):
        if all(flight.is_left_behind for flight in tuple(publishing)):
            break
        time.sleep(0.001)

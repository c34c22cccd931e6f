"""Single flight: one token request under way, and the callers who wait for what it brings."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import attrs

from .._core.lifecycle import Fail
from .._core.model import Client
from .chain import First, Link

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

    from .active import ActiveConfiguration

_LONGEST_AT_EXIT: Final = 100  # milliseconds


@attrs.frozen(eq=False, repr=False)
class Ending:
    """What a flight ended with for its callers: a failure, if any, and what the program's own code raised."""

    failure: Fail | None = None
    cause: BaseException | None = None


_UNDER_WAY: Final = Ending()


class Flight(Link):
    """A request under way, made in a thread of ours; it ends once, and its callers decide again by what is known then.

    `deadline` is in seconds of `time.monotonic`, whatever clock the strategy was given. `loop` is the event loop of the
    task that began it, for a fetch that needs one.
    """

    __slots__ = (
        "_claim",
        "_ending",
        "_process",
        "_waiting",
        "active",
        "asked",
        "deadline",
        "events",
        "has_asked",
        "is_over",
        "is_unmanned",
        "is_waited",
        "loop",
    )

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
        self.is_unmanned = False
        """Whether no thread could be started for it."""
        self.events: dict[AbstractEventLoop, Event] = {}
        """What the tasks of each event loop wait for; each is used only by the thread of its loop."""
        self._waiting: list[Callable[[], object]] = []
        self._claim: First[object] = First()
        self._ending: First[Ending] = First()
        self._process = os.getpid()

    @property
    def left(self) -> float:
        """The seconds until the deadline; less than 0 once it has passed."""
        return self.deadline - time.monotonic()

    @property
    def ending(self) -> Ending:
        """What it ended with for its callers."""
        return self._ending.get(None, _UNDER_WAY)

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
        return self._claim.put(object())

    def wait(self, wake: Callable[[], object]) -> None:
        """Have `wake` called, in whatever thread, when there is reason to decide again."""
        self.is_waited = True
        self._waiting.append(wake)
        if self.is_settled:
            self.wake()

    def wake(self) -> None:
        """Let all who wait decide again."""
        with suppress(IndexError):
            while True:
                self._waiting.pop()()

    def settle(self, failure: Fail | None, cause: BaseException | None = None) -> bool:
        """Give all who wait their answer; False: it was settled before."""
        is_first = self._ending.put(Ending(failure, cause))
        if is_first:
            self.wake()
        return is_first

    def hold_exit(self) -> None:
        """Have the exit of this process wait until the cache has what callers got: the next process is to find it."""
        _holding_exit.add(self)

    def let_exit(self) -> None:
        """Have the exit of this process wait for this flight no longer."""
        _holding_exit.discard(self)

    def engage(self) -> None:
        """Note in this context that what it calls is part of the flight, or waits for it."""
        _engaged.set((*_engaged.get(), self))

    @staticmethod
    def is_engaged(client: Client) -> bool:
        """Tell whether this code is called by a flight for that client, or interrupts a caller who waits for one.

        Unlike a thread, a context goes along into tasks; and unlike a lock, it is no obstacle once the flight is over.
        """
        flights = (flight for flight in _engaged.get() if not flight.is_over and not flight.is_left_behind)
        return any(flight.active.identity.client == client for flight in flights)


_engaged: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("client_credentials_flights", default=())
_holding_exit: Final[set[Flight]] = set()


@atexit.register
def _wait_for_publications() -> None:
    for _ in range(_LONGEST_AT_EXIT):
        if all(flight.is_left_behind for flight in tuple(_holding_exit)):
            break
        time.sleep(0.001)

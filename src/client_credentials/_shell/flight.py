"""Single flight: one token request under way, and the callers who wait for what it brings."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from .._core.lifecycle import Fail
from .._core.model import Client
from .._core.state import Instant
from .chain import Link

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

    from .active import ActiveConfiguration

_LONGEST_AT_EXIT: Final = 100  # milliseconds

_engaged: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("client_credentials_flights", default=())


class Flight(Link):
    """A request under way, made in a thread of ours; it ends once, and its callers decide again by what is known then.

    `deadline` is in seconds of `time.monotonic`, whatever clock the strategy was given; `asked` is when its latest
    request was made. `loop` is the event loop of the task that began it, for a fetch that needs one.
    """

    __slots__ = (
        "_claimed",
        "_process",
        "_settled",
        "_waiting",
        "active",
        "asked",
        "cause",
        "client",
        "deadline",
        "ended",
        "events",
        "has_asked",
        "is_over",
        "is_settled",
        "is_unmanned",
        "is_waited",
        "loop",
        "shut",
    )

    def __init__(self, active: ActiveConfiguration, client: Client, asked: Instant, deadline: float) -> None:
        super().__init__()
        self.active = active
        self.client = client
        self.asked = asked
        self.deadline = deadline
        self.loop: AbstractEventLoop | None = None
        self.shut: str | None = None
        """The cache key, where it was begun to look in the cache alone."""
        self.cause: BaseException | None = None
        """What the program's own code raised."""
        self.ended: Fail | None = None
        """The failure that it ended with."""
        self.has_asked = False
        """Whether a request was sent."""
        self.is_waited = False
        """Whether any caller waits, or did."""
        self.is_settled = False
        """Whether callers have their answer."""
        self.is_over = False
        """Whether all of it has ended."""
        self.is_unmanned = False
        """Whether no thread could be started for it."""
        self.events: dict[AbstractEventLoop, Event] = {}
        """What the tasks of each event loop wait for; each is used only by the thread of its loop."""
        self._waiting: list[Callable[[], object]] = []
        self._claimed: dict[None, object] = {}
        self._settled: dict[None, object] = {}
        self._process = os.getpid()

    @property
    def left(self) -> float:
        """The seconds until the deadline; less than 0 once it has passed."""
        return self.deadline - time.monotonic()

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
        mark = object()
        return self._claimed.setdefault(None, mark) is mark

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

    def settle(self, ended: Fail | None, cause: BaseException | None = None) -> bool:
        """Give all who wait their answer; False: it was settled before."""
        mark = object()
        if self._settled.setdefault(None, mark) is not mark:
            return False
        self.ended = ended
        self.cause = cause
        self.is_settled = True
        self.wake()
        return True

    def hold_exit(self) -> None:
        """Have the exit of this process wait until the cache has what callers got: the next process is to find it."""
        _holding_exit[id(self)] = self

    def let_exit(self) -> None:
        """Have the exit of this process wait for this flight no longer."""
        _holding_exit.pop(id(self), None)

    def engage(self) -> None:
        """Note in this context that what it calls is part of the flight, or waits for it."""
        _engaged.set((*_engaged.get(), self))

    @staticmethod
    def is_engaged(client: Client) -> bool:
        """Tell whether this code is called by a flight for that client, or interrupts a caller who waits for one.

        Unlike a thread, a context goes along into tasks; and unlike a lock, it is no obstacle once the flight is over.
        """
        return any(
            not flight.is_over and flight.client == client and not flight.is_left_behind for flight in _engaged.get()
        )


_holding_exit: Final[dict[int, Flight]] = {}


@atexit.register
def _wait_for_publications() -> None:
    for _ in range(_LONGEST_AT_EXIT):
        if all(flight.is_left_behind for flight in tuple(_holding_exit.values())):
            break
        time.sleep(0.001)

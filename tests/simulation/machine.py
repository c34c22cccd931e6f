"""A machine in virtual time: one clock that may be set, one that stops when it does, and all that it sends out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import attrs

from client_credentials._core.lifecycle import Instant
from client_credentials._core.model import Outcome, Unreachable

from .cache import Breaker
from .engine import Actor
from .referee import Referee
from .steps import Answer, CacheStep, Fetch, Put, Sleep, Steps
from .world import Identity, World

T = TypeVar("T")

EPOCH = 1_700_000_000.0
LONGEST_STANDSTILL = 30.0  # seconds after which a connection has been cut by the other side


@attrs.define(eq=False)
class Process:
    """Steps under way, and what becomes of their result; it owns the locks that it gets."""

    steps: Steps[Any]
    done: Callable[[Any], object]


class Machine(Actor):
    """Runs processes, step by step; they are gone with a crash, and stand still with a suspension."""

    def __init__(self, name: str, identity: Identity, world: World, referee: Referee) -> None:
        super().__init__()
        self.name = name
        self.identity = identity
        self.world = world
        self.referee = referee
        self.key = identity.key
        self.policy = world.policy
        self.skew = 0.0
        self.slept = 0.0
        self.under_way = 0
        self.breaker = Breaker()
        self.rejected: set[str] = set()
        """The tokens that were removed here."""
        self.ambush: Callable[[], object] | None = None
        """What is to befall the machine in the middle of whatever it does next."""

    def now(self) -> Instant:
        """Read both clocks."""
        now = self.world.scheduler.now
        return Instant(EPOCH + now + self.skew, now - self.slept)

    def monotonic(self) -> float:
        """Read the clock that is never set."""
        return self.world.scheduler.now - self.slept

    def draw(self) -> float:
        """Throw the dice."""
        return self.world.rng.random()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something later, if the machine still runs by then."""
        self.world.scheduler.after(seconds, action, self)

    def crash(self) -> None:
        """Lose all that is under way."""
        super().crash()
        self.under_way = 0
        self.breaker = Breaker()
        self.rejected = set()

    def suspend(self, seconds: float) -> None:
        """Stand still for so many seconds, and the monotonic clock too."""
        self.slept += seconds
        self.asleep_until = self.world.now + seconds

    def start(self, steps: Steps[T], done: Callable[[T], object]) -> None:
        """Go these steps, and say what they came to."""
        self.under_way += 1
        self._resume(Process(steps, done), None)

    def _resume(self, process: Process, answer: Answer) -> None:
        try:
            step = process.steps.send(answer)
        except StopIteration as stop:
            self.under_way -= 1
            process.done(stop.value)
            return
        match step:
            case Sleep(seconds=seconds):
                self.after(seconds, partial(self._resume, process, None))
            case Fetch(timeout=timeout):
                self._fetch(process, timeout)
            case _:
                self._command(process, step)

    def _fetch(self, process: Process, timeout: float) -> None:
        wall = EPOCH + self.world.now + self.skew
        took, outcome = self.world.endpoint.receive(self.identity.number, self.world.now, wall, timeout)
        self.referee.requested(self, took)
        self._spring(took)
        self.after(took, partial(self._fetched, process, outcome, self.slept))

    def _fetched(self, process: Process, outcome: Outcome, slept: float) -> None:
        if self.slept - slept > LONGEST_STANDSTILL:
            outcome = Unreachable(reason="connection reset")
        self.referee.answered(self, outcome)
        self._resume(process, outcome)

    def _spring(self, took: float) -> None:
        if self.ambush is not None:
            self.world.scheduler.after(took * self.draw(), self.ambush)
            self.ambush = None

    def _command(self, process: Process, step: CacheStep) -> None:
        cache, scheduler = self.world.cache, self.world.scheduler
        assert cache is not None
        sent = scheduler.now
        passage = cache.passage(self.breaker, sent)
        generation = self.generation
        self._spring(passage.seconds)
        if isinstance(step, Put):
            self.referee.published(self)

        def arrive() -> None:
            crashed = self.generation != generation
            # What was on its way when the machine crashed may have gone out, or not.
            arrives = passage.arrives and (not crashed or self.draw() < 0.5)
            answer = cache.apply(step, process, sent, scheduler.now) if arrives else None
            if crashed:
                return
            resume = partial(self._resume, process, answer if passage.answers else None)
            if self.asleep_until > scheduler.now:
                self.after(0.0, resume)
            else:
                resume()

        scheduler.after(passage.seconds, arrive)

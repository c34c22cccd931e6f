"""One host of a fleet: a strategy in virtual time, and callers who never stop asking it.

Only the moments at which a decision may change are simulated: a leap takes all calls until then for answered as the
last one was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import attrs

from client_credentials import AccessToken, TokenError
from client_credentials._core.acquisition import Send, Sleep, TryLock
from client_credentials._core.lifecycle import Serve, decide
from client_credentials._core.model import Outcome, Unreachable
from client_credentials._core.state import Instant, elapsed
from client_credentials._shell.flight import Flight

from .cache import Breaker
from .engine import Actor
from .process import CacheStep, Free, Get, Put, Steps, Strategy, Wait, run_on
from .referee import Referee
from .world import Identity, World

T = TypeVar("T")

EPOCH = 1_700_000_000.0
LONGEST_STANDSTILL = 30.0  # seconds after which a connection has been cut by the other side
LATENESS = 1e-6  # seconds by which a timer is late; never early


@attrs.define(eq=False)
class Thread:
    """Steps under way, and what becomes of their end; it owns the locks that it gets."""

    steps: Steps
    done: Callable[[Callable[[], Any]], object]
    waits: Wait | None = None


class Host(Actor):
    """A machine with one strategy; all that runs there is gone with a crash, and stands still with a suspension."""

    def __init__(self, name: str, identity: Identity, world: World, referee: Referee) -> None:
        super().__init__(world.scheduler)
        self.name = name
        self.identity = identity
        self.world = world
        self.referee = referee
        self.skew = 0.0
        self.slept = 0.0
        self.ambush: Callable[[], object] | None = None
        """What is to befall the machine in the middle of whatever it does next."""
        self._plans = 0
        self._begin()

    def _begin(self) -> None:
        self.strategy = Strategy(self, self.identity.known(self.world.policy), shared=self.world.cache is not None)
        self.under_way = 0
        self.breaker = Breaker()
        self.rejected: set[str] = set()
        """The tokens that were removed here."""
        self._doomed: set[str] = set()

    def now(self) -> Instant:
        """Read both clocks."""
        now = self.world.scheduler.now
        return Instant(EPOCH + now + self.skew, now - self.slept)

    def monotonic(self) -> float:
        """Read the clock that is never set."""
        return self.world.scheduler.now - self.slept

    def draw(self) -> float:
        """Draw a random number."""
        return self.world.rng.random()

    def start(self, steps: Steps, flight: Flight) -> bool:
        """Start a thread."""
        self.under_way += 1
        self.after(0.0, partial(self._resume, Thread(steps, partial(self._land, flight)), None))
        return True

    def restart(self, down: float) -> None:
        """Crash now, and come back with an empty memory after so many seconds."""
        self.crash()
        self._begin()
        self.after(down, self.call)

    def nap(self, seconds: float) -> None:
        """Be suspended for so many seconds, the monotonic clock too; callers are there as soon as it is over."""
        self.slept += seconds
        self.asleep_until = self.world.now + seconds
        self.after(seconds, self.call)

    def step(self, seconds: float) -> None:
        """Set the wall clock by so many seconds."""
        self.skew += seconds
        self.after(0.0, self.call)

    # ---- callers ----

    def call(self) -> None:
        """Somebody asks for a token."""
        since = self.monotonic()
        self._plans += 1
        self._resume(Thread(self.strategy.call(), partial(self._answered, since)), None)

    def _plan(self, seconds: float) -> None:
        """Leap to the first call after so many seconds."""
        self._plans += 1
        pause = self.world.every * self.draw()
        self.after(max(seconds, 0.0) + pause, partial(self._call_as_planned, self._plans))

    def _call_as_planned(self, plan: int) -> None:
        if plan == self._plans:
            self.call()

    def _answered(self, since: float, result: Callable[[], AccessToken]) -> None:
        self.referee.waited(self, self.monotonic() - since)
        try:
            token = result()
        except TokenError as error:
            wait = error.retry_after or 0.0
            self.referee.refused(self, error, wait)
            self._plan(wait)
            return
        decision = decide(self.strategy.state, self.now())
        lasts = decision.lasts if isinstance(decision, Serve) else self._renewal_lasts()
        self.referee.served(self, token, lasts)
        self._doom(token.access_token)
        self._plan(lasts)

    def _renewal_lasts(self) -> float:
        """Give the seconds for which the token in hand is served while its renewal is under way."""
        held, flight = self.strategy.state.held, self.strategy.memory.flight.latest()
        if held is None or flight.is_gone:
            return 0.0
        return max(min(held.end - elapsed(held.asked.at, self.now()), flight.left), 0.0)

    def notice(self, value: str) -> None:
        """Hear from the callers' own server that a token has been revoked, if they use that one."""
        held = self.strategy.state.held
        if held and held.token.access_token == value:
            self._doom(value)

    def _doom(self, value: str) -> None:
        if value in self.world.endpoint.revoked and value not in self._doomed:
            self._doomed.add(value)
            self.after(self.world.every * self.draw(), partial(self._reject, value))

    def _reject(self, value: str) -> None:
        """A caller was told that the token is no good, and removes it, while others go on asking."""
        self.rejected.add(value)
        self.referee.disturbed(self, self.world.now, forgets=True)
        self.under_way += 1
        self._resume(Thread(self.strategy.remove(AccessToken(value, "Bearer", 0, 0)), partial(self._land, None)), None)
        self.call()

    # ---- steps ----

    def _land(self, flight: Flight | None, result: Callable[[], Any]) -> None:
        self.under_way -= 1
        result()
        if flight is None or not flight.is_waited:
            self.call()

    def _resume(self, thread: Thread, answer: Any) -> None:
        while True:
            try:
                step = run_on(self, partial(thread.steps.send, answer))
            except StopIteration as stop:
                thread.done(partial(_give, stop.value))
                return
            except TokenError as error:
                thread.done(partial(_raise, error))
                return
            answer = None
            match step:
                case Sleep(seconds=seconds):
                    self.after(seconds, partial(self._resume, thread, None))
                case Send():
                    self._send(thread)
                case Wait(flight=flight, until=until):
                    thread.waits = step
                    wake = partial(self._wake, thread, step)
                    self.after(max(until - self.monotonic(), 0.0) + LATENESS, wake)
                    flight.call_when_ready(partial(self.after, 0.0, wake))
                case Get() | Put() | TryLock() | Free():
                    self._command(thread, step)
                case _:
                    continue
            return

    def _wake(self, thread: Thread, wait: Wait) -> None:
        if thread.waits is wait:
            thread.waits = None
            self._resume(thread, None)

    def _send(self, thread: Thread) -> None:
        flight = self.strategy.memory.flight.latest()
        timeout = run_on(self, lambda: flight.left)
        took, outcome = self.world.endpoint.receive(self.identity.number, self.world.now, self.now().wall, timeout)
        self.referee.requested(self, took)
        self._spring(took)
        self.after(took, partial(self._sent, thread, outcome, self.slept))

    def _sent(self, thread: Thread, outcome: Outcome, slept: float) -> None:
        if self.slept - slept > LONGEST_STANDSTILL:
            outcome = Unreachable(reason="connection reset")
        self.referee.answered(self, outcome)
        self._resume(thread, outcome)

    def _spring(self, took: float) -> None:
        if self.ambush is not None:
            self.world.scheduler.after(took * self.draw(), self.ambush)
            self.ambush = None

    def _command(self, thread: Thread, step: CacheStep) -> None:
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
            answer = cache.apply(step, thread, sent, scheduler.now) if arrives else None
            if crashed:
                return
            resume = partial(self._resume, thread, answer if passage.answers else None)
            if self.asleep_until > scheduler.now:
                self.after(0.0, resume)
            else:
                resume()

        scheduler.after(passage.seconds, arrive)


def _give(value: T) -> T:
    return value


def _raise(error: TokenError) -> None:
    raise error

"""`python -m tests.shell.interrupts N` interrupts callers N times at random moments, by real signals.

Prints how often a caller hung and how often a token was lost for the others; both must be 0.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
from types import FrameType

import attrs

from client_credentials import ClientCredentialsStrategy, TokenError, TokenRequest, TokenResponse
from client_credentials.testing import FakeClock
from tests.shell.kit import EXACT, grant, strategy_of

_PATIENCE = 20.0
_SLOWEST_REQUEST = 0.002


class Interrupt(Exception):
    """What the signal handler raises."""


@attrs.define
class Tally:
    """What came of the interrupts."""

    interrupts: int = 0
    in_callers: int = 0
    """Those that fell into a caller of ours, and not beside it."""
    hangs: int = 0
    lost: int = 0


class Trial:
    """One strategy, its endpoint, and another thread that asks it while the main thread is interrupted."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.dice = random.Random(1)
        self.requests = 0
        self.strategy: ClientCredentialsStrategy = strategy_of(
            self._fetch, self.clock, policy=attrs.evolve(EXACT, deadline=_PATIENCE)
        )

    def _fetch(self, _: TokenRequest) -> TokenResponse:
        self.requests += 1
        time.sleep(self.dice.random() * _SLOWEST_REQUEST)
        return grant(f"token-{self.requests}")

    def make_cold(self) -> None:
        """Let the token expire, or come into its window."""
        self.clock.advance(self.dice.choice([3500, 4000]))

    def check(self, tally: Tally) -> None:
        """Ask from a new thread: it has its token in time."""
        found: list[object] = []

        def ask() -> None:
            try:
                found.append(self.strategy.get_or_create_access_token())
            except TokenError as error:
                found.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        began = time.monotonic()
        asking.start()
        asking.join(2 * _PATIENCE)
        tally.hangs += not found or time.monotonic() - began > _PATIENCE / 2
        tally.lost += any(isinstance(each, TokenError) for each in found)


def interrupt(count: int) -> Tally:
    """Interrupt callers so many times."""
    tally = Tally()
    trial = Trial()
    armed = False

    def handle(_: int, __: FrameType | None) -> None:
        if armed:
            raise Interrupt

    before = signal.signal(signal.SIGALRM, handle)
    try:
        while tally.interrupts < count:
            trial.make_cold()
            others = threading.Thread(target=trial.check, args=(tally,)) if tally.interrupts % 2 else None
            if others:
                others.start()
            gc.disable()  # what is raised in a finalizer is raised nowhere
            armed = True
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + trial.dice.random() * 2 * _SLOWEST_REQUEST)
                trial.strategy.get_or_create_access_token()
                armed = False
            except Interrupt:
                tally.in_callers += 1
            except TokenError:
                tally.lost += 1
            finally:
                armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            gc.enable()
            tally.interrupts += 1
            if others:
                others.join()
            trial.check(tally)
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return tally


if __name__ == "__main__":
    told = interrupt(int(sys.argv[1]))
    print(f"{told.interrupts} signals, {told.in_callers} within callers: {told.hangs} hangs, {told.lost} lost tokens")
    sys.exit(bool(told.hangs or told.lost))

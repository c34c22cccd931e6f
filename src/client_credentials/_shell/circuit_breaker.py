"""Calls to a server that may be down, slow or hanging cost whoever waits half a second in all, not each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import attrs

from . import log

T = TypeVar("T")

BUDGET: Final = 0.5
"""The seconds that the server has, over all calls until a quick answer, before it is left alone."""
LEFT_ALONE: Final = 10.0
"""The seconds for which it is."""

_QUICK = 0.1  # seconds
_MOST_FAILURES = 3  # in a row
_MOST_OVERDUE = 8  # calls that hang, each in a thread
# Seconds of a nap, and how many times its budget a call may take where all naps end late.
_NAP, _STRETCH = 0.01, 4


@attrs.define(eq=False)
class Errand(Generic[T]):
    """A call in a thread of its own, which can be given up but not stopped."""

    _command: Callable[[Errand[T]], T]
    outcome: list[T] = attrs.field(factory=list[T], init=False)
    failure: Exception | None = attrs.field(default=None, init=False)
    given_up: bool = attrs.field(default=False, init=False)
    """Whether nobody waits for it any more."""
    _landed: threading.Event = attrs.field(factory=threading.Event, init=False)

    @property
    def is_over(self) -> bool:
        """Whether the call has come to its end."""
        return self._landed.is_set()

    def start(self) -> None:
        """Begin, in a thread that does not delay the exit; raises RuntimeError where none is to be had."""
        threading.Thread(target=self._run, name="client-credentials-cache", daemon=True).start()

    def wait(self, allowed: float) -> float:
        """Wait for so many seconds at the most, and give those that count.

        A nap that ends late says that it is this machine that does not keep up: no more than the nap itself counts.
        """
        waited, end = 0.0, time.monotonic() + allowed * _STRETCH
        try:
            while not self.is_over and waited < allowed and (began := time.monotonic()) < end:
                nap = min(_NAP, allowed - waited)
                self._landed.wait(nap)
                waited += min(time.monotonic() - began, nap)
        finally:
            self.given_up = not self.is_over
        return allowed if self.given_up else waited

    def _run(self) -> None:
        try:
            self.outcome.append(self._command(self))
        except Exception as error:  # whatever a client raises, the server is of no use
            self.failure = error
        finally:
            self._landed.set()


@attrs.define(eq=False)
class Patience:
    """Runs calls while the server deserves it: a quick answer restores the patience, waiting uses it up."""

    _server: str
    _left: float = attrs.field(factory=lambda: BUDGET, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _overdue: list[Errand[Any]] = attrs.field(factory=list[Errand[Any]], init=False)
    _back_at: float | None = attrs.field(default=None, init=False)
    _next_warning: float = attrs.field(default=0.0, init=False)
    _mutex: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    def run(self, command: Callable[[Errand[T]], T], otherwise: T) -> T:
        """Give what the command gives, or `otherwise` where it fails or takes too long, or no patience is left."""
        allowed = self._admit()
        if allowed <= 0:
            return otherwise
        errand, waited = Errand(command), 0.0
        try:
            errand.start()
            waited = errand.wait(allowed)
            failure = TimeoutError() if errand.given_up else errand.failure
        except RuntimeError as error:  # no thread is to be had
            failure = error
        self._settle(errand, allowed - waited, failure, quick=waited <= _QUICK)
        return otherwise if failure else errand.outcome[0]

    def _admit(self) -> float:
        """Give the seconds that a call may take; 0: there is to be none."""
        now = time.monotonic()
        with self._mutex:
            self._overdue = [errand for errand in self._overdue if not errand.is_over]
            if len(self._overdue) >= _MOST_OVERDUE:
                return 0.0
            if self._back_at is None:
                return self._left
            if now < self._back_at:
                return 0.0
            # One call finds out whether the server is back; all others go on without it.
            self._back_at = now + LEFT_ALONE
            self._left, self._failures = BUDGET, _MOST_FAILURES - 1
            return BUDGET

    def _settle(self, errand: Errand[Any], left: float, failure: Exception | None, *, quick: bool) -> None:
        """Learn how a call went."""
        now = time.monotonic()
        with self._mutex:
            if errand.given_up:
                self._overdue.append(errand)
            self._failures = self._failures + 1 if failure else 0
            # Calls at the same time share their waiting: it is not added up.
            self._left = BUDGET if quick and not failure else min(self._left, left)
            is_spent = self._failures >= _MOST_FAILURES or self._left <= 0
            if is_spent:
                self._back_at = now + LEFT_ALONE
            elif failure is None:
                self._back_at = None
            warns = failure is not None and now >= self._next_warning
            if warns:
                self._next_warning = now + LEFT_ALONE
        if warns:
            log.warn("%s failed with %s; it counts as empty", self._server, type(failure).__name__)

"""Those to whom things happen in virtual time, and the conditions that they are in."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import attrs

from client_credentials.testing._world import Scheduler

K = TypeVar("K")


@attrs.define(eq=False)
class Actor:
    """Whoever may crash, and with it all that it was about to do, or be suspended, and do it later."""

    scheduler: Scheduler
    generation: int = 0
    asleep_until: float = 0.0

    def crash(self) -> None:
        """Forget all events to come."""
        self.generation += 1
        self.asleep_until = 0.0

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something later, if it is still alive then, and not before it wakes."""
        self.scheduler.after(seconds, partial(self._act, self.generation, action))

    def _act(self, generation: int, action: Callable[[], object]) -> None:
        left = self.asleep_until - self.scheduler.now
        if self.generation != generation:
            return
        if left > 0:
            self.scheduler.after(left, partial(self._act, generation, action))
        else:
            action()


class Regime(Generic[K]):
    """The condition that something is in, with a value that goes with it; the latest to begin prevails.

    `troubled` is the last moment, perhaps one still to come, at which it was in any condition but the normal one.
    """

    def __init__(self, normal: K) -> None:
        self.current: tuple[K, float] = (normal, 0.0)
        self.troubled = -math.inf
        self._conditions = [self.current]

    def begin(self, kind: K, value: float, until: float) -> Callable[[], object]:
        """Begin one; gives what ends it."""
        condition = (kind, value)
        self._conditions.append(condition)
        self.current = condition
        self.troubled = max(self.troubled, until)

        def end() -> None:
            self._conditions.remove(condition)
            self.current = self._conditions[-1]

        return end

"""Virtual time: events happen in the order of their moments, and nobody waits for any of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

K = TypeVar("K")


@attrs.define(eq=False)
class Actor:
    """Whoever may crash, and with it all that it was about to do, or be suspended, and do it later."""

    generation: int = 0
    asleep_until: float = 0.0

    def crash(self) -> None:
        """Forget all events to come."""
        self.generation += 1
        self.asleep_until = 0.0


class Scheduler:
    """A queue of events; those of the same moment happen in the order in which they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Actor | None, int, Callable[[], object]]] = []
        self._planned = 0

    def after(self, seconds: float, action: Callable[[], object], actor: Actor | None = None) -> None:
        """Plan an event, of an actor or of the world, for so many seconds from now."""
        self._planned += 1
        generation = actor.generation if actor else 0
        heapq.heappush(self._queue, (self.now + seconds, self._planned, actor, generation, action))

    def run(self, until: float) -> None:
        """Let everything happen that is due by then."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            moment, number, actor, generation, action = heapq.heappop(queue)
            if actor is not None:
                if actor.generation != generation:
                    continue
                if actor.asleep_until > moment:
                    heapq.heappush(queue, (actor.asleep_until, number, actor, generation, action))
                    continue
            self.now = moment
            action()
        self.now = until


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

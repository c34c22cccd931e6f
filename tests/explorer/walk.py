"""Walks the orders of events of a scenario: each state once, reached by doing again all that led to it.

Coroutines cannot be copied, so that a state is reached by replay; one that was met before, by whatever way, is not
walked on from again. What tells two states apart is `World.mark`, down to the locals of every suspended frame. Where
there are more states than are to be met, the way to go on from is drawn, the same in every run.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from random import Random
from typing import Final
from unittest import mock

import attrs

from client_credentials._core import entry
from client_credentials.caching import _state_cache as state_cache
from tests.simulation.process import virtual_time

from .laws import Broken, LawfulWorld
from .world import Choice, Scenario

_LONGEST: Final = 150  # choices


@attrs.frozen
class Walked:
    """How many states were met, and how many schedules went to their end; whether there are no more."""

    states: int
    schedules: int
    is_whole: bool


def walk(scenario: Scenario, most: int) -> Walked:
    """Walk all schedules, or those of so many states; raises Broken, with the way to it."""
    met: set[int] = set()
    ways: list[tuple[Choice, ...]] = [()]
    schedules = 0
    rng = Random(0)
    with _quick():
        while ways and len(met) < most:
            place = rng.randrange(len(ways))
            ways[place], ways[-1] = ways[-1], ways[place]
            way = ways.pop()
            world = LawfulWorld(scenario)
            try:
                for choice in way:
                    world.do(choice, again=choice is not way[-1])
                while (mark := world.mark()) not in met:
                    met.add(mark)
                    choices = world.choices()
                    if not choices:
                        schedules += 1
                        world.finish()
                        break
                    if len(way) == _LONGEST:
                        raise Broken("end", "it goes on and on")
                    ways += [(*way, other) for other in choices[1:]]
                    way = (*way, choices[0])
                    world.do(choices[0])
            except Broken as broken:
                broken.add_note(f"{scenario.name}: {', '.join(map(str, way))}")
                raise
    return Walked(states=len(met), schedules=schedules, is_whole=not ways)


@contextmanager
def _quick() -> Generator[None]:
    """Read and write each entry once, however often a replay does."""
    with (
        virtual_time(),
        mock.patch.object(state_cache, "load", lru_cache(100_000)(entry.load)),
        mock.patch.object(state_cache, "dump", lru_cache(100_000)(entry.dump)),
    ):
        yield

"""Walks every order of events of a scenario: each state once, reached by doing again all that led to it.

Coroutines cannot be copied, so that a state is reached by replay; one that was met before, by whatever way, is not
walked on from again. What tells two states apart is `World.mark`, down to the locals of every suspended frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from unittest import mock

import attrs

from client_credentials._shell import state_cache
from tests.simulation.process import virtual_time

from .laws import Broken, LawfulWorld
from .world import Choice, Scenario


@attrs.define
class Walk:
    """How many states there were, and how many schedules led to the end of one."""

    states: int = 0
    schedules: int = 0
    is_whole: bool = True
    """Whether nothing was left out for its depth."""


def walk(scenario: Scenario, depth: int) -> Walk:
    """Walk all schedules of so many choices at the most; raises Broken, with the shortest way to it that was found."""
    walked = Walk()
    met: dict[int, int] = {}
    ways: list[tuple[Choice, ...]] = [()]
    with _quick():
        while ways:
            way = ways.pop()
            try:
                world = LawfulWorld(scenario)
                for choice in way:
                    world.do(choice)
                while True:
                    mark = world.mark()
                    if met.get(mark, depth + 1) <= len(way):
                        break
                    met[mark] = len(way)
                    choices = world.choices()
                    if not choices or len(way) == depth:
                        walked.schedules += 1
                        walked.is_whole &= not choices
                        world.finish()
                        break
                    ways += [(*way, other) for other in choices[1:]]
                    way = (*way, choices[0])
                    world.do(choices[0])
            except Broken as broken:
                broken.add_note(f"{scenario.name}: {' / '.join(map(str, way))}")
                raise
    walked.states = len(met)
    return walked


@contextmanager
def _quick() -> Iterator[None]:
    """Read and write each entry once, however often a replay does."""
    with (
        virtual_time(),
        mock.patch.object(state_cache, "load", lru_cache(100_000)(state_cache.load)),
        mock.patch.object(state_cache, "dump", lru_cache(100_000)(state_cache.dump)),
    ):
        yield

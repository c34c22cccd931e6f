"""The small worlds that are walked."""

from __future__ import annotations

from typing import Final

from .world import Event, Scenario

_EVERY_ANSWER: Final = ("grant", "refused", "ordered", "unavailable", "unreachable")
_DOWN: Final = ("grant", "unreachable")

SCENARIOS: Final = (
    Scenario(name="one process", callers=(0, 0, 0), answers=_EVERY_ANSWER),
    Scenario(name="one process, time passes", callers=(0, 0), answers=_DOWN, moments=2),
    Scenario(name="an ordered wait", callers=(0, 0, 0), answers=("grant", "ordered"), moments=2),
    Scenario(name="a late answer", callers=(0, 0, 0), answers=_DOWN, moments=3),
    Scenario(name="the end of a token", callers=(0, 0, 0), answers=_DOWN, age=3580, moments=2),
    Scenario(name="two processes", callers=(0, 1), answers=_EVERY_ANSWER, shared=True),
    Scenario(
        name="two processes, time passes", callers=(0, 1, 1), answers=("grant", "ordered"), shared=True, moments=2
    ),
    Scenario(name="two processes, one is offline", callers=(0, 1), answers=_DOWN, shared=True, moments=1),
    Scenario(name="a shared renewal", callers=(0, 1, 1), answers=("grant", "unavailable"), age=3000, shared=True),
    Scenario(name="a removal", callers=(0, 0), age=100, events=(Event.REMOVAL,)),
    Scenario(name="a removal in a renewal", callers=(0, 0, 0), age=3000, events=(Event.REMOVAL,)),
    Scenario(name="a shared removal", callers=(0, 0), age=3000, shared=True, events=(Event.REMOVAL,)),
    Scenario(name="a configuration", callers=(0, 0, 0), answers=_DOWN, events=(Event.CONFIGURATION,)),
    Scenario(name="a configuration, shared", callers=(0, 0), shared=True, events=(Event.CONFIGURATION,)),
    Scenario(name="the leader dies", callers=(0, 1, 1), shared=True, moments=3, events=(Event.DEATH,)),
    Scenario(name="interrupts", callers=(0, 0, 0), moments=1, events=(Event.LEAVES, Event.INTERRUPT)),
    Scenario(name="no threads", callers=(0, 0), answers=_DOWN, moments=1, events=(Event.NO_THREADS,)),
    Scenario(name="no threads to renew", callers=(0, 0), answers=_DOWN, age=3000, events=(Event.NO_THREADS,)),
    Scenario(name="a standstill", callers=(0, 0), answers=_DOWN, moments=1, events=(Event.STANDSTILL,)),
    Scenario(name="a clock set back", callers=(0, 0), age=3580, moments=2, events=(Event.WALL_BACK,)),
    Scenario(name="a lost cache", callers=(0, 1), shared=True, moments=1, events=(Event.CACHE_LOST,)),
)

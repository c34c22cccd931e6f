"""Every order of events within the small worlds keeps the laws, and each part of the core that is broken breaks one.

The ordinary run meets some hundred states of each scenario, `make explore` many more. Not covered: what happens within
one step (the interrupt tests inject an exception at each bytecode), hooks and event loops, several secrets, more than
three callers or two processes, and time that passes while a thread is busy.
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# A mutation replaces a function by one that takes whatever that takes.
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._core import acquisition, lifecycle, state
from client_credentials._core.lifecycle import token_in_hand
from client_credentials._core.state import EMPTY, Held, State
from client_credentials._shell import active, base
from client_credentials._shell.flight import Flight
from tests.explorer.__main__ import main
from tests.explorer.laws import LAWS, Broken
from tests.explorer.scenarios import SCENARIOS
from tests.explorer.walk import walk
from tests.explorer.world import Scenario

_MOST = 250

Breakage = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_state_keeps_every_law(scenario: Scenario) -> None:
    """No order of steps, answers, events and moments breaks a law."""
    walked = walk(scenario, _MOST)
    assert walked.schedules
    assert walked.is_whole or walked.states >= _MOST


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """`make explore` prints a row for each scenario, and how many states, schedules and laws there were."""
    assert 0 == main(5)
    printed = capsys.readouterr().out
    assert all(scenario.name in printed for scenario in SCENARIOS)
    assert f"{len(LAWS)} laws" in printed.splitlines()[-1]


def by_arrival(patch: pytest.MonkeyPatch) -> None:
    """What arrives last outranks what was asked for last."""

    def merge(one: State, other: State, _: object) -> State:
        return attrs.evolve(one, held=other.held or one.held, gates=other.gates or one.gates)

    patch.setattr(active, "merge", merge)


def lost_time_counts(patch: pytest.MonkeyPatch) -> None:
    """A flight that ends long after its deadline backs off as any other."""
    patch.setattr(acquisition, "lost_time", lambda _: False)


def without_end(patch: pytest.MonkeyPatch) -> None:
    """Nothing that was granted is recorded in memory, and callers ask again and again."""
    patch.setattr(acquisition, "granted", lambda *_: EMPTY)
    patch.setattr(lifecycle, "_MOST_IN_VAIN", 10**9)


def removal_ignored(patch: pytest.MonkeyPatch) -> None:
    """A removal leaves no mark, so that the token comes back from the cache."""
    real = state.merge
    patch.setattr(active, "merge", lambda one, other, now: attrs.evolve(real(one, other, now), removed=None))


def no_leeway(patch: pytest.MonkeyPatch) -> None:
    """A token is handed out to its very end."""
    real = lifecycle.hold

    def hold(*values: Any, **named: Any) -> Held:
        return attrs.evolve(real(*values, **named), end=3600.0, last=3600.0)

    patch.setattr(lifecycle, "hold", hold)


def no_lock(patch: pytest.MonkeyPatch) -> None:
    """A lock is lost as soon as it is taken."""
    patch.setattr(acquisition, "LOCK_MARGIN", -RenewalPolicy().deadline)


def order_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A wait that the server ordered is over at once."""
    real = lifecycle.failed
    patch.setattr(acquisition, "failed", lambda *values: attrs.evolve(real(*values), wait=0.0))


def patient(patch: pytest.MonkeyPatch) -> None:
    """A caller waits on, whatever the time."""
    real = lifecycle.answer
    patch.setattr(base, "is_overdue", lambda _: False)
    patch.setattr(base, "answer", lambda known, now, ended, _, deadline, __: real(known, now, ended, 1.0, deadline))


def failure_first(patch: pytest.MonkeyPatch) -> None:
    """A caller gets the failure of a flight although there is a token by now."""
    real = lifecycle.answer
    patch.setattr(base, "answer", lambda known, now, ended, *rest: ended or real(known, now, ended, *rest))


def former_configuration(patch: pytest.MonkeyPatch) -> None:
    """A flight under the former configuration delivers to callers under the new one."""
    real = base.BaseStrategy._result  # pyright: ignore[reportPrivateUsage]

    def result(self: base.BaseStrategy, flight: Flight, until: float, flights: int) -> AccessToken | None:
        memory = flight.active
        return token_in_hand(memory.known().state, memory.now()) or real(self, flight, until, flights)

    patch.setattr(base.BaseStrategy, "_result", result)


@pytest.mark.parametrize(
    ("law", "scenario", "break_it"),
    [
        ("order", "an ordered wait", by_arrival),
        ("lost", "a late answer", lost_time_counts),
        ("end", "one process", without_end),
        ("removed", "a shared removal", removal_ignored),
        ("expired", "the end of a token", no_leeway),
        ("single", "two processes", no_lock),
        ("ordered", "two processes, time passes", order_forgotten),
        ("deadline", "one process, time passes", patient),
        ("twins", "a late answer", failure_first),
        ("former", "a configuration", former_configuration),
    ],
)
def test_a_broken_core_breaks_a_law(
    law: str, scenario: str, break_it: Breakage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the laws notices a breach of it, but for `private`: a cache entry has no way to say such a failure."""
    break_it(monkeypatch)
    (broken,) = (each for each in SCENARIOS if each.name == scenario)
    with pytest.raises(Broken) as found:
        walk(broken, 1000)
    assert law == found.value.law

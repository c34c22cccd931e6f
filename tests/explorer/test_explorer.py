"""Every order of events within the small worlds keeps the laws, and each part of the core that is broken breaks one.

The ordinary run meets some hundred states of each scenario, `make explore` many more. The tests of the shell compare
what `tests.simulation.process` writes again with its originals.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from client_credentials import RenewalPolicy
from client_credentials._core import acquisition, lifecycle
from client_credentials._core.state import EMPTY, State
from client_credentials._shell import active, base
from tests.explorer.__main__ import main
from tests.explorer.laws import LAWS, Broken
from tests.explorer.scenarios import SCENARIOS
from tests.explorer.walk import walk
from tests.explorer.world import Scenario

_MOST = 400

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


def settled_before_recorded(patch: pytest.MonkeyPatch) -> None:
    """Nothing that was granted is recorded in memory."""
    patch.setattr(acquisition, "granted", lambda *_: EMPTY)


def removal_ignored(patch: pytest.MonkeyPatch) -> None:
    """A removal leaves no mark, so that the token comes back from the cache."""
    real = active.merge
    patch.setattr(active, "merge", lambda one, other, now: attrs.evolve(real(one, other, now), removed=None))


def no_leeway(patch: pytest.MonkeyPatch) -> None:
    """A token is handed out to its very end."""
    real = lifecycle.hold

    def hold(*values: object, **named: object) -> object:
        return attrs.evolve(real(*values, **named), end=3600.0, last=3600.0)  # type: ignore[arg-type]

    patch.setattr(lifecycle, "hold", hold)


def everything_shared(patch: pytest.MonkeyPatch) -> None:
    """What failed in one process alone is published."""
    patch.setattr(active, "publishable", lambda fact: fact)


def no_lock(patch: pytest.MonkeyPatch) -> None:
    """A lock is lost as soon as it is taken."""
    patch.setattr(acquisition, "LOCK_MARGIN", -RenewalPolicy().deadline)


def order_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A wait that the server ordered is over at once."""
    real = acquisition.failed
    patch.setattr(acquisition, "failed", lambda *values: attrs.evolve(real(*values), wait=0.0))


def patient(patch: pytest.MonkeyPatch) -> None:
    """A caller decides again for ever."""
    real = base.answer
    patch.setattr(base, "answer", lambda state, now, ended, _, deadline: real(state, now, ended, 1.0, deadline))


def failure_first(patch: pytest.MonkeyPatch) -> None:
    """A caller gets the failure of a flight although there is a token by now."""
    real = base.answer
    patch.setattr(base, "answer", lambda state, now, ended, *rest: ended or real(state, now, ended, *rest))


def everybody_decides_alone(patch: pytest.MonkeyPatch) -> None:
    """A flight under the former configuration delivers to callers under the new one."""
    patch.setattr(base.BaseStrategy, "_result", _former_result)


def _former_result(self: base.BaseStrategy, flight: object, until: float) -> object:
    del self, until
    return flight.active.known().state.held.token if flight.active.known().state.held else None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("law", "scenario", "break_it"),
    [
        ("order", "a late answer", by_arrival),
        ("lost", "a late answer", lost_time_counts),
        ("end", "one process", settled_before_recorded),
        ("removed", "a shared removal", removal_ignored),
        ("expired", "the end of a token", no_leeway),
        ("private", "two processes, one is offline", everything_shared),
        ("single", "two processes", no_lock),
        ("ordered", "two processes, time passes", order_forgotten),
        ("deadline", "one process, time passes", patient),
        ("twins", "a late answer", failure_first),
        ("former", "a configuration", everybody_decides_alone),
    ],
)
def test_a_broken_core_breaks_a_law(
    law: str, scenario: str, break_it: Breakage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the laws notices a breach of it."""
    break_it(monkeypatch)
    (broken,) = (each for each in SCENARIOS if each.name == scenario)
    with pytest.raises(Broken) as found:
        walk(broken, 3000)
    assert law == found.value.law

"""A simulated fleet keeps the rules whatever befalls it, and the rules notice each part of the core that is broken."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# A mutation replaces a function by one that takes whatever that takes.
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from client_credentials import CacheEntry, RenewalPolicy
from client_credentials._core import acquisition, entry, lifecycle, state
from client_credentials._core.state import Held, Instant, State
from client_credentials._shell import active
from client_credentials._shell.flight import Flight
from client_credentials.caching import _state_cache as state_cache
from client_credentials.testing._world import first_renewal
from client_credentials.testing.simulation import simulate
from tests.simulation import host, world
from tests.simulation.__main__ import main, report
from tests.simulation.endpoint import Weather
from tests.simulation.faults import DRAWN, Blow, Fault, Kind
from tests.simulation.fleet import Fleet, random_fleet, run
from tests.simulation.referee import Violation
from tests.simulation.table import JITTER, MODES, NO_JITTER, SHARED

HOUR = 3600.0
TWO_MINUTES = RenewalPolicy(renew_ahead=120.0)
ALONE = Fleet(seed=1, hosts=2, shared=False, span=3 * HOUR, policy=TWO_MINUTES)
TOGETHER = Fleet(seed=1, hosts=8, shared=True, span=3 * HOUR, policy=TWO_MINUTES)

Breakage = Callable[[pytest.MonkeyPatch], None]


def struck(fleet: Fleet, kind: Kind, start: float, seconds: float, value: float = 0.0) -> Fleet:
    """The same fleet, with one fault that hits its first host if it hits a host."""
    return attrs.evolve(fleet, faults=(*fleet.faults, Fault(start, seconds, kind, value, 0)))


def test_random_fleets_keep_every_rule() -> None:
    """No expired, foreign or removed token, no early request, no two at once, no needless error, no long wait."""
    met: set[Kind] = set()
    for seed in range(30):
        fleet = random_fleet(seed)
        met |= {fault.kind for fault in fleet.faults if fault.start < fleet.span}
        try:
            run(fleet)
        except Violation as violation:
            pytest.fail(f"{violation}; to see it again: python -m tests.simulation --seed {seed}")
    assert set(DRAWN) == met


def test_the_same_seed_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """A replay tells the same story, and the report prints the same, run after run."""
    told: list[str] = []
    for _ in range(2):
        assert 0 == main(["--seed", "40"])
        report(sizes=(2,))
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert random_fleet(40).faults
    assert all(str(fault) in told[0] for fault in random_fleet(40).faults)


def test_a_replay_shows_which_rule_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fleet that breaks a rule is named, and fails the command."""
    no_lock(monkeypatch)
    broken = next(seed for seed in range(50) if breach(random_fleet(seed)) == "flight")
    assert 1 == main(["--seed", str(broken)])
    assert "BROKEN flight: " in capsys.readouterr().out


def breach(fleet: Fleet) -> str | None:
    """Which rule a fleet breaks first."""
    try:
        run(fleet)
    except Violation as violation:
        return violation.rule
    return None


def measured(patch: pytest.MonkeyPatch, elapsed: Callable[[Instant, Instant], float]) -> None:
    """Measure time otherwise."""
    for module in (lifecycle, entry, state):
        patch.setattr(module, "elapsed", elapsed)


def wall_ignored(patch: pytest.MonkeyPatch) -> None:
    """Time is measured by the monotonic clock alone."""
    measured(patch, lambda since, now: now.monotonic - since.monotonic)


def monotonic_ignored(patch: pytest.MonkeyPatch) -> None:
    """Time is measured by the wall clock alone."""
    measured(patch, lambda since, now: now.wall - since.wall)


def held_otherwise(patch: pytest.MonkeyPatch, change: Callable[[Held], Held]) -> None:
    """Hold each token otherwise."""
    real = lifecycle.hold
    for module in (lifecycle, entry):
        patch.setattr(module, "hold", lambda *values, **named: change(real(*values, **named)))


def no_leeway(patch: pytest.MonkeyPatch) -> None:
    """A token is served to its very end."""
    held_otherwise(patch, lambda held: attrs.evolve(held, end=HOUR, last=HOUR))


def always_stale(patch: pytest.MonkeyPatch) -> None:
    """A token is to be renewed as soon as it is there."""
    held_otherwise(patch, lambda held: attrs.evolve(held, renewal=0.0))


def removal_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A token that was removed is taken from the cache again."""
    real = state.merge
    patch.setattr(active, "merge", lambda one, other, now: real(attrs.evolve(one, removed=None), other, now))


def gate_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A failure backs nothing off."""
    real = lifecycle.failed
    patch.setattr(acquisition, "failed", lambda *values: attrs.evolve(real(*values), wait=0.0))


def gate_unpublished(patch: pytest.MonkeyPatch) -> None:
    """A failure is not told to the fleet."""
    patch.setattr(acquisition, "is_shared", lambda _: False)


def grant_unpublished(patch: pytest.MonkeyPatch) -> None:
    """A grant is not told to the fleet."""
    patch.setattr(active.ActiveConfiguration, "publish", lambda *_: None)


def no_lock(patch: pytest.MonkeyPatch) -> None:
    """A lock is lost as soon as it is taken."""
    patch.setattr(acquisition, "LOCK_MARGIN", -RenewalPolicy().deadline)


def keys_collide(patch: pytest.MonkeyPatch) -> None:
    """All identities have the same key."""
    patch.setattr(world, "cache_key", lambda *_: "key")


def no_recovery(patch: pytest.MonkeyPatch) -> None:
    """A failure backs off for hours."""
    real = lifecycle.failed
    patch.setattr(acquisition, "failed", lambda *values: attrs.evolve(real(*values), wait=2 * HOUR))


def born_again(patch: pytest.MonkeyPatch) -> None:
    """An entry is as young when it is read as when it was written."""
    real = entry.load

    def load(kept: CacheEntry, *values: Any) -> State | None:
        return real(CacheEntry(kept.value, json.loads(kept.value)["ttl"]), *values)

    patch.setattr(state_cache, "load", load)


def no_deadline(patch: pytest.MonkeyPatch) -> None:
    """A request takes what it takes, and whoever waits for it is woken late."""
    patch.setattr(host, "LATENESS", 1.0)
    patch.setattr(Flight, "left", 60.0)


@pytest.mark.parametrize(
    ("rule", "fleet", "break_it"),
    [
        ("expired", struck(ALONE, Blow.NAP, 1000, 2 * HOUR), wall_ignored),
        ("expired", struck(ALONE, Blow.STEP, 1000, 0, -2 * HOUR), monotonic_ignored),
        ("expired", struck(ALONE, Weather.REFUSED, 3400, 600), no_leeway),
        ("expired", struck(TOGETHER, Blow.CRASH, 3000, 60), born_again),
        ("early", ALONE, always_stale),
        ("early", TOGETHER, grant_unpublished),
        ("removed", struck(TOGETHER, Blow.REVOKED, 1000, 0), removal_forgotten),
        ("gate", struck(ALONE, Weather.THROTTLED, 3400, 600, 100), gate_forgotten),
        ("gate", struck(TOGETHER, Weather.THROTTLED, 3400, 600, 100), gate_unpublished),
        ("flight", TOGETHER, no_lock),
        ("foreign", attrs.evolve(TOGETHER, identities=3), keys_collide),
        ("error", struck(ALONE, Weather.REFUSED, 3400, 300), no_recovery),
        ("wait", struck(ALONE, Weather.SILENT, 0, 300), no_deadline),
    ],
)
def test_the_rules_notice_a_broken_core(
    rule: str, fleet: Fleet, break_it: Breakage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that keeps the rules breaks the right one once a part of the core is broken."""
    assert None is breach(fleet)
    break_it(monkeypatch)
    assert rule == breach(fleet)


def test_one_request_per_lifetime_for_all_who_share_a_cache() -> None:
    """However many hosts: one request for each token, begun with the fleet's first renewal, and never two a second."""
    lived = run(attrs.evolve(MODES[SHARED], hosts=50, span=24 * HOUR, policy=TWO_MINUTES))
    assert (25, 1, 0) == (lived.requests, lived.peak, lived.errors)


@pytest.mark.parametrize(("mode", "share"), [(NO_JITTER, 0.0), (JITTER, 0.2)])
def test_without_a_cache_the_rate_is_what_jitter_predicts(mode: str, share: float) -> None:
    """A host asks once in a lifetime less its window, as jitter shortens it; the fleet's peak is spread over jitter."""
    fleet = attrs.evolve(MODES[mode], hosts=200, span=6 * HOUR, policy=RenewalPolicy(renew_ahead=120.0, jitter=share))
    lived = run(fleet)
    ahead = HOUR - first_renewal(fleet.policy, HOUR)
    period = HOUR - ahead * (1 - share / 2) + fleet.every / 2
    assert pytest.approx(HOUR / period, rel=0.002) == lived.pace
    # Starts and calls are spread over a second each, so without jitter at least half of all ask in one.
    spread = max(ahead * share, 1.0)
    assert 0.5 < lived.peak * spread / fleet.hosts < 3.0


@pytest.mark.parametrize("weather", [Weather.REFUSED, Weather.SILENT, Weather.ERRORS])
@pytest.mark.parametrize("fleet", [attrs.evolve(ALONE, hosts=20), TOGETHER])
def test_nobody_notices_an_outage_of_ten_minutes(fleet: Fleet, weather: Weather) -> None:
    """An outage that begins with the renewals, and ends ten minutes later, fails no call under the default policy."""
    default = attrs.evolve(fleet, policy=RenewalPolicy())
    assert 0 == run(struck(default, weather, first_renewal(default.policy, HOUR), 600)).errors


def test_a_revoked_token_costs_one_renewal() -> None:
    """Any number of callers who are told that the token is dead bring about one request."""
    fleet = attrs.evolve(TOGETHER, hosts=50, span=1.5 * HOUR)
    assert 1 + run(fleet).requests == run(struck(fleet, Blow.REVOKED, 1000, 0)).requests


@pytest.mark.parametrize("shared", [False, True])
def test_the_one_for_users_agrees(shared: bool) -> None:
    """The users' simulation runs less of the product, on hosts whose clocks agree; its figures are alike to a fifth."""
    fleet = Fleet(seed=1, hosts=5, shared=shared, span=3 * HOUR, faults=(Fault(2399.5, 1800, Weather.REFUSED, 0.0, 0),))
    theirs = [simulate(5, outage=1800, shared=shared, seed=seed) for seed in range(3)]
    ours = [run(attrs.evolve(fleet, seed=seed, span=theirs[0].seconds)) for seed in range(3)]
    assert pytest.approx(sum(each.requests for each in ours), rel=0.2) == sum(each.requests for each in theirs)
    assert pytest.approx(sum(each.errors for each in ours), rel=0.2) == sum(each.errors for each in theirs)

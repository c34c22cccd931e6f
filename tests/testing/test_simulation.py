"""The simulation for users: its figures are those that the policy predicts; `simulation` compares them with its own."""

from __future__ import annotations

from typing import Any

import pytest

from client_credentials import CacheEntry, RenewalPolicy
from client_credentials.testing._world import Cache, Scheduler
from client_credentials.testing.simulation import Report, simulate

TWO_MINUTES = RenewalPolicy(renew_ahead=120, jitter=0)


def test_one_request_per_lifetime_for_all_who_share_a_cache() -> None:
    """However many hosts: one request at the start, one for each renewal, and never two in a second."""
    expected = Report(seconds=7200.0, requests=3, peak_at_start=1, peak=1, errors=0)
    assert expected == simulate(50, shared=True, policy=TWO_MINUTES)


@pytest.mark.parametrize(("jitter", "least", "most"), [(0.0, 25, 100), (1.0, 1, 8)])
def test_jitter_spreads_the_peak(jitter: float, least: int, most: int) -> None:
    """Without a cache all ask at the start; their renewals are spread over the part of the window that jitter is."""
    report = simulate(100, policy=RenewalPolicy(renew_ahead=120, jitter=jitter))
    assert (100, True) == (report.peak_at_start, least <= report.peak <= most)
    assert 300 == report.requests


@pytest.mark.parametrize("shared", [False, True])
def test_errors_begin_where_the_window_ends(shared: bool) -> None:
    """An outage that ends within the renewal window fails no call; a longer one fails those after the token's end."""
    assert 0 == simulate(10, outage=30, shared=shared, policy=TWO_MINUTES).errors
    # From the end of the token, less the leeway of 10 s, to that of the outage, and a backoff beyond it.
    errors = simulate(10, outage=600, shared=shared, policy=TWO_MINUTES).errors
    assert 10 * (600 - 110) * 0.8 < errors < 10 * (600 - 110 + 60)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("lifetime", [2, 10, 60])
def test_a_short_life(lifetime: int, shared: bool) -> None:
    """Tokens that live for seconds are asked for about that often."""
    report = simulate(1, lifetime=lifetime, shared=shared)
    assert 2 <= report.requests <= 4


def test_a_token_that_ends_while_it_is_renewed() -> None:
    """Callers then wait for that renewal: there is no second request beside it."""
    report = simulate(200, policy=RenewalPolicy(renew_ahead=10.5, jitter=0))
    assert (600, 0) == (report.requests, report.errors)


def test_a_deadline_that_is_too_short_is_an_error() -> None:
    """A caller waits no longer than the policy says: a request takes at least 50 ms."""
    report = simulate(1, lifetime=60, policy=RenewalPolicy(deadline=0.04))
    assert report.errors > 10


@pytest.mark.parametrize("name", ["hosts", "lifetime", "outage"])
@pytest.mark.parametrize("value", [-1, 2_000_000_000, float("nan"), "5", None])
def test_what_is_no_fleet_is_refused(name: str, value: object) -> None:
    """The argument is named."""
    arguments: dict[str, Any] = {"hosts": 1, name: value}
    with pytest.raises(ValueError, match=f"^{name} must be a (whole )?number from"):
        simulate(**arguments)


@pytest.mark.parametrize("wrong", [{"hosts": 2.5}, {"lifetime": 2.5}, {"policy": 5}])
def test_what_is_of_another_kind_is_refused(wrong: dict[str, Any]) -> None:
    """There is no half of a host; the argument is named."""
    arguments: dict[str, Any] = {"hosts": 1, **wrong}
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be "):
        simulate(**arguments)


def test_the_cache_keeps_time_with_the_fleet() -> None:
    """An entry has left what virtual time leaves of it, until it ends or is removed; a lock has one holder."""
    scheduler = Scheduler()
    cache = Cache(scheduler)
    cache.set("key", "value", 10.0)
    scheduler.run(4.0)
    assert CacheEntry("value", 6.0) == cache.get("key")
    scheduler.run(10.0)
    assert cache.get("key") is None
    cache.set("key", "value", 10.0)
    cache.remove("key")
    assert cache.get("key") is None
    with cache.lock("key", 1.0) as mine, cache.lock("key", 1.0) as theirs, cache.lock("other", 1.0) as other:
        assert (True, False, True) == (mine, theirs, other)

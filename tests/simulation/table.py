"""The table of fleets: the same hosts without jitter, with jitter and with a shared cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from client_credentials import RenewalPolicy
from client_credentials.testing._world import first_renewal

from .endpoint import Weather
from .faults import Fault
from .fleet import Fleet, Report, run

HOUR = 3600.0
SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
# All hosts start within a second, as after a deployment; the peaks are those after that.
NO_JITTER, JITTER, SHARED = "no jitter", "jitter 0.2", "shared cache"
MODES = {
    NO_JITTER: Fleet(seed=0, hosts=1, shared=False, span=HOUR, policy=RenewalPolicy(jitter=0), peak_from=600.0),
    JITTER: Fleet(seed=0, hosts=1, shared=False, span=HOUR, peak_from=600.0),
    SHARED: Fleet(seed=0, hosts=1, shared=True, span=HOUR, peak_from=600.0),
}
HEADING = (
    f"{'':27}  {'requests per lifetime':^32}\n"
    f"{'hosts':>8}  {'hours':>5}  {'':<12}  {'of one host':>21}  {'of all':>9}  {'peak/s':>7}  {'errors':>7}"
)
OUTAGES = (60.0, 600.0, 1200.0)


def hours(hosts: int) -> int:
    """Say for how long a fleet is watched: three days if it is small, and an hour, with one renewal, if it is large."""
    return max(min(72, 5_000 // hosts), 1)


def measure(mode: str, hosts: int, span: float) -> Report:
    """Let a fleet of a mode live for so many seconds."""
    return run(attrs.evolve(MODES[mode], hosts=hosts, span=span))


def row(mode: str, hosts: int, span: float, report: Report) -> str:
    """Print one fleet: how many requests there are in the lifetime of a token, for each host and for all together."""
    circles = 1 if MODES[mode].shared else hosts
    fleet = report.pace * circles
    return (
        f"{hosts:>8,}  {span / HOUR:>5.0f}  {mode:<12}  {fleet / hosts:>21.5f}  {fleet:>9,.1f}"
        f"  {report.peak:>7,}  {report.errors:>7,}"
    )


def outages(hosts: int, lengths: Sequence[float] = OUTAGES) -> Iterator[str]:
    """Print how many calls fail when the endpoint refuses connections from the moment at which renewal begins."""
    yield f"{'outage':>8}  {'':<12}  {'requests':>8}  {'peak/s':>7}  {'calls that fail':>15}"
    for length in lengths:
        for mode, fleet in MODES.items():
            outage = Fault(first_renewal(fleet.policy, HOUR), length, Weather.REFUSED, 0.0, 0)
            report = run(attrs.evolve(fleet, hosts=hosts, span=1.5 * HOUR, faults=(outage,)))
            yield f"{length:>6.0f} s  {mode:<12}  {report.requests:>8,}  {report.peak:>7,}  {report.errors:>15,}"

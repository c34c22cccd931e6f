"""What may befall a fleet, and when: drawn from a seed, and brought about in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial
from random import Random
from typing import TypeAlias

import attrs

from .cache import Health
from .endpoint import SLUGGISH, Weather
from .host import Host
from .referee import Referee
from .world import World


class Blow(Enum):
    """What strikes a host, or the cache, at one moment."""

    CRASH = "crashes, and is back later"
    NAP = "is suspended"
    CRASH_BUSY = "crashes in the middle of whatever it does next"
    NAP_BUSY = "is suspended in the middle of whatever it does next"
    STEP = "has its wall clock set by value seconds"
    REVOKED = "the newest token of its identity is revoked"
    FLUSHED = "the cache loses everything"
    SPOILT = "the cache holds garbage"


Kind: TypeAlias = Weather | Health | Blow

ON_HOSTS: tuple[Kind, ...] = (Blow.CRASH, Blow.CRASH_BUSY, Blow.NAP, Blow.STEP, Blow.REVOKED)
ON_CACHES: tuple[Kind, ...] = (*list(Health)[1:], Blow.FLUSHED, Blow.SPOILT)
DRAWN: tuple[Kind, ...] = (*list(Weather)[1:], *ON_HOSTS, *ON_CACHES)

# The values that go with some kinds are drawn from here, evenly.
VALUES: dict[Kind, tuple[float, float]] = {
    Weather.THROTTLED: (1.0, 200.0),
    Weather.SLOW: (0.5, 12.0),
    Weather.LOSSY: (0.1, 0.9),
    Health.SLOW: (0.05, 0.6),
    Health.LOSSY: (0.05, 0.9),
    Blow.STEP: (-7200.0, 7200.0),
}


@attrs.frozen
class Fault:
    """One fault: when it begins and how long it takes, in seconds of true time, and the number of the host it hits."""

    start: float
    seconds: float
    kind: Kind
    value: float
    host: int

    def __str__(self) -> str:
        return f"{self.start:10.3f} s  {self.kind}: {self.kind.value}; value {self.value:.3f}, {self.seconds:.3f} s"


def draw_faults(rng: Random, *, hosts: int, shared: bool, span: float, most: int) -> list[Fault]:
    """Draw up to so many faults; no host has its clock set back and is suspended too, for nothing could tell then."""
    kinds = DRAWN if shared else DRAWN[: -len(ON_CACHES)]
    faults: list[Fault] = []
    for _ in range(rng.randint(0, most)):
        kind = rng.choice(kinds)
        host = rng.randrange(hosts)
        low, high = VALUES.get(kind, (0.0, 0.0))
        value = rng.uniform(max(low, 0.0) if host % 2 else low, high)
        if kind in (Blow.NAP, Blow.NAP_BUSY) and host % 2 == 0:
            kind = Blow.CRASH
        seconds = min(2.0 ** rng.uniform(0, 11), span / 2)
        faults.append(Fault(rng.uniform(0, span), seconds, kind, value, host))
    return sorted(faults, key=lambda fault: fault.start)


def bring_about(faults: Sequence[Fault], hosts: Sequence[Host], world: World, referee: Referee) -> None:
    """Plan all these faults."""
    for fault in faults:
        world.scheduler.after(fault.start, partial(_strike, fault, hosts, world, referee))


def _strike(fault: Fault, hosts: Sequence[Host], world: World, referee: Referee) -> None:
    world.tell(str(fault))
    until = world.now + fault.seconds
    cache = world.cache
    match fault.kind:
        case Weather() as weather:
            world.scheduler.after(fault.seconds, world.endpoint.weather.begin(weather, fault.value, until))
            if weather in SLUGGISH:
                world.endpoint.sluggish = max(world.endpoint.sluggish, until)
        case Health() as health:
            assert cache is not None
            world.scheduler.after(fault.seconds, cache.health.begin(health, fault.value, until))
        case Blow.FLUSHED | Blow.SPOILT as blow:
            assert cache is not None
            (cache.flush if blow is Blow.FLUSHED else cache.spoil)()
            cache.health.troubled = max(cache.health.troubled, world.now)
        case Blow() as blow:
            _hit(blow, fault, hosts, hosts[fault.host], referee)


def _hit(blow: Blow, fault: Fault, hosts: Sequence[Host], host: Host, referee: Referee) -> None:
    now = host.world.now
    if host.asleep_until > now:
        return
    match blow:
        case Blow.CRASH:
            # Whoever shares a cache finds there what he knew, unless he was about to change it.
            referee.disturbed(host, now, forgets=host.world.cache is None or host.under_way > 0)
            host.restart(fault.seconds)
        case Blow.NAP:
            referee.disturbed(host, now + fault.seconds, forgets=host.under_way > 0)
            host.nap(fault.seconds)
        case Blow.CRASH_BUSY:
            host.ambush = partial(_hit, Blow.CRASH, fault, hosts, host, referee)
        case Blow.NAP_BUSY:
            host.ambush = partial(_hit, Blow.NAP, fault, hosts, host, referee)
        case Blow.STEP:
            if fault.value > 0:
                referee.disturbed(host, now, forgets=True)
            host.step(fault.value)
        case Blow.REVOKED:
            value = host.world.endpoint.newest(host.identity.number)
            if value is not None:
                host.world.endpoint.revoked.add(value)
                for each in hosts:
                    each.notice(value)
        case _:
            raise AssertionError

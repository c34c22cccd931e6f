"""A fleet from its first call to its last: built from a few numbers, the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

from client_credentials import RenewalPolicy
from client_credentials.testing._world import Scheduler

from .cache import Cache
from .endpoint import Endpoint
from .faults import Fault, bring_about, draw_faults
from .host import Host
from .process import virtual_time
from .referee import Referee
from .world import World, identity, silent


@attrs.frozen(kw_only=True)
class Fleet:
    """So many hosts for so long: all in seconds, but for what is counted.

    `every` is the longest time between two calls on one host, `starting` that in which all hosts start, `latency` the
    shortest and the longest time that a request takes; `peak_from` is when the peak rate begins to be measured.
    """

    seed: int
    hosts: int
    shared: bool
    span: float
    identities: int = 1
    lifetime: int = 3600
    policy: RenewalPolicy = attrs.field(factory=RenewalPolicy)
    every: float = 1.0
    starting: float = 1.0
    latency: tuple[float, float] = (0.05, 0.4)
    skew: float = 300.0
    peak_from: float = 0.0
    faults: tuple[Fault, ...] = ()


@attrs.frozen(kw_only=True)
class Report:
    """What became of a fleet.

    `pace`: requests per lifetime, of one host or of all that share a cache; `peak`: the most requests in one second;
    `errors`: calls that failed; `longest_wait` of a caller, in seconds.
    """

    requests: int
    pace: float
    peak: int
    errors: int
    longest_wait: float


def run(fleet: Fleet, tell: Callable[[str], object] = silent) -> Report:
    """Let a fleet live; raises Violation at the first breach of a rule."""
    rng = Random(fleet.seed)
    world = World(
        scheduler=Scheduler(),
        rng=rng,
        policy=fleet.policy,
        endpoint=Endpoint(rng, fleet.lifetime, fleet.latency, quiet_until=fleet.peak_from),
        cache=Cache(rng) if fleet.shared else None,
        every=fleet.every,
        tell=tell,
    )
    referee = Referee(world)
    identities = [identity(number) for number in range(fleet.identities)]
    hosts = [
        Host(f"host-{number}", identities[number % fleet.identities], world, referee) for number in range(fleet.hosts)
    ]
    for host in hosts:
        host.skew = rng.uniform(-fleet.skew, fleet.skew)
        host.after(rng.uniform(0, fleet.starting), host.call)
    bring_about(fleet.faults, hosts, world, referee)
    with virtual_time():
        world.scheduler.run(fleet.span)
    return Report(
        requests=world.endpoint.requests,
        pace=referee.pace(),
        peak=world.endpoint.rate.peak,
        errors=referee.errors,
        longest_wait=referee.longest_wait,
    )


def random_fleet(seed: int) -> Fleet:
    """Draw a small fleet and all that befalls it."""
    rng = Random(seed)
    hosts = rng.randint(1, 8)
    shared = rng.random() < 0.7
    lifetime = rng.choice((60, 300, 900, 3600))
    span = lifetime * rng.uniform(2.0, 10.0)
    policy = RenewalPolicy(
        renew_ahead=rng.choice((20.0, 120.0, None, 300.0)),
        leeway=rng.choice((5.0, 10.0)),
        jitter=rng.choice((0.0, 0.2, 0.2, 1.0)),
        deadline=rng.choice((5.0, 10.0, 10.0)),
    )
    return Fleet(
        seed=seed,
        hosts=hosts,
        shared=shared,
        span=span,
        identities=rng.randint(1, min(hosts, 3)),
        lifetime=lifetime,
        policy=policy,
        every=rng.choice((0.5, 2.0, 10.0, 30.0)),
        starting=rng.choice((0.0, 1.0, 60.0)),
        faults=tuple(draw_faults(rng, hosts=hosts, shared=shared, span=span, most=12)),
    )

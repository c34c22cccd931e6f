"""A fleet of hosts in virtual time: how many token requests it makes at its peak, and how many calls fail in an outage.

    report = simulate(1000, lifetime=3600, outage=600, shared=True, policy=RenewalPolicy(jitter=0.5))

Each host decides, asks and backs off by the code that a strategy runs; time, the endpoint and the cache are simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, Final, assert_never, cast

import attrs

from .._core import acquisition as steps
from .._core.acquisition import Command, Done, acquire
from .._core.client import check_kind, make_client
from .._core.lifecycle import Ask, Fail, Renew, Serve, answer, decide
from .._core.model import ClientAuthentication, RenewalPolicy
from .._core.request import cache_key
from .._core.secret import Secret
from .._core.state import State, elapsed
from .._shell.active import ActiveConfiguration
from .._shell.identity import Identity
from ..caching._circuit_breaker import BUDGET
from ..caching._state_cache import StateCache
from ..configuration import SdkConfiguration
from ._world import Cache, Endpoint, Scheduler, first_renewal

__all__ = ["Report", "simulate"]

_MOST: Final = 1e9
_STARTING: Final = 1.0  # seconds within which all hosts start, as after a deployment
_EVERY: Final = 1.0  # seconds; the longest time between two calls on one host
_CLIENT: Final = make_client(
    "fleet",
    token_url="https://token.example/token",
    scopes=(),
    audience=None,
    resources=(),
    extra_params={},
    authentication=ClientAuthentication.BASIC,
)
_SECRET: Final = Secret("simulated")
_KEY: Final = cache_key(_CLIENT, _SECRET.reveal())


@attrs.frozen(kw_only=True)
class Report:
    """The figures of a fleet, on each of whose hosts a token is asked for about once a second."""

    seconds: float
    """The time simulated."""
    requests: int
    """Token requests, all in all."""
    peak_at_start: int
    """The most token requests within one second, while the hosts start."""
    peak: int
    """The most token requests within one second after that."""
    errors: int
    """Calls that got an error."""


def simulate(
    hosts: int,
    *,
    lifetime: int = 3600,
    outage: float = 0.0,
    shared: bool = False,
    policy: RenewalPolicy | None = None,
    seed: int = 0,
) -> Report:
    """Let `hosts` hosts start within a second, and simulate two lifetimes of their tokens and an outage.

    For `outage` seconds, from the moment at which the first renewal may begin, the endpoint refuses connections.
    `lifetime` is that of a token, in seconds; `shared` says whether the hosts share a cache. Raises ValueError.
    """
    for name, number, kind, least in (
        ("hosts", hosts, int, 1),
        ("lifetime", lifetime, int, 1),
        ("outage", outage, (int, float), 0),
    ):
        is_kind = isinstance(number, kind)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not (is_kind and least <= number <= _MOST):
            raise ValueError(f"{name} must be a {'whole ' if kind is int else ''}number from {least} to {_MOST:g}")
    policy = RenewalPolicy() if policy is None else policy
    check_kind("policy", policy, RenewalPolicy)
    rng, scheduler = Random(seed), Scheduler()  # noqa: S311  # the same figures in each run
    begins = max(first_renewal(policy, lifetime) - BUDGET, 0.0)  # a cached token counts as that much older than it is
    endpoint = Endpoint(rng, lifetime, (begins, begins + outage))
    identity, configuration = Identity(_CLIENT, (_SECRET,), policy), SdkConfiguration(clock=scheduler)
    cache = Cache(scheduler) if shared else None
    world = _World(scheduler, rng, policy, endpoint, cache, identity, configuration)
    fleet = [_Host(world) for _ in range(hosts)]
    for host in fleet:
        scheduler.after(_STARTING * rng.random(), host.call)
    seconds = 2 * lifetime + outage
    scheduler.run(seconds)
    return Report(
        seconds=seconds,
        requests=endpoint.at_start.requests + endpoint.later.requests,
        peak_at_start=endpoint.at_start.peak,
        peak=endpoint.later.peak,
        errors=sum(host.errors for host in fleet),
    )


@attrs.define(eq=False)
class _World:
    """What the hosts have in common."""

    scheduler: Scheduler
    rng: Random
    policy: RenewalPolicy
    endpoint: Endpoint
    cache: Cache | None
    identity: Identity
    configuration: SdkConfiguration


@attrs.define(eq=False)
class _Flight:
    """A token request of one host under way."""

    machine: Coroutine[Command, Done[Any] | None, None]
    deadline: float
    is_waited: bool
    ended: Fail | None = None
    unlock: Callable[[], object] | None = None


class _Host:
    """A host on which somebody is always asking; all calls until the next decision count as answered alike."""

    def __init__(self, world: _World) -> None:
        self.errors = 0
        self._world = world
        cache = StateCache("cache", world.cache, world.policy, BUDGET) if world.cache else None
        self._memory = ActiveConfiguration(world.identity, world.configuration, cache)
        self._flight: _Flight | None = None
        self._waits_since: float | None = None
        self._plans = 0
        self._seen = 0

    def call(self) -> None:
        """Ask for a token, and plan the call at which the next decision is due."""
        now, state = self._memory.now(), self._memory.known().state
        decision = decide(state, now)
        match decision:
            case Serve(lasts=lasts):
                self._plan(lasts)
            case Renew():
                if self._flight is None:
                    self._begin(is_waited=False)
                self._plan(state.held.end - elapsed(state.held.asked.at, now) if state.held else 0.0)
            case Fail(wait=wait) if self._memory.cache is None:
                self._fail(wait)
            case Ask() | Fail():  # another host may have put a token into the cache
                self._join()
            case _:
                assert_never(decision)

    def _plan(self, seconds: float) -> None:
        self._plans += 1
        wait = max(seconds, 0.0) + _EVERY * self._world.rng.random()
        self._world.scheduler.after(wait, partial(self._call_as_planned, self._plans))

    def _call_as_planned(self, plan: int) -> None:
        if plan == self._plans:
            self.call()

    def _fail(self, wait: float) -> None:
        self.errors += 1 + int(wait / _EVERY)
        self._plan(wait)

    def _join(self) -> None:
        self._waits_since = self._waits_since or self._world.scheduler.now
        if self._flight is None:
            self._begin(is_waited=True)
        else:
            self._flight.is_waited = True

    def _answer(self, ended: Fail | None) -> None:
        """Answer those who wait for a flight, and let the next one ask."""
        since, deadline = self._waits_since, self._world.policy.deadline
        if since is not None:
            left = since + deadline - self._world.scheduler.now
            got = answer(self._memory.known().state, self._memory.now(), ended, left, deadline)
            self._waits_since = None if got else since
            if isinstance(got, Fail):
                self._fail(got.wait)
                return
        self.call()

    def _begin(self, *, is_waited: bool) -> None:
        deadline = self._world.scheduler.now + self._world.policy.deadline
        way = acquire(_CLIENT, self._world.policy, _KEY, has_cache=self._world.cache is not None)
        self._flight = _Flight(way, deadline, is_waited)
        self._go_on(self._flight, None)

    def _resume(self, flight: _Flight, value: object) -> None:
        now, left = self._memory.now(), flight.deadline - self._world.scheduler.now
        self._go_on(flight, Done(value, now, left, self._world.rng.random(), flight.is_waited, current=True))

    def _go_on(self, flight: _Flight, done: Done[Any] | None) -> None:
        """Perform the flight's next command; those after it once it is done."""
        try:
            command = flight.machine.send(done)
        except StopIteration:
            self._flight = None
            self._answer(flight.ended)
            return
        seconds, value = self._perform(flight, command)
        self._world.scheduler.after(seconds, partial(self._resume, flight, value))

    def _perform(self, flight: _Flight, command: Command) -> tuple[float, object]:
        """Perform a command; returns the seconds that it takes, and its value."""
        memory, world = self._memory, self._world
        value: object = None
        match command:
            case steps.Sleep(seconds=seconds):
                return seconds, None
            case steps.Send():
                return world.endpoint.receive(world.scheduler.now, flight.deadline - world.scheduler.now)
            case steps.ReadSecrets():
                value = ((_SECRET, "key"),)
            case steps.LookUp(key=key):
                value = self._look(key)
            case steps.TryLock(name=name, ttl=ttl):
                flight.unlock = cast("StateCache", memory.cache).try_lock(name, ttl)
                value = flight.unlock is not None
            case steps.Record(fact=fact):
                value = memory.record(fact)
            case steps.Publish(key=key, fact=fact):
                memory.publish(key, fact)
            case steps.Wake():
                self._answer(None)
            case steps.Settle(ended=ended):
                flight.ended = ended
            case steps.Unlock() if flight.unlock:
                flight.unlock()
                flight.unlock = None
            case _:
                pass
        return 0.0, value

    def _look(self, key: str) -> State:
        """Look in the cache, unless nothing has changed there since the last look."""
        memory, cache = self._memory, self._world.cache
        if memory.cache and cache and cache.version != self._seen:
            self._seen = cache.version
            return memory.record(memory.cache.load(key, memory.now(), self._world.rng.random()))
        return memory.known().state

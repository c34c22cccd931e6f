"""The rules that every fleet keeps at every moment, whatever befalls it; a breach is a Violation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from client_credentials import AccessToken, TokenError
from client_credentials._core.model import Granted, Outcome
from client_credentials.testing._world import first_renewal

from .cache import BUDGET, PERIOD

if TYPE_CHECKING:
    from .host import Host
    from .world import World

EPSILON = 0.03  # seconds: what milliseconds and late timers add up to
LONGEST_BACKOFF = 60.0
SETTLED = 0.05  # seconds in which an answer has reached the cache, if that is well


class Violation(AssertionError):
    """A rule is broken; `rule` is its name."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


@attrs.define(eq=False)
class Ledger:
    """What is known of one circle: the hosts of an identity that share a cache, or a host that has none.

    `troubled` is the last moment at which two of its hosts may have asked at once, and `forgetful` the last at which
    one may have asked too early; they may be still to come.
    `token` and `gate` are from when until when, in true time, nobody has a reason to ask.
    """

    under_way: list[float] = attrs.field(factory=list[float])
    requests: int = 0
    first: float = 0.0
    last: float = 0.0
    troubled: float = -math.inf
    forgetful: float = -math.inf
    token: tuple[float, float] = (0.0, 0.0)
    gate: tuple[float, float] = (0.0, 0.0)
    delayed: list[float] = attrs.field(factory=list[float])
    """When something was published that may have arrived late."""


class Referee:
    """Sees the true time, and everything that the hosts cannot."""

    def __init__(self, world: World) -> None:
        policy, lifetime = world.policy, float(world.endpoint.lifetime)
        self.errors = 0
        self.longest_wait = 0.0
        self._world = world
        self._ledgers: dict[object, Ledger] = {}
        self._excused_until = -math.inf
        self._end = lifetime - min(policy.leeway, lifetime / 10)
        self._renewal = first_renewal(policy, lifetime)
        self._settled = SETTLED if world.cache else 0.0
        # What a cache keeps is told older than it is, by the time that the write may have taken.
        self._early = EPSILON + (BUDGET if world.cache else 0.0)  # a slow look makes all that it finds older
        # Whoever was disturbed may delay one flight, and that the next.
        self._calm = 2 * policy.deadline
        self._recovery = LONGEST_BACKOFF + policy.deadline + world.every + 2 * BUDGET

    def disturbed(self, host: Host, until: float, *, forgets: bool) -> None:
        """A host is not itself until then; and may forget, or misjudge, what it knows."""
        ledger = self._ledger(host)
        ledger.troubled = max(ledger.troubled, until)
        if forgets:
            ledger.forgetful = max(ledger.forgetful, until)

    def served(self, host: Host, token: AccessToken, lasts: float) -> None:
        """A caller has got this token, and so will all others in the seconds to come."""
        value, now = token.access_token, self._world.now
        minted = self._world.endpoint.minted[value]
        if minted.identity != host.identity.number:
            raise Violation("foreign", f"{host.name}, of identity {host.identity.number}, serves {value}")
        age = now + lasts - minted.at
        if age > min(self._end + self._slack(host, minted.at), minted.lifetime):
            raise Violation("expired", f"{host.name} serves {value} until it is {age:.3f} s old")
        if value in host.rejected:
            raise Violation("removed", f"{host.name} serves {value}, which was removed there")

    def refused(self, host: Host, error: TokenError, wait: float) -> None:
        """A caller has got an error, and so will all others in the seconds to come."""
        world = self._world
        self.errors += 1 + int(max(wait, 0.0) / world.every)
        excused = world.now + wait - self._recovery
        if max(world.endpoint.weather.troubled, self._excused_until) < excused:
            raise Violation("error", f"{host.name} fails with {error}, though all has been well")

    def waited(self, host: Host, seconds: float) -> None:
        """A caller has waited so long, suspensions left out."""
        self.longest_wait = max(self.longest_wait, seconds)
        if seconds > self._world.policy.deadline + EPSILON:
            raise Violation("wait", f"{host.name} let somebody wait for {seconds:.3f} s")

    def requested(self, host: Host, took: float) -> None:
        """A request is sent, and will be answered after so many seconds."""
        world, ledger = self._world, self._ledger(host)
        now = world.now
        ledger.first, ledger.last = (ledger.first if ledger.requests else now), now
        ledger.requests += 1
        ledger.under_way = [end for end in ledger.under_way if end > now]
        alone = not ledger.under_way
        ledger.under_way.append(now + took)
        if max(self._quiet_since(ledger.troubled), world.endpoint.sluggish) + self._calm > now:
            return
        if not alone:
            raise Violation("flight", f"{host.name} asks while a request is under way")
        for rule, (since, until) in (("gate", ledger.gate), ("early", ledger.token)):
            known = self._quiet_since(ledger.forgetful) + self._calm
            if known < since and since + self._settled <= now < until - self._early:
                raise Violation(rule, f"{host.name} asks {until - now:.3f} s too early")

    def published(self, host: Host) -> None:
        """An entry is on its way to the cache."""
        cache = self._world.cache
        if cache is not None and cache.health.troubled >= self._world.now:
            self._ledger(host).delayed.append(self._world.now)

    def pace(self) -> float:
        """Give the requests per lifetime of a token, of the mean circle, from its first request to its last."""
        spans = sum(ledger.last - ledger.first for ledger in self._ledgers.values())
        requests = sum(ledger.requests - 1 for ledger in self._ledgers.values())
        return requests * self._world.endpoint.lifetime / spans if spans else 0.0

    def answered(self, host: Host, outcome: Outcome) -> None:
        """An answer has come."""
        ledger, now = self._ledger(host), self._world.now
        if isinstance(outcome, Granted):
            asked = self._world.endpoint.minted[outcome.access_token].at
            ledger.gate = (0.0, 0.0)
            ledger.token = (now, asked + self._renewal)
            return
        # A machine that was suspended hears of bad weather when it is long over.
        self._excused_until = max(self._excused_until, now + (outcome.retry_after or 0.0))
        if outcome.retry_after is not None:
            ledger.gate = (now, now + outcome.retry_after)

    def _slack(self, host: Host, minted: float) -> float:
        """Say by how much a token may seem younger than it is: each publisher asks an ill cache first what it holds."""
        return EPSILON + BUDGET * sum(moment >= minted for moment in self._ledger(host).delayed)

    def _quiet_since(self, troubled: float) -> float:
        cache = self._world.cache
        # A host that has found the cache ill leaves it alone for a while yet.
        return troubled if cache is None else max(troubled, cache.health.troubled + PERIOD)

    def _ledger(self, host: Host) -> Ledger:
        circle: object = host.identity.number if self._world.cache else host
        return self._ledgers.setdefault(circle, Ledger())

"""Any history of calls, clocks, caches and servers: what is handed out is good, and nothing is asked for needlessly."""

from __future__ import annotations

from typing import Literal
from unittest import mock

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from client_credentials import (
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    TokenError,
    TokenRequest,
    TokenResponse,
)
from client_credentials.testing import FakeClock
from tests.shell.kit import grant, outcome, refuse, settled, strategy_of

LIFETIMES = st.sampled_from([0, 1, 2, 30, 241, 3600, 10**9])
REFUSAL_WAITS = [5, 10, 20, 40, 60]


@attrs.define
class Grant:
    """A token by true time, which is what the machine's owner would measure."""

    asked: float
    lifetime: float

    @property
    def renewal(self) -> float:
        """The seconds after which it is to be renewed."""
        window = max(self.lifetime / 3, min(120.0, self.lifetime / 2))
        return min(max(self.lifetime - window, 1.0), self.end)

    @property
    def end(self) -> float:
        """The seconds after which it counts as expired."""
        return max(self.lifetime - min(10.0, self.lifetime / 10), 1.0)


class Lifecycle(RuleBasedStateMachine):
    """Drives two strategies that share a cache, in real flights, and keeps the books on both."""

    @initialize()
    def begin(self) -> None:
        self.dice = mock.patch("client_credentials._shell.driver.dice", return_value=0.0)
        self.dice.start()
        self.clock = FakeClock()
        self.cache = InMemoryCachingStrategy(clock=self.clock)
        self.hosts = [self.host(), self.host()]
        self.now = 0.0
        self.requests = 0
        self.grants: dict[str, Grant] = {}
        self.removed: list[set[str]] = [set(), set()]
        self.shut_until = 0.0
        self.in_a_row = 0
        self.lifetime = 3600
        self.answer: Literal["grants", "refuses", "orders"] = "grants"
        self.stepped = False

    def host(self) -> ClientCredentialsStrategy:
        """Make a strategy on the cache that all share."""
        return strategy_of(self.fetch, self.clock, caching_strategy=self.cache)

    def fetch(self, _: TokenRequest) -> TokenResponse:
        """Answer as the endpoint does now, and enter it in the books."""
        self.requests += 1
        if self.answer == "grants":
            token = f"token-{self.requests}"
            self.grants[token] = Grant(self.now, min(max(self.lifetime, 1), 86400))
            self.in_a_row, self.shut_until = 0, 0.0
            return grant(token, expires_in=self.lifetime)
        wait = 30 if self.answer == "orders" else REFUSAL_WAITS[min(self.in_a_row, 4)]
        self.shut_until = max(self.shut_until, self.now + wait)
        self.in_a_row += 1
        return refuse("slow_down", 429, Retry_After="30") if self.answer == "orders" else refuse()

    def teardown(self) -> None:
        if hasattr(self, "dice"):
            self.settle()
            self.dice.stop()

    def settle(self) -> None:
        """Wait for what goes on in the background."""
        for host in self.hosts:
            settled(host)

    # ---- the world ----

    @rule(lifetime=LIFETIMES)
    def server_grants(self, lifetime: int) -> None:
        self.answer, self.lifetime = "grants", lifetime

    @rule(answer=st.sampled_from(["refuses", "orders"]))
    def server_fails(self, answer: Literal["refuses", "orders"]) -> None:
        self.answer = answer

    @rule(seconds=st.floats(0, 100000))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.now += seconds

    @rule(boundary=st.sampled_from(["renewal", "end", "gate"]), off=st.sampled_from([-0.5, -1e-3, 0.0, 1e-3, 0.5]))
    def time_comes_to_a_boundary(self, boundary: str, off: float) -> None:
        latest = list(self.grants.values())[-1:]
        moments = [self.shut_until] if boundary == "gate" else [each.asked + getattr(each, boundary) for each in latest]
        for moment in moments:
            if moment + off > self.now:
                self.clock.advance(moment + off - self.now)
                self.now = moment + off

    @rule(seconds=st.floats(-100000, 100000))
    def wall_clock_steps(self, seconds: float) -> None:
        self.clock.step_wall(seconds)
        self.stepped = True

    @rule(seconds=st.floats(0, 100000))
    @precondition(lambda self: not self.stepped)
    def machine_is_suspended(self, seconds: float) -> None:
        self.clock.suspend(seconds)
        self.now += seconds
        # From here on a step back would hide the suspension from both clocks, which nothing can mend.
        self.stepped = True

    # ---- the callers ----

    @rule(nth=st.integers(0, 1))
    def get_or_create(self, nth: int) -> None:
        before, shut, fresh, good = (
            self.requests,
            self.now < self.shut_until,
            self.is_good("renewal"),
            self.is_good("end"),
        )
        got = outcome(self.hosts[nth].get_or_create_access_token)
        if isinstance(got, TokenError):
            assert self.answer != "grants" or shut or self.stepped
            assert self.stepped or not good
            assert got.retry_after is None or 0 <= got.retry_after <= 3600
        else:
            self.check(got, nth)
        self.settle()
        assert self.requests - before <= 1
        if (fresh or shut) and not self.stepped:
            assert self.requests == before

    @rule(nth=st.integers(0, 1))
    def get(self, nth: int) -> None:
        before = self.requests
        host = self.hosts[nth]
        token = outcome(host.get_access_token)
        assert before == self.requests
        if token is None:
            assert self.stepped or not self.is_good("end")
            return
        assert isinstance(token, str)
        self.check(token, nth)
        # The law between the two: where the one gives a token, so does the other.
        assert token == outcome(host.get_or_create_access_token)
        self.settle()

    @rule(nth=st.integers(0, 1))
    def remove(self, nth: int) -> None:
        host = self.hosts[nth]
        token = outcome(host.get_access_token)
        host.remove_access_token()
        if isinstance(token, str):
            self.removed[nth].add(token)
        assert token is None or token != outcome(host.get_access_token)

    @rule(nth=st.integers(0, 1))
    @precondition(lambda self: not self.stepped)  # a cache whose clock stood still knows no better
    def restart(self, nth: int) -> None:
        self.hosts[nth] = self.host()

    # ---- the rules ----

    def is_good(self, limit: Literal["renewal", "end"]) -> bool:
        """Tell whether the latest token is known, not removed, and within a limit of its life."""
        for token, held in list(self.grants.items())[-1:]:
            return (
                not any(token in each for each in self.removed) and self.now - held.asked < getattr(held, limit) - 1e-6
            )
        return False

    def check(self, token: str | None, nth: int) -> None:
        """Hold a token that was handed out to the rules: not removed, and by true time not at its end."""
        assert token is not None
        assert token not in self.removed[nth]
        held = self.grants[token]
        assert self.now - held.asked < held.end + 1e-6 or self.now == held.asked


TestLifecycle = Lifecycle.TestCase
TestLifecycle.__doc__ = "Whatever happens in whatever order, the rules above hold."

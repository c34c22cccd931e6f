"""Any history of calls, clocks and servers: what is handed out is good, and nothing is asked for without need."""

from __future__ import annotations

from typing import Literal
from unittest import mock

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from client_credentials import AccessToken, TokenError
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.strategy.kit import CLIENT_ID, CLIENT_SECRET, configuration, make_sync, until

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
        return max(self.lifetime - min(120.0, self.lifetime / 2), 1.0)

    @property
    def end(self) -> float:
        """The seconds after which it counts as expired."""
        return max(self.lifetime - min(10.0, self.lifetime / 10), 1.0)


class Lifecycle(RuleBasedStateMachine):
    """Drives a strategy and its world, and keeps the books on both."""

    @initialize()
    def begin(self) -> None:
        self.server = TokenServer(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        self.server.start()
        self.dice = mock.patch("client_credentials._shell.journey.draw", return_value=0.0)
        self.dice.start()
        self.clock = FakeClock()
        self.strategy = make_sync(self.server, self.clock)
        self.now = 0.0
        self.grants: dict[str, Grant] = {}
        self.removed: set[str] = set()
        self.shut_until = 0.0
        self.in_a_row = 0
        self.lifetime = 3600
        self.healthy = True
        self.stepped = False

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.dice.stop()
            self.server.close()

    def settle(self) -> int:
        """Wait for what goes on in the background, and enter it in the books; gives the number of requests."""
        until(lambda: self.strategy._flight is None)  # pyright: ignore[reportPrivateUsage]
        for token in self.server.issued[len(self.grants) :]:
            self.grants[token] = Grant(self.now, min(max(self.lifetime, 1), 86400))
            self.in_a_row = 0
            self.shut_until = 0.0
        return len(self.server.requests)

    # ---- the world ----

    @rule(lifetime=LIFETIMES)
    def server_grants(self, lifetime: int) -> None:
        self.server.always(Answer(lifetime=lifetime))
        self.lifetime = lifetime
        self.healthy = True

    @rule()
    def server_refuses(self) -> None:
        self.server.always(refusal("invalid_client"))
        self.healthy = False

    @rule(seconds=st.floats(0, 100000))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.now += seconds

    @rule(boundary=st.sampled_from(["renewal", "end", "gate"]), off=st.sampled_from([-0.5, 0.0, 0.5]))
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

    @rule()
    def get_or_create(self) -> None:
        before = len(self.server.requests)
        shut = self.now < self.shut_until
        fresh = self.good("renewal")
        try:
            self.check(self.strategy.get_or_create_access_token())
        except TokenError:
            assert not self.healthy or shut
            assert self.stepped or not self.good("end")
        after = self.settle()
        assert after - before <= 1
        if (fresh or shut) and not self.stepped:
            assert after == before
        if after > before and not self.healthy:
            self.shut_until = self.now + REFUSAL_WAITS[min(self.in_a_row, 4)]
            self.in_a_row += 1

    @rule()
    def get(self) -> None:
        before = len(self.server.requests)
        token = self.strategy.get_access_token()
        if token is None:
            assert self.stepped or not self.good("end")
        else:
            self.check(token)
        assert before == len(self.server.requests)

    @rule()
    def remove(self) -> None:
        self.strategy.remove_access_token()
        self.removed.update(self.grants)
        assert self.strategy.get_access_token() is None

    @rule(data=st.data())
    @precondition(lambda self: self.grants)
    def remove_one(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.grants)))
        self.strategy.remove_access_token(token)
        self.removed.add(token)

    @rule()
    def configure(self) -> None:
        self.strategy.set_configuration(configuration(self.clock))
        self.removed.update(self.grants)
        self.shut_until = 0.0
        self.in_a_row = 0
        self.stepped = False

    # ---- the rules ----

    def good(self, limit: Literal["renewal", "end"]) -> bool:
        """Tell whether the latest token is known, not removed, and within a limit of its life."""
        for token, grant in list(self.grants.items())[-1:]:
            age = self.now - grant.asked
            return token not in self.removed and age < (grant.end if limit == "end" else grant.renewal)
        return False

    def check(self, token: AccessToken) -> None:
        """Hold a token that was handed out to the rules: not removed, and by true time not at its end."""
        self.settle()
        assert token.access_token not in self.removed
        grant = self.grants[token.access_token]
        assert self.now - grant.asked < grant.end or self.now == grant.asked
        assert token.expires_in == grant.lifetime

    @invariant()
    def nothing_is_under_way(self) -> None:
        if hasattr(self, "server"):
            self.settle()


TestLifecycle = Lifecycle.TestCase
TestLifecycle.__doc__ = "Whatever happens in whatever order, the rules above hold."
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")

"""A token endpoint in virtual time: it remembers every token that it gave, and when it was asked."""

from __future__ import annotations

import math
from enum import Enum
from random import Random

import attrs

from client_credentials._core.model import Failure, Granted, Outcome, TokenResponse, Unreachable
from client_credentials._core.refusal import with_retry_after
from client_credentials._core.response import status_failure
from client_credentials.testing._world import Rate

from .engine import Regime


class Weather(Enum):
    """How the endpoint is; the value that goes with some of them is in seconds or a share."""

    FAIR = "fair"
    REFUSED = "connection refused"
    SILENT = "no answer ever"
    ERRORS = "status 503"
    THROTTLED = "status 429, Retry-After: value"
    DENIED = "status 401, invalid_client"
    SLOW = "answers after value seconds"
    LOSSY = "a share of value of all exchanges is lost"


STATUS = {
    Weather.ERRORS: (503, b""),
    Weather.THROTTLED: (429, b""),
    Weather.DENIED: (401, b'{"error": "invalid_client"}'),
}
# All that may make a flight take longer than one exchange.
SLUGGISH = (Weather.REFUSED, Weather.SILENT, Weather.ERRORS, Weather.SLOW, Weather.LOSSY)


@attrs.frozen
class Minted:
    """A token as the endpoint knows it; `at` is the true time of the request."""

    identity: int
    at: float
    lifetime: float


@attrs.define(eq=False)
class Endpoint:
    """Answers token requests as the weather is; in fair weather within `latency`, from and to, in seconds."""

    rng: Random
    lifetime: int
    latency: tuple[float, float]
    weather: Regime[Weather] = attrs.field(factory=lambda: Regime(Weather.FAIR))
    sluggish: float = -math.inf
    """The last moment at which a flight may have taken longer than one exchange."""
    minted: dict[str, Minted] = attrs.field(factory=dict[str, Minted])
    revoked: set[str] = attrs.field(factory=set[str])
    requests: int = 0
    rate: Rate = attrs.field(factory=Rate)
    quiet_until: float = attrs.field(default=0.0, kw_only=True)
    """Requests before this moment count for no peak: a fleet's first breath is another matter than its life."""

    def receive(self, identity: int, now: float, wall: float, timeout: float) -> tuple[float, Outcome]:
        """Say how an exchange ends, and after how many seconds; `wall` is the clock of whoever asks."""
        self.requests += 1
        if now >= self.quiet_until:
            self.rate.count(now)
        weather, value = self.weather.current
        low, high = self.latency
        took = low + (high - low) * self.rng.random()
        if weather is Weather.SLOW:
            took = value
        lost = weather is Weather.SILENT or (weather is Weather.LOSSY and self.rng.random() < value)
        if lost or took >= timeout:
            return max(timeout, 0.0), Unreachable(reason="timed out")
        if weather is Weather.REFUSED:
            return took, Unreachable(reason="connection refused")
        if weather in STATUS:
            return took, _refusal(weather, value, wall)
        name = f"token-{identity}-{len(self.minted)}"
        self.minted[name] = Minted(identity, now, float(self.lifetime))
        return took, Granted(access_token=name, expires_in=self.lifetime, scope=None)

    def newest(self, identity: int) -> str | None:
        """Give the token that this identity got last."""
        return next((name for name, token in reversed(self.minted.items()) if token.identity == identity), None)


def _refusal(weather: Weather, value: float, wall: float) -> Failure:
    status, body = STATUS[weather]
    headers = {"Retry-After": f"{value:.0f}"} if weather is Weather.THROTTLED else {}
    response = TokenResponse(status, headers, body)
    failure = status_failure(response)
    assert failure is not None
    return with_retry_after(failure, response, wall)

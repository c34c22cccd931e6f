"""Token holders for the drills: ours as a good one, and for each drill one that has the drill's fault and no other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import urllib3

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    Clock,
    InMemoryCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)

PATIENCE = 8.0
"""Seconds after which a call hangs, in the tests of the drills."""
POLICY = RenewalPolicy(deadline=3)


def configured(clock: Clock | None = None, **hooks: Any) -> SdkConfiguration:
    """Make a configuration with hooks, on a clock if there is one."""
    if clock is not None:
        hooks |= {"clock": clock, "caching_strategy": InMemoryCachingStrategy(clock=clock)}
    return SdkConfiguration(**hooks)


def making(kind: type[Any]) -> Callable[..., Any]:
    """Give what makes our strategy of this kind."""

    def make(token_url: str, client_id: str, client_secret: str, clock: Clock | None = None) -> Any:
        strategy = kind(client_id, client_secret, token_url=token_url, policy=POLICY)
        strategy.set_configuration(configured(clock))
        return strategy

    return make


make_ours = making(ClientCredentialsStrategy)
make_ours_async = making(AsyncClientCredentialsStrategy)


class Good:
    """Our strategy with what a fault needs around it."""

    policy = POLICY

    def __init__(self, token_url: str, client_id: str, client_secret: str, clock: Clock | None = None) -> None:
        self.secret = client_secret
        self.lock = threading.Lock()
        self.inside = 0
        self.make: Callable[[], ClientCredentialsStrategy] = lambda: ClientCredentialsStrategy(
            client_id, client_secret, token_url=token_url, policy=self.policy
        )
        self.strategy = self.make()
        self.strategy.set_configuration(configured(self.timed(clock) if clock else None, **self.hooks()))

    def hooks(self) -> dict[str, Any]:
        """Give the hooks that make the fault."""
        return {}

    def timed(self, clock: Clock) -> Clock:
        """Give the clock that makes the fault."""
        return clock

    def get_or_create_access_token(self) -> object:
        """Give a token."""
        return self.strategy.get_or_create_access_token()

    def remove_access_token(self, token: AccessToken) -> None:
        """Remove a token."""
        self.strategy.remove_access_token(token)


class OwnRequests(Good):
    """Where more than three ask at once for the first token, and it comes to `status`, each asks by itself, too."""

    status = 200
    has_had_one = False

    def get_or_create_access_token(self) -> object:
        with self.lock:
            self.inside += 1
            is_crowded = self.inside > 3 and not self.has_had_one
        status = 200
        try:
            token = super().get_or_create_access_token()
            self.has_had_one = True
            return token
        except TokenError as error:
            status = error.status if isinstance(error, TokenRefused) else 503  # at the deadline, between two attempts
            raise
        finally:
            if is_crowded and status == self.status:
                self.make().get_or_create_access_token()
            with self.lock:
                self.inside -= 1


class OwnRefusals(OwnRequests):
    """The same after a refusal."""

    status = 401


class OwnOutages(OwnRequests):
    """The same after a failure of the server."""

    status = 503


class NoWindow(Good):
    """Renews when the token has ended, while its callers wait."""

    policy = RenewalPolicy(renew_ahead=0, leeway=0, deadline=3)


class ThrowsAway(Good):
    """Raises a failed renewal's error while it has a good token."""

    failure: TokenError | None = None

    def hooks(self) -> dict[str, Any]:
        return {"error_handler": self.failed}

    def failed(self, error: TokenError) -> None:
        """Keep the failure of a renewal."""
        if isinstance(error, TokenRefused) and error.status == 503 and self.strategy.get_access_token():
            self.failure = error

    def get_or_create_access_token(self) -> object:
        token = super().get_or_create_access_token()
        if self.failure:
            raise self.failure
        return token


class Hammers(Good):
    """Forgets that it was told to wait."""

    def get_or_create_access_token(self) -> object:
        try:
            return super().get_or_create_access_token()
        except TokenRefused as error:
            if error.status == 429:
                self.strategy = self.make()
            raise


class FixedMargin(Good):
    """Takes a token for dead that has less than some seconds left."""

    def get_or_create_access_token(self) -> object:
        token = self.strategy.get_or_create_access_token()
        if token.expires_in == 2:
            self.strategy.remove_access_token(token)
        return token


class Reads(Good):
    """Reads `expires_in` in its own way."""

    def hooks(self) -> dict[str, Any]:
        return {"deserializer": self.read}

    def read(self, response: TokenResponse) -> Mapping[str, object]:
        """Read the answer."""
        document = json.loads(response.body)
        return {**document, "expires_in": self.lifetime(document.get("expires_in"))}

    def lifetime(self, told: Any) -> object:
        """Read the lifetime."""
        return told


class ZeroIsForEver(Reads):
    """Takes 0 for no end."""

    def lifetime(self, told: Any) -> object:
        return 3600 if told == 0 else told


class NeedsLifetime(Reads):
    """Cannot do without a lifetime."""

    def lifetime(self, told: Any) -> object:
        if told is None:
            raise TypeError
        return told


class NeedsNumber(Reads):
    """Cannot read a number in quotes."""

    def lifetime(self, told: Any) -> object:
        if isinstance(told, str):
            raise TypeError
        return told


class TrueIsOne(Reads):
    """Takes true for one second."""

    def lifetime(self, told: Any) -> object:
        return int(told) if told is True else told


class Overflows(Good):
    """Counts the end of a long life and fails."""

    def get_or_create_access_token(self) -> object:
        token = self.strategy.get_or_create_access_token()
        if token.expires_in > 3600:
            raise OverflowError
        return token


class Follows(Good):
    """Follows redirects."""

    def hooks(self) -> dict[str, Any]:
        return {"fetch": self.fetch}

    def fetch(self, request: TokenRequest) -> TokenResponse:
        """Send the request where it is told to."""
        response = Urllib3Fetch()(request)
        if response.status == 307:
            return Urllib3Fetch()(attrs.evolve(request, url=str(response.header("Location"))))
        return response


class NoDeadline(Good):
    """Waits as long as anything comes."""

    policy = RenewalPolicy(deadline=3600)


class Lenient(Good):
    """Takes an answer that was cut short for a whole one."""

    def hooks(self) -> dict[str, Any]:
        return {"fetch": self.fetch}

    def fetch(self, request: TokenRequest) -> TokenResponse:
        """Read whatever comes."""
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.urlopen(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=request.timeout,
                redirect=False,
                enforce_content_length=False,
                preload_content=False,
            )
            return TokenResponse(answer.status, dict(answer.headers), answer.read(65536))


class OneLock(Good):
    """Has one lock around everything, which a forked child inherits."""

    def get_or_create_access_token(self) -> object:
        with self.lock:
            return super().get_or_create_access_token()


class OneHand(Good):
    """Reads one clock for both; `wall` says which."""

    wall = True

    def timed(self, clock: Clock) -> Clock:
        hand = clock.wall if self.wall else lambda: 1_700_000_000.0 + clock.monotonic()

        class Both:
            """Both hands are one."""

            def wall(self) -> float:
                return hand()

            def monotonic(self) -> float:
                return hand()

        return Both()


class OtherHand(OneHand):
    """Reads the monotonic clock alone."""

    wall = False


class Tells(Good):
    """Puts its arguments into its errors."""

    def get_or_create_access_token(self) -> object:
        try:
            return super().get_or_create_access_token()
        except TokenRefused as error:
            if error.status == 401:
                raise RuntimeError(f"cannot log in with {self.secret}") from error
            raise


class RemovesAny(Good):
    """Removes whatever it has in hand."""

    def remove_access_token(self, token: AccessToken) -> None:
        self.strategy.remove_access_token()


BAD: Mapping[str, type[Good]] = {
    "cold_crowd": OwnRequests,
    "cold_crowd_refused": OwnRefusals,
    "cold_crowd_down": OwnOutages,
    "slow_renewal": NoWindow,
    "failed_renewal": ThrowsAway,
    "retry_after": Hammers,
    "short_lifetimes": FixedMargin,
    "expires_in_zero": ZeroIsForEver,
    "expires_in_null": NeedsLifetime,
    "expires_in_text": NeedsNumber,
    "expires_in_true": TrueIsOne,
    "expires_in_huge": Overflows,
    "redirect": Follows,
    "drip": NoDeadline,
    "cut_short": Lenient,
    "fork_in_flight": OneLock,
    "clock_set_back": OneHand,
    "clock_set_forward": OtherHand,
    "secret_in_errors": Tells,
    "removal_storm": RemovesAny,
}
"""For each drill, the holder that it finds a fault in."""

"""What the hosts of a fleet have in common: time, dice, the endpoint, the cache and the referee."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

from client_credentials import ClientAuthentication, RenewalPolicy
from client_credentials._core.client import make_client
from client_credentials._core.model import Client
from client_credentials._core.request import cache_key
from client_credentials._core.secret import Secret
from client_credentials._shell.identity import Identity as Known
from client_credentials.testing._world import Scheduler

from .cache import Cache
from .endpoint import Endpoint


class _KnownIdentity(Known):
    """What a strategy knows of a client whose one secret never changes."""

    def read_secrets(self) -> tuple[tuple[Secret, str], ...]:
        return tuple(zip(self.secrets, self.keys, strict=True))


@attrs.frozen
class Identity:
    """A client and its secret, and the key under which its token is cached."""

    number: int
    client: Client
    secret: Secret
    key: str

    def known(self, policy: RenewalPolicy) -> Known:
        """Give what a strategy knows of it once it has read the secret."""
        return _KnownIdentity(self.client, (self.secret,), policy, (self.key,))


def identity(number: int) -> Identity:
    """Make one of several identities, each of which differs from each other in one thing only."""
    client = make_client(
        "fleet",
        token_url="https://token.example/token",
        scopes=("read",) if number % 2 else (),
        audience=None,
        resources=(),
        extra_params={},
        authentication=ClientAuthentication.BASIC,
    )
    secret = f"secret-{number // 2}"
    return Identity(number, client, Secret(secret), cache_key(client, secret))


def silent(_: str) -> None:
    """Tell nobody."""


@attrs.define(eq=False)
class World:
    """All that happens happens in `scheduler`; `every` is the longest time, in seconds, between two calls on a host."""

    scheduler: Scheduler
    rng: Random
    policy: RenewalPolicy
    endpoint: Endpoint
    cache: Cache | None
    every: float
    tell: Callable[[str], object] = silent

    @property
    def now(self) -> float:
        """The true time."""
        return self.scheduler.now

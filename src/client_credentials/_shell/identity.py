"""The identity of a strategy: a client, its secrets and policy, and what earlier flights learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import attrs

from .._core.client import check_secret
from .._core.model import Client, RenewalPolicy
from .._core.request import cache_key
from .._core.secret import NO_SECRET, Secret
from ..configuration import is_coroutine_function
from .request import Attempted, read_secret


@attrs.define(eq=False, repr=False)
class Identity:
    """A client with its secrets and policy, and what was learnt on earlier flights."""

    client: Client
    secrets: tuple[Secret, ...]
    """In the order in which they are tried."""
    policy: RenewalPolicy
    keys: tuple[str, ...] = ()
    """The cache keys of the secrets that were read last."""
    _remarked: frozenset[str] = frozenset()

    def read_secrets(self) -> tuple[tuple[Secret, str], ...] | Attempted:
        """Read the secrets as they are now, each with its cache key."""
        secrets = self.secrets
        if len(secrets) == 1:  # several are checked already
            secret = read_secret(secrets[0])
            if isinstance(secret, Attempted):
                return secret
            secrets = (secret,)
        read = tuple((secret, self._key_of(secret)) for secret in secrets)
        self.keys = tuple(key for _, key in read)
        return read

    def key(self) -> str | None:
        """Return the cache key, reading the secret where that was never done; None: it cannot be read now."""
        if not self.keys:
            self.read_secrets()
        return self.keys[0] if self.keys else None

    def prefer(self, secret: Secret) -> None:
        """Try this secret first from now on, of several."""
        self.secrets = (secret, *(other for other in self.secrets if other is not secret))
        self.keys = tuple(map(self._key_of, self.secrets))

    def _key_of(self, secret: Secret) -> str:
        return cache_key(self.client, secret.reveal())

    def news(self, remarks: tuple[str, ...]) -> list[str]:
        """Return the remarks that were not made before."""
        news = [remark for remark in remarks if remark not in self._remarked]
        self._remarked |= frozenset(news)
        return news


def wrapped(given: list[str | Callable[[], str] | Sequence[str] | None]) -> tuple[Secret, ...]:
    """Take the client secret out of the list it is given in, and wrap it; raises a ValueError that does not show it."""
    secrets: tuple[Secret, ...]
    match given[0]:
        case None:
            return (NO_SECRET,)
        case str():
            secrets = (Secret(given[0]),)
        case Sequence() if all(isinstance(each, str) for each in cast("Sequence[object]", given[0])):
            secrets = tuple(map(Secret, given[0]))
        case _ if callable(given[0]) and not is_coroutine_function(given[0]):
            return (Secret(given[0]),)
        case _:
            secrets = ()
    given.clear()
    if not secrets:
        raise ValueError("client_secret must be a string, a non-empty sequence of strings, or a synchronous callable")
    for secret in secrets:
        check_secret(secret.reveal())
    return secrets

"""The protocols that a program may implement itself: a strategy, a cache, a clock."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ._core.model import AccessToken, CacheEntry

if TYPE_CHECKING:
    from .configuration import SdkConfiguration


class Clock(Protocol):
    """A wall clock and a monotonic clock, since neither is reliable by itself."""

    def wall(self) -> float:
        """Return the seconds since the epoch; they may step either way."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since some fixed point; they never go back."""
        ...


class CachingStrategy(Protocol):
    """A cache that strategies, processes or hosts share; one that fails counts as empty."""

    def get(self, key: str) -> CacheEntry | None:
        """Return what was set under the key, with the seconds it has left by the cache's clock; None: a miss."""
        ...

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds; it contains a token, so it is a secret."""
        ...

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        ...


@runtime_checkable
class LockingCachingStrategy(CachingStrategy, Protocol):
    """A cache with locks, so that one of its users sends the token request for all."""

    def lock(self, key: str, ttl: float) -> AbstractContextManager[bool]:
        """Try once to take the lock, without waiting; it is lost after `ttl` seconds. Yields whether it was taken."""
        ...


class AuthStrategy(Protocol):
    """Gives access tokens; the SDK's IAuthStrategy."""

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on."""
        ...

    def get_or_create_access_token(self) -> AccessToken:
        """Return a token that is good now; raises TokenError."""
        ...

    def get_access_token(self) -> AccessToken | None:
        """Return the current token if it is still good, else None; never sends a token request."""
        ...

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the current token; with `token`, only if that is still the current one.

        Callers that are refused with the same token all report it, and none of them removes its successor.
        """
        ...


class AsyncAuthStrategy(Protocol):
    """Gives access tokens under asyncio; the SDK's IAuthStrategy."""

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on."""
        ...

    async def get_or_create_access_token(self) -> AccessToken:
        """Return a token that is good now; raises TokenError."""
        ...

    async def get_access_token(self) -> AccessToken | None:
        """Return the current token if it is still good, else None; never sends a token request."""
        ...

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the current token; with `token`, only if that is still the current one."""
        ...

"""The protocols that a program may implement itself: a strategy, a cache, a clock."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ._core.model import AccessToken, CacheEntry

if TYPE_CHECKING:
    from .configuration import SdkConfiguration


class Clock(Protocol):
    """Two clocks, since neither can be trusted alone."""

    def wall(self) -> float:
        """Give the seconds since the epoch; they may step either way."""
        ...

    def monotonic(self) -> float:
        """Give the seconds since some point; they never go back."""
        ...


class CachingStrategy(Protocol):
    """Where tokens are kept between strategies, processes or hosts; a failing one counts as empty."""

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set under the key, with the seconds that it has left by the cache's own clock."""
        ...

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds; it holds a token, so it is a secret."""
        ...

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        ...


@runtime_checkable
class LockingCachingStrategy(CachingStrategy, Protocol):
    """A cache whose users can also agree on who asks for the next token."""

    def lock(self, key: str, ttl: float) -> AbstractContextManager[bool]:
        """Try once, without waiting, to be the one; the lock is lost after `ttl` seconds."""
        ...


class AuthStrategy(Protocol):
    """The SDK's IAuthStrategy: whatever hands out access tokens."""

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on."""
        ...

    def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now; raises TokenError."""
        ...

    def get_access_token(self) -> AccessToken | None:
        """Give the token in hand, if it is still good; never asks for one."""
        ...

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the token in hand; with `token`, only if that is still the one in hand.

        Callers that are refused with the same token all report it, and none of them removes its successor.
        """
        ...


class AsyncAuthStrategy(Protocol):
    """The SDK's IAuthStrategy, for an event loop."""

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on."""
        ...

    async def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now; raises TokenError."""
        ...

    async def get_access_token(self) -> AccessToken | None:
        """Give the token in hand, if it is still good; never asks for one."""
        ...

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the token in hand; with `token`, only if that is still the one in hand."""
        ...

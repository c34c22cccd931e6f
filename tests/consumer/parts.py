"""A clock, two caches and two strategies of the consumer's own; none inherits anything from the library."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from client_credentials import AccessToken, CacheEntry, SdkConfiguration


class SteadyClock:
    """A clock that ticks once each time it is read."""

    def __init__(self) -> None:
        self._ticks = 0

    def wall(self) -> float:
        """Give the seconds since the epoch, of a sort."""
        return 1_700_000_000 + self.monotonic()

    def monotonic(self) -> float:
        """Give how often it was read."""
        self._ticks += 1
        return self._ticks


class Cupboard:
    """A cache that keeps all that it is given, and cannot tell for how long yet."""

    def __init__(self) -> None:
        self._shelves: dict[str, str] = {}

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set."""
        value = self._shelves.get(key)
        return None if value is None else CacheEntry(value, None)

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep it, if it lasts."""
        if ttl > 0:
            self._shelves[key] = value

    def remove(self, key: str) -> None:
        """Forget it."""
        self._shelves.pop(key, None)


class LockedCupboard(Cupboard):
    """The same with one lock for all keys."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once, without waiting."""
        mine = self._lock.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self._lock.release()


class BorrowedToken:
    """A strategy that hands out one token that somebody else got."""

    def __init__(self, token: AccessToken) -> None:
        self._token: AccessToken | None = token
        self.configuration: SdkConfiguration | None = None

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Take note of it."""
        self.configuration = configuration

    def get_or_create_access_token(self) -> AccessToken:
        """Give the token; there is no way to get another."""
        if self._token is None:
            raise LookupError("it was given back")
        return self._token

    def get_access_token(self) -> AccessToken | None:
        """Give the token, if it is still here."""
        return self._token

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Give it back."""
        if token in (None, self._token):
            self._token = None


class BorrowedTokenLater:
    """The same for an event loop."""

    def __init__(self, token: AccessToken) -> None:
        self._borrowed = BorrowedToken(token)

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Take note of it."""
        self._borrowed.set_configuration(configuration)

    async def get_or_create_access_token(self) -> AccessToken:
        """Give the token; there is no way to get another."""
        return self._borrowed.get_or_create_access_token()

    async def get_access_token(self) -> AccessToken | None:
        """Give the token, if it is still here."""
        return self._borrowed.get_access_token()

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Give it back."""
        self._borrowed.remove_access_token(token)

"""Caches and strategies that break one rule each; `test_contracts` runs this file and looks at what fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from client_credentials import (
    AccessToken,
    AuthStrategy,
    CacheEntry,
    CachingStrategy,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
)
from client_credentials.testing.contracts import AuthStrategyContract, CachingContract


class Memory(CachingContract):
    """The contract for one object, made anew for each test."""

    is_shared = False
    patience = 1.0
    kind: Callable[[], Any] = InMemoryCachingStrategy

    @pytest.fixture(autouse=True)
    def made(self) -> None:
        """Make one for each test."""
        self.cache = self.kind()

    def make_cache(self) -> CachingStrategy:
        cache: CachingStrategy = self.cache
        return cache


class CutsShort(InMemoryCachingStrategy):
    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value[:65536], ttl)


class TestCutsShort(Memory):
    kind = CutsShort


class RemovesOnce(InMemoryCachingStrategy):
    def remove(self, key: str) -> None:
        if self.get(key) is None:
            raise KeyError(key)
        super().remove(key)


class TestRemovesOnce(Memory):
    kind = RemovesOnce


class ShowsValues(InMemoryCachingStrategy):
    def __repr__(self) -> str:
        return str(self._entries and [each.value for each in self._entries.values()])


class TestShowsValues(Memory):
    kind = ShowsValues


class LiesAboutTime(InMemoryCachingStrategy):
    def get(self, key: str) -> CacheEntry | None:
        entry = super().get(key)
        return entry and CacheEntry(entry.value, (entry.ttl or 0) + 1000)


class TestLiesAboutTime(Memory):
    kind = LiesAboutTime


class NeverEnds(InMemoryCachingStrategy):
    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value, max(ttl, 60.0))


class TestNeverEnds(Memory):
    kind = NeverEnds


class LocksNobodyOut(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        yield True


class TestLocksNobodyOut(Memory):
    kind = LocksNobodyOut


KEPT: list[object] = []


class KeepsLockAfterError(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        lease = super().lock(key, ttl)
        KEPT.append(lease)  # else it is released when it is collected
        yield lease.__enter__()
        lease.__exit__(None, None, None)


class TestKeepsLockAfterError(Memory):
    kind = KeepsLockAfterError


class NeverLosesLock(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        with super().lock(key, 3600) as free:
            yield free


class TestNeverLosesLock(Memory):
    kind = NeverLosesLock


class ReleasesAnothersLock(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        with super().lock(key, ttl) as free:
            yield free
        if free:
            self._leases.pop(key, None)


class TestReleasesAnothersLock(Memory):
    kind = ReleasesAnothersLock


class TestKeepsToItself(Memory):
    is_shared = True


class Shelf:
    """No lock, and no idea of time."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def get(self, key: str) -> CacheEntry | None:
        return CacheEntry(self.entries[key], None) if key in self.entries else None

    def set(self, key: str, value: str, ttl: float) -> None:
        self.entries[key] = value

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)


class TestKeepsToItselfWithoutLock(Memory):
    kind = Shelf
    is_shared = True


class ForgetsKeys(Shelf):
    """Loses what the library keeps, by the form of its keys."""

    def set(self, key: str, value: str, ttl: float) -> None:
        if not key.startswith("client-credentials"):
            super().set(key, value, ttl)


class TestForgetsKeys(Memory):
    kind = ForgetsKeys


class Hangs(Shelf):
    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def get(self, key: str) -> CacheEntry | None:
        if self.broken:
            threading.Event().wait()
        return super().get(key)


class TestHangs(Memory):
    kind = Hangs

    def break_cache(self) -> None:
        self.cache.broken = True


class Wrapped:
    """Our strategy, with one rule broken by a subclass."""

    def __init__(self, token_url: str, client_id: str, client_secret: str) -> None:
        policy = RenewalPolicy(deadline=6)
        self.make: Callable[[], ClientCredentialsStrategy] = lambda: ClientCredentialsStrategy(
            client_id, client_secret, token_url=token_url, policy=policy
        )
        self.strategy = self.make()
        self.configuration = SdkConfiguration()

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        self.configuration = configuration
        self.strategy.set_configuration(configuration)

    def get_or_create_access_token(self) -> AccessToken:
        return self.strategy.get_or_create_access_token()

    def get_access_token(self) -> AccessToken | None:
        return self.strategy.get_access_token()

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        self.strategy.remove_access_token(token)


class Strategy(AuthStrategyContract):
    """The contract for a wrapped strategy."""

    kind: type[Wrapped] = Wrapped

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> AuthStrategy:
        return self.kind(token_url, client_id, client_secret)


class TestDelegates(Strategy):
    """The wrapper by itself breaks no rule."""


class Asks(Wrapped):
    def get_access_token(self) -> AccessToken | None:
        return self.strategy.get_or_create_access_token()


class TestAsks(Strategy):
    kind = Asks


class KeepsRemoved(Wrapped):
    def remove_access_token(self, token: AccessToken | None = None) -> None:
        pass


class TestKeepsRemoved(Strategy):
    kind = KeepsRemoved


class RemovesAny(Wrapped):
    def remove_access_token(self, token: AccessToken | None = None) -> None:
        self.strategy.remove_access_token()


class TestRemovesAny(Strategy):
    kind = RemovesAny


class Waits(Wrapped):
    """Renews while its caller waits."""

    def get_or_create_access_token(self) -> AccessToken:
        held = self.strategy.get_access_token()
        if held and held.expires / 1000 - self.configuration.clock.wall() < 120:
            try:
                return self.make().get_or_create_access_token()
            except TokenError:
                return held
        return self.strategy.get_or_create_access_token()


class TestWaits(Strategy):
    kind = Waits


class AsksForEach(Wrapped):
    """Lets each caller of a crowd make a request."""

    inside = 0

    def get_or_create_access_token(self) -> AccessToken:
        self.inside += 1
        if self.inside > 10:
            self.make().get_or_create_access_token()
        token = self.strategy.get_or_create_access_token()
        self.inside -= 1
        return token


class TestAsksForEach(Strategy):
    kind = AsksForEach


class IgnoresHooks(Wrapped):
    def set_configuration(self, configuration: SdkConfiguration) -> None:
        super().set_configuration(attrs.evolve(configuration, before_request=print))


class TestIgnoresHooks(Strategy):
    kind = IgnoresHooks


class RaisesOther(Wrapped):
    def get_or_create_access_token(self) -> AccessToken:
        try:
            return self.strategy.get_or_create_access_token()
        except TokenError:
            raise RuntimeError from None


class TestRaisesOther(Strategy):
    kind = RaisesOther


class ServesTheDead(Wrapped):
    """Keeps the last token it had until it is removed."""

    last: AccessToken | None = None

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        super().set_configuration(configuration)
        self.last = None

    def get_or_create_access_token(self) -> AccessToken:
        self.last = self.last or self.strategy.get_or_create_access_token()
        return self.last

    def get_access_token(self) -> AccessToken | None:
        return self.last

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        self.strategy.remove_access_token(token)
        if token is None or token == self.last:
            self.last = None


class TestServesTheDead(Strategy):
    kind = ServesTheDead

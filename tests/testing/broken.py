"""Caches and strategies that break one rule each; `test_contracts` runs this file and looks at what fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

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

K = TypeVar("K", bound=type[Any])


class Memory(CachingContract):
    """The contract for one object, made anew for each test."""

    patience = 1.0
    kind: Callable[[], Any]

    @pytest.fixture(autouse=True)
    def made(self) -> None:
        """Make one for each test."""
        self.cache = self.kind()

    def make_cache(self) -> CachingStrategy:
        cache: CachingStrategy = self.cache
        return cache

    def break_cache(self) -> None:
        if not hasattr(self.cache, "broken"):
            super().break_cache()
        self.cache.broken = True


class Strategy(AuthStrategyContract):
    """The contract for a strategy."""

    kind: Callable[..., AuthStrategy]

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> AuthStrategy:
        return self.kind(token_url, client_id, client_secret)


BROKEN: dict[str, set[str]] = {}
"""By the name of a test class, the tests in it that fail."""


def breaks(*tests: str, shared: bool = False) -> Callable[[K], K]:
    """Hold a class to the contract of its kind, of which these tests fail."""

    def enter(kind: K) -> K:
        name = f"Test{kind.__name__}"
        contract = Memory if hasattr(kind, "set") else Strategy
        globals()[name] = type(name, (contract,), {"kind": kind, "is_shared": shared, "__module__": __name__})
        BROKEN[name] = set(tests)
        return kind

    return enter


@breaks("a_large_value_comes_back")
class CutsShort(InMemoryCachingStrategy):
    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value[:65536], ttl)


@breaks("removal_is_idempotent", "what_is_set_is_there_until_it_is_removed")
class RemovesOnce(InMemoryCachingStrategy):
    def remove(self, key: str) -> None:
        if self.get(key) is None:
            raise KeyError(key)
        super().remove(key)


@breaks("no_repr_shows_a_value")
class ShowsValues(InMemoryCachingStrategy):
    def __repr__(self) -> str:
        return str(self._entries and [each.value for each in self._entries.values()])


@breaks("the_time_left_falls", "strategies_share_a_token")
class LiesAboutTime(InMemoryCachingStrategy):
    def get(self, key: str) -> CacheEntry | None:
        entry = super().get(key)
        return entry and CacheEntry(entry.value, (entry.ttl or 0) + 1000)


@breaks("the_time_left_falls")
class TimeStandsStill(InMemoryCachingStrategy):
    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, float] = {}

    def get(self, key: str) -> CacheEntry | None:
        entry = super().get(key)
        return entry and CacheEntry(entry.value, self.given[key])

    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value, ttl)
        self.given[key] = ttl


@breaks("what_is_set_is_there_until_it_is_removed")
class Strips(InMemoryCachingStrategy):
    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value.strip(), ttl)


@breaks("an_entry_ends")
class NeverEnds(InMemoryCachingStrategy):
    def set(self, key: str, value: str, ttl: float) -> None:
        super().set(key, value, max(ttl, 60.0))


@breaks("a_lock_excludes_all_others", "a_lock_is_lost_in_time")
class LocksNobodyOut(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        yield True


KEPT: list[object] = []


@breaks("a_lock_is_released_by_an_error")
class KeepsLockAfterError(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        lease = super().lock(key, ttl)
        KEPT.append(lease)  # else it is released when it is collected
        yield lease.__enter__()
        lease.__exit__(None, None, None)


@breaks("a_lock_is_lost_in_time")
class NeverLosesLock(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        with super().lock(key, 3600) as free:
            yield free


@breaks("a_lock_is_lost_in_time")
class ReleasesAnothersLock(InMemoryCachingStrategy):
    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        with super().lock(key, ttl) as free:
            yield free
        if free:
            self._leases.pop(key, None)


@breaks("processes_share_entries", shared=True)
class KeepsToItself(InMemoryCachingStrategy):
    """Is in this process alone."""


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


@breaks("processes_share_entries", shared=True)
class KeepsToItselfWithoutLock(Shelf):
    """Is in this process alone."""


@breaks("strategies_share_a_token")
class ForgetsKeys(Shelf):
    """Loses what the library keeps, by the form of its keys."""

    def set(self, key: str, value: str, ttl: float) -> None:
        if not key.startswith("client-credentials"):
            super().set(key, value, ttl)


@breaks("a_broken_cache_counts_as_empty")
class Hangs(Shelf):
    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def get(self, key: str) -> CacheEntry | None:
        if self.broken:
            threading.Event().wait()
        return super().get(key)


@breaks()
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


@breaks("get_sends_no_request", "the_laws_hold_in_any_order", "the_configuration_is_used")
class Asks(Wrapped):
    def get_access_token(self) -> AccessToken | None:
        return self.strategy.get_or_create_access_token()


@breaks("the_laws_hold_in_any_order")
class KeepsRemoved(Wrapped):
    def remove_access_token(self, token: AccessToken | None = None) -> None:
        pass


@breaks("the_laws_hold_in_any_order")
class RemovesAny(Wrapped):
    def remove_access_token(self, token: AccessToken | None = None) -> None:
        self.strategy.remove_access_token()


@breaks("a_good_token_waits_for_no_endpoint")
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


@breaks("one_request_for_many_callers")
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


@breaks("the_configuration_is_used")
class IgnoresHooks(Wrapped):
    def set_configuration(self, configuration: SdkConfiguration) -> None:
        super().set_configuration(attrs.evolve(configuration, before_request=print))


@breaks("the_laws_hold_in_any_order")
class RaisesOther(Wrapped):
    def get_or_create_access_token(self) -> AccessToken:
        try:
            return self.strategy.get_or_create_access_token()
        except TokenError:
            raise RuntimeError from None


@breaks("the_laws_hold_in_any_order", "get_sends_no_request")
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

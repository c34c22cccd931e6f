"""The contract of a cache: what the library expects of a `CachingStrategy` that a program brings itself."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ClassVar, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from ..configuration import SdkConfiguration
from ..protocols import CachingStrategy, LockingCachingStrategy
from ..strategy import ClientCredentialsStrategy
from ._calls import Caller, in_child
from .server import TokenServer

CLIENT: Final = ("contract-client", "contract-secret-7e1b")
SETTINGS: Final = settings(
    max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class CachingContract:
    """A test for each rule of `CachingStrategy`, and of `LockingCachingStrategy` where the cache has a `lock`."""

    is_shared: ClassVar[bool] = True
    """Whether other processes see the same entries."""
    patience: ClassVar[float] = 15.0
    """Seconds after which a call of a broken cache counts as hanging."""

    def make_cache(self) -> CachingStrategy:
        """Return the cache; when called again in a test, the same object or another over the same entries."""
        raise NotImplementedError

    def break_cache(self) -> None:
        """Make the entries unreachable for the caches that were made in this test: stop a server, revoke a right."""
        pytest.skip("break_cache is not implemented")

    def test_what_is_set_is_there_until_it_is_removed(self) -> None:
        """Any text set under a key is what get returns, from every object over these entries, until its removal."""
        contract, prefix = self, secrets.token_hex(4)
        cache, spaced = self.make_cache(), " \n\u00e4 \U0001f511\t\n"
        cache.set(prefix, spaced, 60.0)
        entry = cache.get(prefix)
        assert spaced == (entry and entry.value)
        cache.remove(prefix)
        keys = st.sampled_from([f"{prefix}-{name}" for name in "abc"])

        class Entries(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                self.cache = contract.make_cache()
                self.kept: dict[str, str] = {}

            @rule(key=keys, value=st.text(min_size=1))
            def set(self, key: str, value: str) -> None:
                self.cache.set(key, value, 60.0)
                self.kept[key] = value

            @rule(key=keys)
            def remove(self, key: str) -> None:
                self.cache.remove(key)
                self.kept.pop(key, None)

            @rule(key=keys)
            def get(self, key: str) -> None:
                entry = self.cache.get(key)
                assert self.kept.get(key) == (entry and entry.value)

            @rule()
            def use_another_object(self) -> None:
                self.cache = contract.make_cache()

            def teardown(self) -> None:
                for key in self.kept:
                    self.cache.remove(key)

        run_state_machine_as_test(Entries, settings=SETTINGS)

    def test_a_large_value_comes_back(self) -> None:
        """An entry of 100 KB, as of a token with many claims, comes back whole."""
        cache, key = self.make_cache(), secrets.token_hex(8)
        cache.set(key, "x" * 100_000, 60.0)
        entry = cache.get(key)
        assert entry is not None
        assert "x" * 100_000 == entry.value

    def test_removal_is_idempotent(self) -> None:
        """What is not there can be removed, any number of times."""
        cache, key = self.make_cache(), secrets.token_hex(8)
        cache.set(key, "value", 60.0)
        for _ in range(3):
            cache.remove(key)
            assert cache.get(key) is None

    def test_no_repr_shows_a_value(self) -> None:
        """A value holds a token, so no repr shows it."""
        cache, key, value = self.make_cache(), secrets.token_hex(8), f"secret-{secrets.token_hex(8)}"
        cache.set(key, value, 60.0)
        assert value not in f"{cache!r} {cache.get(key)!r}"

    def test_the_time_left_falls(self) -> None:
        """The seconds that an entry has left are at most what it was given, and fall, by whole seconds at the least."""
        cache, key = self.make_cache(), secrets.token_hex(8)
        cache.set(key, "value", 60.0)
        first = self._left(cache, key)
        assert 50 < first <= 60
        assert _until(lambda: self._left(cache, key) != first, 3.0)
        assert 50 < self._left(cache, key) < first

    def test_an_entry_ends(self) -> None:
        """An entry is not given after its time is up, by whole seconds at the least."""
        cache, key = self.make_cache(), secrets.token_hex(8)
        cache.set(key, "value", 60.0)
        self._left(cache, key)
        cache.set(key, "value", 1.0)
        assert _until(lambda: cache.get(key) is None, 3.0)

    def _left(self, cache: CachingStrategy, key: str) -> float:
        entry = cache.get(key)
        assert entry is not None
        if entry.ttl is None:
            pytest.skip("the cache does not know how long an entry has left")
        return entry.ttl

    def test_a_lock_excludes_all_others(self) -> None:
        """One caller has the lock of a key at a time; it is no entry, and the locks of other keys are free."""
        lock, key = self._lock(), secrets.token_hex(8)
        with lock(key, 60.0) as mine, lock(key, 60.0) as theirs, lock(f"{key}-other", 60.0) as another:
            assert (True, False, True) == (mine, theirs, another)
            assert self.make_cache().get(key) is None
        with lock(key, 60.0) as free:
            assert free

    def test_a_lock_is_released_by_an_error(self) -> None:
        """An error within the lock releases it and is raised."""
        lock, key = self._lock(), secrets.token_hex(8)
        with pytest.raises(ZeroDivisionError), lock(key, 60.0):
            raise ZeroDivisionError
        with lock(key, 60.0) as free:
            assert free

    def test_a_lock_is_lost_in_time(self) -> None:
        """A lock is lost after its time; to release it then is no error and does not release another's."""
        lock, key = self._lock(), secrets.token_hex(8)
        late = lock(key, 0.5)
        assert late.__enter__()

        def is_free() -> bool:
            with lock(key, 60.0) as free:
                return free

        assert _until(is_free, 5.0)
        with lock(key, 60.0) as held:
            late.__exit__(None, None, None)
            assert (True, False) == (held, is_free())

    def _lock(self) -> Callable[[str, float], AbstractContextManager[bool]]:
        cache = self.make_cache()
        if not isinstance(cache, LockingCachingStrategy):
            pytest.skip("the cache has no lock")
        return cache.lock

    def test_processes_share_entries(self) -> None:
        """What another process sets is there in this one, and the lock that this one has is not free in another."""
        if not self.is_shared or not hasattr(os, "fork"):
            pytest.skip("the entries are this process's own, or there is no fork")
        cache, key = self.make_cache(), secrets.token_hex(8)

        def set_and_lock() -> str:
            other = self.make_cache()
            other.set(key, "value", 60.0)
            if not isinstance(other, LockingCachingStrategy):
                return "no lock"
            with other.lock(key, 60.0) as theirs:
                return str(theirs)

        if isinstance(cache, LockingCachingStrategy):
            with cache.lock(key, 60.0) as mine:
                assert (True, "False") == (mine, in_child(set_and_lock, self.patience))
        else:
            assert "no lock" == in_child(set_and_lock, self.patience)
        entry = cache.get(key)
        assert entry is not None
        assert "value" == entry.value

    def test_strategies_share_a_token(self) -> None:
        """Strategies of one client share one token by way of the cache, and its removal."""
        with TokenServer(*CLIENT) as server:
            first, second, third = (self._strategy(server) for _ in range(3))
            token = first.get_or_create_access_token()
            # Callers get a token before the cache does.
            assert _until(lambda: second.get_access_token() is not None, self.patience)
            assert (token.access_token, 1) == (second.get_or_create_access_token().access_token, len(server.requests))
            first.remove_access_token()
            assert third.get_access_token() is None

    def test_a_broken_cache_counts_as_empty(self) -> None:
        """Once its entries are out of reach it raises or is empty, without hanging, and a strategy gets its token."""
        with TokenServer(*CLIENT) as server:
            cache = self.make_cache()
            strategy = self._strategy(server)
            self.break_cache()
            assert strategy.get_or_create_access_token().access_token in server.issued
            [call] = Caller(self.patience).begin(lambda: cache.get("key"))()
            assert call.returned
            assert call.value is None

    def _strategy(self, server: TokenServer) -> ClientCredentialsStrategy:
        strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
        strategy.set_configuration(SdkConfiguration(caching_strategy=self.make_cache()))
        return strategy


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True

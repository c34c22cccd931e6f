"""What our caches do beyond the contract for every cache, and what a strategy makes of any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from client_credentials import CachingStrategy, LockingCachingStrategy
from client_credentials.testing import TokenServer
from tests.caching.fleet import key_of, obtain, strategy_on, told, value
from tests.shell.kit import Shelf, until


@pytest.fixture
def cache(sharing: Callable[[], Any]) -> CachingStrategy:
    """Give each cache in turn."""
    cache: CachingStrategy = sharing()
    return cache


class TestBeyondTheContract:
    """What ours do, and the contract for users leaves open; `testing/test_contracts` holds ours to that."""

    @pytest.mark.parametrize("ttl", [0.0, -5.0])
    def test_no_time_at_all_is_a_miss(self, joining: Callable[[], Any], ttl: float) -> None:
        """An entry that has no time left when it is set is not there, and what it overwrote is not either."""
        cache = joining()
        cache.set("key", "value", 60)
        cache.set("key", "late", ttl)
        assert cache.get("key") is None

    def test_unlocking_what_was_lost_unlocks_nothing(self, joining: Callable[[], Any]) -> None:
        """M16: giving back a lock that somebody else has by now is no error, and they keep it."""
        cache = joining()
        late = cache.lock("key", 0.05)
        assert late.__enter__()
        until(lambda: _is_free(cache))
        with cache.lock("key", 60) as theirs:
            assert theirs
            late.__exit__(None, None, None)
            assert not _is_free(cache)
        assert _is_free(cache)

    def test_ours_are_known_to_lock(self, joining: Callable[[], Any]) -> None:
        """All three of our caches lock, and the minimal one of a user does not have to."""
        assert isinstance(joining(), LockingCachingStrategy)
        assert not isinstance(Shelf(), LockingCachingStrategy)


class TestThroughAStrategy:
    """The same caches, as a strategy uses them."""

    def test_one_request_for_two_strategies(self, server: TokenServer, sharing: Callable[[], Any]) -> None:
        """M21: two strategies of one identity share one token, whatever the cache."""
        one, other = strategy_on(server.url, sharing()), strategy_on(server.url, sharing())
        token = obtain(one)
        assert token.access_token == other.get_or_create_access_token().access_token
        assert token.access_token == value(strategy_on(server.url, sharing()).get_access_token())
        assert 1 == len(server.requests)

    @pytest.mark.parametrize("garbage", ["", "garbage", "{}", "null", '{"version": 3}', "\N{BOMB}" * 1000])
    def test_garbage_is_a_miss(
        self, server: TokenServer, cache: CachingStrategy, garbage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """M8: a stranger's text under our key is a miss, told of once, and overwritten."""
        strategy = strategy_on(server.url, cache)
        cache.set(key_of(strategy), garbage, 60)
        token = obtain(strategy)
        assert token.access_token == value(strategy_on(server.url, cache).get_access_token())
        assert 1 == len(server.requests)
        assert [f"{type(cache).__name__} holds an entry that is not ours; it counts as a miss"] == told(caplog)

    def test_another_version_is_a_miss(self, server: TokenServer, cache: CachingStrategy) -> None:
        """M7: an entry of another version of the schema is never taken for ours, and is overwritten."""
        strategy = strategy_on(server.url, cache)
        token = obtain(strategy)
        key = key_of(strategy)
        entry = cache.get(key)
        assert entry
        assert key.startswith("client-credentials-1-")
        cache.set(key, entry.value.replace('"version": 3', '"version": 4'), 60)
        assert strategy_on(server.url, cache).get_or_create_access_token() != token
        assert 2 == len(server.requests)


def _is_free(cache: LockingCachingStrategy) -> bool:
    with cache.lock("key", 60) as free:
        return free

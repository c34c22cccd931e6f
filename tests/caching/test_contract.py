"""What every cache promises, ours and a user's own: its protocols, word by word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_credentials import CachingStrategy, FileCachingStrategy, LockingCachingStrategy
from client_credentials.testing import TokenServer
from tests.caching.fleet import key_of, obtain, strategy_on, text_of, told, value
from tests.shell.kit import Shelf, until


@pytest.fixture
def cache(sharing: Callable[[], Any]) -> CachingStrategy:
    """Give each cache in turn."""
    cache: CachingStrategy = sharing()
    return cache


class TestEntries:
    """Get, set and remove."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
    @given(entries=st.dictionaries(st.text(), st.text(), max_size=5))
    def test_any_text_comes_back_as_it_was(self, cache: CachingStrategy, entries: dict[str, str]) -> None:
        """E11: any text can be a key or a value, and no key is taken for another."""
        for key, text in entries.items():
            cache.set(key, text, 60)
        found = {key: cache.get(key) for key in entries}
        for key in entries:
            cache.remove(key)
        assert entries == {key: entry.value for key, entry in found.items() if entry}
        assert [] == [key for key in entries if cache.get(key)]

    def test_a_large_value_comes_back(self, cache: CachingStrategy) -> None:
        """E11: a token of 100 KB is kept like any other."""
        cache.set("large", "x" * 100_000, 60)
        assert "x" * 100_000 == text_of(cache, "large")

    def test_removal_is_idempotent(self, cache: CachingStrategy) -> None:
        """What is not there can be removed, any number of times."""
        cache.set("key", "value", 60)
        for _ in range(3):
            cache.remove("key")
            assert cache.get("key") is None

    def test_the_token_is_in_no_repr(self, sharing: Callable[[], Any]) -> None:
        """An entry's value is a secret: no repr shows it."""
        cache = sharing()
        cache.set("key", "my-token-5b1d", 60)
        assert "5b1d" not in repr(cache) + repr(cache.get("key"))

    def test_what_one_sets_another_gets(self, sharing: Callable[[], Any]) -> None:
        """Two objects over one store see the same entries, and the last value of each."""
        for text in ("old", "new"):
            sharing().set("key", text, 60)
            assert text == text_of(sharing(), "key")
        sharing().remove("key")
        assert sharing().get("key") is None


class TestTime:
    """How long an entry lasts."""

    def test_what_is_left_falls(self, joining: Callable[[], Any]) -> None:
        """The time that is left is never more than was given, and only falls."""
        cache = joining()
        cache.set("key", "value", 60)
        first = cache.get("key").ttl
        time.sleep(0.01)
        second = cache.get("key").ttl
        assert 50 < second < first <= 60

    def test_an_entry_ends(self, joining: Callable[[], Any]) -> None:
        """An entry is gone when its time is up, and may be set anew."""
        cache = joining()
        cache.set("key", "value", 0.05)
        until(lambda: cache.get("key") is None)
        cache.set("key", "again", 60)
        assert "again" == cache.get("key").value

    @pytest.mark.parametrize("ttl", [0.0, -5.0])
    def test_no_time_at_all_is_a_miss(self, joining: Callable[[], Any], ttl: float) -> None:
        """An entry that has no time left when it is set is not there, and what it overwrote is not either."""
        cache = joining()
        cache.set("key", "value", 60)
        cache.set("key", "late", ttl)
        assert cache.get("key") is None


class TestLock:
    """Who may ask."""

    def test_it_excludes_all_others(self, joining: Callable[[], Any]) -> None:
        """One has the lock, nobody else until it is given back, and its entry has nothing to do with it."""
        one, other = joining(), joining()
        with one.lock("key", 60) as mine, other.lock("key", 60) as theirs, one.lock("key", 60) as mine_again:
            assert (True, False, False) == (mine, theirs, mine_again)
            assert one.get("key") is None
            one.remove("key")
            with other.lock("key", 60) as still_not:
                assert not still_not
        with other.lock("key", 60) as free:
            assert free

    def test_each_key_has_its_own(self, joining: Callable[[], Any]) -> None:
        """J11: the lock of one key keeps nobody from another."""
        with joining().lock("key", 60) as one, joining().lock("another", 60) as another:
            assert (True, True) == (one, another)

    def test_it_is_given_back_by_an_error(self, joining: Callable[[], Any]) -> None:
        """An error in its holder gives the lock back, and goes on its way."""
        with pytest.raises(KeyError), joining().lock("key", 60):
            raise KeyError
        with joining().lock("key", 60) as free:
            assert free

    def test_it_is_lost_in_time(self, joining: Callable[[], Any]) -> None:
        """M13: a lock is lost after its time, and whoever had it does not give back another's."""
        first, second = joining(), joining()
        # In a directory, a lock is lost to others of its own holder's process alone.
        second = first if isinstance(first, FileCachingStrategy) else second
        with first.lock("key", 0.05) as mine:
            assert mine
            until(lambda: _is_free(second))
            with second.lock("key", 60) as theirs:
                assert theirs
                with first.lock("key", 60) as excluded:
                    assert not excluded

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

    def test_a_removal_is_seen_by_all(self, server: TokenServer, sharing: Callable[[], Any]) -> None:
        """Who removes the token removes it for all that have not taken it out yet; the next request is one for all."""
        one, other = strategy_on(server.url, sharing()), strategy_on(server.url, sharing())
        old = obtain(one)
        one.remove_access_token()
        assert other.get_access_token() is None
        new = obtain(other)
        assert new.access_token == one.get_or_create_access_token().access_token != old.access_token
        assert 2 == len(server.requests)


def _is_free(cache: LockingCachingStrategy) -> bool:
    with cache.lock("key", 60) as free:
        return free

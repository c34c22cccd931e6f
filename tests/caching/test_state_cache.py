"""What is known of a client's token, in a cache: kept as long as it is worth knowing, and no longer."""

from __future__ import annotations

from client_credentials import CacheEntry, InMemoryCachingStrategy, RenewalPolicy
from client_credentials._core.entry import strict_converter
from client_credentials._core.state import EMPTY, Instant
from client_credentials.caching._state_cache import StateCache


def test_nothing_is_kept_of_nothing() -> None:
    """Where nothing is known that another process could use, the entry goes."""
    cache = InMemoryCachingStrategy()
    cache.set("key", "what was known before", 60)
    cache.set("other key", "of another client", 60)
    StateCache.of(cache, RenewalPolicy()).store("key", EMPTY, Instant(1_700_000_000.0, 5.0))
    assert cache.get("key") is None
    found = cache.get("other key")
    assert isinstance(found, CacheEntry)
    assert "of another client" == found.value


def test_what_an_entry_needs_is_there_before_it_is_read() -> None:
    """P13: the converter, which takes a while to import, is made where a strategy is given its cache."""
    strict_converter.cache_clear()
    StateCache.of(InMemoryCachingStrategy(), RenewalPolicy())
    assert 1 == strict_converter.cache_info().currsize

"""What is known of a client's token, in a cache: kept as long as it is worth knowing, and no longer."""

from __future__ import annotations

import logging
import time

import pytest

from client_credentials import CacheEntry, InMemoryCachingStrategy, RenewalPolicy
from client_credentials._core.state import EMPTY, Instant
from client_credentials.caching._state_cache import StateCache
from tests.shell.kit import Endpoint, Shelf, grant, settled, strategy_of


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


def test_a_foreign_entry(caplog: pytest.LogCaptureFixture) -> None:
    """What is in a cache and is not ours is a miss, and the log says so once."""
    shelf = Shelf()
    first = strategy_of(Endpoint(grant("one")), caching_strategy=shelf)
    first.get_or_create_access_token()
    settled(first)
    shelf.entries = {key: ("{}", time.monotonic() + 60) for key in shelf.entries}
    second = strategy_of(Endpoint(grant("two")), caching_strategy=shelf)
    assert [None, None] == [second.get_access_token() for _ in range(2)]
    assert 1 == len([each for each in caplog.records if each.levelno == logging.WARNING])

"""The cache in memory: what it keeps, by whose clock, and at what cost."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import pytest

from client_credentials import InMemoryCachingStrategy
from client_credentials.caching import memory
from client_credentials.testing import FakeClock
from tests.caching.fleet import works_in_a_child


def entries(cache: Any) -> dict[str, object]:
    """Give what is really there."""
    found: dict[str, object] = cache._entries
    return found


class TestCost:
    """A write costs the same whatever is there."""

    def test_a_write_among_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """R2/memory: a write looks at no more than two entries, whether there are ten or 2,000."""
        looked = count()

        def elapsed(*_: object) -> float:
            next(looked)
            return 0.0

        monkeypatch.setattr(memory, "elapsed", elapsed)
        cache = InMemoryCachingStrategy()
        for number in range(2_000):
            cache.set(str(number), "value", 1e9)
        assert 1_000 < next(looked) <= 2 * 2_000

    def test_what_has_expired_goes(self) -> None:
        """R2/memory: identities that are gone do not pile up: each write looks at a fixed part of what is there."""
        clock = FakeClock()
        cache = InMemoryCachingStrategy(clock=clock)
        for number in range(2_000):
            cache.set(str(number), "value", 60)
            clock.advance(1)
            assert len(entries(cache)) < 400

    def test_what_was_removed_or_renewed_meanwhile(self) -> None:
        """What was removed before it is looked at is no error, and what was set anew stays."""
        clock = FakeClock()
        cache = InMemoryCachingStrategy(clock=clock)
        for number in range(10):
            cache.set(str(number), "value", 60)
        clock.advance(60)
        cache.set("1", "new", 0.5)
        cache.remove("2")
        for _ in range(20):
            cache.set("key", "value", 60)
        assert {"1", "key"} == set(entries(cache))


class TestClock:
    """An entry's life is by the clock of the cache."""

    def test_it_ends_by_its_clock(self) -> None:
        """An entry has as much left as its clock says, to the moment when nothing is left."""
        clock = FakeClock()
        cache = InMemoryCachingStrategy(clock=clock)
        cache.set("key", "value", 60)
        clock.advance(59)
        entry = cache.get("key")
        assert entry
        assert 1 == entry.ttl
        clock.advance(1)
        assert cache.get("key") is None

    @pytest.mark.parametrize("reads", [math.nan, None], ids=["NaN", "raises"])
    def test_a_clock_that_does_not_work(self, reads: float | None) -> None:
        """Q8/memory: a hand that raises or reads NaN does not count; the other one tells when an entry has expired."""

        class Broken(FakeClock):
            works = True

            def monotonic(self) -> float:
                if self.works:
                    return super().monotonic()
                if reads is None:
                    raise OSError
                return reads

        clock = Broken()
        cache = InMemoryCachingStrategy(clock=clock)
        cache.set("key", "value", 60)
        clock.works = False
        assert cache.get("key")
        cache.set("other", "value", 60)
        clock.advance(60)
        assert cache.get("key") is None
        assert cache.get("other") is None

    def test_a_machine_that_was_suspended(self) -> None:
        """An entry expires by the clock that goes on while the other one stands still."""
        clock = FakeClock()
        cache = InMemoryCachingStrategy(clock=clock)
        cache.set("key", "value", 60)
        clock.suspend(60)
        assert cache.get("key") is None


def test_a_fork() -> None:
    """L1: a child forked while a thread is in the cache, or holds a lock of it, is kept from neither."""
    cache: Any = InMemoryCachingStrategy()

    def works() -> bool:
        cache.set("key", "value", 60)
        with cache.lock("key", 60) as mine:
            return bool(mine)

    with cache.lock("key", 60):
        assert works_in_a_child(works, cache._mutex)


def test_how_it_is_shown() -> None:
    """It shows how many entries it has, and none of them."""
    cache = InMemoryCachingStrategy()
    cache.set("key", "value", 60)
    assert "InMemoryCachingStrategy(<1 entries>)" == repr(cache)

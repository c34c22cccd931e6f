"""The bound around every cache: what fails, hangs or answers nonsense is a miss, and costs half a second at most."""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest

from client_credentials import (
    CacheEntry,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
)
from client_credentials.caching import _circuit_breaker as circuit_breaker
from client_credentials.caching._circuit_breaker import BUDGET, CircuitBreaker, Future
from client_credentials.caching._state_cache import StateCache
from client_credentials.caching.bounded import bounded
from client_credentials.testing import TokenServer
from tests.caching.broken import Cache, failing, operation, operations
from tests.caching.fleet import strategy_on, told, works_in_a_child
from tests.caching.redis_server import connect
from tests.shell.kit import Shelf, make_sync, until

SLACK = 10.0  # seconds that a busy machine may take beside; what hangs here does so for ever


MISSES = [None, None, None, True]


@pytest.fixture
def threadless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread be started."""
    monkeypatch.setattr(_thread, "start_new_thread", failing(RuntimeError("can't start new thread")))


class TestMisses:
    """Nothing that a cache does is an error."""

    @pytest.mark.parametrize("error", [OSError(), KeyError(), SystemExit(), KeyboardInterrupt(), GeneratorExit()])
    def test_what_raises(self, error: BaseException) -> None:
        """R4/user: whatever an operation raises, it counts as a miss, and the lock as free."""
        assert MISSES == operations(bounded(Cache(failing(error))))

    @pytest.mark.parametrize("first", ["get", "set", "remove", "lock"])
    def test_what_hangs(self, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch, first: str) -> None:
        """R4/user: the first operation that hangs costs half a second, whichever it is, and then nothing is asked."""
        assert 0.5 == BUDGET
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.1)
        cache = Cache(hang)
        bound = bounded(cache)
        began = time.monotonic()
        operation(bound, first)
        assert 0.09 < time.monotonic() - began < 0.1 + SLACK
        assert MISSES == operations(bound)
        assert [first] == cache.calls

    @pytest.mark.parametrize(("budget", "calls"), [(60.0, ["set"]), (0.0, ["set", "remove"])])
    def test_what_was_kept_late(self, monkeypatch: pytest.MonkeyPatch, budget: float, calls: list[str]) -> None:
        """Q5/user: what was kept so late that nobody waited for it is removed: it would be taken for younger."""
        monkeypatch.setattr("client_credentials.caching.bounded.BUDGET", budget)
        cache = Cache()
        bounded(cache).set("key", "value", 60)
        assert calls == cache.calls

    @pytest.mark.parametrize("found", ["value", b"value", CacheEntry(cast("str", b"value"), 60), object()])
    def test_what_is_no_entry(self, found: object, caplog: pytest.LogCaptureFixture) -> None:
        """What `get` returns is an entry of text, or a miss."""
        assert bounded(Cache(lambda: found)).get("key") is None
        assert ["Cache failed with TypeError; it counts as empty"] == told(caplog)

    def test_what_is_well(self) -> None:
        """A cache that is well is passed through, a falsy lock as one that another holds."""
        entry = CacheEntry("value", 60)
        assert [entry, None, None, True] == operations(bounded(Cache(lambda: entry)))
        cache = Cache()
        assert [None, None, None, False] == operations(bounded(cache))
        until(lambda: len(cache.calls) == 5)
        assert ["get", "lock", "remove", "set", "unlock"] == sorted(cache.calls)

    def test_no_lock_at_all(self) -> None:
        """Where a cache has no lock, everyone may ask."""
        cache = Cache()

        class Lockless:
            def __init__(self) -> None:
                self.get, self.set, self.remove = cache.get, cache.set, cache.remove

        with bounded(Lockless()).lock("key", 60) as mine:
            assert mine

    @pytest.mark.usefixtures("threadless")
    def test_no_thread(self) -> None:
        """Where no thread can be started, as at the exit, the calls are made here, the end of the lock too."""
        cache = Cache(lambda: CacheEntry("value", 60))
        assert operations(bounded(cache))[0] == CacheEntry("value", 60)
        assert ["lock", "get", "set", "remove", "unlock"] == cache.calls
        assert {threading.get_ident()} == set(cache.threads)
        taken = Cache()
        assert operations(bounded(taken))[3] is False
        assert "unlock" == taken.calls[-1]
        assert MISSES == operations(bounded(Cache(failing(OSError()))))

    @pytest.mark.usefixtures("threadless")
    def test_an_interrupt_where_there_is_no_thread(self) -> None:
        """Ctrl-C in a call that is made here is for whoever called."""
        with pytest.raises(KeyboardInterrupt):
            bounded(Cache(failing(KeyboardInterrupt()))).get("key")

    def test_the_context_goes_along(self) -> None:
        """A cache sees the context variables of its caller, in a thread that is named after what it does."""
        tenant = ContextVar("tenant", default="nobody")
        tenant.set("somebody")
        cache = bounded(Cache(lambda: CacheEntry(f"{tenant.get()} {threading.current_thread().name}", 60)))
        assert CacheEntry("somebody client-credentials-cache", 60) == cache.get("key")


def test_a_lock_that_raises_when_it_is_named(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    """R4/user: a `lock` property that raises is a lock that fails: the token comes, and the log names the error."""

    class Raising(Shelf):
        @property
        def lock(self) -> object:
            raise ConnectionError

    assert strategy_on(server.url, Raising()).get_or_create_access_token().access_token in server.issued
    assert ["Raising failed with ConnectionError; it counts as empty"] == told(caplog)


@pytest.mark.parametrize("lock", [threading.Lock(), None, False])
def test_an_attribute_that_is_no_lock(server: TokenServer, lock: object) -> None:
    """A cache may call its own mutex `lock`: only what can be called is the lock of the protocol."""
    cache = Shelf()
    vars(cache)["lock"] = lock
    make_sync(server, hooks={"caching_strategy": cache}).get_or_create_access_token()
    until(lambda: cache.entries)


@pytest.mark.parametrize(("ttl", "found"), [(Decimal(60), True), ("60", True), (10**400, False), ((), False)])
def test_a_ttl_that_is_no_float(ttl: Any, found: bool) -> None:
    """What is left may come as any number, as DynamoDB's does; what is none makes a miss."""

    class Cache(Shelf):
        def get(self, key: str) -> CacheEntry | None:
            return CacheEntry("a", ttl)

    assert (CacheEntry("a", 60.0) if found else None) == bounded(Cache()).get("key")


class TestLock:
    """A lock of a user's, which may belong to the thread that takes it."""

    def test_one_thread_takes_it_and_gives_it_back(self) -> None:
        """What takes a lock gives it back, also after an error of its holder."""

        class Reentrant(Cache):
            mutex = threading.RLock()

            @contextmanager
            def lock(self, key: str, ttl: float) -> Generator[bool]:
                mine = self.mutex.acquire(blocking=False)
                try:
                    yield mine
                finally:
                    if mine:
                        self.mutex.release()

        cache = bounded(Reentrant())
        for _ in range(2):
            with cache.lock("key", 60) as mine, cache.lock("key", 60) as second:
                assert (True, False) == (mine, second)
            with pytest.raises(KeyError), cache.lock("key", 60):
                raise KeyError

    def test_a_late_one_is_given_back(self) -> None:
        """M13: a lock that comes when nobody waits for it any more is given back at once."""
        released = threading.Event()
        cache = Cache(lambda: released.wait(60))
        with bounded(cache).lock("key", 60) as mine:
            assert mine
            assert ["lock"] == cache.calls
        released.set()
        until(lambda: ["lock", "unlock"] == cache.calls)

    def test_what_hangs_at_its_end(self, hang: Callable[[], None]) -> None:
        """R4/user: giving a lock back may hang or raise as well."""
        cache, began = Cache(lambda: True), time.monotonic()
        with bounded(cache).lock("key", 60) as mine:
            assert mine
            cache.does = hang
        assert time.monotonic() - began < BUDGET + SLACK
        with bounded(Cache(lambda: True)).lock("key", 60):
            cache.does = failing(OSError())

    def test_a_forked_child_gives_nothing_back(self) -> None:
        """L1: a child that leaves the `with` in which it was forked leaves the lock to its parent, at once."""
        cache = Cache(lambda: True)
        lock = bounded(cache).lock("key", 60)
        assert lock.__enter__()
        child = os.fork()
        if child == 0:
            began = time.monotonic()
            lock.__exit__(None, None, None)
            os._exit(0 if ["lock"] == cache.calls and time.monotonic() - began < SLACK else 1)
        assert 0 == os.waitpid(child, 0)[1]
        lock.__exit__(None, None, None)
        assert ["lock", "unlock"] == cache.calls


class TestSharing:
    """One breaker for each cache object."""

    def test_strategies_share_it(self, server: TokenServer, hang: Callable[[], None]) -> None:
        """R4/user: what one strategy has found out about a cache, all who use that object know."""
        cache = Cache(hang)
        for _ in range(3):
            strategy_on(server.url, cache).get_or_create_access_token()
        assert ["get"] == cache.calls
        assert 3 == len(server.requests)

    def test_it_goes_by_identity(self) -> None:
        """Equal caches have a breaker each; one that has no hash or no weak references has one, too."""

        class Equal(Cache):
            def __eq__(self, other: object) -> bool:
                return True

            __hash__: Any = None

        @dataclass(slots=True)
        class Slotted:
            fails: bool

            def get(self, key: str) -> CacheEntry | None:
                if self.fails:
                    raise OSError
                return CacheEntry("value", 60)

            def set(self, key: str, value: str, ttl: float) -> None: ...

            def remove(self, key: str) -> None: ...

        kinds: list[Callable[[bool], Any]] = [
            lambda fails: Equal(failing(OSError()) if fails else lambda: CacheEntry("value", 60)),
            Slotted,
        ]
        for make in kinds:
            bad, good = make(True), make(False)
            first, other = bounded(bad), bounded(good)
            for _ in range(3):
                first.get("key")
            if isinstance(bad, Slotted):
                bad.fails = False
            else:
                bad.does = good.does
            assert bounded(bad).get("key") is None
            assert CacheEntry("value", 60) == bounded(good).get("key") == other.get("key")

    def test_it_lives_as_long_as_the_cache(self) -> None:
        """A breaker outlives the strategies that used it, not its cache; nor does it keep the cache alive.

        In a process of its own: here, the watch for leaks keeps what it has seen.
        """
        script = textwrap.dedent("""
            import gc, weakref
            from client_credentials.caching.bounded import bounded
            from tests.caching.broken import Cache, failing

            cache = Cache(failing(OSError()))
            for _ in range(3):
                bounded(cache).get("key")
                gc.collect()
            bounded(cache).get("key")
            print(len(cache.calls))
            breaker, gone = weakref.ref(bounded(cache)._breaker), weakref.ref(cache)
            del cache
            gc.collect()
            print(breaker(), gone())
        """)
        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        assert ["3", "None None"] == said.stdout.splitlines()

    def test_the_next_object_at_its_place_begins_anew(self) -> None:
        """An object that happens to get the identity of one that is gone does not inherit its troubles."""
        for _ in range(50):
            cache = Cache(failing(OSError()))
            for _ in range(3):
                bounded(cache).get("key")
            assert 3 == len(cache.calls)

    def test_what_never_waits_has_no_bound(self) -> None:
        """Our caches in memory and in Redis, but not what derives from them, are used as they are."""

        class Mine(InMemoryCachingStrategy):
            pass

        class Shared(RedisCachingStrategy):
            pass

        exact = InMemoryCachingStrategy(), RedisCachingStrategy(connect(1))
        others = Mine(), Shared(connect(1)), FileCachingStrategy("nowhere")
        for cache in (*exact, *others):
            used = StateCache.of(cache, RenewalPolicy())._cache  # pyright: ignore[reportPrivateUsage]
            assert (cache in exact) is (used is cache)

    def test_it_is_told_of_a_fork(self, hang: Callable[[], None]) -> None:
        """L1: a child forked while the circuit was open, or while a breaker's locks were taken, begins anew."""
        cache = Cache(hang)
        registry: Any = type(bounded.__globals__["_breakers"])()
        breaker = registry.of(cache)
        breaker.call("get", hang)
        assert breaker.admit() is None
        assert works_in_a_child(lambda: registry.of(cache).admit().allowed == BUDGET, breaker._mutex, registry._mutex)
        assert breaker.admit() is None


def test_no_repr_shows_a_value() -> None:
    """Neither a bound nor a breaker shows what the cache holds."""

    class Showing(Cache):
        def __repr__(self) -> str:
            return "my-token-5b1d"

    future = Future[str](0.1, is_probe=False)
    future.run(lambda: "my-token-5b1d")
    bound: Any = bounded(Showing(lambda: CacheEntry("my-token-5b1d", 60)))
    bound.get("key")
    assert "5b1d" not in repr(bound) + repr(bound._breaker) + repr(future)
    assert isinstance(bound._breaker, CircuitBreaker)

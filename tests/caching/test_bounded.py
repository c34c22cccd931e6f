"""The bound around every cache: what fails, hangs or answers nonsense is a miss, and costs half a second at most."""

from __future__ import annotations

import _thread
import gc
import logging
import os
import signal
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from client_credentials import (
    CacheEntry,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
)
from client_credentials._shell import circuit_breaker
from client_credentials._shell.circuit_breaker import BUDGET, CircuitBreaker, Future, describe
from client_credentials._shell.state_cache import StateCache
from client_credentials.caching.bounded import bounded
from client_credentials.testing import TokenServer
from tests.caching.fleet import strategy_on, told
from tests.caching.redis_server import BlackHole, connect
from tests.strategy.kit import together, until

SLACK = 0.7  # seconds that a busy machine may take over half a second


class Cache:
    """A cache of a user's, which does in each operation what it is told to."""

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        self.does = does
        self.calls: list[str] = []
        self.threads: list[int] = []

    def get(self, key: str) -> Any:
        return self._did("get")

    def set(self, key: str, value: str, ttl: float) -> None:
        self._did("set")

    def remove(self, key: str) -> None:
        self._did("remove")

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[Any]:
        found = self._did("lock")
        try:
            yield found
        finally:
            self._did("unlock")

    def _did(self, operation: str) -> object:
        self.calls.append(operation)
        self.threads.append(threading.get_ident())
        return self.does()


def _with(error: BaseException, attribute: str, value: str) -> BaseException:
    """Give an error an attribute."""
    setattr(error, attribute, value)
    return error


@pytest.fixture
def hang() -> Generator[Callable[[], None]]:
    """Give what hangs until the end of the test."""
    released = threading.Event()

    def wait() -> None:
        released.wait(60)

    yield wait
    released.set()


def failing(error: BaseException) -> Callable[[], NoReturn]:
    """Give what raises."""

    def fail() -> NoReturn:
        raise error

    return fail


def operations(cache: Any) -> list[object]:
    """Do all that can be done with a cache, and give what came of it."""
    with cache.lock("key", 60) as mine:
        return [cache.get("key"), cache.set("key", "value", 60), cache.remove("key"), mine]


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the breakers believe that so much time has passed."""
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + seconds)


MISSES = [None, None, None, True]


class TestMisses:
    """Nothing that a cache does is an error."""

    @pytest.mark.parametrize("error", [OSError(), KeyError(), SystemExit(), KeyboardInterrupt(), GeneratorExit()])
    def test_what_raises(self, error: BaseException) -> None:
        """R4/user: whatever an operation raises, it counts as a miss, and the lock as free."""
        assert MISSES == operations(bounded(Cache(failing(error))))

    def test_what_hangs(self, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """R4/user: operations that hang cost half a second in all, whichever comes first, and then nothing."""
        assert 0.5 == BUDGET
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.1)
        for first in ("get", "set", "remove", "lock"):
            cache = bounded(Cache(hang))
            began = time.monotonic()
            _operation(cache, first)
            assert MISSES == operations(cache)
            assert 0.09 < time.monotonic() - began < 0.1 + SLACK

    def test_many_at_once(self, hang: Callable[[], None]) -> None:
        """R4/user: those that come at the same time wait at the same time."""
        cache, began = bounded(Cache(hang)), time.monotonic()
        assert [None] * 16 == together(16, lambda: cache.get("key"))
        assert time.monotonic() - began < BUDGET + 2 * SLACK

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

    def test_no_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no thread can be started, as at the exit, the calls are made here, the end of the lock too."""

        def refuse(*_: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(_thread, "start_new_thread", refuse)
        cache = Cache(lambda: CacheEntry("value", 60))
        assert operations(bounded(cache))[0] == CacheEntry("value", 60)
        assert ["lock", "get", "set", "remove", "unlock"] == cache.calls
        assert {threading.get_ident()} == set(cache.threads)
        taken = Cache()
        assert operations(bounded(taken))[3] is False
        assert ["lock", "unlock"] == taken.calls[:2]
        assert MISSES == operations(bounded(Cache(failing(OSError()))))

    def test_no_thread_for_a_lock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """There the lock is given back as soon as its block ends."""

        class Lock:
            def __enter__(self) -> bool:
                return True

            def __exit__(self, *_: object) -> None:
                given_back.append(True)

        class Locking(Cache):
            def lock(self, key: str, ttl: float) -> Any:
                return Lock()

        def refuse(*_: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

        given_back: list[bool] = []
        monkeypatch.setattr(_thread, "start_new_thread", refuse)
        with bounded(Locking()).lock("key", 60) as mine:
            assert (True, []) == (mine, given_back)
        assert [True] == given_back

    def test_the_context_goes_along(self) -> None:
        """A cache sees the context variables of its caller."""
        tenant = ContextVar("tenant", default="nobody")
        tenant.set("somebody")
        assert bounded(Cache(lambda: CacheEntry(tenant.get(), 60))).get("key") == CacheEntry("somebody", 60)


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
            os._exit(0 if ["lock"] == cache.calls and time.monotonic() - began < BUDGET else 1)
        assert 0 == os.waitpid(child, 0)[1]
        lock.__exit__(None, None, None)
        assert ["lock", "unlock"] == cache.calls


class TestSharing:
    """One breaker for each cache object."""

    def test_strategies_share_it(self, server: TokenServer, hang: Callable[[], None]) -> None:
        """R4/user: what one strategy has found out about a cache, all who use that object know."""
        cache = Cache(hang)
        strategies = [strategy_on(server.url, cache) for _ in range(3)]
        spent: list[float] = []
        for strategy in strategies:
            began = time.monotonic()
            strategy.get_or_create_access_token()
            spent.append(time.monotonic() - began)
        assert max(spent[1:]) < BUDGET * 0.8
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
        """A breaker outlives the strategies that used it, not its cache; nor does it keep the cache alive."""
        cache = Cache(failing(OSError()))
        for _ in range(3):
            bounded(cache).get("key")
        cache.does = lambda: CacheEntry("value", 60)
        gc.collect()
        assert bounded(cache).get("key") is None
        gone = weakref.ref(cache)
        del cache
        until(lambda: gc.collect() >= 0 and gone() is None)

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
        bounded(cache).get("key")
        taken: Any = bounded(cache)
        registry: Any = bounded.__globals__["_breakers"]
        cache.does = lambda: CacheEntry("value", 60)
        ready, done = threading.Event(), threading.Event()

        def hold() -> None:
            with taken._breaker._mutex, registry._mutex:
                ready.set()
                done.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        ready.wait(60)
        child = os.fork()
        if child == 0:
            os._exit(0 if bounded(cache).get("key") == CacheEntry("value", 60) else 1)
        done.set()
        holder.join()
        assert 0 == os.waitpid(child, 0)[1]
        assert bounded(cache).get("key") is None


class TestRecovery:
    """When a cache is asked again."""

    def test_three_failures_in_a_row(self) -> None:
        """Three failures in a row open the circuit; a success in between starts the count again."""
        cache = Cache(failing(OSError()))
        bound = bounded(cache)
        for _ in range(10):
            bound.get("key")
            bound.get("key")
            cache.does = lambda: None
            bound.get("key")
            cache.does = failing(OSError())
        assert 30 == len(cache.calls)
        for _ in range(10):
            bound.get("key")
        assert 33 == len(cache.calls)

    def test_slow_answers_add_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """M5: slow answers use up the half second, and a quick one restores it."""
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.3)
        cache = Cache(lambda: time.sleep(0.12))
        bound = bounded(cache)
        for _ in range(2):
            bound.get("key")
            cache.does, slow = (lambda: None), cache.does
            bound.get("key")
            cache.does = slow
        assert 4 == len(cache.calls)
        for _ in range(9):
            bound.get("key")
        assert 7 == len(cache.calls)

    def test_it_is_back_whatever_hangs(self, monkeypatch: pytest.MonkeyPatch, hang: Callable[[], None]) -> None:
        """M3, M4, Q13/user: a cache that is back is used within half a minute, though all calls until then hang on."""
        cache, passed, waits = Cache(hang), 0.0, list[float]()
        bound, start = bounded(cache), circuit_breaker.start

        def begin(call: Callable[[], object]) -> None:
            before = len(cache.calls)
            start(call)
            until(lambda: len(cache.calls) > before)

        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.001)
        monkeypatch.setattr(circuit_breaker, "start", begin)
        bound.get("key")
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + passed)
        while len(cache.calls) < 105:
            asked, before = len(cache.calls), passed
            while len(cache.calls) == asked:
                passed += 1.0
                bound.get("key")
            waits.append(passed - before)
        assert max(waits[:8]) <= 11
        assert max(waits[:99]) <= 26
        assert min(waits[101:]) > 500
        cache.does = lambda: CacheEntry("value", 60)
        passed += 601
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.5)
        assert CacheEntry("value", 60) == bound.get("key")

    def test_one_call_tries(self, monkeypatch: pytest.MonkeyPatch, hang: Callable[[], None]) -> None:
        """M4: while a cache hangs, one call every ten seconds tries it, whatever the number of callers."""
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.1)
        cache = Cache(hang)
        bound = bounded(cache)
        bound.get("key")
        pass_time(monkeypatch, 11)
        assert [None] * 8 == together(8, lambda: bound.get("key"))
        assert 2 == len(cache.calls)

    def test_a_black_hole_keeps_few_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """M4: calls of a client without time limits pile up no faster than the circuit lets them through."""
        monkeypatch.setattr(circuit_breaker, "BUDGET", 0.02)
        before = threading.active_count()
        with BlackHole() as hole:
            cache = RedisCachingStrategy(connect(hole.port, socket_timeout=None, retry=None))
            for _ in range(50):
                assert cache.get("key") is None
            assert threading.active_count() - before <= 4  # two of them are the black hole's

    def test_a_busy_machine(self) -> None:
        """M31: where all naps end late it is this machine that is busy, and not all of the time counts."""
        future = Future[None](0.1, is_probe=False)
        _overload(future)
        threading.Thread(target=future.run, args=(lambda: time.sleep(0.1),)).start()
        assert future.wait() < 0.1
        assert future.is_done

    def test_a_busy_machine_gives_up_in_the_end(self) -> None:
        """M4: on a busy machine too, a call that hangs is given up."""
        future, began = Future[None](0.1, is_probe=False), time.monotonic()
        _overload(future)
        assert 0.1 == future.wait()
        assert 0.1 < time.monotonic() - began < 0.4 + SLACK

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no setitimer")
    def test_interrupts(self) -> None:
        """Q9/user: an exception that a signal raises in a caller comes out there, and harms no later call."""

        class Interrupted(Exception):
            pass

        def interrupt(*_: object) -> NoReturn:
            raise Interrupted

        cache = Cache(lambda: time.sleep(0.002))
        bound = bounded(cache)
        before = signal.signal(signal.SIGALRM, interrupt)
        interrupts = 0
        try:
            for number in range(300):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0005 + 0.00001 * (number % 150))
                    with bound.lock("key", 60):
                        bound.get("key")
                    time.sleep(0.01)
                except Interrupted:
                    interrupts += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert interrupts > 100
        cache.does = lambda: CacheEntry("value", 60)
        assert CacheEntry("value", 60) == bound.get("key")


class TestLog:
    """What the log says of a cache that fails."""

    def test_once_per_outage(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        """An outage is one warning, however many calls fail in however many ways, and the next one is another."""
        cache = Cache(failing(OSError()))
        bound = bounded(cache)
        for _ in range(5):
            operations(bound)
        assert 1 == len(told(caplog))
        cache.does = lambda: None
        pass_time(monkeypatch, 11)
        bound.get("key")
        cache.does = failing(KeyError())
        operations(bound)
        assert ["OSError", "KeyError"] == [line.split()[3].strip(";") for line in told(caplog)]

    def test_a_cache_that_can_only_be_read(self, caplog: pytest.LogCaptureFixture) -> None:
        """A full disk, which can still be read, is one warning, not one for each write."""

        class Full(Cache):
            def set(self, key: str, value: str, ttl: float) -> None:
                raise OSError(28, "No space left on device: 'my-token-5b1d'")

        bound = bounded(Full())
        for _ in range(5):
            bound.get("key")
            bound.set("key", "my-token-5b1d", 60)
        assert ["Full failed with OSError (ENOSPC); it counts as empty"] == told(caplog)

    def test_what_a_client_is_retrying(self, caplog: pytest.LogCaptureFixture, hang: Callable[[], None]) -> None:
        """M12: while a client retries for longer than half a second, the log names the error that it retries after."""

        def retry() -> None:
            try:
                raise redis.AuthenticationError("WRONGPASS invalid username-password pair")
            except redis.AuthenticationError:
                hang()

        bounded(Cache(retry)).get("key")
        cause = "TimeoutError (no answer within 0.5 s, retrying after AuthenticationError (WRONGPASS))"
        assert [f"Cache failed with {cause}; it counts as empty"] == told(caplog)

    def test_the_handler_is_a_users(self) -> None:
        """A log handler may use the cache that the log is about; no lock is held meanwhile."""
        cache = Cache(failing(OSError()))
        bound = bounded(cache)

        class Asking(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                together(1, lambda: bound.get("key"))

        handler = Asking()
        logging.getLogger("client_credentials").addHandler(handler)
        try:
            bound.get("key")
        finally:
            logging.getLogger("client_credentials").removeHandler(handler)
        assert 2 == len(cache.calls)

    @pytest.mark.parametrize(
        ("error", "named"),
        [
            (KeyError("my-token-5b1d"), "KeyError"),
            (OSError("my-token-5b1d"), "OSError"),
            (ConnectionRefusedError(111, "my-token-5b1d"), "ConnectionRefusedError (ECONNREFUSED)"),
            (redis.ResponseError("WRONGPASS invalid"), "ResponseError (WRONGPASS)"),
            (redis.ResponseError("unknown command 'my-token-5b1d'"), "ResponseError"),
            (
                redis.ResponseError("Error running script: @user_script:2: -READONLY You can't"),
                "ResponseError (READONLY)",
            ),
            (redis.ConnectionError("Error 111 connecting to my-token-5b1d."), "ConnectionError"),
            (
                _with(ssl.SSLError(1, "my-token-5b1d"), "reason", "CERTIFICATE_VERIFY_FAILED"),
                "SSLError (CERTIFICATE_VERIFY_FAILED)",
            ),
            (ssl.SSLError(1, "my-token-5b1d"), "SSLError"),
            (
                _with(redis.AuthenticationError("invalid"), "status_code", "WRONGPASS"),
                "AuthenticationError (WRONGPASS)",
            ),
            (OutOfMemoryError("command not allowed"), "OutOfMemoryError"),
        ],
        ids=str,
    )
    def test_an_error_is_named(self, error: BaseException, named: str) -> None:
        """An error is shown by its class and its code, never by its text."""
        assert named == describe(error)

    def test_an_error_is_named_with_its_cause(self) -> None:
        """What an error came from is named as well, each class once and four at most, unless it was suppressed."""
        error = _raised(redis.ConnectionError("text"), ConnectionRefusedError(111, "text"))
        assert "ConnectionError from ConnectionRefusedError (ECONNREFUSED)" == describe(error)
        assert "KeyError" == describe(_raised(KeyError(), KeyError()))
        error.__suppress_context__ = True
        assert "ConnectionError" == describe(error)
        chain: BaseException = ValueError()
        for kind in (KeyError, OSError, TypeError, IndexError):
            chain = _raised(kind(), chain)
        assert "IndexError from TypeError from OSError from KeyError" == describe(chain)


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


def _operation(cache: Any, name: str) -> None:
    if name == "lock":
        with cache.lock("key", 60):
            pass
    else:
        getattr(cache, name)(*("key", "value", 60)[: 3 if name == "set" else 1])


def _raised(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


class _LateLock:
    """A lock on a machine that has other things to do: every wait ends late."""

    def acquire(self, timeout: float) -> bool:
        time.sleep(timeout + 0.2)
        return False

    def release(self) -> None: ...


def _overload(future: Any) -> None:
    future._done = _LateLock()

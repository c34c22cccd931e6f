"""When a cache is asked again after it failed or was slow, and what the log says of it."""

from __future__ import annotations

import logging
import signal
import ssl
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from client_credentials import CacheEntry, RedisCachingStrategy
from client_credentials.caching import _circuit_breaker as circuit_breaker
from client_credentials.caching._circuit_breaker import CircuitBreaker, Future, describe
from client_credentials.caching.bounded import bounded
from tests.caching.broken import Cache, failing, operations, pass_time
from tests.caching.fleet import told
from tests.caching.redis_server import BlackHole, connect
from tests.shell.kit import together


def _with(error: BaseException, attribute: str, value: object) -> BaseException:
    """Give an error an attribute."""
    setattr(error, attribute, value)
    return error


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
        """M5: slow answers use up the half second, and a quick one restores it; those at the same time count once."""
        seconds = [0.2, 0.1, 0.2, 0.2, 0.3]

        def wait(_: object) -> float:
            return seconds.pop(0)

        monkeypatch.setattr(Future, "wait", wait)
        breaker, allowed = CircuitBreaker("Cache"), list[float]()
        while (call := breaker.admit()) is not None:
            allowed.append(round(call.allowed, 3))
            call.is_done = True
            assert breaker.settle("get", call)
        assert [0.5, 0.3, 0.5, 0.3, 0.1] == allowed
        breaker, seconds = CircuitBreaker("Cache"), [0.4, 0.2]
        calls = [breaker.admit(), breaker.admit()]
        for call in calls:
            assert call
            call.is_done = True
            breaker.settle("get", call)
        last = breaker.admit()
        assert last
        assert 0.1 == round(last.allowed, 3)

    def test_it_is_back_whatever_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """M3, M4, Q13/user: a cache that is back is used within half a minute, though all calls until then hang on."""
        now, is_hanging = 0.0, True
        monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=lambda: now))

        def wait(future: Future[Any]) -> float:
            return future.allowed if is_hanging else 0.0

        monkeypatch.setattr(Future, "wait", wait)
        breaker, hung = CircuitBreaker("Cache"), list[Future[Any]]()

        def seconds_until_asked() -> float:
            nonlocal now
            began = now
            while (call := breaker.admit()) is None:
                now += 1.0
            hung.append(call)
            call.is_done = not is_hanging
            breaker.settle("get", call)
            return now - began

        at_once = [breaker.admit() for _ in range(200)]
        for call in at_once:
            assert call
            breaker.settle("get", call)
        assert [10.0] * 8 + [25.0] * 92 + [600.0] * 2 == [seconds_until_asked() for _ in range(102)]
        for call in hung:
            call.is_done = True
        assert 600.0 == seconds_until_asked()
        hung[-1].is_done, is_hanging = True, False
        assert [10.0, 0.0, 0.0] == [seconds_until_asked() for _ in range(3)]
        is_hanging = True
        assert [0.0, 10.0] == [seconds_until_asked() for _ in range(2)]

    def test_a_try_that_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """M4: the one call that tries a cache again opens the circuit again where it fails."""
        cache = Cache(failing(OSError()))
        bound = bounded(cache)
        for seconds in (0, 11, 11):
            pass_time(monkeypatch, seconds)
            for _ in range(5):
                bound.get("key")
        assert 3 + 1 + 1 == len(cache.calls)

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

    @pytest.mark.parametrize(
        ("late", "needed", "waited", "took"),
        [
            (-0.04, 1, 0.01, 0.01),
            (0.0, 3, 0.15, 0.15),
            (0.2, 2, 0.1, 0.5),
            (0.0, 99, 0.22, 0.22),
            (0.2, 99, 0.22, 1.0),
        ],
        ids=["done at once", "done", "done on a busy machine", "hangs", "hangs on a busy machine"],
    )
    def test_how_long_is_waited(
        self, monkeypatch: pytest.MonkeyPatch, late: float, needed: int, waited: float, took: float
    ) -> None:
        """M4, M31: naps that end late show a busy machine, and count as naps; what hangs is given up there, too."""
        future: Any = Future[None](0.22, is_probe=False)
        now, naps = 0.0, 0

        def nap(timeout: float) -> bool:
            nonlocal now, naps
            now, naps = now + timeout + late, naps + 1
            future.is_done = naps == needed
            return bool(future.is_done)

        monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=lambda: now))
        future._done = SimpleNamespace(acquire=nap)
        assert (waited, took) == (round(future.wait(), 3), round(now, 3))

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it may come within a finalizer
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

    def test_what_a_client_is_retrying(self, hang: Callable[[], None]) -> None:
        """M12: while a client retries for longer than half a second, the log names the error that it retries after."""
        is_retrying = threading.Event()

        def retry() -> None:
            try:
                raise redis.AuthenticationError("WRONGPASS invalid username-password pair")
            except redis.AuthenticationError:
                is_retrying.set()
                hang()

        future = Future[None](0.1, is_probe=False)
        threading.Thread(target=future.run, args=(retry,), daemon=True).start()
        is_retrying.wait(60)
        future.wait()
        cause = "TimeoutError (no answer within 0.5 s, retrying after AuthenticationError (WRONGPASS))"
        assert cause == future.cause_of_delay()

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
            (type("Full", (Exception,), {"__module__": "valkey.exceptions"})("OOM command not allowed"), "Full (OOM)"),
            (type("Other", (Exception,), {"__module__": "other"})("OOM command not allowed"), "Other"),
        ],
        ids=str,
    )
    def test_an_error_is_named(self, error: BaseException, named: str) -> None:
        """An error is shown by its class and its code, never by its text."""
        assert named == describe(error)

    def test_an_error_is_named_with_its_cause(self) -> None:
        """What an error came from is named as well, each class once and four at most, unless it was suppressed."""
        error = _with(redis.ConnectionError("text"), "__context__", ConnectionRefusedError(111, "text"))
        assert "ConnectionError from ConnectionRefusedError (ECONNREFUSED)" == describe(error)
        assert "KeyError" == describe(_with(KeyError(), "__context__", KeyError()))
        error.__suppress_context__ = True
        assert "ConnectionError" == describe(error)
        chain: BaseException = ValueError()
        for kind in (KeyError, OSError, TypeError, IndexError):
            chain = _with(kind(), "__context__", chain)
        assert "IndexError from TypeError from OSError from KeyError" == describe(chain)

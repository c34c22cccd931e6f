"""The cache in Redis while Redis is not well: nobody gets an error for it, and nobody waits for it for long."""

from __future__ import annotations

import errno
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from client_credentials import RedisCachingStrategy, TokenRequest, TokenResponse, Urllib3Fetch
from client_credentials.caching import _circuit_breaker as circuit_breaker
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.caching.fleet import obtain, strategy_on, told, value
from tests.caching.redis_server import Babbler, BlackHole, RedisServer, SlowLine, connect, free_port
from tests.shell.kit import settled, until

SLACK = 10.0  # seconds that a busy machine may take beside; what hangs here does so for ever


def on_port(port: int, **options: Any) -> RedisCachingStrategy:
    """Make a cache on a client with redis-py's own defaults, which wait and try again for most of a minute."""
    return RedisCachingStrategy(connect(port, **options))


def timed(call: Callable[[], object]) -> float:
    """Measure a call, in seconds."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def calls_in_threads() -> int:
    """Count the calls to caches that have not ended, waited for or abandoned."""
    return sum(each.name == "client-credentials-cache" for each in threading.enumerate())


def shorten(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """Make the time for which a circuit stays open one that a test can wait for."""
    monkeypatch.setattr(circuit_breaker, "OPEN_SECONDS", seconds)


class BeforeTheSecond:
    """A client to which something happens before its second command."""

    def __init__(self, server: RedisServer, happens: Callable[[], object]) -> None:
        self._client = server.client(socket_timeout=None)
        self._happens = happens
        self._commands = 0

    def execute_command(self, *args: Any) -> object:
        self._commands += 1
        if self._commands == 2:
            self._happens()
        return self._client.execute_command(*args)


class TestDown:
    """There is no Redis."""

    def test_down_at_the_start(self, server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
        """M1: without a Redis the first call asks the endpoint, half a second later at most, and the next at once."""
        cache = on_port(free_port())
        first, second = strategy_on(server.url, cache), strategy_on(server.url, cache)
        assert timed(first.get_or_create_access_token) < circuit_breaker.BUDGET + SLACK
        assert timed(second.get_or_create_access_token) < SLACK
        assert timed(second.remove_access_token) < SLACK
        assert 2 == len(server.requests)
        (said,) = told(caplog)
        assert said.startswith("RedisCachingStrategy failed with ")

    def test_down_and_saying_so(self, server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
        """M1: where the client says at once that nobody is there, three times are enough, and nothing is waited for."""
        attempts: list[object] = []

        class Refused:
            def execute_command(self, *args: object) -> object:
                attempts.append(args[0])
                raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

        cache = RedisCachingStrategy(Refused())
        for _ in range(3):
            assert value(strategy_on(server.url, cache).get_or_create_access_token()) == server.issued[-1]
        assert 3 == len(attempts)
        assert ["RedisCachingStrategy failed with ConnectionRefusedError (ECONNREFUSED); it counts as empty"] == told(
            caplog
        )

    def test_down_midway(
        self,
        server: TokenServer,
        mortal_redis: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """M2: while Redis is down a good token is served on, a renewal succeeds, and the log says so once."""
        shorten(monkeypatch, seconds=0.5)
        clock = FakeClock(wall=time.time())
        strategy = strategy_on(server.url, on_port(mortal_redis.port, retry=None), clock=clock)
        token = strategy.get_or_create_access_token()
        mortal_redis.stop()
        clock.advance(3481)
        assert token == strategy.get_or_create_access_token()
        until(lambda: strategy.get_or_create_access_token() != token)
        assert 2 == len(server.requests)
        assert 1 == len(told(caplog))
        time.sleep(0.6)
        for _ in range(5):
            strategy.remove_access_token()
            strategy.get_or_create_access_token()
        assert 1 == len(told(caplog))

    def test_back_again(self, server: TokenServer, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """M3: a Redis that is back is used again, half a minute later at most."""
        assert circuit_breaker.OPEN_SECONDS <= 30
        shorten(monkeypatch, seconds=0.3)
        cache = on_port(mortal_redis.port)
        mortal_redis.stop()
        strategy_on(server.url, cache).get_or_create_access_token()
        mortal_redis.start()
        until(lambda: _is_kept(cache))
        token = obtain(strategy_on(server.url, cache))
        assert token.access_token == value(strategy_on(server.url, on_port(mortal_redis.port)).get_access_token())


class TestHanging:
    """Redis takes what it is given and does not answer."""

    @pytest.mark.parametrize("options", [{}, {"socket_timeout": None, "socket_connect_timeout": None}], ids=str)
    def test_paused(self, server: TokenServer, mortal_redis: RedisServer, options: dict[str, None]) -> None:
        """M4, R4/redis: a Redis that hangs costs one call half a second in all, whatever its client would wait."""
        cache = on_port(mortal_redis.port, **options)
        strategies = [strategy_on(server.url, cache) for _ in range(3)]
        assert strategies[0].get_access_token() is None
        mortal_redis.pause()
        spent = [timed(strategy.get_or_create_access_token) for strategy in strategies]
        assert circuit_breaker.BUDGET * 0.9 < spent[0] < circuit_breaker.BUDGET + SLACK
        assert max(spent[1:]) < SLACK
        assert 3 == len(server.requests)

    def test_paused_during_the_request(
        self, server: TokenServer, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Q5/redis: a token that is granted is not held up by a Redis that began to hang meanwhile."""
        monkeypatch.setattr(circuit_breaker, "BUDGET", 20.0)
        paused: list[float] = []

        def fetch(request: TokenRequest) -> TokenResponse:
            response = Urllib3Fetch()(request)
            mortal_redis.pause()
            paused.append(time.monotonic())
            return response

        strategy = strategy_on(server.url, on_port(mortal_redis.port), fetch=fetch)
        token = strategy.get_or_create_access_token()
        assert time.monotonic() - paused[0] < SLACK
        assert [token.access_token] == server.issued
        mortal_redis.resume()
        settled(strategy)

    def test_what_comes_late_is_not_written(self, mortal_redis: RedisServer) -> None:
        """M14: a hanging Redis does not make a write that nobody waits for any more, and that may be out of date."""
        cache = RedisCachingStrategy(BeforeTheSecond(mortal_redis, mortal_redis.pause))
        cache.set("key", "value", 60)
        mortal_redis.resume()
        until(lambda: not calls_in_threads())
        assert not mortal_redis.client().exists("{key}")

    def test_what_comes_a_little_late_ends_in_time(self, redis_server: RedisServer) -> None:
        """M14: an entry does not live longer for a write that took its time."""
        cache = RedisCachingStrategy(BeforeTheSecond(redis_server, lambda: time.sleep(0.2)))
        cache.set("key", "value", 60)
        assert 50_000 < redis_server.client().pttl("{key}") <= 59_800
        short = RedisCachingStrategy(BeforeTheSecond(redis_server, lambda: time.sleep(0.2)))
        short.set("key", "value", 0.1)
        assert not redis_server.client().exists("{key}")

    def test_what_nobody_waits_for_is_not_written(self, mortal_redis: RedisServer) -> None:
        """M14: a publisher that was held up before its write does not write at all."""
        cache = on_port(mortal_redis.port, socket_timeout=None)
        cache.get("key")
        mortal_redis.pause()
        cache.set("key", "value", 60)
        mortal_redis.resume()
        until(lambda: not calls_in_threads())
        assert not mortal_redis.client().exists("{key}")

    def test_the_exit_is_not_delayed(self, server: TokenServer) -> None:
        """L6: a process whose Redis hangs ends when it is done, without a word."""
        script = textwrap.dedent("""
            import sys, redis
            from client_credentials import ClientCredentialsStrategy, RedisCachingStrategy, SdkConfiguration
            strategy = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1])
            cache = RedisCachingStrategy(redis.Redis(port=int(sys.argv[2]), socket_timeout=None))
            strategy.set_configuration(SdkConfiguration(caching_strategy=cache))
            strategy.get_or_create_access_token()
        """)
        with BlackHole() as hole:  # for ever, and much longer than the process may take
            arguments = [sys.executable, "-c", script, server.url, str(hole.port)]
            said = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)
        assert "" == said.stderr


class TestSlow:
    """Redis answers, late."""

    def test_too_slow(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M5: answers that each take 300 ms add half a second to a call in all, not each."""
        with SlowLine(redis_server.port, 0.3) as line:
            strategy = strategy_on(server.url, on_port(line.port, protocol=2))
            assert timed(strategy.get_or_create_access_token) < circuit_breaker.BUDGET + SLACK
        assert 1 == len(server.requests)

    def test_slow_enough(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M5: answers that each take 30 ms are waited for, and the token is shared."""
        with SlowLine(redis_server.port, 0.03) as line:
            caches = [on_port(line.port) for _ in range(2)]
            for cache in caches:
                cache.get("key")
            got = {strategy_on(server.url, cache).get_or_create_access_token().access_token for cache in caches}
        assert set(server.issued) == got
        assert 1 == len(server.requests)


class TestUnwilling:
    """Redis answers, and the answer is no."""

    @pytest.mark.parametrize(
        "spoil",
        [
            ("CONFIG", "SET", "maxmemory", "1"),
            ("REPLICAOF", "127.0.0.1", "1"),
            ("ACL", "SETUSER", "default", "-@all"),
            ("ACL", "SETUSER", "default", "-eval"),
            ("ACL", "SETUSER", "default", "-set"),
            ("CONFIG", "SET", "requirepass", "not ours"),
        ],
        ids=["OOM", "READONLY", "NOPERM", "NOPERM eval", "NOPERM set", "NOAUTH"],
    )
    def test_it_refuses(
        self,
        server: TokenServer,
        mortal_redis: RedisServer,
        spoil: tuple[str, ...],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """M12: a Redis that is full, read-only, or wants or knows more than our rights is as good as none."""
        mortal_redis.client().execute_command(*spoil)
        _goes_without(server, on_port(mortal_redis.port, retry=None))
        assert 1 == len(told(caplog))

    @pytest.mark.parametrize(
        "answer",
        [
            b"-LOADING Redis is loading the dataset in memory\r\n",
            b"-MOVED 1 127.0.0.1:1\r\n",
            b"-CLUSTERDOWN The cluster is down\r\n",
            b"-BUSY Redis is busy running a script\r\n",
            b"-MISCONF Redis is configured to save RDB snapshots\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x00\xff\xfe",
            b"$9999999999\r\n",
            b"+OK\r\n",
            b":1\r\n",
            b"*1\r\n$1\r\na\r\n",
            b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            b"*-1\r\n",
        ],
        ids=lambda answer: str(answer[:12]),
    )
    def test_it_babbles(self, server: TokenServer, answer: bytes) -> None:
        """M6, M12: whatever speaks in Redis' place, errors, another protocol or answers of the wrong shape: none."""
        with Babbler(answer) as babbler:
            cache = on_port(babbler.port, retry=None, protocol=2)
            assert timed(lambda: _goes_without(server, cache)) < 2 * (circuit_breaker.BUDGET + SLACK)


def _goes_without(server: TokenServer, cache: RedisCachingStrategy) -> None:
    """Hold two strategies on a cache that is as good as none to all that a strategy promises."""
    one, other = strategy_on(server.url, cache), strategy_on(server.url, cache)
    token = one.get_or_create_access_token()
    assert token == one.get_access_token()
    assert token != other.get_or_create_access_token()
    assert 2 == len(server.requests)
    one.remove_access_token()
    server.answer(Answer())
    assert value(one.get_or_create_access_token()) == server.issued[2]


def _is_kept(cache: RedisCachingStrategy) -> bool:
    cache.set("kept", "value", 60)
    return cache.get("kept") is not None

"""The cache in Redis while Redis is well: what is shared, what is not, and what an operator can see of it."""

from __future__ import annotations

import base64
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client_credentials import ClientCredentialsStrategy, RedisCachingStrategy, RenewalPolicy, TokenRefused
from client_credentials.caching._circuit_breaker import BUDGET
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.caching.fleet import CLIENT, name_of, obtain, strategy_on, told, value
from tests.caching.redis_server import RedisServer, Scripted
from tests.shell.kit import settled, until

HASTY = RenewalPolicy(jitter=0, deadline=6)
PATIENT = RenewalPolicy(jitter=0, deadline=60)


class TestEntries:
    """What is found under our name, and what is made of it."""

    @pytest.mark.parametrize("options", [{"decode_responses": True}, {"decode_responses": False}], ids=str)
    @pytest.mark.parametrize("protocol", [2, 3])
    def test_any_flavour_of_client(
        self, server: TokenServer, redis_server: RedisServer, protocol: int, options: dict[str, bool]
    ) -> None:
        """M28, M29: a client may decode or not, in either protocol; all of them share one token."""
        first = strategy_on(server.url, RedisCachingStrategy(redis_server.client()))
        token = obtain(first)
        flavour = RedisCachingStrategy(redis_server.client(protocol=protocol, **options))
        other = strategy_on(server.url, flavour)
        assert token.access_token == other.get_or_create_access_token().access_token
        other.remove_access_token()
        assert first.get_access_token() == token  # in its memory
        assert other.get_or_create_access_token().access_token != token.access_token
        assert 2 == len(server.requests)

    def test_another_type_is_overwritten(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy
    ) -> None:
        """M6: a list under our name is a miss, and is overwritten."""
        strategy = strategy_on(server.url, redis_cache)
        redis_server.client().rpush(name_of(strategy), "a", "b")
        assert strategy.get_access_token() is None
        token = obtain(strategy)
        assert token.access_token == value(strategy_on(server.url, redis_cache).get_access_token())

    @pytest.mark.parametrize(
        ("decodes", "said"),
        [
            (True, "failed with UnicodeDecodeError; it counts as empty"),
            (False, "holds an entry that is not ours; it counts as a miss"),
        ],
    )
    def test_bytes_that_are_no_text(
        self, server: TokenServer, redis_server: RedisServer, decodes: bool, said: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """M6, M8: bytes that are no text are a miss, told of once, and are overwritten."""
        cache = RedisCachingStrategy(redis_server.client(decode_responses=decodes))
        strategy = strategy_on(server.url, cache)
        redis_server.client().set(name_of(strategy), b"\xff\xfe\xfd")
        token = obtain(strategy)
        assert token.access_token == value(strategy_on(server.url, cache).get_access_token())
        assert [f"RedisCachingStrategy {said}"] == told(caplog)

    def test_a_token_dies_before_its_entry(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy
    ) -> None:
        """M10: an entry that is still there, but whose token is too near its end for this policy, is a miss."""
        strategy = strategy_on(server.url, redis_cache)
        obtain(strategy)
        redis_server.client().pexpire(name_of(strategy), 5000)
        other = strategy_on(server.url, redis_cache, policy=RenewalPolicy(jitter=0, leeway=30))
        assert other.get_access_token() is None
        assert value(other.get_or_create_access_token()) == server.issued[1]

    def test_an_entry_that_does_not_end(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy
    ) -> None:
        """M11: an entry whose time to live was taken away ends by its own account, and its successor has one again."""
        redis = redis_server.client()
        strategy = strategy_on(server.url, redis_cache)
        token = obtain(strategy)
        assert redis.persist(name_of(strategy))
        assert token.access_token == value(strategy_on(server.url, redis_cache).get_access_token())
        late = strategy_on(server.url, redis_cache, clock=FakeClock(wall=time.time() + 3595))
        assert late.get_access_token() is None
        obtain(late)
        assert 3_580_000 < redis.pttl(name_of(strategy)) <= 3_590_000

    def test_an_entry_ends_with_its_token(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy
    ) -> None:
        """Nothing is left in Redis for longer than it is worth: neither the entry nor the lock."""
        strategy = strategy_on(server.url, redis_cache)
        obtain(strategy)
        redis = redis_server.client()
        assert [name_of(strategy).encode()] == redis.keys("*")
        assert 3_580_000 < redis.pttl(name_of(strategy)) <= 3_590_000

    def test_an_evicted_entry_is_a_miss(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy
    ) -> None:
        """M25: an entry that was evicted, or flushed with all others, is a miss: who has the token serves on."""
        strategy = strategy_on(server.url, redis_cache)
        token = obtain(strategy)
        redis_server.client().flushall()
        assert token == strategy.get_or_create_access_token()
        assert token != strategy_on(server.url, redis_cache).get_or_create_access_token()
        assert 2 == len(server.requests)


class TestClocks:
    """Hosts whose clocks disagree."""

    @pytest.mark.parametrize("skew", [-300.0, 300.0, 86400.0])
    def test_only_redis_says_what_is_left(
        self, server: TokenServer, redis_server: RedisServer, redis_cache: RedisCachingStrategy, skew: float
    ) -> None:
        """I9: a host whose clock is wrong uses a token neither too long nor too short, as Redis tells its age."""
        host = FakeClock(wall=time.time() + skew, monotonic=1000.0)
        writer = strategy_on(server.url, redis_cache)
        token = obtain(writer)
        reader = strategy_on(server.url, redis_cache, clock=host)
        assert token.access_token == reader.get_or_create_access_token().access_token
        host.advance(3580)
        assert token.access_token == value(reader.get_access_token())
        host.advance(11)
        redis_server.client().delete(name_of(writer))
        assert reader.get_access_token() is None


class TestOperator:
    """What somebody who runs the Redis can see."""

    def test_an_operator_sees_no_secret(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M24: neither the names of the keys nor MONITOR nor the slow log show the secret; the token is but a value."""
        redis = redis_server.client(decode_responses=True)
        redis.config_set("slowlog-log-slower-than", 0)
        with socket.create_connection(("127.0.0.1", redis_server.port)) as monitor:
            monitor.sendall(b"MONITOR\r\n")
            assert monitor.recv(64).startswith(b"+OK")
            strategy = strategy_on(server.url, RedisCachingStrategy(redis_server.client()))
            token = obtain(strategy)
            strategy.remove_access_token()
            redis.echo("the end")
            seen = b""
            while b"the end" not in seen:
                seen += monitor.recv(65536)
        slow = str(redis.slowlog_get(128))
        redis.config_set("slowlog-log-slower-than", 10_000)
        secret = CLIENT[1]
        shown = [
            secret,
            base64.b64encode(":".join(CLIENT).encode()).decode(),
            base64.b64encode(secret.encode()).decode(),
        ]
        assert [] == [each for each in shown if each in seen.decode() + slow + str(redis.keys("*"))]
        with_token = [line for line in seen.decode().splitlines() if token.access_token in line]
        assert with_token
        assert all("'SET', KEYS[1], ARGV[1]" in line or '"SET"' in line for line in with_token)


class TestLock:
    """Who asks, when more than one could."""

    def test_a_stale_lock_that_lives_long(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M13: where the lock of a dead leader outlives the patience of all, one succeeds it, and the others follow."""
        name = name_of(strategy_on(server.url, RedisCachingStrategy(redis_server.client())))
        redis_server.client().set(name + ":lock", "the dead", px=60_000)
        hosts = [strategy_on(server.url, RedisCachingStrategy(redis_server.client()), policy=HASTY) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(host.get_or_create_access_token) for host in hosts]
            got = {each.result().access_token for each in waiting}
        assert [got] == [set(server.issued)]
        assert 1 == len(server.requests)

    def test_a_lost_lock_makes_two_leaders(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M14, M19: a lock lost in mid-request lets one more leader in; its token stays, as it was asked for later."""
        server.answer(Answer(delay=1.2, lifetime=60), Answer(lifetime=3600))
        slow, quick, third = (strategy_on(server.url, RedisCachingStrategy(redis_server.client())) for _ in range(3))
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(slow.get_or_create_access_token)
            until(lambda: len(server.requests) == 1)
            time.sleep(BUDGET)  # by which order in the cache is uncertain
            redis_server.client().delete(name_of(slow) + ":lock")
            second = pool.submit(quick.get_or_create_access_token)
            others = pool.submit(third.get_or_create_access_token)
            assert 3600 == second.result().expires_in == others.result().expires_in
            assert 60 == first.result().expires_in
        settled(slow)
        assert 2 == len(server.requests)
        assert second.result().access_token == value(
            strategy_on(server.url, RedisCachingStrategy(redis_server.client())).get_access_token()
        )

    def test_waiters_find_nothing_and_elect_one(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M17: waiters that find the lock gone, and neither a token nor a failure, do not all ask: one does."""
        hosts = [strategy_on(server.url, RedisCachingStrategy(redis_server.client())) for _ in range(6)]
        lock = name_of(hosts[0]) + ":lock"
        redis_server.client().set(lock, "the dead", px=60_000)
        server.always(Answer(delay=0.3))
        with ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(host.get_or_create_access_token) for host in hosts]
            time.sleep(0.2)
            redis_server.client().delete(lock)
            assert 1 == len({each.result().access_token for each in waiting})
        assert 1 == len(server.requests)

    def test_waiters_fail_with_their_leader(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M18: when the leader fails, all who wait elsewhere get its failure at once, and make no request."""
        server.always(Answer(status=401, body={"error": "invalid_client"}, delay=0.3))
        caches = [RedisCachingStrategy(redis_server.client()) for _ in range(6)]
        hosts = [strategy_on(server.url, cache, policy=PATIENT) for cache in caches]

        def fail(host: ClientCredentialsStrategy) -> tuple[str | None, float]:
            with pytest.raises(TokenRefused) as caught:
                host.get_or_create_access_token()
            return caught.value.error, time.monotonic()

        began = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            failed = list(pool.map(fail, hosts))
        assert {"invalid_client"} == {error for error, _ in failed}
        assert max(at for _, at in failed) - began < 20
        assert 1 == len(server.requests)

    def test_a_try_that_was_not_heard_counts(self, redis_server: RedisServer) -> None:
        """A client that tries again, since the first answer was lost, gets the lock that it has already."""
        client = redis_server.client()

        class Twice:
            def execute_command(self, *args: Any) -> object:
                client.execute_command(*args)
                return client.execute_command(*args)

        with RedisCachingStrategy(Twice()).lock("key", 60) as mine:
            assert mine


class TestTimes:
    """What Redis and the way there say of an entry's time to live."""

    @pytest.mark.parametrize(("left", "ttl"), [(1500, 1.5), (0, 0.0), (-1, None)])
    def test_what_is_left(self, left: int, ttl: float | None) -> None:
        """Milliseconds, of which there may be none left; -1 where the entry has no end of its own."""
        found = RedisCachingStrategy(Scripted([b"value", left])).get("key")
        assert found is not None
        assert ("value", ttl) == (found.value, found.ttl)

    def test_a_slow_way(self) -> None:
        """An entry lives no longer for having been slow to arrive."""
        client = Scripted(1, None, seconds=0.1)
        RedisCachingStrategy(client).set("key", "value", 60.0)
        left = client.asked[1][5]
        assert isinstance(left, int)
        assert 59_000 < left <= 59_900

    def test_how_it_is_shown(self) -> None:
        """It shows the class of its client, which may have a password."""
        assert "RedisCachingStrategy(<Scripted>)" == repr(RedisCachingStrategy(Scripted()))

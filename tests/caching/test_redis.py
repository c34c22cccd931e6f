"""The cache in Redis while Redis is well: what is shared, what is not, and what an operator can see of it."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import redis

from client_credentials import (
    AsyncClientCredentialsStrategy,
    ClientAuthentication,
    ClientCredentialsStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenRefused,
)
from client_credentials._shell.circuit_breaker import BUDGET
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.caching.fleet import CLIENT, key_of, obtain, strategy_on, told, value
from tests.caching.redis_server import RedisServer, SlowLine, running
from tests.strategy.kit import settled, together, until


class OldBlockingPool(redis.BlockingConnectionPool):
    """The pool of a redis-py that can only disconnect all of its connections."""

    def disconnect(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        super().disconnect()


def acl() -> list[str]:
    """Give the command that the docstring recommends."""
    lines = (RedisCachingStrategy.__doc__ or "").splitlines()
    return next(line.split() for line in lines if line.strip().startswith("ACL SETUSER"))


def does_all(cache: RedisCachingStrategy, redis: Any) -> bool:
    """Tell whether a cache does each of its operations."""
    redis.flushall()
    cache.set("key", "value", 60)
    is_kept = cache.get("key") is not None
    cache.remove("key")
    with cache.lock("key", 60) as mine:
        is_locked = mine and redis.exists("tokens:{key}:lock") == 1
    return is_kept and is_locked and not redis.keys("*")


# They have no types to speak of.
LIBRARY: Any = redis
AIO: Any = import_module("redis.asyncio")
SENTINEL: Any = import_module("redis.sentinel")
HASTY = RenewalPolicy(jitter=0, deadline=4)


@pytest.fixture
def cache(redis_server: RedisServer) -> RedisCachingStrategy:
    """Give a cache in an empty Redis."""
    return RedisCachingStrategy(redis_server.client())


def name_of(strategy: Any) -> str:
    """Give the name of a strategy's entry in Redis."""
    return "{" + key_of(strategy) + "}"


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
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """M6: a list under our name is a miss, and is overwritten."""
        strategy = strategy_on(server.url, cache)
        redis_server.client().rpush(name_of(strategy), "a", "b")
        assert strategy.get_access_token() is None
        token = obtain(strategy)
        assert token.access_token == value(strategy_on(server.url, cache).get_access_token())

    @pytest.mark.parametrize("options", [{"decode_responses": True}, {"decode_responses": False}], ids=str)
    def test_bytes_that_are_no_text(
        self,
        server: TokenServer,
        redis_server: RedisServer,
        options: dict[str, bool],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """M6, M8: bytes that are no text are a miss, told of once, and are overwritten."""
        cache = RedisCachingStrategy(redis_server.client(**options))
        strategy = strategy_on(server.url, cache)
        redis_server.client().set(name_of(strategy), b"\xff\xfe\xfd")
        token = obtain(strategy)
        assert token.access_token == value(strategy_on(server.url, cache).get_access_token())
        assert 1 == len(told(caplog))

    def test_a_token_dies_before_its_entry(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """M10: an entry that is still there, but whose token is too near its end for this policy, is a miss."""
        strategy = strategy_on(server.url, cache)
        obtain(strategy)
        redis_server.client().pexpire(name_of(strategy), 5000)
        other = strategy_on(server.url, cache, policy=RenewalPolicy(jitter=0, leeway=30))
        assert other.get_access_token() is None
        assert value(other.get_or_create_access_token()) == server.issued[1]

    def test_an_entry_that_does_not_end(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """M11: an entry whose time to live was taken away ends by its own account, and its successor has one again."""
        redis = redis_server.client()
        strategy = strategy_on(server.url, cache)
        token = obtain(strategy)
        assert redis.persist(name_of(strategy))
        assert token.access_token == value(strategy_on(server.url, cache).get_access_token())
        late = strategy_on(server.url, cache, clock=FakeClock(wall=time.time() + 3595))
        assert late.get_access_token() is None
        obtain(late)
        assert 3_580_000 < redis.pttl(name_of(strategy)) <= 3_590_000

    def test_an_entry_ends_with_its_token(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """Nothing is left in Redis for longer than it is worth: neither the entry nor the lock."""
        strategy = strategy_on(server.url, cache)
        obtain(strategy)
        redis = redis_server.client()
        assert [name_of(strategy).encode()] == redis.keys("*")
        assert 3_580_000 < redis.pttl(name_of(strategy)) <= 3_590_000

    def test_an_evicted_entry_is_a_miss(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """M25: an entry that was evicted, or flushed with all others, is a miss: who has the token serves on."""
        strategy = strategy_on(server.url, cache)
        token = obtain(strategy)
        redis_server.client().flushall()
        assert token == strategy.get_or_create_access_token()
        assert token != strategy_on(server.url, cache).get_or_create_access_token()
        assert 2 == len(server.requests)


class TestClocks:
    """Hosts whose clocks disagree."""

    @pytest.mark.parametrize("skew", [-300.0, 300.0, 86400.0])
    def test_only_redis_says_what_is_left(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy, skew: float
    ) -> None:
        """I9: a host whose clock is wrong uses a token neither too long nor too short, as Redis tells its age."""
        host = FakeClock(wall=time.time() + skew, monotonic=1000.0)
        writer = strategy_on(server.url, cache)
        token = obtain(writer)
        reader = strategy_on(server.url, cache, clock=host)
        assert token.access_token == reader.get_or_create_access_token().access_token
        host.advance(3580)
        assert token.access_token == value(reader.get_access_token())
        host.advance(11)
        redis_server.client().delete(name_of(writer))
        assert reader.get_access_token() is None

    def test_an_old_entry_is_old_for_all(
        self, server: TokenServer, redis_server: RedisServer, cache: RedisCachingStrategy
    ) -> None:
        """I9: what has 60 s left by Redis has no more for a host whose clock says that it was just written."""
        writer = strategy_on(server.url, cache)
        obtain(writer)
        redis_server.client().pexpire(name_of(writer), 60_000)
        host = FakeClock(wall=time.time() - 3540, monotonic=5.0)
        reader = strategy_on(server.url, cache, clock=host)
        assert reader.get_access_token() is not None
        host.advance(58)
        assert reader.get_access_token() is not None
        host.advance(3)
        assert reader.get_access_token() is None


class TestIdentity:
    """Who shares, and who does not."""

    def test_nobody_else_gets_the_token(self, server: TokenServer, cache: RedisCachingStrategy) -> None:
        """M20: whatever differs in what is asked for makes another key, however alike it looks when it is joined."""
        common: dict[str, Any] = {"token_url": server.url}
        others: list[tuple[str, str, dict[str, Any]]] = [
            ("my-client:my", "secret-3f9c", {}),
            ("my-client", "my-secret-3f9c", {"scopes": ["a", "b"]}),
            ("my-client", "my-secret-3f9c", {"scopes": ["ab"]}),
            ("my-client", "my-secret-3f9c", {"audience": "a"}),
            ("my-client", "my-secret-3f9c", {"resources": ["urn:a", "urn:b"]}),
            ("my-client", "my-secret-3f9c", {"resources": ["urn:a,urn:b"]}),
            ("my-client", "my-secret-3f9c", {"extra_params": {"a": "b&c=d"}}),
            ("my-client", "my-secret-3f9c", {"extra_params": {"a": "b", "c": "d"}}),
            ("my-client", "my-secret-3f9c", {"token_url": server.url + "?a=b"}),
            ("my-client", "my-secret-3f9c", {"token_url": server.url.replace("127.0.0.1", "localhost")}),
            ("my-client", "my-secret-3f9c", {"client_authentication": ClientAuthentication.POST}),
        ]
        mine = strategy_on(server.url, cache)
        obtain(mine)
        strangers = [ClientCredentialsStrategy(*who[:2], **{**common, **who[2]}) for who in others]
        for stranger in strangers:
            stranger.set_configuration(SdkConfiguration(caching_strategy=cache))
        assert [None] * len(others) == [stranger.get_access_token() for stranger in strangers]
        assert len(others) + 1 == len({key_of(each) for each in (mine, *strangers)})

    def test_the_order_of_scopes_is_nothing(self, server: TokenServer, cache: RedisCachingStrategy) -> None:
        """M21: the same identity is the same however its scopes are ordered, and however often they are named."""
        token = obtain(strategy_on(server.url, cache, scopes=["a", "b"]))
        assert token.access_token == value(strategy_on(server.url, cache, scopes=("b", "a", "b")).get_access_token())

    def test_a_wrong_secret_gets_nothing(self, server: TokenServer, cache: RedisCachingStrategy) -> None:
        """M22: who knows the id but not the secret does not get the token that is cached for them who know both."""
        obtain(strategy_on(server.url, cache))
        thief = strategy_on(server.url, cache, client=(CLIENT[0], "a guess"))
        assert thief.get_access_token() is None
        with pytest.raises(TokenRefused):
            thief.get_or_create_access_token()

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

    def test_a_stale_lock_runs_out(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M13: the lock of a dead leader stops nobody for longer than it lives."""
        strategy = strategy_on(server.url, RedisCachingStrategy(redis_server.client()))
        redis_server.client().set(name_of(strategy) + ":lock", "the dead", px=500)
        began = time.monotonic()
        strategy.get_or_create_access_token()
        assert 0.4 < time.monotonic() - began < 4

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
        hosts = [strategy_on(server.url, RedisCachingStrategy(redis_server.client())) for _ in range(6)]

        def fail(host: ClientCredentialsStrategy) -> tuple[str | None, float]:
            with pytest.raises(TokenRefused) as caught:
                host.get_or_create_access_token()
            return caught.value.error, time.monotonic()

        began = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            failed = list(pool.map(fail, hosts))
        assert {"invalid_client"} == {error for error, _ in failed}
        assert max(at for _, at in failed) - began < 3
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


class TestClient:
    """What is a client, and what only looks like one."""

    @pytest.mark.parametrize(
        ("make", "named"),
        [
            (lambda: None, "NoneType"),
            (lambda: "redis://localhost", "str"),
            (AIO.Redis, "an asyncio client"),
            (lambda: AIO.Redis().pipeline(), "a pipeline"),
            (lambda: AIO.Redis().pubsub(), "a pubsub"),
            (lambda: LIBRARY.Redis().pipeline(), "a pipeline"),
            (lambda: LIBRARY.Redis().pubsub(), "a pubsub"),
            (lambda: SENTINEL.Sentinel([("127.0.0.1", 1)]), "a Sentinel"),
        ],
    )
    def test_what_is_no_client(self, make: Callable[[], Any], named: str) -> None:
        """What cannot run one command after another, from any thread, is a ValueError that says what it is."""
        with pytest.raises(ValueError, match=f"^client must be a redis.Redis or a RedisCluster, not {named}$"):
            RedisCachingStrategy(make())

    def test_a_single_connection(self, redis_server: RedisServer) -> None:
        """A client with one connection is refused: older versions of redis-py mix up the answers to its threads."""
        with pytest.raises(ValueError, match="single_connection_client"):
            RedisCachingStrategy(redis_server.client(single_connection_client=True))

    def test_what_is_a_client(self, redis_server: RedisServer) -> None:
        """A client, one that derives from it, a Sentinel's master and a mock of a client are clients."""

        class Mine(redis.Redis):
            pass

        master = SENTINEL.Sentinel([("127.0.0.1", 1)]).master_for("tokens")
        for client in (redis_server.client(), Mine(), master, mock.create_autospec(redis.Redis)):
            RedisCachingStrategy(client)

    @pytest.mark.parametrize("prefix", ["", "tokens:", "a b*?[x]"])
    def test_a_prefix(self, redis_server: RedisServer, prefix: str) -> None:
        """Every name begins with the prefix, and prefixes do not share."""
        client = redis_server.client(decode_responses=True)
        cache = RedisCachingStrategy(client, prefix=prefix)
        with cache.lock("key", 60):
            cache.set("key", "value", 60)
            assert {prefix + "{key}", prefix + "{key}:lock"} == set(client.keys("*"))
        entry = cache.get("key")
        assert entry
        assert "value" == entry.value
        assert RedisCachingStrategy(client, prefix="other:").get("key") is None
        cache.remove("key")
        assert [] == client.keys("*")

    @pytest.mark.parametrize("prefix", ["{tokens}", "a}", "a\n", "\N{BOMB}", "a\x00", None, b"tokens:"])
    def test_what_is_no_prefix(self, redis_server: RedisServer, prefix: Any) -> None:
        """A prefix with braces would move the lock to another slot; neither is one with odd characters."""
        with pytest.raises(ValueError, match=r"^prefix must be"):
            RedisCachingStrategy(redis_server.client(), prefix=prefix)

    def test_an_acl_that_suffices(self, server: TokenServer, mortal_redis: RedisServer) -> None:
        """M12: the rights that the docstring names suffice for all that a strategy does, and are all needed."""
        rights = acl()
        client = mortal_redis.client()
        client.execute_command(*rights)
        options = {"username": "app", "password": "password", "retry": None}
        cache = RedisCachingStrategy(mortal_redis.client(**options), prefix="tokens:")
        one, other = strategy_on(server.url, cache), strategy_on(server.url, cache)
        token = obtain(one)
        assert token.access_token == other.get_or_create_access_token().access_token
        one.remove_access_token()
        assert other.get_or_create_access_token() == token
        assert 1 == len(server.requests)
        for right in [each for each in rights if each.startswith("+")]:
            client.execute_command("ACL", "SETUSER", "app", "reset")
            client.execute_command(*(each for each in rights if each != right))
            hobbled = RedisCachingStrategy(mortal_redis.client(**options), prefix="tokens:")
            assert not does_all(hobbled, client), right

    def test_an_entry_that_is_too_large(
        self, redis_server: RedisServer, cache: RedisCachingStrategy, caplog: pytest.LogCaptureFixture
    ) -> None:
        """R2/redis: what is larger than any entry of ours is not fetched: a miss that the log names."""
        redis_server.client().set("{key}", b"x" * (262_144 + 1))
        assert cache.get("key") is None
        (said,) = told(caplog)
        assert "(TOOLARGE)" in said
        redis_server.client().set("{key}", b"x" * 262_144)
        assert cache.get("key")


class TestDemotion:
    """A primary that has become a replica."""

    @pytest.mark.parametrize("pool", [redis.ConnectionPool, redis.BlockingConnectionPool, OldBlockingPool])
    def test_it_is_left(self, mortal_redis: RedisServer, tmp_path: Path, pool: Any) -> None:
        """M12, M19: once the primary says that it is a replica by now, connections are made anew, by name."""
        (tmp_path / "other").mkdir()
        with running(tmp_path / "other") as other:
            where = [mortal_redis.port]

            class ByName(redis.Connection):
                def _connect(self) -> Any:
                    self.port = where[0]
                    connect: Any = super()._connect
                    return connect()

            connections = pool(connection_class=ByName, host="127.0.0.1")
            cache = RedisCachingStrategy(redis.Redis(connection_pool=connections))
            cache.set("key", "value", 60)
            where[0] = other.port
            mortal_redis.client().execute_command("REPLICAOF", "127.0.0.1", "1")
            assert cache.get("key")
            cache.remove("key")
            cache.set("key", "new", 60)
            assert other.client().exists("{key}")
            mortal_redis.client().execute_command("REPLICAOF", "NO", "ONE")
            other.client().execute_command("REPLICAOF", "127.0.0.1", "1")
            where[0] = mortal_redis.port
            with cache.lock("key", 60) as mine:
                assert mine
                assert mortal_redis.client().exists("{key}:lock")
            connections.disconnect()

    def test_it_may_be_a_replica_for_good(self, mortal_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        """M12: a Redis that stays a replica fails, also behind a client that shows no pool of connections."""
        client = mortal_redis.client(retry=None)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")

        class Poolless:
            execute_command = client.execute_command

        RedisCachingStrategy(Poolless()).set("key", "value", 60)
        (said,) = told(caplog)
        assert "(READONLY)" in said


class TestSurroundings:
    """Clusters, replicas, forks, event loops."""

    # The nodes of redis 5.0 take it badly when the watch tries to copy them and cannot.
    @pytest.mark.filterwarnings("ignore:.*ClusterNode.__del__:pytest.PytestUnraisableExceptionWarning")
    def test_a_cluster(self, server: TokenServer, tmp_path: Path) -> None:
        """M27: in a cluster a token and its lock are in one slot, and the cluster's own client will do."""
        from redis.cluster import RedisCluster

        options = ("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf"))
        with running(tmp_path, *options) as node:
            client = node.client()
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: "ok" == client.execute_command("CLUSTER INFO")["cluster_state"])
            cluster: Any = RedisCluster(host="127.0.0.1", port=node.port)
            one, other = (strategy_on(server.url, RedisCachingStrategy(cluster)) for _ in range(2))
            assert 1 == len({strategy.get_or_create_access_token().access_token for strategy in (one, other)})
            names = [name_of(one), name_of(one) + ":lock"]
            assert 1 == len({client.execute_command("CLUSTER KEYSLOT", name) for name in names})
            cluster.close()
        assert 1 == len(server.requests)

    def test_no_replica_is_read(self, redis_server: RedisServer) -> None:
        """M30: no command of ours is one that a client may send to a replica, which may be behind."""
        from redis.commands import READ_COMMANDS

        client, sent = redis_server.client(), set[str]()

        class Listening:
            def execute_command(self, *args: Any) -> object:
                sent.add(args[0])
                return client.execute_command(*args)

        cache = RedisCachingStrategy(Listening())
        cache.set("key", "value", 60)
        cache.get("key")
        cache.remove("key")
        with cache.lock("key", 60):
            pass
        assert sent
        assert set() == sent & set(READ_COMMANDS)

    def test_a_cancelled_task_spoils_no_connection(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M23, R5/redis: a task that is cancelled in the middle of a command leaves no answer for the next command."""
        import asyncio

        async def cancel_and_ask(port: int) -> str:
            import redis

            kind: Any = redis.BlockingConnectionPool
            client: Any = redis.Redis(connection_pool=kind(port=port, max_connections=1, timeout=2))
            client.ping()
            cache = RedisCachingStrategy(client)
            hasty = AsyncClientCredentialsStrategy(*CLIENT, token_url=server.url)
            hasty.set_configuration(SdkConfiguration(caching_strategy=cache))
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await hasty.get_access_token()
                await asyncio.sleep(0.2)
            token = await hasty.get_or_create_access_token()
            settled(hasty)
            client.connection_pool.disconnect()
            return token.access_token

        with SlowLine(redis_server.port, 0.04) as line:
            token = asyncio.run(cancel_and_ask(line.port))
        other = strategy_on(server.url, RedisCachingStrategy(redis_server.client()))
        assert token == value(other.get_access_token())

    def test_a_forked_child_has_a_line_of_its_own(self, server: TokenServer, redis_server: RedisServer) -> None:
        """L2, L3, R5/redis: a child forked from a process that has used Redis uses it too, and finds the token."""
        strategy = strategy_on(server.url, RedisCachingStrategy(redis_server.client()))
        token = obtain(strategy)
        cache = RedisCachingStrategy(redis_server.client())
        until(lambda: cache.get(key_of(strategy)))  # its publication goes on behind the caller
        children: list[int] = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                mine = strategy_on(server.url, cache)
                os._exit(0 if mine.get_or_create_access_token().access_token == token.access_token else 1)
            children.append(child)
        assert [0] * 4 == [os.waitpid(child, 0)[1] for child in children]
        assert 1 == len(server.requests)

    def test_the_package_stands_without_redis(self) -> None:
        """The package imports, and works, where redis-py is not installed."""
        script = textwrap.dedent("""
            import sys
            sys.modules["redis"] = None
            from client_credentials import RedisCachingStrategy
            class Client:
                def execute_command(self, *args):
                    return None
            print(RedisCachingStrategy(Client()).get("key"))
        """)
        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        assert "None" == said.stdout.strip()

    def test_many_threads_and_identities(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M21: any number of strategies of one identity in one process, on one client: one request."""
        cache = RedisCachingStrategy(redis_server.client())
        hosts = iter([strategy_on(server.url, cache) for _ in range(16)])
        mutex = threading.Lock()

        def ask() -> str:
            with mutex:
                host = next(hosts)
            return host.get_or_create_access_token().access_token

        got = together(16, ask)
        assert server.issued * 16 == got


class Scripted:
    """A client whose answers are given, each after so many seconds."""

    def __init__(self, *answers: object, seconds: float = 0.0) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str | bytes | int, ...]] = []
        self._seconds = seconds

    def execute_command(self, *args: str | bytes | int) -> object:
        self.asked.append(args)
        time.sleep(self._seconds)
        return self.answers.pop(0)


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

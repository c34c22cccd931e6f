"""The client of a cache in Redis: what is one, what it needs, and what happens around it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import redis

from client_credentials import AccessToken, AsyncClientCredentialsStrategy, RedisCachingStrategy, SdkConfiguration
from client_credentials.testing import TokenServer
from tests.caching.fleet import CLIENT, key_of, name_of, obtain, strategy_on, text_of, told, value
from tests.caching.redis_server import RedisServer, Scripted, SlowLine, running, unbounded
from tests.shell.kit import settled, until

# They have no types to speak of.
LIBRARY: Any = redis
AIO: Any = import_module("redis.asyncio")
SENTINEL: Any = import_module("redis.sentinel")


def acl() -> list[str]:
    """Give the command that the docstring recommends."""
    lines = (RedisCachingStrategy.__doc__ or "").splitlines()
    return next(line.split() for line in lines if line.strip().startswith("ACL SETUSER"))


def does_all(redis_cache: RedisCachingStrategy, redis: Any) -> bool:
    """Tell whether a cache does each of its operations."""
    redis.flushall()
    redis_cache.set("key", "value", 60)
    is_kept = redis_cache.get("key") is not None
    redis_cache.remove("key")
    with redis_cache.lock("key", 60) as mine:
        is_locked = mine and redis.exists("tokens:{key}:lock") == 1
    return is_kept and is_locked and not redis.keys("*")


def forked(server: TokenServer, cache: RedisCachingStrategy, token: AccessToken) -> int:
    """Fork a child that asks a strategy on this cache; its exit status is 0 if it gets this token."""
    child = os.fork()
    if child == 0:
        try:
            got = strategy_on(server.url, cache).get_or_create_access_token()
            os._exit(0 if got.access_token == token.access_token else 1)
        finally:
            os._exit(2)
    return child


class TestClient:
    """What is a client, and what only looks like one."""

    @pytest.mark.parametrize(
        ("make", "named"),
        [
            (lambda: None, "NoneType"),
            (lambda: "redis://localhost", "str"),
            (lambda: LIBRARY.Redis, "the class Redis itself"),
            (AIO.Redis, "an asyncio client"),
            (mock.AsyncMock, "an asyncio client"),
            (lambda: mock.create_autospec(AIO.Redis), "an asyncio client"),
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
        with pytest.raises(ValueError, match=r"not a client with single_connection_client=True$"):
            RedisCachingStrategy(redis_server.client(single_connection_client=True))

    def test_what_is_a_client(self, redis_server: RedisServer) -> None:
        """A client, one that derives from it, a Sentinel's master and a mock of a client are clients."""

        class Mine(redis.Redis):
            pass

        class Slotted:
            __slots__ = ()

            def execute_command(self, *args: Any) -> None: ...

        master = SENTINEL.Sentinel([("127.0.0.1", 1)]).master_for("tokens")
        for client in (redis_server.client(), Mine(), Slotted(), master, mock.create_autospec(redis.Redis)):
            RedisCachingStrategy(client)

    @pytest.mark.parametrize("prefix", ["", "tokens:", "a b*?[x]"])
    def test_a_prefix(self, redis_server: RedisServer, prefix: str) -> None:
        """Every name begins with the prefix, and prefixes do not share."""
        client = redis_server.client(decode_responses=True)
        cache = RedisCachingStrategy(client, prefix=prefix)
        with cache.lock("key", 60):
            cache.set("key", "value", 60)
            assert {prefix + "{key}", prefix + "{key}:lock"} == set(client.keys("*"))
        assert "value" == text_of(cache, "key")
        assert RedisCachingStrategy(client, prefix="other:").get("key") is None
        cache.remove("key")
        assert [] == client.keys("*")

    @pytest.mark.parametrize("prefix", ["{tokens}", "a{", "a}", "a\n", "\N{BOMB}", "a\x00", None, b"tokens:"])
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
        self, redis_server: RedisServer, redis_cache: RedisCachingStrategy, caplog: pytest.LogCaptureFixture
    ) -> None:
        """R2/redis: what is larger than any entry of ours is not fetched: a miss that the log names."""
        redis_server.client().set("{key}", b"x" * (262_144 + 1))
        assert redis_cache.get("key") is None
        (said,) = told(caplog)
        assert "(TOOLARGE)" in said
        redis_server.client().set("{key}", b"x" * 262_144)
        assert redis_cache.get("key")


class Connections:
    """A pool of connections that tells how it was disconnected; an old one can only disconnect all of them."""

    def __init__(self, *, is_old: bool) -> None:
        self.told: list[dict[str, bool]] = []
        self._is_old = is_old

    def disconnect(self, **how: bool) -> None:
        if how and self._is_old:
            raise TypeError
        self.told.append(how)


class TestDemotion:
    """A primary that has become a replica. What fails here raises, and nothing is bounded in time."""

    def test_it_is_left(self, mortal_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """M12, M19: once the primary says that it is a replica by now, connections are made anew, by name."""
        monkeypatch.setattr("client_credentials.caching.redis._LATEST", 60_000)
        (tmp_path / "other").mkdir()
        with running(tmp_path / "other") as other:
            where = [mortal_redis.port]

            class ByName(redis.Connection):
                def _connect(self) -> Any:
                    self.port = where[0]
                    connect: Any = super()._connect
                    return connect()

            connections: Any = redis.ConnectionPool(connection_class=ByName, host="127.0.0.1")
            cache = unbounded(redis.Redis(connection_pool=connections))
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

    @pytest.mark.parametrize("is_old", [False, True])
    @pytest.mark.parametrize(
        "error", [redis.ReadOnlyError("You can't write"), redis.ResponseError("-READONLY You can't write")], ids=repr
    )
    def test_how_it_is_left(self, error: Exception, is_old: bool) -> None:
        """M19: whichever way it says so, idle connections are closed, and the command is sent once more."""
        client: Any = Scripted(error, 1)
        client.connection_pool = Connections(is_old=is_old)
        unbounded(client).remove("key")
        assert [("DEL", b"{key}")] * 2 == client.asked
        assert [{} if is_old else {"inuse_connections": False}] == client.connection_pool.told

    @pytest.mark.parametrize("error", [redis.ReadOnlyError("You can't write"), redis.ResponseError("OOM")], ids=repr)
    def test_it_may_be_a_replica_for_good(self, error: Exception) -> None:
        """M12: a Redis that stays a replica fails, as one that fails in another way, also behind an odd client."""
        client = Scripted(error, error)
        with pytest.raises(type(error)):
            unbounded(client).remove("key")
        assert (2 if isinstance(error, redis.ReadOnlyError) else 1) == len(client.asked)


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
        settled(strategy)
        for _ in range(4):
            assert 0 == os.waitpid(forked(server, cache, token), 0)[1]
        assert 1 == len(server.requests)

    def test_forked_children_ask_at_once(
        self, server: TokenServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """L2, L3, R5/redis: children that ask side by side, and the parent meanwhile, find the token, each by itself.

        On a busy machine they may take more than half a second, so they are given longer.
        """
        monkeypatch.setattr("client_credentials.caching._circuit_breaker.BUDGET", 9.0)
        cache = RedisCachingStrategy(redis_server.client())
        strategy = strategy_on(server.url, cache)
        token = obtain(strategy)
        children = [forked(server, cache, token) for _ in range(4)]
        assert token == strategy_on(server.url, cache).get_or_create_access_token()
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

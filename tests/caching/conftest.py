"""A token server, a Redis server, and the caches that are held to one contract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from client_credentials import (
    ClientCredentialsStrategy,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
)
from client_credentials.testing import TokenServer
from tests.caching.fleet import CLIENT, Place, cache_at, warm_up
from tests.caching.redis_server import RedisServer, close_clients, running
from tests.shell.kit import Shelf


@pytest.fixture(scope="session", autouse=True)
def imported() -> None:
    """Import what a first token imports, lest the time for that be counted as anything else's."""
    with TokenServer(*CLIENT) as serving:
        ClientCredentialsStrategy(*CLIENT, token_url=serving.url).get_or_create_access_token()
        warm_up(serving.url)


@pytest.fixture(autouse=True)
def closed() -> Generator[None]:
    """Close the Redis clients of each test, so that no call of one hangs on into the next."""
    yield
    close_clients()


@pytest.fixture
def server() -> Generator[TokenServer]:
    """Give a token server that knows one client."""
    with TokenServer(*CLIENT) as serving:
        yield serving


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """Give a Redis for all tests that leave it alive; each finds it empty if it asks for `redis_server`."""
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """Give a Redis that has nothing in it."""
    shared_redis.client().flushall()
    return shared_redis


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Generator[RedisServer]:
    """Give a Redis of a test's own, to be stopped, paused and spoilt."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def hang() -> Generator[Callable[[], None]]:
    """Give what hangs until the end of the test."""
    released = threading.Event()

    def wait() -> None:
        released.wait(60)

    yield wait
    released.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a directory that is not there yet."""
    return tmp_path / "tokens"


@pytest.fixture
def file_cache(folder: Path) -> FileCachingStrategy:
    """Give a cache in it, with one entry."""
    cache = FileCachingStrategy(folder)
    cache.set("key", "value", 60)
    return cache


@pytest.fixture
def redis_cache(redis_server: RedisServer) -> RedisCachingStrategy:
    """Give a cache in an empty Redis."""
    return RedisCachingStrategy(redis_server.client())


@pytest.fixture(params=["memory", "file", "redis"])
def joining(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Give what makes a cache for one host more, in each kind of place."""
    return _joining(request, tmp_path)


@pytest.fixture(params=["memory", "file", "redis", "user"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Give the same, or the least that a user can write."""
    return _joining(request, tmp_path)


def _joining(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    if request.param in ("memory", "user"):
        shared = InMemoryCachingStrategy() if request.param == "memory" else Shelf()
        return lambda: shared
    redis: RedisServer = request.getfixturevalue("redis_server")
    where: Place = tmp_path / "tokens" if request.param == "file" else redis.port
    return lambda: cache_at(where)

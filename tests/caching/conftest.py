"""A token server, a Redis server, and the caches that are held to one contract."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from client_credentials.testing import TokenServer
from tests.caching.fleet import CLIENT
from tests.caching.redis_server import RedisServer, running


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

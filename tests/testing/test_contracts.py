"""The contracts: ours keep them, a user's least and largest may, and each broken rule is seen by its own test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from client_credentials import (
    AsyncAuthStrategy,
    AsyncClientCredentialsStrategy,
    AuthStrategy,
    CachingStrategy,
    ClientCredentialsStrategy,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
)
from client_credentials.testing.contracts import AuthStrategyContract, CachingContract
from tests.caching.redis_server import RedisServer, close_clients, running
from tests.testing.broken import BROKEN, Shelf

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """Start a Redis server for all tests."""
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


class TestMemory(CachingContract):
    """Ours in memory, which a program shares by its object."""

    is_shared = False

    @pytest.fixture(autouse=True)
    def made(self) -> None:
        """Make one for each test."""
        self.cache = InMemoryCachingStrategy()

    def make_cache(self) -> CachingStrategy:
        return self.cache


class TestShelf(CachingContract):
    """The least that a user can write: no time, no lock."""

    is_shared = False

    @pytest.fixture(autouse=True)
    def made(self) -> None:
        """Make one for each test."""
        self.cache = Shelf()

    def make_cache(self) -> CachingStrategy:
        return self.cache


class TestFile(CachingContract):
    """Ours in a directory."""

    @pytest.fixture(autouse=True)
    def made(self, tmp_path: Path) -> None:
        """Make a directory for each test."""
        self.directory = tmp_path / "entries"

    def make_cache(self) -> CachingStrategy:
        return FileCachingStrategy(self.directory)

    def break_cache(self) -> None:
        if self.directory.exists():
            self.directory.rename(self.directory.with_name("gone"))
        self.directory.write_text("no directory")


class TestRedis(CachingContract):
    """Ours in Redis."""

    @pytest.fixture(autouse=True)
    def made(self, shared: RedisServer) -> Generator[None]:
        """Have it running for each test."""
        self.server = shared
        yield
        close_clients()
        shared.stop()
        shared.start()

    def make_cache(self) -> CachingStrategy:
        return RedisCachingStrategy(self.server.client())

    def break_cache(self) -> None:
        self.server.pause()


class TestStrategy(AuthStrategyContract):
    """Ours for threads."""

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> AuthStrategy:
        return ClientCredentialsStrategy(client_id, client_secret, token_url=token_url)


class TestAsyncStrategy(AuthStrategyContract):
    """Ours for an event loop."""

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> AsyncAuthStrategy:
        return AsyncClientCredentialsStrategy(client_id, client_secret, token_url=token_url)


@pytest.mark.parametrize(
    "parts",
    [("TestNeverEnds", "TestKeepsToItselfWithoutLock"), pytest.param(tuple(BROKEN), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_each_broken_rule_is_seen(parts: tuple[str, ...]) -> None:
    """A cache or strategy that breaks one rule fails the tests of that rule and no other."""
    options = ("-q", "-rfE", "-p", "no:cacheprovider", "-p", "no:leaks", "--tb=no", "-k", " or ".join(parts))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/testing/broken.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "mutants"},  # no shrinking
    )
    failed: dict[str, set[str]] = {part: set() for part in parts}
    for kind, name in re.findall(r"^FAILED \S+::(\w+)::test_(\w+)", done.stdout, re.MULTILINE):
        failed[kind].add(name)
    assert {part: BROKEN[part] for part in parts} == failed


def test_a_maker_is_needed() -> None:
    """A subclass says how its part is made."""
    with pytest.raises(NotImplementedError):
        CachingContract().make_cache()
    with pytest.raises(NotImplementedError):
        AuthStrategyContract().make_strategy("", "", "")

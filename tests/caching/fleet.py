"""Hosts of a fleet as processes of their own: each asks for a token in several threads, and tells how it went."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from client_credentials import (
    AccessToken,
    ClientCredentialsStrategy,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
    TokenRequest,
    TokenResponse,
)
from tests.caching.redis_server import connect
from tests.shell.kit import settled

if TYPE_CHECKING:
    from pytest import LogCaptureFixture  # noqa: PT013  # not for the hosts

CLIENT = ("my-client", "my-secret-3f9c")  # nobody's

Place: TypeAlias = Path | int | None
"""Where a fleet shares its tokens: in a directory, at the port of a Redis, or nowhere."""

SPAWN = multiprocessing.get_context("spawn")


def cache_at(place: Place) -> Any:
    """Make the caching strategy for a place."""
    if place is None:
        return InMemoryCachingStrategy()
    if isinstance(place, Path):
        return FileCachingStrategy(place)
    return RedisCachingStrategy(connect(place))


def strategy_on(
    url: str, cache: Any, *, policy: RenewalPolicy | None = None, client: tuple[str, str] = CLIENT, **arguments: Any
) -> ClientCredentialsStrategy:
    """Make a strategy on a cache."""
    hooks = {name: arguments.pop(name) for name in ("clock", "fetch", "error_handler") if name in arguments}
    exact = policy or RenewalPolicy(jitter=0)
    strategy = ClientCredentialsStrategy(*client, token_url=url, policy=exact, **arguments)
    strategy.set_configuration(SdkConfiguration(caching_strategy=cache, **hooks))
    return strategy


@attrs.frozen
class Served:
    """What one thread of a host got: a token or the name of an error, and when, by the clock that processes share."""

    token: str
    error: str | None
    at: float


def _ask(strategy: ClientCredentialsStrategy) -> Served:
    try:
        token = strategy.get_or_create_access_token()
    except TokenError as error:
        return Served("", type(error).__name__, time.monotonic())
    return Served(token.access_token, None, time.monotonic())


def _lukewarm(_: TokenRequest) -> TokenResponse:
    return TokenResponse(200, {}, b'{"access_token": "any", "token_type": "Bearer", "expires_in": 60}')


def warm_up(url: str) -> None:
    """Import whatever a first token imports, so that what is measured afterwards is the fleet and not its start."""
    cache = InMemoryCachingStrategy()
    for _ in range(2):
        strategy_on(url, cache, fetch=_lukewarm).get_or_create_access_token()


def _host(place: Place, url: str, deadline: float, threads: int, gate: Any, results: Any) -> None:
    strategy = strategy_on(url, cache_at(place), policy=RenewalPolicy(jitter=0, deadline=deadline))
    warm_up(url)
    with ThreadPoolExecutor(threads) as pool:
        gate.wait()
        served = list(pool.map(_ask, [strategy] * threads))
    results.put(served)


@attrs.define
class Fleet:
    """Hosts that wait for the word to begin."""

    hosts: list[Any]
    _gate: Any
    _results: Any

    def begin(self) -> float:
        """Let all ask at once; gives when that was, by the clock that processes share."""
        self._gate.wait()
        return time.monotonic()

    def served(self, hosts: int) -> list[Served]:
        """Wait for what so many hosts got."""
        return [each for _ in range(hosts) for each in self._results.get(timeout=120)]


@contextmanager
def fleet(
    hosts: int, threads: int, url: str, place: Callable[[int], Place] | Place, *, deadline: float = 10.0
) -> Generator[Fleet]:
    """Start so many hosts with so many threads each; at the end all of them are gone."""
    gate, results = SPAWN.Barrier(hosts + 1), SPAWN.Queue()
    places = [place(number) if callable(place) else place for number in range(hosts)]
    started: list[Any] = [
        SPAWN.Process(target=_host, args=(each, url, deadline, threads, gate, results)) for each in places
    ]
    for process in started:
        process.start()
    try:
        yield Fleet(started, gate, results)
    finally:
        for process in started:
            process.join(60)
            process.kill()
            process.join()


def tokens(served: list[Served]) -> set[str]:
    """Give the tokens that were handed out; nobody may have got an error."""
    assert [] == [each.error for each in served if each.error]
    return {each.token for each in served}


def value(token: AccessToken | None) -> str | None:
    """Give a token's text."""
    return token.access_token if token else None


def text_of(cache: Any, key: str) -> str | None:
    """Give what a cache keeps under a key."""
    entry = cache.get(key)
    return entry.value if entry else None


def key_of(strategy: Any) -> str:
    """Give the key under which a strategy keeps its token."""
    key: str = strategy._identity.key()
    return key


def name_of(strategy: Any) -> str:
    """Give the name of a strategy's entry in Redis."""
    return "{" + key_of(strategy) + "}"


def obtain(strategy: ClientCredentialsStrategy) -> AccessToken:
    """Obtain a token, and wait until the cache has it: callers get theirs before."""
    token = strategy.get_or_create_access_token()
    settled(strategy)
    return token


def told(caplog: LogCaptureFixture) -> list[str]:
    """Give what our logger was told."""
    return [record.getMessage() for record in caplog.records if record.name == "client_credentials"]


def write_for_ever(folder: Path) -> None:
    """Overwrite one entry with two values in turn, both long enough to be written in pieces."""
    cache = FileCachingStrategy(folder)
    while True:
        for letter in "ab":
            cache.set("key", letter * 200_000, 60)


def hold_for_ever(folder: Path, ready: Any) -> None:
    """Hold the lock of a key until killed."""
    with FileCachingStrategy(folder).lock("key", 60) as mine:
        assert mine
        ready.set()
        time.sleep(600)


def hold_and_fork(folder: Path, ready: Any) -> None:
    """Hold the lock of a key until killed, and leave a forked child behind, whose id is told."""
    with FileCachingStrategy(folder).lock("key", 60) as mine:
        assert mine
        if os.fork() == 0:
            ready.put(os.getpid())
        time.sleep(600)


def works_in_a_child(works: Callable[[], bool], *mutexes: AbstractContextManager[object]) -> bool:
    """Tell whether something works in a child that is forked while another thread holds these locks."""
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for mutex in mutexes:
                stack.enter_context(mutex)
            ready.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if works() else 1)
    done.set()
    holder.join()
    return os.waitpid(child, 0)[1] == 0

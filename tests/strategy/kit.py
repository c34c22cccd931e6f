"""One face for both strategies, so that one suite holds them to the same rules."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
)
from client_credentials.testing import FakeClock, TokenServer

T = TypeVar("T")

CLIENT_ID = "my-client"
CLIENT_SECRET = "my-secret-3f9c"  # nobody's

EXACT = RenewalPolicy(jitter=0)


class Strategy(Protocol):
    """What both strategies offer, called from a thread."""

    def set_configuration(self, configuration: SdkConfiguration) -> None: ...
    def get_or_create_access_token(self) -> AccessToken: ...
    def get_access_token(self) -> AccessToken | None: ...
    def remove_access_token(self, token: AccessToken | str | None = None) -> None: ...


class OnALoop:
    """The asyncio strategy, driven from threads by way of an event loop in one of its own."""

    def __init__(self, strategy: AsyncClientCredentialsStrategy, loop: asyncio.AbstractEventLoop) -> None:
        self.strategy = strategy
        self._loop = loop

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        self.strategy.set_configuration(configuration)

    def get_or_create_access_token(self) -> AccessToken:
        return self._run(self.strategy.get_or_create_access_token())

    def get_access_token(self) -> AccessToken | None:
        return self._run(self.strategy.get_access_token())

    def remove_access_token(self, token: AccessToken | str | None = None) -> None:
        self._run(self.strategy.remove_access_token(token))


class Maker(Protocol):
    """Makes a strategy for a server."""

    def __call__(
        self,
        server: TokenServer,
        clock: FakeClock | None = None,
        *,
        secret: str | Callable[[], str] = CLIENT_SECRET,
        policy: RenewalPolicy = EXACT,
        hooks: Mapping[str, Any] | None = None,
    ) -> Strategy: ...


def nothing(*_: object) -> None:
    """Do nothing, as a user's hook and not as the default one."""


def configuration(clock: FakeClock | None = None, **hooks: Any) -> SdkConfiguration:
    """Make a configuration on a clock, its cache on the same one."""
    if clock is not None:
        hooks = {"clock": clock, "caching_strategy": InMemoryCachingStrategy(clock=clock), **hooks}
    return SdkConfiguration(**hooks)


def make_sync(
    server: TokenServer,
    clock: FakeClock | None = None,
    *,
    secret: str | Callable[[], str] = CLIENT_SECRET,
    policy: RenewalPolicy = EXACT,
    hooks: Mapping[str, Any] | None = None,
) -> ClientCredentialsStrategy:
    """Make the threads' strategy."""
    strategy = ClientCredentialsStrategy(CLIENT_ID, secret, token_url=server.url, policy=policy)
    strategy.set_configuration(configuration(clock, **(hooks or {})))
    return strategy


def make_async(
    server: TokenServer,
    clock: FakeClock | None = None,
    *,
    secret: str | Callable[[], str] = CLIENT_SECRET,
    policy: RenewalPolicy = EXACT,
    hooks: Mapping[str, Any] | None = None,
) -> AsyncClientCredentialsStrategy:
    """Make the event loop's strategy."""
    strategy = AsyncClientCredentialsStrategy(CLIENT_ID, secret, token_url=server.url, policy=policy)
    strategy.set_configuration(configuration(clock, **(hooks or {})))
    return strategy


def together(count: int, call: Callable[[], T]) -> list[T | BaseException]:
    """Call from so many threads at once; gives what each got, or what it raised."""
    gate = threading.Barrier(count)

    def one(_: int) -> T | BaseException:
        gate.wait()
        try:
            return call()
        except BaseException as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)

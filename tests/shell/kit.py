"""One face for both strategies, so that one suite holds them to the same rules."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    CacheEntry,
    ClientCredentialsStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
    TokenRequest,
    TokenResponse,
)
from client_credentials.testing import FakeClock, TokenServer

S = TypeVar("S", ClientCredentialsStrategy, AsyncClientCredentialsStrategy)
T = TypeVar("T")

CLIENT_ID = "my-client"
CLIENT_SECRET = "my-secret-3f9c"  # nobody's

EXACT = RenewalPolicy(jitter=0)
HASTY = RenewalPolicy(jitter=0, deadline=0.4)


class Strategy(Protocol):
    """What both strategies offer, called from a thread."""

    def set_configuration(self, configuration: SdkConfiguration) -> None: ...
    def get_or_create_access_token(self) -> AccessToken: ...
    def get_access_token(self) -> AccessToken | None: ...
    def remove_access_token(self, token: AccessToken | None = None) -> None: ...


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

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        self._run(self.strategy.remove_access_token(token))


class Maker(Protocol):
    """Makes a strategy for a server."""

    def __call__(
        self,
        server: TokenServer,
        clock: FakeClock | None = None,
        *,
        secret: str | Callable[[], str] | Sequence[str] = CLIENT_SECRET,
        policy: RenewalPolicy = EXACT,
        hooks: Mapping[str, Any] | None = None,
    ) -> Strategy: ...


def nothing(*_: object) -> None:
    """Do nothing, as a user's hook and not as the default one."""


def configuration(clock: FakeClock | None = None, **hooks: Any) -> SdkConfiguration:
    """Make a configuration on a clock, its cache on the same one."""
    return SdkConfiguration(**hooks) if clock is None else SdkConfiguration(clock=clock, **hooks)


def made(
    kind: type[S],
    server: TokenServer,
    clock: FakeClock | None = None,
    *,
    secret: str | Callable[[], str] | Sequence[str] = CLIENT_SECRET,
    policy: RenewalPolicy = EXACT,
    hooks: Mapping[str, Any] | None = None,
) -> S:
    """Make a strategy of a kind for a server."""
    strategy = kind(CLIENT_ID, secret, token_url=server.url, policy=policy)
    strategy.set_configuration(configuration(clock, **(hooks or {})))
    return strategy


make_sync = partial(made, ClientCredentialsStrategy)
make_async = partial(made, AsyncClientCredentialsStrategy)


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


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def grant(token: str = "a-token", **members: object) -> TokenResponse:
    """Answer with a token of an hour, unless these members say otherwise."""
    document = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **members}
    return TokenResponse(200, {}, json.dumps(document).encode())


def refuse(error: str = "invalid_client", status: int = 400, **headers: str) -> TokenResponse:
    """Answer with a refusal."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return TokenResponse(status, named, json.dumps({"error": error}).encode())


class Endpoint:
    """A fetch whose requests are answered one by one by these; the last answers all further ones.

    A callable is called with the request; what it gives is the answer. Requests may overlap.
    """

    def __init__(self, *answers: TokenResponse | Callable[[TokenRequest], TokenResponse]) -> None:
        self.answers = answers
        self.requests: list[TokenRequest] = []
        self._lock = threading.Lock()

    def __call__(self, request: TokenRequest) -> TokenResponse:
        with self._lock:
            answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
            self.requests.append(request)
        return answer(request) if callable(answer) else answer


class Held:
    """An answer that comes when it is let go."""

    def __init__(self, answer: TokenResponse) -> None:
        self.answer = answer
        self.go = threading.Event()
        self.is_over = False

    def __call__(self, _: TokenRequest) -> TokenResponse:
        self.go.wait(60)
        self.is_over = True
        return self.answer


class Shelf:
    """A shared cache without a lock, as a user may write one."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> CacheEntry | None:
        value, end = self.entries.get(key, ("", 0.0))
        return CacheEntry(value, end - time.monotonic()) if end > time.monotonic() else None

    def set(self, key: str, value: str, ttl: float) -> None:
        self.entries[key] = (value, time.monotonic() + ttl)

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)


def strategy_of(
    fetch: Any,
    clock: FakeClock | None = None,
    *,
    secret: str | Callable[[], str] | Sequence[str] = CLIENT_SECRET,
    policy: RenewalPolicy = EXACT,
    **hooks: Any,
) -> ClientCredentialsStrategy:
    """Make the threads' strategy with a fetch of its own."""
    strategy = ClientCredentialsStrategy(CLIENT_ID, secret, policy=policy)
    strategy.set_configuration(configuration(clock, fetch=fetch, **hooks))
    return strategy


def outcome(call: Callable[[], AccessToken | None]) -> str | TokenError | None:
    """Give the text of the token that a call gives, or its TokenError."""
    try:
        token = call()
    except TokenError as error:
        return error
    return None if token is None else token.access_token


@contextmanager
def hasty(strategy: ClientCredentialsStrategy) -> Generator[None]:
    """Have the deadline of a strategy near, for a flight that hangs; what comes after it has the time that it needs."""
    identity: Any = strategy._identity  # pyright: ignore[reportPrivateUsage]
    policy = identity.policy
    identity.policy = HASTY
    yield
    identity.policy = policy


def settled(strategy: Any) -> None:
    """Wait until no flight of a strategy runs any more."""
    until(lambda: strategy._active.flight.latest().is_over)


PRELUDE = """
import asyncio, os, signal, sys, threading, time
from client_credentials import *
from client_credentials.testing import Answer, FakeClock, TokenServer
clock = FakeClock()
policy = RenewalPolicy(jitter=0)
strategy = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1], policy=policy)
"""


def start(server: TokenServer, program: str, *options: str) -> subprocess.Popen[str]:
    """Start a program of its own, with a strategy for the server; what it prints can be read, and it be written to."""
    command = [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(program), server.url]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run(server: TokenServer, program: str, *options: str) -> tuple[str, str, int]:
    """Run such a program; gives what it printed, what it complained of, and its exit status."""
    with start(server, program, *options) as process:
        try:
            said, complained = process.communicate(timeout=60)
        finally:
            process.kill()
        return said, complained, process.returncode

"""The main job in five rows: what a program asks for, what it gets, and how many token requests that costs."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from .._core.model import AccessToken
from ..caching.memory import InMemoryCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from ..strategy import ClientCredentialsStrategy
from .arguments import client_of_environment
from .commands import redacted
from .output import DONE, PROGRAM, Remarks, complain

if TYPE_CHECKING:
    from ..testing import FakeClock, TokenServer

READS: Final = 100_000
THREADS: Final = 1_000
CALLERS: Final = 20
CLIENT: Final = ("demo-client", "demo-secret")
_SLOW: Final = 0.3  # seconds that the server takes to answer, so that others ask meanwhile
_BACKOFF: Final = 5.0  # seconds; the next attempt is due by then
_PATIENCE: Final = 5.0  # seconds for what happens in the background
_LAST_MINUTE: Final = 60.0


def run(_: argparse.Namespace) -> int:
    """Get one token from Spotify if its client is in the environment, else show the library on a server in here."""
    strategy = client_of_environment()
    with Remarks():
        if strategy is None:
            show()
            return DONE
        try:
            token = strategy.get_or_create_access_token()
        except TokenError as error:
            return complain(f"{error}; `{PROGRAM} doctor` says more")
    print(f"A token from Spotify: {token.token_type}, {token.expires_in} s, {redacted(token)}")
    return DONE


def show() -> None:
    """Print a title, a row for each step, and where to go on."""
    from ..testing import FakeClock, TokenServer

    print("A program asks for access tokens; the token server runs in the same process.\n")
    _row("it asks", "it gets", "requests")
    with TokenServer(*CLIENT) as server:
        stage = Stage(server, FakeClock())
        for step in STEPS:
            before = len(server.requests)
            _row(*step(stage), len(server.requests) - before)
    print(f"\nNext: `{PROGRAM} token --help` for a token of yours; the README for Python.")


@attrs.define
class Stage:
    """A token server, and a client of it that lives by a fake clock, so that an hour takes no time."""

    server: TokenServer
    clock: FakeClock
    errors: list[TokenError] = attrs.field(factory=list[TokenError], init=False)
    strategy: ClientCredentialsStrategy = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        cache = InMemoryCachingStrategy(clock=self.clock)
        self.strategy = self.newcomer()
        self.strategy.set_configuration(
            SdkConfiguration(clock=self.clock, caching_strategy=cache, error_handler=self.errors.append)
        )

    def newcomer(self) -> ClientCredentialsStrategy:
        """Make another strategy for the same client, without a token."""
        return ClientCredentialsStrategy(*CLIENT, token_url=self.server.url)

    def last_minute(self) -> AccessToken:
        """Let time pass until the token is about to expire; give it."""
        token = self.strategy.get_or_create_access_token()
        self.clock.advance(token.expires / 1000 - self.clock.wall() - _LAST_MINUTE)
        return token


def first(stage: Stage) -> tuple[str, str]:
    """Ask for a token for the first time."""
    begun = time.perf_counter()
    token = stage.strategy.get_or_create_access_token()
    return "its first token", f"{token.token_type}, {token.expires_in} s, in {_ms(begun)}"


def reads(stage: Stage) -> tuple[str, str]:
    """Ask again and again."""
    strategy = stage.newcomer()
    tokens = {strategy.get_or_create_access_token()}
    begun = time.perf_counter()
    for _ in range(READS):
        strategy.get_or_create_access_token()
    took = time.perf_counter() - begun
    tokens.add(strategy.get_or_create_access_token())
    return f"a token, {READS:,} times", f"{len(tokens)} token, {took / READS * 1e9:.0f} ns a call"


def crowd(stage: Stage) -> tuple[str, str]:
    """Ask from many threads at once, without a token."""
    from ..testing import Answer

    strategy = stage.newcomer()
    tokens: list[AccessToken] = []
    stage.server.answer(Answer(delay=_SLOW))
    begun = time.perf_counter()
    _in_threads(THREADS, lambda: tokens.append(strategy.get_or_create_access_token()))
    return f"a token, in {THREADS:,} threads at once", f"{len(set(tokens))} token for {len(tokens):,}, in {_ms(begun)}"


def renewal(stage: Stage) -> tuple[str, str]:
    """Ask in the last minute of a token."""
    from ..testing import Answer

    old = stage.last_minute()
    stage.server.answer(Answer(delay=_SLOW))
    slowest: list[float] = []

    def call() -> None:
        token = old
        while token == old:
            begun = time.perf_counter()
            token = stage.strategy.get_or_create_access_token()
            slowest.append(time.perf_counter() - begun)
            time.sleep(0.001)

    _in_threads(CALLERS, call)
    return "a token, as the old one expires", f"old, then new; {max(slowest) * 1000:.0f} ms at most"


def outage(stage: Stage) -> tuple[str, str]:
    """Ask in the last minute of a token, with the server down for two attempts."""
    from ..testing import Answer

    token = old = stage.last_minute()
    stage.server.always(Answer(status=503))
    ends = time.monotonic() + _PATIENCE
    seen = 0
    while token == old and time.monotonic() < ends:
        token = stage.strategy.get_or_create_access_token()
        time.sleep(0.001)
        if seen < len(stage.errors):
            seen += 1
            stage.clock.advance(_BACKOFF)
        if seen == 2:
            stage.server.always(None)
    return "the same, with the server down", f"old; {'still, no new one' if token == old else 'new once it is back'}"


STEPS: Final = (first, reads, crowd, renewal, outage)


def _in_threads(number: int, call: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)


def _row(asked: str, got: str, requests: object) -> None:
    print(f"  {asked:<33}  {got:<32}  {requests!s:>8}", flush=True)


def _ms(begun: float) -> str:
    return f"{(time.perf_counter() - begun) * 1000:.0f} ms"

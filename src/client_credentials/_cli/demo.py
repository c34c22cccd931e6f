"""The main job in five rows: what a program asks for, what it gets, and how many token requests that costs."""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final

from .._core.request import VERSION
from ..caching.memory import InMemoryCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from ..strategy import ClientCredentialsStrategy
from .arguments import SPOTIFY_ID, SPOTIFY_SECRET, UsageError
from .commands import redacted
from .output import DONE, PROGRAM, Remarks, complain, say

if TYPE_CHECKING:
    from ..testing import TokenServer

READS: Final = 100_000
THREADS: Final = 1_000
CALLERS: Final = 20
CLIENT: Final = ("demo-client", "demo-secret")
_SLOW: Final = 0.3  # seconds that the server takes to answer, so that others ask meanwhile
_PATIENCE: Final = 5.0  # seconds for what happens in the background


def run(_: argparse.Namespace) -> int:
    """Get a token from Spotify if its client is in the environment; else show the library on a server of its own."""
    with Remarks():
        if not (os.environ.get(SPOTIFY_ID) and os.environ.get(SPOTIFY_SECRET)):
            show()
            return DONE
        try:
            strategy = ClientCredentialsStrategy(os.environ[SPOTIFY_ID], os.environ[SPOTIFY_SECRET])
            token = strategy.get_or_create_access_token()
        except ValueError as error:
            raise UsageError.of(error) from None
        except TokenError as error:
            return complain(f"{error}; `{PROGRAM} doctor` says more")
    say(f"A token from Spotify: {token.token_type}, {token.expires_in} s, {redacted(token)}")
    return DONE


def show() -> None:
    """Print a title, a row for each step, and where to go on."""
    from ..testing import TokenServer

    say(f"{PROGRAM} {VERSION}: a program and a token server, in one process\n")
    _row("it asks for", "it gets", "requests")
    with TokenServer(*CLIENT) as server:
        before = 0
        for asked, got in steps(server):
            _row(asked, got, len(server.requests) - before)
            before = len(server.requests)
    say(f"\nNext: `{PROGRAM} token --help`, or the README for use from Python.")


def steps(server: TokenServer) -> Generator[tuple[str, str]]:
    """Take the steps one by one; each yields what was asked for and what came."""
    from ..testing import Answer, FakeClock

    clock = FakeClock()  # an hour takes no time
    errors: list[TokenError] = []
    strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
    cache = InMemoryCachingStrategy(clock=clock)
    strategy.set_configuration(SdkConfiguration(clock=clock, caching_strategy=cache, error_handler=errors.append))
    begun = time.perf_counter()
    token = strategy.get_or_create_access_token()
    yield "its first token", f"{token.token_type}, {token.expires_in} s, in {_ms(begun)}"

    another = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
    tokens = [another.get_or_create_access_token()]
    begun = time.perf_counter()
    for _ in range(READS):
        another.get_or_create_access_token()
    each = (time.perf_counter() - begun) / READS
    tokens.append(another.get_or_create_access_token())
    yield f"a token, {READS:,} times", f"{len(set(tokens))} token, {each * 1e9:.0f} ns a call"

    crowd = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
    server.answer(Answer(delay=_SLOW))
    tokens.clear()
    begun = time.perf_counter()
    _in_threads(THREADS, lambda: tokens.append(crowd.get_or_create_access_token()))
    yield f"a token, in {THREADS:,} threads at once", f"{len(set(tokens))} token for {len(tokens):,}, in {_ms(begun)}"

    clock.advance(token.expires_in - 60)
    server.answer(Answer(delay=_SLOW))
    calls: list[float] = []

    def call() -> None:
        got = token
        while got == token:
            begun = time.perf_counter()
            got = strategy.get_or_create_access_token()
            calls.append(time.perf_counter() - begun)
            time.sleep(0.001)

    _in_threads(CALLERS, call)
    yield "a token, as the old one expires", f"old, then new; slowest {max(calls) * 1000:.1f} ms"

    last = strategy.get_or_create_access_token()
    clock.advance(last.expires_in - 60)
    server.always(Answer(status=503))
    ends, failures = time.monotonic() + _PATIENCE, 0
    while strategy.get_or_create_access_token() == last and time.monotonic() < ends:
        time.sleep(0.001)
        if failures < len(errors):
            failures += 1
            clock.advance(5)  # longer than the backoff
        if failures == 2:
            server.always(None)
    is_new = strategy.get_or_create_access_token() != last
    yield "the same, with the server down", f"old; {'new once it is back' if is_new else 'no new one'}"


def _in_threads(number: int, call: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)


def _row(asked: str, got: str, requests: object) -> None:
    say(f"  {asked:<33}  {got:<32}  {requests!s:>8}")


def _ms(begun: float) -> str:
    return f"{(time.perf_counter() - begun) * 1000:.0f} ms"

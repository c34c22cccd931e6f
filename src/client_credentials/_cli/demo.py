"""The main job with something to look at: what was asked, what came, and how many token requests it cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from .._core.model import AccessToken
from .._core.secret import REDACTED
from ..caching.memory import InMemoryCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError, TokenRefused
from ..strategy import ClientCredentialsStrategy

if TYPE_CHECKING:
    from ..testing import FakeClock, TokenServer

READS: Final = 100_000
THREADS: Final = 1_000
CALLERS: Final = 20
FAILURES: Final = 2
REMOVALS: Final = 100
CLIENT: Final = ("demo-client", "demo-secret")
_SLOW: Final = 0.3  # seconds that the server takes where others are to come in between
_AFTER_A_FAILURE: Final = 5.0  # seconds; longer than the next attempt has to wait
_PATIENCE: Final = 5.0  # seconds for what happens in the background
_BEFORE_THE_END: Final = 60.0  # seconds; well within the renewal window


def redacted(token: AccessToken) -> str:
    """Show of a token what anybody may see."""
    return f"{REDACTED} ({len(token.access_token)} characters)"


def show(strategy: ClientCredentialsStrategy | None) -> None:
    """Get one token of a real client; without one, go through the library's job on a server in this process.

    Raises TokenError where the real client gets none.
    """
    _line("asked", "came", "requests")
    if strategy is not None:
        _line("a token, for a client of your own", _told(strategy.get_or_create_access_token()), 1)
        return
    from ..testing import FakeClock, TokenServer

    with TokenServer(*CLIENT) as server:
        stage = Stage(server, FakeClock())
        for step in STEPS:
            before = len(server.requests)
            _line(*step(stage), len(server.requests) - before)


@attrs.define
class Stage:
    """A token server, and a client of it that lives by a clock of its own, so that an hour takes no time."""

    server: TokenServer
    clock: FakeClock
    failures: list[TokenError] = attrs.field(factory=list[TokenError], init=False)
    held: ClientCredentialsStrategy = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.held = self.stranger()
        self.held.set_configuration(
            SdkConfiguration(
                clock=self.clock,
                caching_strategy=InMemoryCachingStrategy(clock=self.clock),
                error_handler=self.failures.append,
            )
        )

    def stranger(self, secret: str = CLIENT[1]) -> ClientCredentialsStrategy:
        """Make another strategy for the same client, one that has no token yet."""
        return ClientCredentialsStrategy(CLIENT[0], secret, token_url=self.server.url)

    def approach_the_end(self) -> AccessToken:
        """Let time pass until the held token is about to end."""
        token = self.held.get_or_create_access_token()
        self.clock.advance(token.expires / 1000 - self.clock.wall() - _BEFORE_THE_END)
        return token


def first(stage: Stage) -> tuple[str, str]:
    """Ask for a token where there is none."""
    begun = time.perf_counter()
    token = stage.held.get_or_create_access_token()
    took = time.perf_counter() - begun
    return "a token, where there is none", f"{_told(token)}, {_ms(took)} with imports"


def reads(stage: Stage) -> tuple[str, str]:
    """Ask again and again."""
    strategy = stage.stranger()
    tokens = {strategy.get_or_create_access_token()}
    begun = time.perf_counter()
    for _ in range(READS):
        strategy.get_or_create_access_token()
    took = time.perf_counter() - begun
    tokens.add(strategy.get_or_create_access_token())
    return f"a token, {READS:,} times", f"{len(tokens)} token for all, {took / READS * 1e9:.0f} ns a read"


def crowd(stage: Stage) -> tuple[str, str]:
    """Ask from many threads at once, where there is no token."""
    from ..testing import Answer

    strategy = stage.stranger()
    tokens: list[AccessToken] = []
    stage.server.answer(Answer(delay=_SLOW))
    begun = time.perf_counter()
    _in_threads(THREADS, lambda: tokens.append(strategy.get_or_create_access_token()))
    took = time.perf_counter() - begun
    came = f"{len(set(tokens))} token for {len(tokens):,}, the last after {_ms(took)}; the server took {_ms(_SLOW)}"
    return f"a token, for {THREADS:,} threads at once", came


def renewal(stage: Stage) -> tuple[str, str]:
    """Ask while the token is about to end."""
    from ..testing import Answer

    old = stage.approach_the_end()
    stage.server.answer(Answer(delay=_SLOW))
    calls: list[float] = []

    def call() -> None:
        token = old
        while token == old:
            begun = time.perf_counter()
            token = stage.held.get_or_create_access_token()
            calls.append(time.perf_counter() - begun)
            time.sleep(0.001)

    _in_threads(CALLERS, call)
    came = f"the old one until the new was there; {len(calls):,} calls, the slowest {_ms(max(calls))}"
    return f"a token in its last minute, for {CALLERS} threads", came


def outage(stage: Stage) -> tuple[str, str]:
    """Ask while the token is about to end and the server is down, until it is back."""
    from ..testing import Answer

    token = old = stage.approach_the_end()
    stage.server.always(Answer(status=503))
    patience = time.monotonic() + _PATIENCE
    failures = 0
    while token == old and time.monotonic() < patience:
        token = stage.held.get_or_create_access_token()
        time.sleep(0.001)
        if failures < len(stage.failures):
            failures += 1
            stage.clock.advance(_AFTER_A_FAILURE)
        if failures == FAILURES:
            stage.server.always(None)
    came = f"the old one through {failures} failed renewals, then {'the same' if token == old else 'a new one'}"
    return "a token in its last minute, the server down", came


def refusal(stage: Stage) -> tuple[str, str]:
    """Ask with a wrong secret."""
    came = "a token"
    try:
        stage.stranger("wrong-secret").get_or_create_access_token()
    except TokenRefused as error:
        came = f"TokenRefused: status {error.status}, {error.error}, {error.error_description}"
    return "a token, with a wrong secret", came


def removal(stage: Stage) -> tuple[str, str]:
    """Report one dead token from a hundred places."""
    dead = stage.held.get_or_create_access_token()
    tokens: set[AccessToken] = set()
    for _ in range(REMOVALS):
        stage.held.remove_access_token(dead)
        tokens.add(stage.held.get_or_create_access_token())
    return f"a token, after {REMOVALS} removals of the same one", f"{len(tokens - {dead})} new token for all"


STEPS: Final = (first, reads, crowd, renewal, outage, refusal, removal)


def _in_threads(number: int, call: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)


def _line(asked: str, came: str, requests: object) -> None:
    print(f"{asked:<44}  {came:<66}  {requests!s:>8}", flush=True)


def _told(token: AccessToken) -> str:
    return f"{token.token_type}, {token.expires_in} s, {redacted(token)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"

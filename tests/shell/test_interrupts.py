"""An exception at any bytecode of a caller is that caller's alone: no other is hung, told of it, or costs a request."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from client_credentials import ClientCredentialsStrategy, InMemoryCachingStrategy
from client_credentials.testing import FakeClock
from tests.leaks.canaries import PACKAGE
from tests.shell.interrupts import interrupt
from tests.shell.kit import Endpoint, Held, Shelf, grant, outcome, settled, strategy_of, until


class Injected(BaseException):
    """What is raised at a bytecode."""


def inject(nth: int, call: Callable[[], object]) -> bool:
    """Make a call, and raise at its nth bytecode within the package; False: it had fewer."""
    left = nth

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Injected
        return trace

    before, frame = sys.gettrace(), inspect.currentframe()
    assert frame
    frame.f_trace_opcodes = True  # CPython 3.12 sees the first one that is set before settrace only
    gc.disable()  # what is raised in a finalizer is raised nowhere
    sys.settrace(trace)
    try:
        call()
    except Injected:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False


def check(strategy: ClientCredentialsStrategy, tokens: set[str]) -> None:
    """A caller in a thread of its own, and then one here, get a token in time; no flight is without an end."""
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.append(outcome(strategy.get_or_create_access_token)), daemon=True)
    asking.start()
    asking.join(60)
    assert found[0] in tokens
    assert outcome(strategy.get_or_create_access_token) in tokens
    settled(strategy)


def leading() -> tuple[ClientCredentialsStrategy, Endpoint, Callable[[], None]]:
    """A caller who begins a flight."""
    endpoint = Endpoint(grant("one"), grant("two"))
    return strategy_of(endpoint), endpoint, lambda: None


def joining() -> tuple[ClientCredentialsStrategy, Endpoint, Callable[[], None]]:
    """A caller who joins another's flight, under a cache that is looked into meanwhile."""
    late = Held(grant("one"))
    endpoint = Endpoint(late, grant("two"))
    strategy = strategy_of(endpoint, caching_strategy=Shelf())
    threading.Thread(target=strategy.get_or_create_access_token, daemon=True).start()
    until(lambda: endpoint.requests)
    threading.Timer(0.003, late.go.set).start()
    return strategy, endpoint, late.go.set


def renewing() -> tuple[ClientCredentialsStrategy, Endpoint, Callable[[], None]]:
    """A caller with a token in its renewal window."""
    clock = FakeClock()
    endpoint = Endpoint(grant("zero"), grant("one"), grant("two"))
    strategy = strategy_of(endpoint, clock)
    strategy.get_or_create_access_token()
    settled(strategy)
    clock.advance(3500)
    endpoint.requests.pop()
    endpoint.answers = endpoint.answers[1:]
    return strategy, endpoint, lambda: clock.advance(3500)


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 7], ids=["each", "one of seven"])
@pytest.mark.parametrize("role", [leading, joining, renewing])
def test_at_every_bytecode(
    role: Callable[[], tuple[ClientCredentialsStrategy, Endpoint, Callable[[], None]]], stride: int
) -> None:
    """J5, Q9/thread: interrupt a caller at any bytecode: all others get a token, for at most one request more."""
    nth, is_injected = 0, True
    while is_injected:
        strategy, endpoint, then = role()
        is_injected = inject(nth, strategy.get_or_create_access_token)
        then()
        check(strategy, {"one", "two"})
        assert len(endpoint.requests) <= 2
        nth += stride
    assert nth > 100


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 3], ids=["each", "one of three"])
def test_a_removal_at_every_bytecode(stride: int) -> None:
    """Q9/thread: whoever is interrupted in a removal leaves no lock of the cache taken."""
    nth, is_injected = 0, True
    while is_injected:
        cache = InMemoryCachingStrategy()
        strategy = strategy_of(Endpoint(grant("one")), caching_strategy=cache)
        strategy.get_or_create_access_token()
        settled(strategy)
        internals: Any = strategy
        key = internals._identity.keys[0]
        is_injected = inject(nth, strategy.remove_access_token)

        def is_free(cache: InMemoryCachingStrategy = cache, key: str = key) -> bool:
            with cache.lock(key, 1.0) as taken:
                return taken

        until(is_free)
        nth += stride
    assert nth > 30


def test_by_signals() -> None:
    """J5: real signals at random moments of a caller cost no other its token, nor hang it."""
    told = interrupt(100)
    assert (0, 0) == (told.hangs, told.lost)
    assert told.in_callers > 10

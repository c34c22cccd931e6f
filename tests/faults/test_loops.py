"""FAULTS, group K: tasks that are cancelled, loops that close, and a loop that is never held up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio
import attrs
import pytest

from client_credentials import (
    AccessToken,
    CacheEntry,
    InMemoryCachingStrategy,
    TokenEndpointUnreachable,
    TokenRequest,
    TokenResponse,
)
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.faults.heartbeat import LOOPS, live
from tests.shell.kit import EXACT, Endpoint, Held, grant, make_async, make_sync, until

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(params=LOOPS.values(), ids=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Give what runs a coroutine in a new loop, of the standard kind and then of uvloop's."""

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


@pytest.mark.parametrize("cancelled", [{0}, {3}, set(range(6))], ids=["the leader", "one who waits", "all"])
def test_tasks_are_cancelled(server: TokenServer, run: Run[None], cancelled: set[int]) -> None:
    """K1, Q9/task: whichever tasks are cancelled, the request goes on; all others get its token, and who comes next."""
    late = Held(grant("the-token"))
    endpoint = Endpoint(late)

    async def scenario() -> None:
        strategy = make_async(server, hooks={"fetch": endpoint})
        tasks = [asyncio.create_task(strategy.get_or_create_access_token()) for _ in range(6)]
        await asyncio.to_thread(until, lambda: endpoint.requests)
        for nth in cancelled:
            tasks[nth].cancel()
        late.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert cancelled == {nth for nth, each in enumerate(found) if isinstance(each, asyncio.CancelledError)}
        tokens = [each for each in found if isinstance(each, AccessToken)]
        tokens.append(await strategy.get_or_create_access_token())
        assert ["the-token"] * (7 - len(cancelled)) == [token.access_token for token in tokens]

    run(scenario())
    assert 1 == len(endpoint.requests)


def test_loops_share_a_strategy(server: TokenServer, run: Run[list[AccessToken]]) -> None:
    """K3: tasks of four loops in four threads, and threads without any, wait for one request."""
    server.always(Answer(delay=0.3))
    strategy = make_async(server)
    tokens: list[AccessToken] = []
    gate = threading.Barrier(4)

    async def ask() -> list[AccessToken]:
        return await asyncio.gather(*(strategy.get_or_create_access_token() for _ in range(25)))

    def loop() -> None:
        gate.wait()
        tokens.extend(run(ask()))

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.issued * 100 == [token.access_token for token in tokens]
    assert 1 == len(server.requests)


def test_a_loop_is_closed(server: TokenServer, run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """K4: a loop that is closed in mid-request gets no call and raises nothing in our thread; the token is kept."""
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    late = Held(grant("the-token"))
    endpoint = Endpoint(late)
    monkeypatch.setattr("client_credentials.caching._circuit_breaker.BUDGET", 60.0)
    go = threading.Event()

    class Slow(InMemoryCachingStrategy):
        def get(self, key: str) -> CacheEntry | None:
            go.wait(20)
            return super().get(key)

    strategies = [
        make_async(server, hooks={"fetch": endpoint}),
        make_async(server, hooks={"fetch": endpoint, "caching_strategy": Slow()}),
    ]

    async def leave(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async with asyncio.timeout(0.05):
            await call()

    for call in (strategies[0].get_or_create_access_token, strategies[1].get_access_token):
        with pytest.raises(TimeoutError):
            run(leave(call))
    late.go.set()
    go.set()
    until(lambda: run(strategies[0].get_access_token()))
    assert ["the-token"] * 2 == [run(each.get_or_create_access_token()).access_token for each in strategies]
    assert 2 == len(endpoint.requests)
    assert [] == raised


def test_the_loop_is_never_held_up(
    server: TokenServer, clock: FakeClock, run: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """K5: a slow server, a slow cache and slow hooks never hold up the loop: misses, hits, renewals, removals.

    Each of them takes until the loop has turned a few times more, or in vain until it gives up.
    """
    monkeypatch.setattr("client_credentials.caching._circuit_breaker.BUDGET", 60.0)
    turns = 0
    held_up: list[object] = []

    def dawdle(what: object = "hook") -> None:
        enough = turns + 5
        try:
            until(lambda: turns >= enough, 5.0)
        except AssertionError:
            held_up.append(what)

    class Slow(InMemoryCachingStrategy):
        def get(self, key: str) -> CacheEntry | None:
            dawdle("get")
            return super().get(key)

        def set(self, key: str, value: str, ttl: float) -> None:
            dawdle("set")
            super().set(key, value, ttl)

    def fetch(_: TokenRequest) -> TokenResponse:
        dawdle("fetch")
        return grant()

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async def scenario() -> None:
        turning = asyncio.create_task(turn())
        hooks = {"caching_strategy": Slow(clock=clock), "fetch": fetch, "before_request": dawdle}
        await live(make_async(server, clock, hooks=hooks), clock)
        turning.cancel()

    run(scenario())
    assert [] == held_up


def test_ten_thousand_tasks(server: TokenServer, run: Run[None], monkeypatch: pytest.MonkeyPatch) -> None:
    """K6: ten thousand tasks on a cold strategy cost one request, and few threads at a time: it, and one cache look."""
    server.always(Answer(delay=0.3))
    alive: list[int] = []
    start = threading.Thread.start

    def count(thread: threading.Thread) -> None:
        start(thread)
        alive.append(sum(each.name == "client-credentials" for each in threading.enumerate()))

    monkeypatch.setattr(threading.Thread, "start", count)

    async def scenario() -> None:
        strategy = make_async(server)
        tokens = await asyncio.gather(*(strategy.get_or_create_access_token() for _ in range(10_000)))
        assert server.issued == list({token.access_token for token in tokens})

    run(scenario())
    assert 1 == len(server.requests)
    assert 1 <= max(alive) <= 20  # as some are about to end


def test_a_timeout_of_the_callers(server: TokenServer, run: Run[None]) -> None:
    """K8: a task's own timeout ends its wait at once, and nobody else's."""
    late = Held(grant("the-token"))
    endpoint = Endpoint(late)

    async def scenario() -> None:
        strategy = make_async(server, hooks={"fetch": endpoint})
        patient = asyncio.create_task(strategy.get_or_create_access_token())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await strategy.get_or_create_access_token()
        assert not patient.done()
        late.go.set()
        assert "the-token" == (await patient).access_token

    run(scenario())
    assert 1 == len(endpoint.requests)


def test_a_blocking_call_in_a_loop(server: TokenServer, run: Run[AccessToken]) -> None:
    """K9: the threads' strategy works when it is called in a running loop; it needs none of its own."""
    strategy = make_sync(server)

    async def call() -> AccessToken:
        return strategy.get_or_create_access_token()

    token = run(call())
    assert server.issued == [token.access_token]


def test_context_variables(server: TokenServer, run: Run[None]) -> None:
    """K10: a hook sees the context variables of the task for which the request is made, under either loop."""
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    def look(_: TokenRequest) -> None:
        seen.append(name.get())

    async def scenario() -> None:
        name.set("a task")
        await make_async(server, hooks={"before_request": look}).get_or_create_access_token()

    run(scenario())
    assert ["a task"] == seen


def test_anyio(server: TokenServer) -> None:
    """K10: a program of anyio's may use it in its own task groups and timeouts, over asyncio."""
    late = Held(grant("the-token"))
    endpoint = Endpoint(late)
    strategy = make_async(server, hooks={"fetch": endpoint})
    tokens: list[str] = []

    async def ask() -> None:
        tokens.append((await strategy.get_or_create_access_token()).access_token)

    async def scenario() -> None:
        with anyio.move_on_after(0.05) as scope:
            await strategy.get_or_create_access_token()
        assert scope.cancelled_caught
        late.go.set()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)

    anyio.run(scenario)
    assert ["the-token"] * 10 == tokens
    assert 1 == len(endpoint.requests)


def test_a_task_outlasts_its_deadline(server: TokenServer, run: Run[None]) -> None:
    """K8: without a timeout of its own, a task waits for the policy's deadline and no longer."""
    late = Held(grant())

    async def scenario() -> None:
        strategy = make_async(server, policy=attrs.evolve(EXACT, deadline=0.1), hooks={"fetch": late})
        with pytest.raises(TokenEndpointUnreachable):
            await strategy.get_or_create_access_token()
        assert not late.is_over
        late.go.set()

    run(scenario())


def test_one_flight_for_both(server: TokenServer, run: Run[None]) -> None:
    """K3: both strategies, given one cache, share the request and its token."""
    server.always(Answer(delay=0.2))
    shared = InMemoryCachingStrategy()
    sync = make_sync(server, hooks={"caching_strategy": shared})

    async def scenario() -> None:
        strategy = make_async(server, hooks={"caching_strategy": shared})
        mine, theirs = await asyncio.gather(
            strategy.get_or_create_access_token(), asyncio.to_thread(sync.get_or_create_access_token)
        )
        assert mine.access_token == theirs.access_token

    run(scenario())
    assert 1 == len(server.requests)

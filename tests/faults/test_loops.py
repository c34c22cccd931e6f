"""FAULTS, group K: tasks that are cancelled, loops that close, and a loop that is never held up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio
import attrs
import pytest

from client_credentials import AccessToken, InMemoryCachingStrategy, TokenEndpointUnreachable, TokenRequest
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.faults.heartbeat import LOOPS, Sluggish, heartbeat, live, make_slow
from tests.shell.kit import EXACT, make_async, make_sync, until

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
    server.always(Answer(delay=0.3))

    async def scenario() -> None:
        strategy = make_async(server)
        tasks = [asyncio.create_task(strategy.get_or_create_access_token()) for _ in range(6)]
        await asyncio.sleep(0.1)
        for nth in cancelled:
            tasks[nth].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert cancelled == {nth for nth, each in enumerate(found) if isinstance(each, asyncio.CancelledError)}
        tokens = [each for each in found if isinstance(each, AccessToken)]
        tokens.append(await strategy.get_or_create_access_token())
        assert server.issued * (7 - len(cancelled)) == [token.access_token for token in tokens]

    run(scenario())
    assert 1 == len(server.requests)


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
    server.always(Answer(delay=0.3))
    strategy = make_async(server, hooks={"caching_strategy": Sluggish()})

    async def leave(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async with asyncio.timeout(0.05):
            await call()

    for call in (strategy.get_or_create_access_token, strategy.get_access_token):
        with pytest.raises(TimeoutError):
            run(leave(call))
    until(lambda: run(strategy.get_access_token()))
    token = run(strategy.get_or_create_access_token())
    assert server.issued == [token.access_token]
    assert [] == raised


def test_the_loop_is_never_held_up(server: TokenServer, clock: FakeClock, run: Run[None]) -> None:
    """K5: a slow server, a slow cache and slow hooks never hold up the loop: misses, hits, renewals, removals."""

    async def scenario() -> None:
        async with heartbeat() as late:
            await live(make_slow(server, clock), clock)
        # Anything of the above that blocks takes 0.3 s; the rest is a busy machine.
        assert max(late) < 0.25

    run(scenario())


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
    assert 1 <= max(alive) <= 4  # as some are about to end


def test_a_timeout_of_the_callers(server: TokenServer, run: Run[None]) -> None:
    """K8: a task's own timeout ends its wait at once, and nobody else's."""
    server.always(Answer(delay=0.6))

    async def scenario() -> None:
        strategy = make_async(server)
        patient = asyncio.create_task(strategy.get_or_create_access_token())
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await strategy.get_or_create_access_token()
        assert time.monotonic() - began < 0.5
        token = await patient
        assert server.issued == [token.access_token]

    run(scenario())
    assert 1 == len(server.requests)


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
    server.always(Answer(delay=0.3))
    strategy = make_async(server)
    tokens: list[AccessToken] = []

    async def ask() -> None:
        tokens.append(await strategy.get_or_create_access_token())

    async def scenario() -> None:
        with anyio.move_on_after(0.05) as scope:
            await strategy.get_or_create_access_token()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)

    anyio.run(scenario)
    assert server.issued * 10 == [token.access_token for token in tokens]
    assert 1 == len(server.requests)


def test_a_task_outlasts_its_deadline(server: TokenServer, run: Run[None]) -> None:
    """K8: without a timeout of its own, a task waits for the policy's deadline and no longer."""
    server.always(Answer(delay=20))

    async def scenario() -> None:
        strategy = make_async(server, policy=attrs.evolve(EXACT, deadline=0.3))
        began = time.monotonic()
        async with heartbeat() as late:
            with pytest.raises(TokenEndpointUnreachable):
                await strategy.get_or_create_access_token()
        assert time.monotonic() - began < 1.0
        assert max(late) < 0.25

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
        assert mine == theirs

    run(scenario())
    assert 1 == len(server.requests)

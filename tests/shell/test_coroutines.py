"""A fetch that is a coroutine function runs in the event loop of whoever asked, for the asynchronous strategy alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import attrs
import pytest

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRequest,
    TokenResponse,
)
from client_credentials._shell import threads
from client_credentials.errors import HookError
from client_credentials.testing import FakeClock
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, EXACT, HASTY, configuration, grant, strategy_of, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without much of a pause."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)


class Loops:
    """A coroutine function that ends when it is let go, and notes the loops in which it ran and how it ended."""

    def __init__(self, answer: Any = None, *, held: bool = False) -> None:
        self.answer = answer or grant()
        self.held = held
        self.ran: list[asyncio.AbstractEventLoop] = []
        self.ended: list[str] = []

    async def __call__(self, _: TokenRequest) -> TokenResponse:
        self.ran.append(asyncio.get_running_loop())
        try:
            while self.held:  # noqa: ASYNC110  # an event would belong to one loop
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        answer: Any = self.answer() if callable(self.answer) else self.answer
        return cast("TokenResponse", answer)


def make(fetch: Any, clock: FakeClock | None = None, policy: RenewalPolicy = EXACT) -> AsyncClientCredentialsStrategy:
    """Make a strategy with this fetch."""
    strategy = AsyncClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, policy=policy)
    strategy.set_configuration(configuration(clock, fetch=fetch))
    return strategy


def test_the_loop_of_whoever_asked() -> None:
    """It runs once, in the loop of the task that asked first, for all the tasks that wait."""
    fetch = Loops()
    strategy = make(fetch)

    async def scenario() -> None:
        tokens = await asyncio.gather(*(strategy.get_or_create_access_token() for _ in range(100)))
        assert {"a-token"} == {token.access_token for token in tokens}
        assert [asyncio.get_running_loop()] == fetch.ran

    asyncio.run(scenario())


def called(fetch: Any) -> Callable[[TokenRequest], Any]:
    """Wrap a fetch in a function that is none of a coroutine."""

    def call(request: TokenRequest) -> Any:
        return fetch(request)

    return call


def bound(fetch: Any) -> Callable[[TokenRequest], Any]:
    """Give the method by which a fetch is called."""
    method: Callable[[TokenRequest], Any] = fetch.__call__
    return method


@pytest.mark.parametrize("wrapped", [called, bound])
def test_other_shapes(wrapped: Callable[[Any], Any]) -> None:
    """A bound method is a coroutine function as well, and what a function gives is awaited where it can be."""
    fetch = Loops()
    assert "a-token" == asyncio.run(make(wrapped(fetch)).get_or_create_access_token()).access_token
    assert 1 == len(fetch.ran)


def test_not_for_threads() -> None:
    """The threads' strategy refuses it, by name, and an awaitable that comes all the same is not awaited."""
    with pytest.raises(ValueError, match=r"^fetch must be synchronous"):
        ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET).set_configuration(SdkConfiguration(fetch=Loops()))
    strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET)
    fetch = Loops()
    strategy.set_configuration(configuration(fetch=called(fetch)))
    with pytest.raises(TokenEndpointUnreachable, match="event loop"):
        strategy.get_or_create_access_token()
    assert [] == fetch.ran


def test_the_deadline() -> None:
    """A coroutine that takes too long is cancelled, and its callers told at their deadline."""
    fetch = Loops(held=True)

    async def scenario() -> None:
        with pytest.raises(TokenEndpointUnreachable, match=r"timed out after|fetch was cancelled or timed out$"):
            await make(fetch, policy=HASTY).get_or_create_access_token()
        await asyncio.to_thread(until, lambda: ["cancelled"] == fetch.ended)

    asyncio.run(scenario())


@pytest.mark.parametrize("nth", [0, 3], ids=["the first", "another"])
def test_a_caller_is_cancelled(nth: int) -> None:
    """K1: cancelling one caller, the one who asked first too, harms no other."""
    fetch = Loops(held=True)
    strategy = make(fetch)

    async def scenario() -> None:
        tasks = [asyncio.create_task(strategy.get_or_create_access_token()) for _ in range(5)]
        await asyncio.to_thread(until, lambda: fetch.ran)
        tasks[nth].cancel()
        fetch.held = False
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert 4 == len([each for each in found if isinstance(each, AccessToken)])
        assert ["done"] == fetch.ended

    asyncio.run(scenario())


def test_a_loop_ends_in_mid_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """K4: where its loop ends, those who wait in others are told at once, or served by a request of their own."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.0)  # while the loop is being closed
    fetch = Loops(held=True)
    strategy = make(fetch, policy=attrs.evolve(EXACT, deadline=60.0))
    found: list[object] = []
    goes = threading.Event()

    async def leave() -> None:
        asking = asyncio.create_task(strategy.get_or_create_access_token())
        await asyncio.to_thread(goes.wait)
        asking.cancel()

    async def stay() -> None:
        found.extend(await asyncio.gather(strategy.get_or_create_access_token(), return_exceptions=True))

    leaving = threading.Thread(target=asyncio.run, args=(leave(),))
    leaving.start()
    until(lambda: fetch.ran)
    staying = threading.Thread(target=asyncio.run, args=(stay(),))
    staying.start()
    goes.set()
    leaving.join()
    fetch.held = False
    staying.join(30)
    assert isinstance(found[0], AccessToken | TokenEndpointUnreachable)


def test_a_loop_ends_before_a_fetch_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """K4: a fetch that came too late to be begun in a loop is made in another."""
    begun, goes, scheduled = threading.Event(), threading.Event(), threading.Event()
    ended = asyncio.new_event_loop()
    schedule = ended.call_soon_threadsafe

    def noted(*arguments: Any, **options: Any) -> asyncio.Handle:
        handle = schedule(*arguments, **options)
        scheduled.set()
        return handle

    async def answer() -> object:
        return grant("late")

    def fetch(_: TokenRequest) -> Any:
        begun.set()
        goes.wait(60)
        return answer()

    async def leave() -> None:
        asking = asyncio.create_task(strategy.get_or_create_access_token())
        await asyncio.to_thread(begun.wait)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        monkeypatch.setattr(ended, "call_soon_threadsafe", noted)
        found.append(pool.submit(lambda: asyncio.run(strategy.get_or_create_access_token())))
        await asyncio.to_thread(until, lambda: len(cast("Any", strategy)._active.flight.events) == 2)
        scheduled.clear()
        goes.set()
        scheduled.wait(60)
        ended.stop()

    strategy = make(fetch, policy=attrs.evolve(EXACT, deadline=60.0))
    found: list[Future[AccessToken]] = []
    with ThreadPoolExecutor(1) as pool:
        leaving = ended.create_task(leave())
        ended.run_forever()
        ended.close()
        assert leaving.done()
        assert "late" == found[0].result(60).access_token


def test_several_loops() -> None:
    """K3: the tasks of several loops share one flight, which runs in one of them."""
    fetch = Loops(held=True)
    strategy = make(fetch)
    tokens: list[AccessToken] = []

    async def ask() -> None:
        tokens.extend(await asyncio.gather(*(strategy.get_or_create_access_token() for _ in range(10))))

    running = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(4)]
    for thread in running:
        thread.start()
    until(lambda: fetch.ran)
    fetch.held = False
    for thread in running:
        thread.join()
    assert (40, 1) == (len(tokens), len(fetch.ran))


def test_what_it_raises() -> None:
    """What it raises is the cause for those who waited, its own TimeoutError and CancelledError included."""
    for kind, expected in ((LookupError, HookError), (TimeoutError, HookError)):

        def fail(kind: type[Exception] = kind) -> TokenResponse:
            raise kind

        with pytest.raises(expected) as caught:
            asyncio.run(make(Loops(fail)).get_or_create_access_token())
        assert isinstance(caught.value.__cause__, kind)

    def leave() -> TokenResponse:
        raise asyncio.CancelledError

    with pytest.raises(TokenEndpointUnreachable, match=r": fetch was cancelled or timed out$"):
        asyncio.run(make(Loops(leave)).get_or_create_access_token())


def test_a_renewal(clock: FakeClock) -> None:
    """In the renewal window it runs behind the caller, in the caller's loop."""
    fetch = Loops()
    strategy = make(fetch, clock)

    async def scenario() -> None:
        await strategy.get_or_create_access_token()
        clock.advance(3500)
        await strategy.get_or_create_access_token()
        await asyncio.to_thread(until, lambda: len(fetch.ended) == 2)
        assert 2 == len(fetch.ran)

    asyncio.run(scenario())


@pytest.mark.parametrize("starts", [True, False], ids=["in a thread", "in the caller's own"])
def test_an_awaitable_without_a_loop(monkeypatch: pytest.MonkeyPatch, starts: bool) -> None:
    """What a fetch gives to be awaited, whatever its type, is not awaited where there is no loop."""

    class Later:
        def __await__(self) -> Generator[None, None, TokenResponse]:
            yield
            return grant()

    def fetch(_: TokenRequest) -> Any:
        return Later()

    def no_thread(*_: object) -> bool:
        return False

    if not starts:
        monkeypatch.setattr(threads, "start", no_thread)
    strategy = strategy_of(fetch)
    with pytest.raises(TokenEndpointUnreachable, match="no event loop"):
        strategy.get_or_create_access_token()

"""What threads do to a flight, and signals to the callers who wait for it."""

from __future__ import annotations

import _thread
import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import NoReturn

import pytest

from client_credentials import AccessToken, InvalidTokenResponse, TokenError, TokenRefused
from client_credentials._shell import threads
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.shell.kit import (
    CLIENT_ID,
    CLIENT_SECRET,
    Endpoint,
    Held,
    Maker,
    Shelf,
    grant,
    make_sync,
    outcome,
    settled,
    strategy_of,
    together,
    until,
)


def test_a_thousand_threads_one_request(server: TokenServer) -> None:
    """J1: a thousand threads on a cold strategy cost one request, and all get its token."""
    server.always(Answer(delay=0.3))
    strategy = make_sync(server)
    tokens = together(1000, strategy.get_or_create_access_token)
    assert {server.issued[0]} == {token.access_token for token in tokens if isinstance(token, AccessToken)}
    assert 1000 == len([token for token in tokens if isinstance(token, AccessToken)])
    assert 1 == len(server.requests)


def test_nobody_waits_in_the_window(server: TokenServer, clock: FakeClock) -> None:
    """J2: two hundred threads in the renewal window are all served while the one renewal is under way."""
    strategy = make_sync(server, clock)
    old = strategy.get_or_create_access_token()
    server.always(Answer(delay=30))
    clock.advance(3500)
    assert [old] * 200 == together(200, strategy.get_or_create_access_token)
    until(lambda: len(server.requests) == 2)
    assert [old] * 200 == together(200, strategy.get_or_create_access_token)
    assert 2 == len(server.requests)


def test_redirects_are_not_followed(server: TokenServer) -> None:
    """C1 to C6, RFC9700-4.12: a redirect is an error that names where it leads, and nothing at all is sent there."""
    with TokenServer(client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as elsewhere:
        for status in (300, 301, 302, 303, 305, 307, 308):
            server.answer(Answer(status=status, headers={"Location": elsewhere.url}))
            with pytest.raises(InvalidTokenResponse, match=elsewhere.url.removesuffix("/api/token")):
                make_sync(server).get_or_create_access_token()
        assert 0 == elsewhere.connections


class SoftTimeLimit(Exception):
    """What a task queue's signal handler raises, as an ordinary exception."""


@contextmanager
def alarm(seconds: float, handle: Callable[[], object]) -> Generator[None]:
    """Have a signal handler called in the main thread, in so many seconds."""

    def handler(_: int, __: FrameType | None) -> None:
        handle()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def throw(error: BaseException) -> None:
    """Raise an error."""
    raise error


class TestSignals:
    """What a signal does to a caller is for that caller alone."""

    @pytest.mark.parametrize("kind", [SoftTimeLimit, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("others", [0, 5])
    def test_that_raise(self, kind: type[BaseException], others: int) -> None:
        """J5: the interrupted caller has the very exception; the request goes on for all others, and for the next."""
        late = Held(grant("the-token"))
        endpoint = Endpoint(late)
        strategy = strategy_of(endpoint)
        found: list[object] = []
        crowd = threading.Thread(target=lambda: found.extend(together(others, strategy.get_or_create_access_token)))
        if others:
            crowd.start()
        with alarm(0.1, lambda: throw(kind())), pytest.raises(kind) as caught:
            strategy.get_or_create_access_token()
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        late.go.set()
        if others:
            crowd.join()
        assert ["the-token"] * others == [each.access_token for each in found if isinstance(each, AccessToken)]
        assert "the-token" == outcome(strategy.get_or_create_access_token)
        assert 1 == len(endpoint.requests)

    def test_a_handler_that_asks(self) -> None:
        """Q10/signal: a handler that interrupts a waiting caller and asks gets an error at once, the caller a token."""
        late = Held(grant("the-token"))
        endpoint = Endpoint(late)
        strategy = strategy_of(endpoint)
        found: list[object] = []

        def ask() -> None:
            found.append(outcome(strategy.get_or_create_access_token))
            late.go.set()  # the endpoint answers only after the handler has its error

        with alarm(0.1, ask):
            assert "the-token" == outcome(strategy.get_or_create_access_token)
        [said] = found
        assert "a hook of the request asked for its token" in str(said)
        assert 1 == len(endpoint.requests)

    def test_a_handler_that_asks_with_a_token_there(self, server: TokenServer) -> None:
        """A handler gets the token that is there."""
        strategy = make_sync(server)
        token = strategy.get_or_create_access_token()
        found: list[object] = []
        with alarm(0.02, lambda: found.append(strategy.get_or_create_access_token())):
            while not found:
                strategy.get_or_create_access_token()
        assert [token] == found


class TestNoThreads:
    """Where no thread is to be had, a token in hand is served, and without one the caller makes the request."""

    @pytest.fixture
    def refuse_threads(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """Give what makes every thread of ours fail to start."""
        begin = threading.Thread.start

        def refuse_all(*_: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

        def refuse_ours(thread: threading.Thread) -> None:
            if thread.name == "client-credentials":
                refuse_all()
            begin(thread)

        def refuse() -> None:
            monkeypatch.setattr(_thread, "start_new_thread", refuse_all)
            monkeypatch.setattr(threading.Thread, "start", refuse_ours)

        return refuse

    def test_cold(self, make: Maker, server: TokenServer, refuse_threads: Callable[[], None]) -> None:
        """Q11/cold: all four methods work, and what another cache than ours does is done here and now."""
        strategy = make(server, hooks={"caching_strategy": Shelf()})
        refuse_threads()
        assert strategy.get_or_create_access_token().access_token == server.issued[0]
        assert strategy.get_access_token() == strategy.get_or_create_access_token()
        strategy.remove_access_token()
        assert strategy.get_access_token() is None
        assert 1 == len(server.requests)

    @pytest.mark.parametrize("method", ["get_access_token", "remove_access_token", "get_or_create_access_token"])
    def test_an_interrupt_of_the_program(self, refuse_threads: Callable[[], None], method: str) -> None:
        """Ctrl-C in the program's own code is the caller's, who runs it."""

        def secret() -> str:
            raise KeyboardInterrupt

        strategy = strategy_of(Endpoint(grant()), secret=secret)
        refuse_threads()
        with pytest.raises(KeyboardInterrupt):
            getattr(strategy, method)()

    def test_in_the_window(
        self,
        make: Maker,
        server: TokenServer,
        clock: FakeClock,
        refuse_threads: Callable[[], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Q11/window: in the renewal window the token is served at once, without a request; a later thread renews."""
        strategy = make(server, clock)
        token = strategy.get_or_create_access_token()
        settled(getattr(strategy, "strategy", strategy))
        clock.advance(3500)
        refuse_threads()
        assert [token] * 3 == [strategy.get_or_create_access_token() for _ in range(3)]
        assert 1 == len(server.requests)
        monkeypatch.undo()
        assert token == strategy.get_or_create_access_token()
        until(lambda: len(server.requests) == 2)

    def test_an_error(self, make: Maker, server: TokenServer, refuse_threads: Callable[[], None]) -> None:
        """A failure of the request that the caller makes itself is told as any other, to the error handler too."""
        told: list[TokenError] = []
        server.always(refusal("invalid_scope"))
        strategy = make(server, hooks={"error_handler": told.append})
        refuse_threads()
        for _ in range(2):
            with pytest.raises(TokenRefused, match="invalid_scope"):
                strategy.get_or_create_access_token()
        assert (1, 1) == (len(told), len(server.requests))

    def test_an_interrupt(self, server: TokenServer, refuse_threads: Callable[[], None]) -> None:
        """What interrupts the caller's own request is raised, and the next caller makes another."""
        server.answer(Answer(delay=60))
        strategy = make_sync(server)
        refuse_threads()
        with alarm(0.2, lambda: throw(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
            strategy.get_or_create_access_token()
        assert strategy.get_or_create_access_token().access_token == server.issued[0]

    def test_a_token_comes_while_all_wait(self, refuse_threads: Callable[[], None]) -> None:
        """The look into the cache that is made for those who wait is left out."""
        late = Held(grant())
        endpoint = Endpoint(late)
        strategy = strategy_of(endpoint, caching_strategy=Shelf())
        first = threading.Thread(target=strategy.get_or_create_access_token)
        first.start()
        until(lambda: endpoint.requests)
        go = threading.Timer(0.2, late.go.set)
        go.start()
        refuse_threads()
        assert "a-token" == outcome(strategy.get_or_create_access_token)
        first.join()

    def test_only_bare_ones(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bare thread in which no other can be started makes the request itself."""
        bare = threading.Thread.start

        def refuse_ours(thread: threading.Thread) -> None:
            if thread.name == "client-credentials":
                raise RuntimeError("can't start new thread")
            bare(thread)

        strategy = make_sync(server)
        monkeypatch.setattr(threading.Thread, "start", refuse_ours)
        assert strategy.get_or_create_access_token().access_token == server.issued[0]


def test_the_end_of_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter ends a thread would start and never run: a finalizer that asks makes the request itself."""
    monkeypatch.setattr(threads, "sys", SimpleNamespace(is_finalizing=lambda: True))
    where: list[threading.Thread] = []
    threads.start_or_call(lambda: where.append(threading.current_thread()))
    assert [threading.current_thread()] == where


@pytest.mark.parametrize(("raised", "seen"), [(LookupError, LookupError), (StopIteration, RuntimeError)])
def test_what_fails_in_a_thread(raised: type[Exception], seen: type[Exception]) -> None:
    """What is raised in the thread is raised in the task that waits for it, as far as a task can raise it."""

    def fail() -> None:
        raise raised

    async def wait() -> None:
        await asyncio.wait_for(threads.in_thread(fail), 60)

    with pytest.raises(seen, match=r"^(StopIteration)?$"):
        asyncio.run(wait())


def test_a_task_that_is_cancelled_while_a_thread_works_for_it() -> None:
    """The thread goes on, and what it comes to is nobody's: it harms nothing."""
    go, working = threading.Event(), list[threading.Thread]()

    def work() -> None:
        working.append(threading.current_thread())
        go.wait(60)

    async def cancel() -> None:
        task = asyncio.create_task(threads.in_thread(work))
        await asyncio.to_thread(until, lambda: working)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    go.set()
    working[0].join(60)


def test_a_call_in_a_closed_loop() -> None:
    """Nobody waits in it any more."""
    loop = asyncio.new_event_loop()
    loop.close()
    threads.call_in(loop, list)


@pytest.mark.parametrize("starts", [True, False])
def test_a_bare_thread(monkeypatch: pytest.MonkeyPatch, starts: bool) -> None:
    """A bare thread starts one that has a name, and makes the call itself where it cannot."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    where: list[str] = []
    thread = threading.Thread(target=lambda: where.append(threading.current_thread().name), name="named")
    if not starts:
        monkeypatch.setattr(threading.Thread, "start", refuse)
    threads._begin(thread)  # pyright: ignore[reportPrivateUsage]
    until(lambda: where)
    assert ["named" if starts else "MainThread"] == where

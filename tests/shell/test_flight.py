"""A flight is begun, joined, given up and settled once, whatever interrupts whoever does it."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import gc
import re
import threading
import time
import weakref
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn

import attrs
import pytest

from client_credentials import AccessToken, TokenEndpointUnreachable, TokenError, TokenRequest, TokenResponse
from client_credentials._core.lifecycle import Fail
from client_credentials._core.model import Unreachable
from client_credentials._core.state import State
from client_credentials._shell import active, threads
from client_credentials._shell import flight as flights
from client_credentials._shell.driver import Driver, fly, run_sync
from client_credentials._shell.flight import Flight
from client_credentials.testing import FakeClock, TokenServer
from tests.shell.kit import (
    EXACT,
    HASTY,
    Endpoint,
    Held,
    Shelf,
    grant,
    make_sync,
    outcome,
    settled,
    strategy_of,
    together,
    until,
)


def test_a_flight_is_made_once() -> None:
    """A flight that somebody makes already is not made again, by whoever starts it, and stays theirs to end."""
    endpoint = Endpoint(grant("one"))
    strategy = strategy_of(endpoint)
    flight = Flight(strategy._active, time.monotonic() + 10, None)
    assert flight.claim()
    fly(flight)
    assert ([], False) == (endpoint.requests, flight.is_over)


class TestFlights:
    """A flight is begun, given up and settled once, whatever interrupts who does it."""

    def test_who_waits_is_woken(self) -> None:
        """Settling a flight wakes who waits; who comes later is woken at once; and it is settled once."""
        woken: list[str] = []
        flight = Flight(strategy_of(Endpoint(grant()))._active, time.monotonic() + 10)
        flight.call_when_ready(lambda: woken.append("first"))
        assert [] == woken
        assert flight.settle(None)
        assert ["first"] == woken
        flight.call_when_ready(lambda: woken.append("second"))
        assert ["first", "second"] == woken
        assert not flight.settle(Fail(Unreachable(reason="late"), 0.0))
        assert (None, None) == flight.ending

    def test_the_exit_waits_for_a_publication(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exit waits for a tenth of a second at most, and not at all where nothing is under way to a cache."""
        flight = Flight(strategy_of(Endpoint(grant()))._active, time.monotonic() + 10)
        for publishing, waits in ((set[Flight](), 0.0), ({flight}, 0.1)):
            slept: list[float] = []
            monkeypatch.setattr(flights, "publishing", publishing)
            monkeypatch.setattr(flights, "time", SimpleNamespace(sleep=slept.append))
            flights._wait_for_publications()
            assert pytest.approx(waits) == sum(slept)

    def test_given_up_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second of two callers who give the same flight up, at the same time or later, changes nothing."""
        told = list[TokenError]()
        strategy = strategy_of(Endpoint(grant()), error_handler=told.append)
        flight = strategy._active.flight.append(Flight(strategy._active, time.monotonic() - 0.1))
        flight.is_waited = True
        record = active.ActiveConfiguration.record

        def interrupted(self: active.ActiveConfiguration, fact: State) -> State:
            monkeypatch.undo()
            strategy._give_up_if_overdue(flight)
            return record(self, fact)

        monkeypatch.setattr(active.ActiveConfiguration, "record", interrupted)
        for _ in range(2):
            strategy._give_up_if_overdue(flight)
        assert {flight} == strategy._unfinished
        until(lambda: told)
        assert 1 == len(told)

    @pytest.mark.parametrize("at", ["append", "start"])
    def test_an_interrupt_at_the_beginning(self, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
        """Who is interrupted while beginning a flight leaves none behind that nobody makes."""
        strategy = strategy_of(Endpoint(grant()))
        with monkeypatch.context() as patched:
            start, calls = threads.start, list[None]()

            def interrupted(*given: Any) -> bool:
                calls.append(None)
                if len(calls) == 1:
                    raise KeyboardInterrupt
                return start(*given)

            patched.setattr(Flight if at == "append" else threads, at, interrupted)
            with pytest.raises(KeyboardInterrupt):
                strategy.get_or_create_access_token()
        assert "a-token" == outcome(strategy.get_or_create_access_token)

    def test_an_interrupt_of_a_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who is interrupted while starting a look into the cache keeps nobody else from it."""
        strategy = strategy_of(Endpoint(grant()), caching_strategy=Shelf())

        def interrupted(_: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(threads, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            strategy._active.look_meanwhile(strategy._active.flight)
        assert {} == strategy._active.flight.looks

    def test_one_look_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next look begins once the one before is over, or could not be started."""
        strategy = strategy_of(Endpoint(grant()), caching_strategy=Shelf())
        begun: list[Any] = []
        answers = [False, True, True]

        def start(call: object) -> bool:
            begun.append(call)
            return answers[len(begun) - 1]

        monkeypatch.setattr(active, "threads", SimpleNamespace(start=start))
        for expected in (1, 2, 2):
            strategy._active.look_meanwhile(strategy._active.flight)
            assert expected == len(begun)
        begun[1]()
        strategy._active.look_meanwhile(strategy._active.flight)
        assert 3 == len(begun)

    def test_looks_that_do_not_hang(self) -> None:
        """Any number may be under way until their deadline."""
        go, reads = threading.Event(), list[None]()

        def secret() -> str:
            reads.append(None)
            if len(reads) < 9:
                go.wait(60)
            return "a-secret-71"

        strategy = strategy_of(Endpoint(grant()), secret=secret)
        dead = [AccessToken(f"t{number}", "Bearer", 60, 0) for number in range(8)]
        removing = [threading.Thread(target=strategy.remove_access_token, args=(token,)) for token in dead]
        for each in removing:
            each.start()
        until(lambda: len(reads) == 8)
        assert strategy.get_access_token() is None
        go.set()
        for each in removing:
            each.join()
        assert 9 == len(reads)

    def test_work_with_the_cache_is_shared(self) -> None:
        """Those who look at the same time share one look, and those who remove one token one removal."""
        go, looks = threading.Event(), list[None]()

        class Slow(Shelf):
            def get(self, key: str) -> Any:
                looks.append(None)
                go.wait(0.3)
                return super().get(key)

        strategy = strategy_of(Endpoint(grant("a-token")), caching_strategy=Slow())
        assert [None] * 20 == together(20, strategy.get_access_token)
        dead = AccessToken("t", "Bearer", 60, 0)
        assert [None] * 20 == together(20, lambda: strategy.remove_access_token(dead))
        assert len(looks) < 20

    def test_it_is_waited_for_from_the_start(self) -> None:
        """A failure that comes before its caller has begun to wait is retried all the same."""
        strategy = strategy_of(Endpoint(grant()))
        for waits in (True, False):
            last = strategy._active.flight
            assert waits is strategy._begin(last, time.monotonic() + 10, waits=waits).is_waited
            settled(strategy)

    def test_a_secret_that_looks(self) -> None:
        """A callable that asks its own strategy gets nothing, or an error, and is not called again for that."""
        asked = list[Any]()

        def secret() -> str:
            asked.append(None)
            asked[-1] = strategy.get_access_token(), outcome(strategy.get_or_create_access_token)
            strategy.remove_access_token()
            return "a-secret-77"

        strategy = strategy_of(Endpoint(grant()), secret=secret)
        assert strategy.get_access_token() is None
        ((found, error),) = asked
        assert found is None
        assert "a hook of the request asked for its token" in str(error)

    def test_looks_that_hang(self) -> None:
        """Eight that hang past their deadline are the most; a removal then forgets in memory alone."""
        go, began = threading.Event(), list[None]()

        def secret() -> str:
            began.append(None)
            return str(go.wait(60))

        def has_begun(count: int) -> bool:
            return count == len(began)

        strategy = strategy_of(Endpoint(grant()), secret=secret, policy=attrs.evolve(HASTY, deadline=0.01))
        for calls in range(1, 13):
            if calls % 2:
                assert strategy.get_access_token() is None
            else:
                strategy.remove_access_token()
            until(partial(has_begun, min(calls, 8)))
        go.set()
        until(lambda: all(flight.is_over for flight in strategy._unfinished))
        assert strategy.get_access_token() is None
        assert (set(), {}) == (
            {flight for flight in strategy._unfinished if not flight.is_over},
            strategy._active.cache_work,
        )

    def test_a_defect_in_a_removal(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """It goes no further than the log; memory has forgotten."""

        def broken(*_: object) -> NoReturn:
            raise ZeroDivisionError

        strategy = strategy_of(Endpoint(grant(), grant("two")))
        token = strategy.get_or_create_access_token()
        settled(strategy)
        with monkeypatch.context() as patched:
            patched.setattr(active.ActiveConfiguration, "peek", broken)
            strategy.remove_access_token(token)
        said = r"unexpected ZeroDivisionError in client_credentials\._shell\.driver, line \d+; please report it"
        assert [True] == [bool(re.fullmatch(said, message)) for message in caplog.messages]
        caplog.clear()
        assert "two" == outcome(strategy.get_or_create_access_token)

    def test_a_defect_leaves_nothing_behind(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No cycle of frames keeps the secret and the answer until the next collection."""
        gc.disable()
        try:
            strategy = strategy_of(Endpoint(grant()))
            monkeypatch.setattr(active.ActiveConfiguration, "publish", NotImplemented)
            driver = Driver(Flight(strategy._active, time.monotonic() + 10))
            remains = weakref.ref(driver)
            run_sync(driver.drive(driver.fetch_in_thread))
            del driver
            assert remains() is None
            caplog.clear()
        finally:
            gc.enable()

    def test_a_command_that_is_none(self) -> None:
        """The driver performs the machine's commands and no other."""
        strategy = strategy_of(Endpoint(grant()))
        command: Any = object()
        with pytest.raises(TypeError):
            Driver(strategy._active.flight)._perform(command)


def test_an_overdue_flight_shuts_the_gate(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Who comes after a request that gave nothing in time is told so at once, and makes no other; so is the log."""
    monkeypatch.setattr("client_credentials._shell.base.dice", lambda: 0.5)
    told: list[TokenError] = []
    held = Held(grant("late"))
    endpoint = Endpoint(held)
    strategy = strategy_of(endpoint, policy=HASTY, error_handler=told.append)
    for nth in range(2):
        error = outcome(strategy.get_or_create_access_token)
        assert isinstance(error, TokenEndpointUnreachable)
        assert "timed out after 0.4 s" in str(error)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 0.5
        assert nth or error.retry_after == 0.5
    assert 1 == len(endpoint.requests)
    until(lambda: told)
    assert ([0.5], [str(told[0])]) == ([error.retry_after for error in told], caplog.messages)
    held.go.set()


def test_tokens_that_are_dead_on_arrival(clock: FakeClock) -> None:
    """After nine in a row a caller is told so, in place of asking until its deadline."""

    def slow(_: TokenRequest) -> TokenResponse:
        clock.advance(20)
        return grant(expires_in=10)

    endpoint = Endpoint(slow)
    strategy = strategy_of(endpoint, clock, policy=attrs.evolve(EXACT, deadline=5.0))
    assert "each token had expired before it arrived" in str(outcome(strategy.get_or_create_access_token))
    assert 9 == len(endpoint.requests)


def test_an_error_handler_that_asks_after_a_flight_was_given_up() -> None:
    """It belongs to that flight, and waits for no other."""
    found: list[str] = []

    def ask(_: TokenError) -> None:
        found.append(str(outcome(strategy.get_or_create_access_token)))

    held = Held(grant("late"))
    strategy = strategy_of(Endpoint(held), policy=HASTY, error_handler=ask, caching_strategy=Shelf())
    outcome(strategy.get_or_create_access_token)
    until(lambda: found)
    held.go.set()
    assert "a hook of the request asked for its token" in found[0]


def test_who_joins_a_later_flight() -> None:
    """A caller is back by its own deadline, though the flight that it waits for was begun later and ends later."""
    held = Held(grant())
    strategy = strategy_of(Endpoint(held), policy=HASTY)
    strategy._begin(strategy._active.flight, time.monotonic() + 60, waits=True)
    assert "timed out after 0.4 s" in str(outcome(strategy.get_or_create_access_token))
    assert not held.is_over
    held.go.set()


def test_an_overdue_renewal_gives_way(server: TokenServer, clock: FakeClock) -> None:
    """J6: a renewal that hangs is given up at its deadline, and the gate decides when the next one begins."""
    stuck = threading.Event()
    calls: list[TokenRequest] = []

    def hang(request: TokenRequest) -> None:
        calls.append(request)
        if len(calls) == 2:
            stuck.wait(60)

    strategy = make_sync(server, clock, hooks={"before_request": hang, "caching_strategy": Shelf()})
    old = strategy.get_or_create_access_token()
    clock.advance(3500)
    assert old == strategy.get_or_create_access_token()
    until(lambda: len(calls) == 2)
    internals: Any = strategy
    internals._active.flight.latest().deadline = time.monotonic() - 0.1
    assert old == strategy.get_or_create_access_token()
    clock.advance(2)
    strategy.get_or_create_access_token()
    until(lambda: strategy.get_access_token() != old)
    newest = strategy.get_or_create_access_token()
    stuck.set()
    until(lambda: len(server.requests) == 3)
    until(lambda: all(flight.is_over for flight in internals._unfinished))
    assert newest == strategy.get_or_create_access_token()


def test_somebody_else_has_begun(server: TokenServer) -> None:
    """Where two begin a flight at the same time, the later one joins the earlier one's."""
    strategy = make_sync(server)
    internals: Any = strategy
    last = internals._active.flight
    strategy.get_or_create_access_token()
    joined = internals._begin(last, time.monotonic() + 5, waits=True)
    assert joined is internals._active.flight.latest()
    assert 1 == len(server.requests)


def test_what_another_host_has_meanwhile() -> None:
    """A token that another host puts into the cache reaches those who wait for a slow endpoint, when the next asks."""
    shelf, late = Shelf(), Held(grant("mine"))
    slow = strategy_of(Endpoint(late), caching_strategy=shelf)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(outcome(slow.get_or_create_access_token)))
    waiting.start()
    until(lambda: slow._active.flight.has_asked)
    slow._active.look_meanwhile(slow._active.flight)
    until(lambda: not slow._active.flight.looks)
    strategy_of(Endpoint(grant("theirs")), caching_strategy=shelf).get_or_create_access_token()
    until(lambda: shelf.entries)
    assert "theirs" == outcome(slow.get_or_create_access_token)
    waiting.join(60)
    assert ["theirs"] == found
    assert not slow._active.flight.is_settled
    late.go.set()

"""The parts of the shell one by one, where no caller could bring about what they are for."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator
from typing import Any

import attrs
import pytest

from client_credentials import (
    AsyncClientCredentialsStrategy,
    ClientAuthentication,
    ClientCredentialsStrategy,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    accept_success,
    json_object,
)
from client_credentials._core import state
from client_credentials._core.lifecycle import Fail, granted
from client_credentials._core.model import Granted, Unreachable
from client_credentials._core.state import State
from client_credentials._shell import active, clock, fork, threads
from client_credentials._shell import flight as flights
from client_credentials._shell.driver import _Driver, fly
from client_credentials._shell.flight import Flight
from client_credentials.testing import Answer, TokenServer, refusal
from tests.strategy.kit import (
    CLIENT_ID,
    CLIENT_SECRET,
    EXACT,
    Endpoint,
    Shelf,
    grant,
    outcome,
    run,
    settled,
    strategy_of,
)


def fact(strategy: ClientCredentialsStrategy, text: str) -> State:
    """Make the fact of a grant, asked for now."""
    said = Granted(access_token=text, expires_in=3600, scope=None)
    return granted(said, strategy._active.now(), EXACT, (), 0.0)


def test_a_flight_is_made_once() -> None:
    """A flight that somebody makes already is not made again, by whoever starts it, and stays theirs to end."""
    endpoint = Endpoint(grant("one"))
    strategy = strategy_of(endpoint)
    flight = Flight(strategy._active, time.monotonic() + 10, None)
    assert flight.claim()
    fly(flight)
    assert ([], False) == (endpoint.requests, flight.is_over)


class TestTheState:
    """What is known is replaced as a whole, whoever else replaces it at the same time."""

    def test_two_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two facts that are recorded at the same time none is lost."""
        strategy = strategy_of(Endpoint(grant()))
        first, second, merge = fact(strategy, "first"), fact(strategy, "second"), state.merge
        calls: list[None] = []

        def interrupted(*given: Any) -> State:
            calls.append(None)
            if len(calls) == 1:
                strategy._active.record(second)
            return merge(*given)

        monkeypatch.setattr(active, "merge", interrupted)
        strategy._active.record(first)
        assert "second" == outcome(strategy.get_access_token)
        assert strategy._lease.state.granted == second.granted

    def test_a_lease_that_is_over(self) -> None:
        """A state that has a successor is served no longer without a look, even if a caller is about to say so."""
        strategy = strategy_of(Endpoint(grant()))
        lease = strategy._lease
        strategy._active.record(fact(strategy, "newer"))
        strategy._active.extend(lease, strategy._active.now(), 60.0)
        assert lease.until < 0


class TestFlights:
    """A flight is begun, given up and settled once, whatever interrupts who does it."""

    def test_who_waits_is_woken(self) -> None:
        """Settling a flight wakes who waits; who comes later is woken at once; and it is settled once."""
        woken: list[str] = []
        flight = Flight(strategy_of(Endpoint(grant()))._active, time.monotonic() + 10)
        flight.wait(lambda: woken.append("first"))
        assert [] == woken
        assert flight.settle(None)
        assert ["first"] == woken
        flight.wait(lambda: woken.append("second"))
        assert ["first", "second"] == woken
        assert not flight.settle(Fail(Unreachable(reason="late"), 0.0))
        assert (None, None) == flight.ending

    def test_the_exit_waits_for_a_publication(self) -> None:
        """An exit waits for a tenth of a second at most, and not at all where nothing is under way to a cache."""
        flight = Flight(strategy_of(Endpoint(grant()))._active, time.monotonic() + 10)
        spans: list[float] = []
        for publishing in (set[Flight](), {flight}):
            flights.publishing.update(publishing)
            began = time.monotonic()
            flights._wait_for_publications()
            spans.append(time.monotonic() - began)
            flights.publishing.difference_update(publishing)
        assert spans[0] < 0.05 < 0.1 <= spans[1] < 5

    def test_given_up_twice(self) -> None:
        """The second of two callers who give the same flight up changes nothing."""
        strategy = strategy_of(Endpoint(grant()))
        strategy.get_or_create_access_token()
        settled(strategy)
        flight = strategy._active.flight
        strategy._give_up_if_overdue(flight)
        assert ((None, None), set[Flight]()) == (flight.ending, strategy._hung)

    @pytest.mark.parametrize("at", ["succeed", "start"])
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

            patched.setattr(Flight if at == "succeed" else threads, at, interrupted)
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
        assert {} == strategy._active.looks

    def test_a_command_that_is_none(self) -> None:
        """The driver performs the machine's commands and no other."""
        strategy = strategy_of(Endpoint(grant()))
        command: Any = object()
        with pytest.raises(TypeError):
            _Driver(strategy._active.flight, Exception)._perform(command)


class TestTheDefaults:
    """Without `set_configuration` there is no cache, since nobody else could have put anything there."""

    def test_a_refusal(self, server: TokenServer) -> None:
        """A gate is known without a look anywhere."""
        server.always(refusal("invalid_scope"))
        strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url)
        assert [TokenRefused] * 2 == [type(outcome(strategy.get_or_create_access_token)) for _ in range(2)]
        assert 1 == len(server.requests)

    def test_tasks(self, server: TokenServer) -> None:
        """A task that removes a token waits for nothing."""
        strategy = AsyncClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url)

        async def scenario() -> None:
            token = await strategy.get_or_create_access_token()
            await strategy.remove_access_token(token)
            assert await strategy.get_access_token() is None

        asyncio.run(scenario())

    def test_no_secret(self) -> None:
        """Where the certificate is the proof there is no secret to read, and the request carries none."""
        endpoint = Endpoint(grant())
        strategy = ClientCredentialsStrategy(CLIENT_ID, None, client_authentication=ClientAuthentication.TLS)
        strategy.set_configuration(SdkConfiguration(fetch=endpoint))
        assert "a-token" == outcome(strategy.get_or_create_access_token)
        assert (False, True) == (
            "Authorization" in endpoint.requests[0].headers,
            b"client_id" in endpoint.requests[0].body,
        )

    def test_half_made(self) -> None:
        """A strategy whose constructor was refused shows itself in a traceback nevertheless."""
        assert "ClientCredentialsStrategy()" == repr(ClientCredentialsStrategy.__new__(ClientCredentialsStrategy))


class TestCollaborators:
    """The default collaborators are public, so that a user's own can call them."""

    def test_the_validator(self) -> None:
        """`accept_success` passes 200 and 201, and raises what any other status means."""
        accept_success(TokenResponse(201, {}, b""))
        with pytest.raises(TokenRefused):
            accept_success(TokenResponse(400, {}, b"{}"))

    def test_the_deserializer(self) -> None:
        """`json_object` gives the members of a document, and raises for what is none."""
        assert {"a": 1} == json_object(TokenResponse(200, {}, b'{"a":1}'))
        with pytest.raises(InvalidTokenResponse):
            json_object(TokenResponse(200, {}, b"[]"))

    def test_a_foreign_entry(self, caplog: pytest.LogCaptureFixture) -> None:
        """What is in a cache and is not ours is a miss, and the log says so once."""
        shelf = Shelf()
        first = strategy_of(Endpoint(grant("one")), caching_strategy=shelf)
        first.get_or_create_access_token()
        settled(first)
        shelf.entries = {key: ("{}", time.monotonic() + 60) for key in shelf.entries}
        second = strategy_of(Endpoint(grant("two")), caching_strategy=shelf)
        assert [None, None] == [second.get_access_token() for _ in range(2)]
        assert 1 == len([each for each in caplog.records if each.levelno == logging.WARNING])

    def test_an_awaitable_without_a_loop(self) -> None:
        """What a fetch gives to be awaited, whatever its type, is not awaited where there is no loop."""

        class Later:
            def __await__(self) -> Generator[None, None, TokenResponse]:
                yield
                return grant()

        def fetch(_: TokenRequest) -> Later:
            return Later()

        strategy = strategy_of(fetch, policy=attrs.evolve(EXACT, deadline=0.3))
        with pytest.raises(TokenEndpointUnreachable, match="no event loop"):
            strategy.get_or_create_access_token()

    def test_an_awaitable_without_a_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same where the caller makes the request itself."""

        async def later() -> TokenResponse:
            await asyncio.sleep(0)
            return grant()

        def fetch(_: TokenRequest) -> Any:
            return later()

        monkeypatch.setattr(threads, "start", lambda _: False)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        strategy = strategy_of(fetch, policy=attrs.evolve(EXACT, deadline=0.3))
        with pytest.raises(TokenEndpointUnreachable, match="no event loop"):
            strategy.get_or_create_access_token()


def test_what_fails_in_a_thread() -> None:
    """What is raised in the thread is raised in the task that waits for it."""

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(threads.in_thread(fail))


@pytest.mark.parametrize("named", [["CLOCK_BOOTTIME"], ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC"]])
def test_a_clock_that_is_named_and_refused(monkeypatch: pytest.MonkeyPatch, named: list[str]) -> None:
    """I12, Q8/process: the first monotonic clock that really answers is taken, whatever the system's headers name."""
    refused = {getattr(time, name, None) for name in named}
    real = time.clock_gettime

    def refusing(number: int) -> float:
        if number in refused:
            raise OSError(22, "Invalid argument")
        return real(number)

    first: Any = clock._answering()
    assert (getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC),) == first.args
    monkeypatch.setattr(time, "clock_gettime", refusing)
    assert clock._answering()() == pytest.approx(time.monotonic(), abs=1)
    monkeypatch.delattr(time, "clock_gettime")
    assert clock._answering() is time.monotonic


def test_what_is_gone_at_a_fork() -> None:
    """L1: what no longer lives when the process is forked is not told of it, and all else is."""

    class Forked:
        count = 0

        def _after_fork(self) -> None:
            self.count += 1

    alive, other, gone = Forked(), Forked(), Forked()
    fork.survive_fork(alive)
    fork.survive_fork(other)
    number = id(gone)
    fork._alive.update({number: gone})  # not by survive_fork, where the watch over leaks would keep it alive
    del gone
    fork._after_fork_in_child()
    assert (1, 1, False) == (alive.count, other.count, number in fork._alive)


def test_a_program_without_logging_sees_nothing(server: TokenServer) -> None:
    """The package's own handler is a NullHandler, so that logging prints no warning as its last resort."""
    server.always(Answer(status=400))
    said = run(
        server,
        """
        import logging
        told = threading.Event()
        strategy.set_configuration(SdkConfiguration(error_handler=lambda error: told.set()))
        try:
            strategy.get_or_create_access_token()
        except TokenError:
            print(told.wait(10), *(type(each).__name__ for each in logging.getLogger("client_credentials").handlers))
        """,
    )
    assert ("True NullHandler\n", "", 0) == said

"""What only a race would show, shown where it would happen."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from client_credentials import AccessToken, InvalidTokenResponse, SdkConfiguration, TokenResponse
from client_credentials._core.lifecycle import EMPTY, State
from client_credentials._shell.flight import Flight
from client_credentials.aio import _aside
from client_credentials.testing import Answer, TokenServer
from tests.strategy.kit import OnALoop, configuration, make_async, make_sync, until


def test_a_token_that_comes_with_the_deadline(server: TokenServer) -> None:
    """One whose time is up takes the token that somebody else has brought meanwhile."""
    strategy = make_sync(server)
    token = strategy.get_or_create_access_token()
    flight = Flight(0, strategy._lease.setup, time.monotonic() + 60)
    assert token == strategy._claim(flight, leads=False, until=0.0)


def test_a_change_under_an_old_setup(server: TokenServer) -> None:
    """What was learnt under a configuration that is no more changes nothing."""
    strategy = make_sync(server)
    setup = strategy._lease.setup
    strategy.set_configuration(configuration())
    before = strategy._lease

    def change(_: State) -> State:
        raise AssertionError

    assert EMPTY == strategy._change(setup, change)
    assert before is strategy._lease


def test_a_task_boards_again(server: TokenServer, loop: asyncio.AbstractEventLoop) -> None:
    """A task whose flight landed with nothing, as an interrupted one does, boards the next."""
    server.answer(Answer(delay=30))
    strategy = make_async(server)
    got: list[AccessToken] = []
    waiting = threading.Thread(target=lambda: got.append(OnALoop(strategy, loop).get_or_create_access_token()))
    waiting.start()
    until(lambda: server.requests)
    flight = strategy._flight
    assert flight is not None
    until(lambda: flight.rooms)
    # The one that hangs still has the lock of the cache.
    strategy._lease.setup.vault.cache = configuration().caching_strategy
    strategy._land(flight, None)
    waiting.join()
    assert server.issued == [token.access_token for token in got]
    assert 2 == len(server.requests)


def test_what_fails_aside_is_raised(loop: asyncio.AbstractEventLoop) -> None:
    """What is raised in the thread aside is raised in the task that waits for it."""

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run_coroutine_threadsafe(_aside(fail), loop).result()


def test_the_default_deserializer_may_be_called() -> None:
    """A deserializer of a user's may lean on the default one, which raises what is wrong."""
    with pytest.raises(InvalidTokenResponse):
        SdkConfiguration().deserializer(TokenResponse(200, {}, b"[]"))

"""A token server, a clock, and both strategies."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from client_credentials._shell.threads import NAME
from client_credentials.testing import FakeClock, TokenServer
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, Maker, OnALoop, Strategy, make_async, make_sync


@pytest.fixture
def server() -> Generator[TokenServer]:
    """Give a token server that knows one client."""
    with TokenServer(client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as running:
        yield running


@pytest.fixture(autouse=True)
def no_defect(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Let no test pass in which the package met a defect of its own, but for one that clears the log of it.

    Flights that have answered their callers still log; those that hang are left behind.
    """
    before, patience = set(threading.enumerate()), 0.2
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == NAME and thread.is_alive():
            began = time.monotonic()
            thread.join(max(patience, 0.0))
            patience -= time.monotonic() - began
    messages = [record.getMessage() for record in caplog.get_records("call")]
    assert [] == [message for message in messages if message.startswith("unexpected ") or "please report" in message]


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still until it is told."""
    return FakeClock()


@pytest.fixture(scope="session")
def loop() -> Generator[asyncio.AbstractEventLoop]:
    """Give an event loop that runs in a thread."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever, daemon=True)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Maker:
    """Give what makes a strategy, of one kind and then of the other."""
    if request.param == "sync":
        return make_sync

    def on_a_loop(*given: Any, **named: Any) -> Strategy:
        return OnALoop(make_async(*given, **named), loop)

    return on_a_loop

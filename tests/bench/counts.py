"""Counts what a strategy asks for over a token's life, by a clock that obeys; part of `make bench`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from client_credentials import ClientCredentialsStrategy, RenewalPolicy, SdkConfiguration, TokenError
from client_credentials.testing import Answer, FakeClock, TokenServer


def on_a_clock(server: TokenServer, clock: FakeClock) -> ClientCredentialsStrategy:
    """Make a strategy whose time is the clock's."""
    policy = RenewalPolicy(jitter=0)
    strategy = ClientCredentialsStrategy("my-client", "my-secret", token_url=server.url, policy=policy)
    strategy.set_configuration(SdkConfiguration(clock=clock))
    return strategy


def ask(strategy: ClientCredentialsStrategy) -> str:
    """Ask for a token, wait for what goes on in the background, and give the name of the error, if any."""
    said = ""
    try:
        strategy.get_or_create_access_token()
    except TokenError as error:
        said = type(error).__name__
    internals: Any = strategy
    while not internals._active.flight.latest().is_over:
        time.sleep(0.0005)
    return said


def short_life() -> tuple[str, str, str]:
    """Read a token of 30 s a thousand times over its life."""
    with TokenServer("my-client", "my-secret") as server:
        clock = FakeClock()
        server.always(Answer(lifetime=30))
        strategy = on_a_clock(server, clock)
        for _ in range(1000):
            ask(strategy)
            clock.advance(0.03)
        return "a 30 s token, read 1,000 times over its life", f"{len(server.requests)} requests", "at most 2"


def outage() -> tuple[str, str, str]:
    """Let the endpoint fail from the renewal window on, and come back an hour after the token's end."""
    with TokenServer("my-client", "my-secret") as server:
        clock = FakeClock()
        strategy = on_a_clock(server, clock)
        ask(strategy)
        end = 3600
        clock.advance(end / 2)
        server.always(Answer(status=503))
        errors: list[tuple[float, str]] = []
        at = end / 2
        while at < 2 * end:
            if said := ask(strategy):
                errors.append((at, said))
            clock.advance(1)
            at += 1
        failed = len(server.requests) - 1
        server.always(Answer())
        clock.advance(61)
        back = ask(strategy) or "a token"
        first = f"{errors[0][1]} from second {errors[0][0]:g} of {end} on"
        told = f"{failed} attempts, {first}; then {back} by {len(server.requests) - 1 - failed} request"
        return "the endpoint dead from the window on, asked each second", told, "no error before the end"


def clocks() -> tuple[str, str, str]:
    """Step the wall clock a day back and a day forward, and suspend the machine for two hours."""
    told: list[str] = []
    acts: dict[str, Callable[[FakeClock], None]] = {
        "back": lambda clock: clock.step_wall(-86400),
        "forward": lambda clock: clock.step_wall(86400),
        "suspended": lambda clock: clock.suspend(7200),
    }
    for what, act in acts.items():
        with TokenServer("my-client", "my-secret") as server:
            clock = FakeClock()
            strategy = on_a_clock(server, clock)
            ask(strategy)
            act(clock)
            for _ in range(10):
                ask(strategy)
            told.append(f"{what} {len(server.requests) - 1}")
    return "a day back, a day forward, two hours suspended", f"more requests: {', '.join(told)}", "at most 1 each"


def redirects() -> tuple[str, str, str]:
    """Answer with each redirect to another origin, and count the connections there."""
    connections: list[socket.socket] = []
    errors: set[str] = set()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere, TokenServer("my-client", "my-secret") as server:

        def accept() -> None:
            try:
                connections.append(elsewhere.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        host, port = elsewhere.getsockname()
        for status in (301, 302, 303, 307, 308):
            server.always(Answer(status=status, headers={"Location": f"http://{host}:{port}/token"}))
            errors.add(ask(on_a_clock(server, FakeClock())))
        time.sleep(0.1)
        found = f"{len(connections)} connections there, {', '.join(sorted(errors))}"
        elsewhere.shutdown(socket.SHUT_RDWR)
    return "redirects to another origin (301, 302, 303, 307, 308)", found, "0 connections, an error"


PARTS = (short_life, outage, clocks, redirects)

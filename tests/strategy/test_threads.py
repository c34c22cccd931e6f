"""What threads, signals, forks and the end of the process do to a flight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextvars import ContextVar
from typing import Any

import attrs
import pytest

from client_credentials import (
    AccessToken,
    ClientCredentialsStrategy,
    InvalidTokenResponse,
    RenewalPolicy,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
)
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.strategy.kit import CLIENT_ID, CLIENT_SECRET, EXACT, make_sync, nothing, together, until


def test_a_thousand_threads_one_request(server: TokenServer) -> None:
    """J1: a thousand threads on a cold strategy cost one request, and all get its token."""
    server.always(Answer(delay=0.3))
    strategy = make_sync(server)
    tokens = together(1000, strategy.get_or_create_access_token)
    assert {server.issued[0]} == {token.access_token for token in tokens if isinstance(token, AccessToken)}
    assert 1000 == len([token for token in tokens if isinstance(token, AccessToken)])
    assert 1 == len(server.requests)


def test_a_thousand_threads_one_refusal(server: TokenServer) -> None:
    """J4: a thousand threads share one refusal, each with an exception of its own and a short traceback."""
    server.always(refusal("invalid_client"))
    strategy = make_sync(server)
    errors = [error for error in together(1000, strategy.get_or_create_access_token) if isinstance(error, TokenRefused)]
    assert 1000 == len({id(error) for error in errors})
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


def test_ctrl_c_in_the_leader(server: TokenServer) -> None:
    """J5: Ctrl-C in the one who makes the request is his alone; of those who wait, one makes it anew."""
    server.answer(Answer(delay=30))
    strategy = make_sync(server)
    waiting: list[AccessToken | BaseException] = []

    def interrupt() -> None:
        until(lambda: server.requests)
        others = threading.Thread(target=lambda: waiting.extend(together(5, strategy.get_or_create_access_token)))
        others.start()
        time.sleep(0.1)  # until they wait; too short a time would only make the test easier
        os.kill(os.getpid(), signal.SIGINT)
        others.join()

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        strategy.get_or_create_access_token()
    helper.join()
    assert [server.issued[0]] * 5 == [token.access_token for token in waiting if isinstance(token, AccessToken)]
    assert 2 == len(server.requests)


def test_ctrl_c_in_one_who_waits(server: TokenServer) -> None:
    """Ctrl-C in one who waits leaves the flight to the others."""
    server.always(Answer(delay=0.5))
    strategy = make_sync(server, hooks={"before_request": nothing})

    def interrupt() -> None:
        until(lambda: server.requests)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        strategy.get_or_create_access_token()
    until(strategy.get_access_token)
    assert 1 == len(server.requests)


def test_a_hook_calls_in_its_own_context(server: TokenServer) -> None:
    """A hook sees the context variables of the caller for whom the request is made."""
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    def look(_: TokenRequest) -> None:
        seen.append(name.get())

    name.set("somebody")
    make_sync(server, hooks={"before_request": look}).get_or_create_access_token()
    assert ["somebody"] == seen


def test_redirects_are_not_followed(server: TokenServer) -> None:
    """C1 to C6: a redirect is an error that names where it leads, and nothing at all is sent there."""
    with TokenServer(client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            server.answer(Answer(status=status, headers={"Location": elsewhere.url}))
            with pytest.raises(InvalidTokenResponse, match=elsewhere.url.removesuffix("/api/token")):
                make_sync(server).get_or_create_access_token()
        assert 0 == elsewhere.connections


PRELUDE = """
import os, sys, threading, time
from client_credentials import ClientCredentialsStrategy, RenewalPolicy, SdkConfiguration, InMemoryCachingStrategy
from client_credentials.testing import FakeClock
clock = FakeClock()
policy = RenewalPolicy(jitter=0)
strategy = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1], policy=policy)
"""


def run(server: TokenServer, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, with a strategy for the server."""
    command = [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program), server.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_fork_in_mid_request(server: TokenServer) -> None:
    """L1, L4: a child that is forked in the middle of a request does not wait for it: it makes its own."""
    server.answer(Answer(delay=1.0))
    done = run(
        server,
        """
        import warnings
        warnings.simplefilter("ignore")  # of threads in a process that forks: that is what this is about
        leader = threading.Thread(target=strategy.get_or_create_access_token)
        leader.start()
        time.sleep(0.4)
        pid = os.fork()
        began = time.monotonic()
        token = strategy.get_or_create_access_token().access_token
        print("child" if pid == 0 else "parent", time.monotonic() - began < 5, token.startswith("token"), flush=True)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        leader.join()
        """,
    )
    assert ("", 0) == (done.stderr, done.returncode)
    assert 2 == done.stdout.count("True True")
    assert 2 == len(server.requests)


def test_a_child_inherits_the_token(server: TokenServer) -> None:
    """L4: a forked child has its parent's token, and asks for none."""
    done = run(
        server,
        """
        token = strategy.get_or_create_access_token()
        if os.fork() == 0:
            assert strategy.get_or_create_access_token() == token
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
    )
    assert ("7\n", "") == (done.stdout, done.stderr)
    assert 1 == len(server.requests)


def test_fork_while_the_mutex_is_held(server: TokenServer) -> None:
    """L1: a lock that another thread held when the process was forked does not hang the child."""
    done = run(
        server,
        """
        cache = InMemoryCachingStrategy()
        strategy.set_configuration(SdkConfiguration(caching_strategy=cache))
        held, forked = threading.Event(), threading.Event()

        def hold():
            with strategy._mutex, cache._mutex:
                held.set()
                forked.wait()

        threading.Thread(target=hold).start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            strategy.get_or_create_access_token()
            os._exit(7)
        forked.set()
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
    )
    assert ("7\n", "") == (done.stdout, done.stderr)


def test_fork_while_the_first_request_imports(server: TokenServer) -> None:
    """L1: a child that is forked while another thread imports what the first request needs can import it too."""
    done = run(
        server,
        """
        importing, slow = threading.Event(), "client_credentials._http.wire"

        class Slowly:
            def find_spec(self, name, path=None, target=None):
                if name == slow:
                    importing.set()
                    time.sleep(0.5)

        sys.meta_path.insert(0, Slowly())
        threading.Thread(target=strategy.get_or_create_access_token).start()
        importing.wait()
        pid = os.fork()
        if pid == 0:
            strategy.get_or_create_access_token()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
    )
    assert ("7\n", "") == (done.stdout, done.stderr)


def test_a_signal_handler_asks_at_the_worst_moment(server: TokenServer) -> None:
    """A handler that interrupts its own thread while that holds our locks gets a token, and does not hang."""
    strategy = make_sync(server)
    internals: Any = strategy
    tokens: list[str] = []

    def interrupted() -> None:
        with internals._mutex:
            tokens.append(strategy.get_or_create_access_token().access_token)
            strategy.remove_access_token()

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(10)
    assert server.issued == tokens


def test_exit_during_a_renewal(server: TokenServer) -> None:
    """L6: a renewal in the background neither delays the exit nor leaves a word on stderr."""
    server.answer(Answer(), Answer(delay=20))
    began = time.monotonic()
    done = run(
        server,
        """
        strategy.set_configuration(SdkConfiguration(clock=clock))
        strategy.get_or_create_access_token()
        clock.advance(3500)
        strategy.get_or_create_access_token()
        time.sleep(0.2)
        print(threading.active_count())
        """,
    )
    assert ("2\n", "", 0) == (done.stdout, done.stderr, done.returncode)
    assert time.monotonic() - began < 15
    assert 2 == len(server.requests)


def test_ctrl_c_is_quiet(server: TokenServer) -> None:
    """Ctrl-C while a token is awaited shows the interrupt and no error of ours."""
    server.answer(Answer(delay=20))
    done = run(
        server,
        """
        import signal
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            strategy.get_or_create_access_token()
        except KeyboardInterrupt as error:
            print(error.__context__, error.__cause__, strategy.get_access_token())
        """,
    )
    assert ("None None None\n", "") == (done.stdout, done.stderr)


def test_an_overdue_renewal_gives_way(server: TokenServer, clock: FakeClock) -> None:
    """J6: a renewal that hangs is given up at its deadline, and the gate decides when the next one begins."""
    stuck = threading.Event()
    calls: list[TokenRequest] = []

    def hang(request: TokenRequest) -> None:
        calls.append(request)
        if len(calls) == 2:
            stuck.wait(20)

    strategy = make_sync(server, clock, policy=attrs.evolve(EXACT, deadline=0.3), hooks={"before_request": hang})
    old = strategy.get_or_create_access_token()
    clock.advance(3500)
    assert old == strategy.get_or_create_access_token()
    until(lambda: len(calls) == 2)
    time.sleep(0.35)
    assert old == strategy.get_or_create_access_token()
    clock.advance(2)
    strategy.get_or_create_access_token()
    until(lambda: strategy.get_access_token() != old)
    newest = strategy.get_or_create_access_token()
    stuck.set()
    until(lambda: len(server.requests) == 3)
    time.sleep(0.1)
    assert newest == strategy.get_or_create_access_token()


def test_a_late_joiner_of_a_failed_wait(server: TokenServer) -> None:
    """A caller for whom nothing comes in time is told so, with the time that it waited."""
    strategy = ClientCredentialsStrategy(
        CLIENT_ID, CLIENT_SECRET, token_url=server.url, policy=RenewalPolicy(deadline=0.2)
    )
    server.always(Answer(delay=10))
    with pytest.raises(TokenEndpointUnreachable):
        strategy.get_or_create_access_token()

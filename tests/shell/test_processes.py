"""What forks, exits, frozen processes and missing descriptors do to a flight, in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from client_credentials.testing import Answer, TokenServer
from tests.shell.kit import run, start, until

COMMANDS = "ReadSecrets LookUp TryLock Send Record Settle Publish Unlock Tell".split()

AT_A_COMMAND = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of threads in a process that forks: that is what this is about
from client_credentials import json_object
from client_credentials._shell import driver
perform, send = driver.Driver._perform, driver.Driver._send

def halt(command):
    is_ours = threading.current_thread().name == "client-credentials"
    if is_ours and type(command).__name__ == name and not reached.is_set():
        reached.set()
        go.wait(100)  # longer than anybody waits for this process

def halting_perform(self, command):
    halt(command)
    return perform(self, command)

async def halting_send(self, command, fetch):
    halt(command)
    return await send(self, command, fetch)

driver.Driver._perform, driver.Driver._send = halting_perform, halting_send

def come_to(command):
    global strategy, name, reached, go
    name, reached, go = command, threading.Event(), threading.Event()
    strategy = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1], policy=policy)
    # An odd answer, so that there is something to tell of it.
    odd = lambda response: {**json_object(response), "expires_in": ""}
    strategy.set_configuration(SdkConfiguration(deserializer=odd))
    threading.Thread(target=strategy.get_or_create_access_token, daemon=True).start()
    assert reached.wait(30)
"""


def test_fork_at_each_command(server: TokenServer) -> None:
    """L1, L4: a child that is forked at any command of a flight has its token in time, and so has the parent."""
    said, complained, status = run(
        server,
        AT_A_COMMAND
        + f"""
for command in {COMMANDS}:
    come_to(command)
    pid = os.fork()
    if pid == 0:
        signal.alarm(45)
        token = strategy.get_or_create_access_token()
        other = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1])
        other.get_or_create_access_token()
        strategy.remove_access_token(token)
        os._exit(7)
    go.set()
    strategy.get_or_create_access_token()
    print(command, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    )
    assert ([f"{name} 7" for name in COMMANDS], "", 0) == (said.splitlines(), complained, status)


@pytest.mark.parametrize("name", COMMANDS)
def test_exit_at_each_command(server: TokenServer, name: str) -> None:
    """L6: an exit at any command of a flight is neither delayed nor leaves a word on stderr."""
    said = run(server, AT_A_COMMAND + f"come_to({name!r})\nprint(threading.active_count() > 1)")
    assert ("True\n", "", 0) == said


def test_fork_while_another_thread_imports(server: TokenServer) -> None:
    """L1: a request imports nothing, so a fork in the midst of another thread's imports hangs no child."""
    said = run(
        server,
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        importing = threading.Event()
        answer = TokenResponse(200, {}, b'{"access_token":"a-token","token_type":"bearer"}')
        strategy.set_configuration(SdkConfiguration(fetch=lambda request: answer))

        class Slowly:
            def find_spec(self, name, path=None, target=None):
                if name == "wave":
                    importing.set()
                    time.sleep(0.3)

        sys.meta_path.insert(0, Slowly())
        before = set(sys.modules)
        threading.Thread(target=__import__, args=("wave",), daemon=True).start()
        threading.Thread(target=strategy.get_or_create_access_token, daemon=True).start()
        assert importing.wait(30)
        pid = os.fork()
        if pid == 0:
            signal.alarm(45)
            strategy.get_or_create_access_token()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    )
    assert ("7\n", "", 0) == said


def test_nothing_is_imported_in_a_request(server: TokenServer) -> None:
    """Q12: what a request needs is imported when the first strategy is made: no module comes with the request."""
    said = run(
        server,
        """
        answer = TokenResponse(200, {}, b'{"access_token":"a-token","token_type":"bearer"}')
        strategy.set_configuration(SdkConfiguration(fetch=lambda request: answer))
        before = set(sys.modules)
        token = strategy.get_or_create_access_token()
        strategy.remove_access_token(token)
        strategy.get_access_token()
        print(sorted(set(sys.modules) - before))
        """,
    )
    assert ("[]\n", "", 0) == said


def test_a_child_inherits_the_token(server: TokenServer) -> None:
    """L4: a forked child has its parent's token, and asks for none."""
    said = run(
        server,
        """
        token = strategy.get_or_create_access_token()
        if os.fork() == 0:
            assert strategy.get_or_create_access_token() == token
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
        "-W",
        "ignore",  # CPython 3.12 and later warn of a fork while the thread of a flight ends
    )
    assert ("7\n", "", 0) == said
    assert 1 == len(server.requests)


def test_exit_during_a_renewal(server: TokenServer) -> None:
    """L6: a renewal in the background neither delays the exit nor leaves a word on stderr."""
    said = run(
        server,
        """
        renewing = threading.Event()

        def fetch(request):
            if clock.monotonic():
                renewing.set()
                time.sleep(100)
            return TokenResponse(200, {}, b'{"access_token":"a-token","token_type":"bearer","expires_in":3600}')

        strategy.set_configuration(SdkConfiguration(clock=clock, fetch=fetch))
        strategy.get_or_create_access_token()
        clock.advance(3500)
        strategy.get_or_create_access_token()
        print(renewing.wait(30), threading.active_count())
        """,
    )
    assert ("True 2\n", "", 0) == said


@pytest.mark.parametrize("when", ["atexit.register(ask)", "threading._register_atexit(ask)"])
def test_asking_at_the_exit(server: TokenServer, when: str) -> None:
    """L6, Q10/exit, Q11/exit: where the exiting interpreter starts no thread, the caller makes the request."""
    said = run(
        server,
        f"""
        import atexit

        def ask():
            print(len(strategy.get_or_create_access_token().access_token) > 5, flush=True)

        {when}
        """,
    )
    assert said[1:] == ("", 0)
    assert "True\n" == said[0]


def test_ctrl_c_is_quiet(server: TokenServer) -> None:
    """Ctrl-C while a token is awaited shows the interrupt and no error of ours."""
    server.answer(Answer(delay=100))
    said = run(
        server,
        """
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            strategy.get_or_create_access_token()
        except KeyboardInterrupt as error:
            print(error.__context__, error.__cause__, strategy.get_access_token())
        """,
    )
    assert ("None None None\n", "", 0) == said


FREEZING = """
policy = RenewalPolicy(jitter=0, deadline=1.0)
kind = {kind}
strategy = kind("my-client", "my-secret-3f9c", token_url=sys.argv[1], policy=policy)
strategy.set_configuration(SdkConfiguration(clock=clock))
loop = asyncio.new_event_loop()

def ask():
    try:
        token = strategy.get_or_create_access_token()
        token = token if isinstance(token, AccessToken) else loop.run_until_complete(token)
        print("token", flush=True)
    except TokenError as error:
        print(repr(error), flush=True)

for line in sys.stdin:
    clock.advance(float(line))
    ask()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGSTOP")
@pytest.mark.parametrize(
    ("kind", "age"),
    [("ClientCredentialsStrategy", 3500), ("AsyncClientCredentialsStrategy", 0)],
    ids=["renewal", "cold"],
)
def test_frozen_in_mid_flight(server: TokenServer, kind: str, age: int) -> None:
    """Q7/request/renewal: a process that was stopped for longer than its deadline gets a token on its first calls."""
    with start(server, FREEZING.format(kind=kind)) as process:
        assert process.stdin
        assert process.stdout

        def ask(later: int) -> None:
            assert process.stdin
            process.stdin.write(f"{later}\n")
            process.stdin.flush()

        try:
            if age:
                ask(0)
                assert "token\n" == process.stdout.readline()
            server.answer(Answer(delay=0.2))
            ask(age)
            until(lambda: len(server.requests) == (2 if age else 1))
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(2.2)  # the deadline, and the second after it
            os.kill(process.pid, signal.SIGCONT)
            first = process.stdout.readline()
            for later in (200, 0, 0):  # past the token's end
                ask(later)
                assert "token\n" == process.stdout.readline()
            assert not age or "token\n" == first
        finally:
            process.kill()


def test_no_descriptor_is_left(server: TokenServer) -> None:
    """Q12: where no descriptor is left, the caller has a token or a TokenError, and a token once there are some."""
    said = run(
        server,
        """
        import resource
        policy = RenewalPolicy(deadline=0.5)
        made = [ClientCredentialsStrategy("my-client", "x", token_url=sys.argv[1], policy=policy) for _ in range(2)]
        made[1].set_configuration(SdkConfiguration(clock=clock))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        hogs = []
        try:
            while True:
                hogs.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        for each in made:
            try:
                each.get_or_create_access_token()
            except TokenError:
                pass
        for hog in hogs:
            os.close(hog)
        print(strategy.get_or_create_access_token().token_type)
        """,
        "-W",
        "ignore",
    )
    assert ("Bearer\n", 0) == (said[0], said[2])  # and the log's lines of the failures between


@pytest.mark.skipif(sys.version_info < (3, 12), reason="isolated subinterpreters came with 3.12 (PEP 684)")
def test_an_isolated_interpreter(server: TokenServer) -> None:
    """L10, Q11/interpreter: a sub-interpreter without daemon threads gets its tokens, and those in hand at once."""
    said = run(
        server,
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        interpreters.run_string(interpreters.create(), f'''
        import asyncio
        from client_credentials import *
        from client_credentials.testing import FakeClock
        clock = FakeClock()
        for kind in (ClientCredentialsStrategy, AsyncClientCredentialsStrategy):
            strategy = kind("my-client", "my-secret-3f9c", token_url={sys.argv[1]!r})
            cache = InMemoryCachingStrategy(clock=clock)
            strategy.set_configuration(SdkConfiguration(clock=clock, caching_strategy=cache))
            tokens = []
            for seconds in (0, 3500):
                clock.advance(seconds)
                token = strategy.get_or_create_access_token()
                tokens.append(token if isinstance(token, AccessToken) else asyncio.run(token))
            assert tokens[0] == tokens[1]
        ''')
        os.write(1, b"right")
        os._exit(0)
        """,
    )
    assert "right" == said[0], said


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
            print(told.wait(30), *(type(each).__name__ for each in logging.getLogger("client_credentials").handlers))
        """,
    )
    assert ("True NullHandler\n", "", 0) == said

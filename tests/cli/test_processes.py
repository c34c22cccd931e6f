"""The command line as shells and terminals run it: pipes, signals, a prompt."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from client_credentials._cli.main import main
from client_credentials._cli.output import guarded
from client_credentials.testing import Answer, TokenServer
from tests.cli.kit import COMMAND, run
from tests.http.loopback import CLIENT
from tests.shell.kit import until

Captured: TypeAlias = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("somebody")


def test_a_token_comes_out_of_a_process(server: TokenServer) -> None:
    """`python -m client_credentials token` is a token and exit status 0."""
    ended = run("token", "--token-url", server.url)
    assert (0, server.issued, b"") == (ended.returncode, ended.stdout.decode().splitlines(), ended.stderr)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_come_through_a_pipe(
    end: str, server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard input is the secret, less the end of its line, and outranks the environment."""
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "another")
    (tmp_path / "typed").write_bytes((CLIENT[1] + end).encode())
    with typed(tmp_path / "typed") as left:
        assert 0 == main(["token", "--secret-stdin", "--token-url", server.url])
        assert 0 == left(), "all of it is read, and it is not closed"


@contextmanager
def typed(file: Path) -> Generator[Callable[[], int]]:
    """Have a file as the standard input; gives a function that says how much of it is left."""
    kept = os.dup(0)
    try:
        with file.open("rb") as opened:
            os.dup2(opened.fileno(), 0)
        yield lambda: file.stat().st_size - os.lseek(0, 0, os.SEEK_CUR)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_no_standard_input_is_a_usage_error(server: TokenServer) -> None:
    """Without a standard input there is no secret in it, and no traceback either."""
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "token", "--secret-stdin", "--token-url", server.url],
        capture_output=True,
        timeout=60,
        check=False,
    )
    last = ended.stderr.decode().splitlines()[-1]
    assert (2, "client-credentials token: error: the client secret: Bad file descriptor") == (ended.returncode, last)


def test_a_reader_who_is_gone_is_no_error(server: TokenServer) -> None:
    """A broken pipe ends the program as it ends others: without a word, with the status of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = run("token", "--token-url", server.url, stdout=writing)
    finally:
        os.close(writing)
    assert (141, b"") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (">&-", b"the standard output is closed"),
        (">/dev/full", b"No space left on device"),
        ("1</dev/null", b"Bad file descriptor"),
    ],
)
def test_no_process_succeeds_whose_output_is_lost(target: str, reason: bytes, server: TokenServer) -> None:
    """A standard output that is closed, full or read-only: exit status 1, and one line that says why."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {target}', "sh", *COMMAND, "token", "--token-url", server.url],
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (1, b"client-credentials: cannot write the output: %s\n" % reason) == (ended.returncode, ended.stderr)


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("words", ["token --token-url {}", "doctor --token-url {}", "demo", "--help", "--version"])
def test_no_command_succeeds_whose_output_is_lost(
    words: str, is_open: bool, server: TokenServer, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """That goes for every command, for the help and for the version."""
    if words == "demo":
        monkeypatch.delenv("SPOTIFY_CLIENT_ID")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full if is_open else None)
        assert 1 == main(words.format(server.url).split())
        monkeypatch.undo()
    assert 1 == capsys.readouterr().err.count("\n")


def test_another_error_is_not_taken_for_lost_output(capsys: Captured) -> None:
    """What a command raises itself is not blamed on the standard output, which could be written."""

    def fail() -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with pytest.raises(PermissionError):
        guarded(fail)
    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize(("words", "status"), [("token --nope", 2), ("token --token-url {} --client-id other", 1)])
def test_a_closed_standard_error_changes_no_status(
    words: str, status: int, server: TokenServer, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Where an error cannot be told, it is not told on the standard output."""
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as exit_:
        raise SystemExit(main(words.format(server.url).split()))
    assert (status, "") == (exit_.value.code, capsys.readouterr().out)


def test_a_tilde_is_the_home_directory(server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--cache=~/tokens` and `--secret-file=~/secret` lead home, as no shell expands them there."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/secret").write_text(CLIENT[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert 0 == main(["token", "--cache=~/tokens", "--secret-file=~/secret", "--token-url", server.url])
    assert {"home"} == {each.name for each in tmp_path.iterdir()}
    assert (tmp_path / "home/tokens").is_dir()


def test_any_terminal_can_show_it(server: TokenServer, capsys: Captured) -> None:
    """What is not ASCII is escaped."""
    body = {"access_token": "the-token-0123456789", "token_type": "Bearer", "expires_in": 60, "scope": "\N{SNOWMAN}"}
    server.always(Answer(body=body))
    assert 0 == main(["inspect", "--token-url", server.url])
    assert "scope     \\u2603\n" in capsys.readouterr().out


# Makes the terminal on its standard input the one that controls it, then becomes the program.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@attrs.define
class Terminal:
    """A pseudo-terminal with a program in it, from the side of whoever sits in front."""

    keyboard: int
    process: subprocess.Popen[bytes]
    screen: bytes = b""

    def look(self) -> bool:
        """Read what is new on the screen; False: the program has ended."""
        with suppress(OSError):
            new = os.read(self.keyboard, 4096)
            self.screen += new
            return bool(new)
        return False

    def wait_for(self, text: bytes) -> None:
        """Read until a text is there."""
        while text not in self.screen:
            assert self.look(), self.screen

    def type(self, keys: bytes) -> int:
        """Press keys, read until the program ends, and give its exit status."""
        os.write(self.keyboard, keys)
        while self.look():
            pass
        return self.process.wait(60)


@contextmanager
def terminal(*arguments: str) -> Generator[Terminal]:
    """Run the command line in a real pseudo-terminal."""
    keyboard, line = pty.openpty()
    command = [sys.executable, "-c", ON_TERMINAL, *COMMAND, *arguments]
    with subprocess.Popen(command, stdin=line, stdout=line, stderr=line) as process:
        os.close(line)
        try:
            yield Terminal(keyboard, process)
        finally:
            process.kill()
            os.close(keyboard)


def test_a_user_at_a_terminal_gets_a_token(server: TokenServer) -> None:
    """The secret is asked for, is not shown while it is typed, and the token comes; nothing else does."""
    with terminal("token", "--secret-stdin", "--token-url", server.url) as user:
        user.wait_for(b"Client secret: ")
        assert 0 == user.type(CLIENT[1].encode() + b"\n")
        assert ["Client secret: ", *server.issued] == user.screen.decode().splitlines()


@pytest.mark.parametrize(("key", "status"), [(b"\x03", 130), (b"\x04", 2)], ids=["ctrl-c", "ctrl-d"])
def test_a_user_may_leave_at_the_prompt(key: bytes, status: int, server: TokenServer) -> None:
    """Ctrl-C leaves quietly; an end of input is no secret; neither shows a traceback."""
    with terminal("token", "--secret-stdin", "--token-url", server.url) as user:
        user.wait_for(b"Client secret: ")
        assert status == user.type(key)
        assert b"Traceback" not in user.screen
    assert [] == server.requests


def test_ctrl_c_at_a_terminal_is_quiet(server: TokenServer) -> None:
    """The key that interrupts shows nothing but itself."""
    server.always(Answer(delay=30))
    with terminal("token", "--token-url", server.url) as user:
        until(lambda: bool(server.requests))
        assert (130, b"^C") == (user.type(b"\x03"), user.screen)

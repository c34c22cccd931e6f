"""The lock of a cache in files: the kernel's, which a dead holder loses and a forked child has no part in."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy
from client_credentials.testing import TokenServer
from tests.caching.files import file_name, make_file, only
from tests.caching.fleet import SPAWN, hold_and_fork, hold_for_ever, strategy_on
from tests.shell.kit import until


class TestLock:
    """The kernel's lock on a file."""

    def test_the_file_stays(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N8: the lock file is left behind and is no lock by itself; while it is in use it is the same file."""
        inodes: set[int] = set()
        for _ in range(3):
            with file_cache.lock("key", 60) as mine:
                assert mine
            inodes.add(only(folder, "lock").stat().st_ino)
        assert 1 == len(inodes)

    def test_a_dead_holder_holds_nothing(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N8: the kernel releases the lock of a killed process at once, long before its time is up."""
        ready = SPAWN.Event()
        holder = SPAWN.Process(target=hold_for_ever, args=(folder, ready))
        holder.start()
        assert ready.wait(30)
        with file_cache.lock("key", 60) as mine:
            assert not mine
        holder.kill()
        holder.join()
        with file_cache.lock("key", 60) as mine:
            assert mine

    def test_a_disk_without_locks(
        self, file_cache: FileCachingStrategy, server: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N9: where the file system knows no locks, everyone asks, nobody is refused, no file is left open."""

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        strategy = strategy_on(server.url, file_cache)
        strategy.get_or_create_access_token()  # imports what it needs
        open_before = len(list(Path("/dev/fd").iterdir()))
        strategy.remove_access_token()
        assert strategy.get_or_create_access_token().access_token == server.issued[1]
        until(lambda: len(list(Path("/dev/fd").iterdir())) <= open_before)  # the server closes in its own time

    def test_a_forked_child_has_no_part_in_it(self, file_cache: FileCachingStrategy) -> None:
        """L1: a child forked under the lock neither has it nor gives it back, nor keeps it when the parent is done."""
        ended, end = os.pipe()
        with file_cache.lock("key", 60) as mine:
            assert mine
            child = os.fork()
            if child == 0:
                _live_on(ended, end)
            os.close(ended)
            with file_cache.lock("key", 60) as second:
                assert not second
        with file_cache.lock("key", 60) as free:
            assert free
        os.write(end, b"!")
        os.close(end)
        assert 0 == os.waitpid(child, 0)[1]

    def test_a_forked_child_gives_nothing_back(self, file_cache: FileCachingStrategy) -> None:
        """L1: a child that leaves the `with` in which it was forked leaves the lock to its parent."""
        lock = file_cache.lock("key", 60)
        assert lock.__enter__()
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)
            os._exit(0)
        assert 0 == os.waitpid(child, 0)[1]
        with file_cache.lock("key", 60) as second:
            assert not second
        lock.__exit__(None, None, None)

    def test_an_orphan_keeps_no_lock(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """L1: a child that outlives its killed parent does not keep the parent's lock."""
        told_of: Any = SPAWN.SimpleQueue()
        holder = SPAWN.Process(target=hold_and_fork, args=(folder, told_of))
        holder.start()
        orphan = told_of.get()
        with file_cache.lock("key", 60) as mine:
            assert not mine
        holder.kill()
        holder.join()
        try:
            with file_cache.lock("key", 60) as mine:
                assert mine
        finally:
            os.kill(orphan, signal.SIGKILL)

    def test_it_is_given_back_whoever_has_the_file(self, file_cache: FileCachingStrategy) -> None:
        """L1: a child that was forked before it could know of the lock has its file open for good, and not the lock."""
        with file_cache.lock("key", 60):
            (hold,) = file_cache._holds  # pyright: ignore[reportPrivateUsage]
            inherited = os.dup(hold.descriptor)
        with file_cache.lock("key", 60) as free:
            assert free
        os.close(inherited)

    def test_no_file_stays_open(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """R2/file: whatever is found, and whoever has the lock, each file is closed again."""
        for kind in ("lock", "entry"):
            make_file(folder / file_name("foreign", kind), age=-600)
            (folder / file_name("foreign", kind)).chmod(0o644)
        open_before = set(Path("/dev/fd").iterdir())
        for _ in range(3):
            make_file(folder / file_name("left behind", "lock"), age=0)
            with file_cache.lock("key", 60) as mine, file_cache.lock("key", 60) as second:
                assert (True, False) == (mine, second)
                file_cache.set("key", "value", 60)
            assert file_cache.get("key")
            assert file_cache.get("foreign") is None
            said = rf"^\[Errno 17\] not a file that is private to this user: '{file_name('foreign', 'lock')}'$"
            with pytest.raises(FileExistsError, match=said), file_cache.lock("foreign", 60):
                pass
        assert open_before == set(Path("/dev/fd").iterdir())


def _live_on(ended: int, end: int) -> None:
    """Be a child that outlives the lock of its parent."""
    os.close(end)
    os.read(ended, 1)
    os._exit(0)

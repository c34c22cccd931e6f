"""The cache in files: what a reader, a writer and a holder of a lock find, whoever else is there."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy
from client_credentials.testing import TokenServer
from tests.caching.files import file_name, make_file, mode, only
from tests.caching.fleet import SPAWN, hold_and_fork, hold_for_ever, strategy_on, text_of, write_for_ever
from tests.strategy.kit import until


class TestWriting:
    """What is on the disk, at every moment."""

    def test_a_killed_writer_tears_nothing(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N1: a reader finds the old value or the new one, never a torn one, also when the writer is killed."""
        whole = {"a" * 200_000, "b" * 200_000, "value"}
        for _ in range(3):
            before = folder.stat().st_mtime_ns
            writer = SPAWN.Process(target=write_for_ever, args=(folder,))
            writer.start()
            try:
                until(partial(_is_changed, folder, before))
                seen = [file_cache.get("key") for _ in range(300)]
            finally:
                writer.kill()
                writer.join()
            assert -signal.SIGKILL == writer.exitcode
            assert {True} == {entry is not None and entry.value in whole for entry in (*seen, file_cache.get("key"))}

    def test_nobody_else_can_read_it(self, folder: Path) -> None:
        """N2: a file is its owner's alone from its first byte, whatever the umask, as is each directory made for it."""
        before = os.umask(0)
        try:
            folder = folder / "two" / "levels" / "down"
            cache = FileCachingStrategy(folder)
            modes: list[int] = []
            replace = os.replace

            def watch(source: str, target: str, **directories: int) -> None:
                modes.append(mode(only(folder, "tmp")))
                replace(source, target, **directories)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "replace", watch)
                cache.set("key", "value", 60)
            with cache.lock("key", 60):
                pass
        finally:
            os.umask(before)
        assert [0o600] == modes
        assert {0o600} == {mode(path) for path in folder.iterdir()}
        assert {0o700} == {mode(path) for path in (folder, *list(folder.parents)[:3])}

    def test_what_others_could_read_is_made_anew(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N3: an entry that is not for its owner alone is a miss, and its successor is."""
        only(folder).chmod(0o644)
        assert file_cache.get("key") is None
        file_cache.set("key", "new", 60)
        assert 0o600 == mode(only(folder))
        assert "new" == text_of(file_cache, "key")

    def test_the_name_tells_nothing(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N13: two identities in one directory have a file each, named after the hash of the key."""
        file_cache.set("../../other key", "value", 60)
        names = [path.name for path in folder.iterdir()]
        assert 2 == len(names)
        assert all(re.fullmatch(r"client-credentials-[0-9a-f]{64}\.entry", name) for name in names)


class TestReading:
    """What is not a whole entry of ours."""

    def test_a_link_is_not_followed(self, file_cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N4: a symbolic link is not followed, to read or to write: it is replaced, and what it led to is as it was."""
        victim = tmp_path / "victim"
        only(folder).rename(victim)
        before = victim.read_bytes()
        planted = folder / file_name("key")
        planted.symlink_to(victim)
        with pytest.raises(OSError, match="symbolic links"):
            file_cache.get("key")
        file_cache.set("key", "new", 60)
        assert before == victim.read_bytes()
        assert not planted.is_symlink()
        planted.unlink()
        planted.symlink_to(victim)
        file_cache.remove("key")
        assert before == victim.read_bytes()

    def test_a_lock_is_no_link(self, file_cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N4: nor is a link followed to a lock file, whether there is something at its end or not."""
        (folder / file_name("key", "lock")).symlink_to(tmp_path / "made by a link")
        with pytest.raises(OSError, match="symbolic links"), file_cache.lock("key", 60):
            pass
        assert not (tmp_path / "made by a link").exists()

    @pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["fifo", "directory"])
    @pytest.mark.parametrize("kind", ["entry", "lock"])
    def test_nothing_in_the_way_hangs(self, folder: Path, make: Callable[[Path], None], kind: str) -> None:
        """N4: a pipe or a directory in a file's place neither hangs nor is taken for it."""
        folder.mkdir(0o700)
        cache = FileCachingStrategy(folder)
        make(folder / file_name("key", kind))
        assert cache.get("key") is None
        if kind == "lock":
            with pytest.raises(OSError, match=r"directory|not a file"), cache.lock("key", 60):
                pass
        elif make is os.mkfifo:
            cache.set("key", "value", 60)
            assert cache.get("key")
        else:
            with pytest.raises(IsADirectoryError):
                cache.set("key", "value", 60)
            assert [] == list(folder.glob("*.tmp"))

    @pytest.mark.parametrize("spoilt", ["empty", "cut", "longer", "zeros", "one letter", "shifted", "noise"])
    def test_what_is_spoilt_is_a_miss(self, file_cache: FileCachingStrategy, folder: Path, spoilt: str) -> None:
        """N10: an entry that is not whole is a miss, and is overwritten."""
        whole = only(folder).read_bytes()
        instead = {
            "empty": b"",
            "cut": whole[:-1],
            "longer": whole + b"!",
            "zeros": bytes(len(whole)),
            "one letter": whole.replace(b"value", b"volue"),
            "shifted": b"\n" + whole,
            "noise": b"\xff" * 100_000,
        }
        only(folder).write_bytes(instead[spoilt])
        assert file_cache.get("key") is None
        file_cache.set("key", "new", 60)
        assert file_cache.get("key")

    def test_another_keys_entry_is_a_miss(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N10, R5/file: a file copied to another identity's name gives that one no foreign token."""
        copy = folder / file_name("other")
        copy.write_bytes(only(folder).read_bytes())
        copy.chmod(0o600)
        assert file_cache.get("other") is None

    def test_another_users_file_is_a_miss(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N10: an entry that another user wrote is a miss."""
        real = os.fstat

        def foreign(descriptor: int) -> Any:
            status = list(real(descriptor))
            status[stat.ST_UID] += stat.S_ISREG(int(status[stat.ST_MODE]))
            return os.stat_result(status)

        monkeypatch.setattr(os, "fstat", foreign)
        assert file_cache.get("key") is None


class TestClock:
    """The wall clock says how long an entry has left."""

    @pytest.mark.parametrize(("step", "left"), [(0, 3600), (3000, 600), (3600, None), (-1, None), (-86400, None)])
    def test_the_wall_clock_counts(
        self, file_cache: FileCachingStrategy, monkeypatch: pytest.MonkeyPatch, step: float, left: float | None
    ) -> None:
        """I11: a reader, after a reboot too, goes by the wall clock; an entry written in the future is a miss."""
        monkeypatch.setattr(time, "time", lambda: 1e9)
        file_cache.set("key", "value", 3600)
        monkeypatch.setattr(time, "time", lambda: 1e9 + step)
        entry = file_cache.get("key")
        assert left == (entry and entry.ttl)

    @pytest.mark.parametrize("ttl", [1e12, float("inf")])
    def test_it_may_last_for_ever(self, file_cache: FileCachingStrategy, ttl: float) -> None:
        """An entry may end later than any file system can say."""
        file_cache.set("key", "value", ttl)
        entry = file_cache.get("key")
        assert entry
        assert entry.ttl is not None
        assert entry.ttl > 1e11


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

    def test_it_excludes_threads(self, file_cache: FileCachingStrategy) -> None:
        """J11: threads of one process exclude each other as processes do."""
        inside, most = [0], [0]
        gate = threading.Barrier(8)

        def work() -> None:
            gate.wait()
            for _ in range(100):
                with file_cache.lock("key", 60) as mine:
                    if mine:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                        inside[0] -= 1

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == most[0]


@pytest.mark.parametrize("given", [None, 1, b"bytes", ""])
def test_what_is_no_directory(given: Any) -> None:
    """What is no path is refused by the name of the argument."""
    with pytest.raises(ValueError, match=r"^directory must be a path, as a string or an os\.PathLike of strings$"):
        FileCachingStrategy(given)


def test_how_it_is_shown(folder: Path) -> None:
    """It shows where it is."""
    assert f"FileCachingStrategy({str(folder)!r})" == repr(FileCachingStrategy(folder))


def _live_on(ended: int, end: int) -> None:
    """Be a child that outlives the lock of its parent."""
    os.close(end)
    os.read(ended, 1)
    os._exit(0)


def _is_changed(folder: Path, before: int) -> bool:
    return folder.stat().st_mtime_ns > before

"""The cache in files: what an attacker, a crash, a full disk or another program can do to a directory."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy, TokenRequest, TokenResponse, Urllib3Fetch
from client_credentials._shell.circuit_breaker import BUDGET
from client_credentials.caching._directory import Directory
from client_credentials.testing import TokenServer
from tests.caching.fleet import SPAWN, hold_and_fork, hold_for_ever, strategy_on, told, write_for_ever
from tests.strategy.kit import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a directory that is not there yet."""
    return tmp_path / "tokens"


@pytest.fixture
def cache(folder: Path) -> FileCachingStrategy:
    """Give a cache in it, with one entry."""
    cache = FileCachingStrategy(folder)
    cache.set("key", "value", 60)
    return cache


def only(folder: Path, kind: str = "entry") -> Path:
    """Give the one file of its kind."""
    (path,) = folder.glob(f"*.{kind}")
    return path


def file_name(key: str, kind: str = "entry") -> str:
    """Name the file of a key."""
    return f"client-credentials-{sha256(key.encode()).hexdigest()}.{kind}"


def mode(path: Path) -> int:
    """Give who may do what with a path itself, not with what it leads to."""
    return stat.S_IMODE(path.lstat().st_mode)


class TestWriting:
    """What is on the disk, at every moment."""

    def test_a_killed_writer_tears_nothing(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N1: a reader finds the old value or the new one, never a torn one, also when the writer is killed."""
        whole = {"a" * 200_000, "b" * 200_000, "value"}
        for _ in range(3):
            before = folder.stat().st_mtime_ns
            writer = SPAWN.Process(target=write_for_ever, args=(folder,))
            writer.start()
            try:
                until(partial(_is_changed, folder, before))
                seen = [cache.get("key") for _ in range(300)]
            finally:
                writer.kill()
                writer.join()
            assert -signal.SIGKILL == writer.exitcode
            assert {True} == {entry is not None and entry.value in whole for entry in (*seen, cache.get("key"))}

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

    def test_what_others_could_read_is_made_anew(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N3: an entry that is not for its owner alone is a miss, and its successor is."""
        only(folder).chmod(0o644)
        assert cache.get("key") is None
        cache.set("key", "new", 60)
        assert 0o600 == mode(only(folder))
        entry = cache.get("key")
        assert entry
        assert "new" == entry.value

    def test_the_name_tells_nothing(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N13: two identities in one directory have a file each, named after the hash of the key."""
        cache.set("../../other key", "value", 60)
        names = [path.name for path in folder.iterdir()]
        assert 2 == len(names)
        assert all(re.fullmatch(r"client-credentials-[0-9a-f]{64}\.entry", name) for name in names)


class TestReading:
    """What is not a whole entry of ours."""

    def test_a_link_is_not_followed(self, cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N4: a symbolic link is not followed, to read or to write: it is replaced, and what it led to is as it was."""
        victim = tmp_path / "victim"
        only(folder).rename(victim)
        before = victim.read_bytes()
        planted = folder / file_name("key")
        planted.symlink_to(victim)
        with pytest.raises(OSError, match="symbolic links"):
            cache.get("key")
        cache.set("key", "new", 60)
        assert before == victim.read_bytes()
        assert not planted.is_symlink()
        planted.unlink()
        planted.symlink_to(victim)
        cache.remove("key")
        assert before == victim.read_bytes()

    def test_a_lock_is_no_link(self, cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N4: nor is a link followed to a lock file, whether there is something at its end or not."""
        (folder / file_name("key", "lock")).symlink_to(tmp_path / "made by a link")
        with pytest.raises(OSError, match="symbolic links"), cache.lock("key", 60):
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
    def test_what_is_spoilt_is_a_miss(self, cache: FileCachingStrategy, folder: Path, spoilt: str) -> None:
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
        assert cache.get("key") is None
        cache.set("key", "new", 60)
        assert cache.get("key")

    def test_another_keys_entry_is_a_miss(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N10, R5/file: a file copied to another identity's name gives that one no foreign token."""
        copy = folder / file_name("other")
        copy.write_bytes(only(folder).read_bytes())
        copy.chmod(0o600)
        assert cache.get("other") is None

    def test_another_users_file_is_a_miss(
        self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N10: an entry that another user wrote is a miss."""
        real = os.fstat

        def foreign(descriptor: int) -> Any:
            status = list(real(descriptor))
            status[stat.ST_UID] += stat.S_ISREG(int(status[stat.ST_MODE]))
            return os.stat_result(status)

        monkeypatch.setattr(os, "fstat", foreign)
        assert cache.get("key") is None


class TestDirectory:
    """Whose directory it is."""

    @pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
    def test_others_may_not_write_to_it(
        self, cache: FileCachingStrategy, folder: Path, bits: int, server: TokenServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """N5: a directory that others may write to is refused with a reason, for every call; a strategy goes on."""
        folder.chmod(bits)
        calls: list[Callable[[], object]] = [
            lambda: cache.get("key"),
            lambda: cache.set("key", "value", 60),
            lambda: cache.remove("key"),
            lambda: cache.lock("key", 60).__enter__(),
        ]
        for call in calls:
            with pytest.raises(PermissionError, match="others may write to it"):
                call()
        assert 1 == len(list(folder.iterdir()))
        assert strategy_on(server.url, cache).get_or_create_access_token().access_token == server.issued[0]
        assert ["FileCachingStrategy failed with UnsafeDirectory (EPERM); it counts as empty"] == told(caplog)

    def test_it_is_this_users(self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """N5: another user's directory is refused with a reason."""
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
        with pytest.raises(PermissionError, match="another user owns it"):
            cache.get("key")

    def test_it_is_no_link_and_no_file(self, cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N5: a link in the directory's place is refused, and so is a file."""
        link, file = tmp_path / "link", tmp_path / "file"
        link.symlink_to(folder)
        file.touch()
        for path in (link, file):
            with pytest.raises(PermissionError, match="not a directory"):
                FileCachingStrategy(path).set("key", "value", 60)

    def test_others_may_read_its_names(self, cache: FileCachingStrategy, folder: Path) -> None:
        """A directory that others may look into, but not write to, is good enough: the files are not theirs to read."""
        folder.chmod(0o755)
        assert cache.get("key")

    def test_reading_makes_nothing(self, folder: Path) -> None:
        """Only a write or a lock makes the directory."""
        cache = FileCachingStrategy(folder)
        assert cache.get("key") is None
        cache.remove("key")
        assert not folder.exists()
        with cache.lock("key", 60) as mine:
            assert mine
        assert 0o700 == mode(folder)


class TestDisk:
    """A disk that does not do its part."""

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE])
    def test_it_is_memory_then(
        self,
        cache: FileCachingStrategy,
        folder: Path,
        server: TokenServer,
        number: int,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """N6: where nothing can be written, tokens are kept in memory, and the log says once why."""
        real = os.open

        def refuse(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & os.O_CREAT and str(path).startswith("client-credentials-"):
                raise OSError(number, os.strerror(number))
            return real(path, flags, *rest, **named)

        monkeypatch.setattr(os, "open", refuse)
        strategy = strategy_on(server.url, cache)
        token = strategy.get_or_create_access_token()
        assert token == strategy.get_or_create_access_token()
        strategy.remove_access_token()
        assert token != strategy.get_or_create_access_token()
        code = errno.errorcode[number]
        (said,) = told(caplog)
        assert said.startswith("FileCachingStrategy failed with ")
        assert f" ({code});" in said

    def test_a_full_disk_leaves_nothing_behind(self, folder: Path) -> None:
        """N6: a write that fails half-way is an OSError, leaves no temporary file, and the old entry as it was."""
        script = textwrap.dedent("""
            import resource, sys
            from client_credentials import FileCachingStrategy
            cache = FileCachingStrategy(sys.argv[1])
            cache.set("key", "old", 60)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            try:
                cache.set("key", "x" * 100_000, 60)
            except OSError as error:
                print(error.errno, cache.get("key").value)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        """)
        said = subprocess.run([sys.executable, "-c", script, str(folder)], check=True, capture_output=True, text=True)
        assert f"{errno.EFBIG} old" == said.stdout.strip()
        assert [only(folder)] == list(folder.iterdir())

    def test_a_disk_that_hangs(
        self, cache: FileCachingStrategy, server: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R4/file: a disk that does not answer costs half a second once in a while, whatever is asked of it."""
        go, real = threading.Event(), os.open

        def hang(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if str(path) == str(cache._directory):  # pyright: ignore[reportPrivateUsage]
                go.wait(10)
            return real(path, flags, *rest, **named)

        strategy = strategy_on(server.url, cache)
        began = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", hang)
            assert strategy.get_access_token() is None
            token = strategy.get_or_create_access_token()
            strategy.remove_access_token(token)
            strategy.get_or_create_access_token()
            go.set()
        assert time.monotonic() - began < BUDGET + 1

    def test_there_is_no_home(self, tmp_path: Path, server: TokenServer) -> None:
        """N14: where the directory cannot be made, tokens are kept in memory."""
        (tmp_path / "file").touch()
        for impossible in (tmp_path / "file" / "tokens", Path("/proc/nowhere/tokens")):
            strategy = strategy_on(server.url, FileCachingStrategy(impossible))
            assert strategy.get_or_create_access_token() == strategy.get_or_create_access_token()
        assert 2 == len(server.requests)

    def test_the_file_is_open_elsewhere(
        self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N12: a replacement that Windows refuses while a reader has the file open is tried three times."""
        refusals, tries = 2, 0
        replace = os.replace

        def refuse(source: str, target: str, **directories: int) -> None:
            nonlocal tries
            tries += 1
            if tries <= refusals:
                raise PermissionError(errno.EACCES, "in use")
            replace(source, target, **directories)

        monkeypatch.setattr(os, "replace", refuse)
        cache.set("key", "new", 60)
        entry = cache.get("key")
        assert entry
        assert (3, "new") == (tries, entry.value)
        refusals, tries = 99, 0
        with pytest.raises(PermissionError):
            cache.set("key", "newer", 60)
        assert (3, [only(folder)]) == (tries, list(folder.iterdir()))


class TestTidying:
    """What has expired goes with a later lock or write, and nothing else does."""

    def test_before_a_caller_has_its_token(self, cache: FileCachingStrategy, folder: Path, server: TokenServer) -> None:
        """N1, N8: the directory is tidy before the request is sent, since a program may end once it has its token."""
        left: list[str] = []

        def fetch(request: TokenRequest) -> TokenResponse:
            left.extend(path.suffix for path in folder.iterdir())
            return Urllib3Fetch()(request)

        for number in range(30):
            _make(folder / file_name(str(number)), age=1)
            _make(folder / file_name(str(number), "lock"), age=0)
        strategy_on(server.url, cache, fetch=fetch).get_or_create_access_token()
        assert [".entry", ".lock"] == sorted(left)  # those of "key" and of this client

    def test_what_has_expired_goes(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N1, N8: dead entries go, and so do locks that nobody has and temporary files of more than a minute."""
        cache.set("dead", "value", -1)
        in_use = file_name("d", f"{'0' * 16}.tmp")
        for name, age in ((file_name("a", "lock"), 0), (file_name("b", f"{'0' * 16}.tmp"), 61), (in_use, 59)):
            _make(folder / name, age=age)
        cache.set("key", "value", 60)
        assert {file_name("key"), in_use} == {path.name for path in folder.iterdir()}

    def test_what_is_not_ours_stays(self, cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """R3/file: only a regular file of this user's whose name has our pattern is ever removed."""
        digest, victim = "0" * 64, tmp_path / "victim"
        _make(victim, age=3600)
        others = ["draft.tmp", f"{digest}.entry", f"{digest}.lock", f"client-credentials-{digest}.entry.tmp", "x.lock"]
        for name in others:
            _make(folder / name, age=3600)
        (folder / file_name("directory")).mkdir()
        (folder / file_name("link")).symlink_to(victim)
        (folder / file_name("link", "lock")).symlink_to(victim)
        os.mkfifo(folder / file_name("pipe", "lock"))
        for name in ("directory", "link"):
            os.utime(folder / file_name(name), (1, 1), follow_symlinks=False)
        before = {path.name for path in folder.iterdir()}
        for _ in range(3):
            cache.set("key", "value", 60)
        assert before == {path.name for path in folder.iterdir()}
        assert victim.exists()

    def test_another_users_file_stays(
        self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R3/file: a file of another user's is not removed, whatever its name."""
        _make(folder / file_name("theirs"), age=3600)
        theirs, real = (folder / file_name("theirs")).stat().st_ino, os.stat

        def foreign(path: Any, **named: Any) -> Any:
            status = list(real(path, **named))
            status[stat.ST_UID] += status[stat.ST_INO] == theirs
            return os.stat_result(status)

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", foreign)
            cache.set("key", "value", 60)
        assert (folder / file_name("theirs")).exists()
        cache.set("key", "value", 60)
        assert not (folder / file_name("theirs")).exists()

    def test_a_write_does_a_bounded_part(self, cache: FileCachingStrategy, folder: Path) -> None:
        """R2/file: a write looks at 128 names at most, the next ones go on from there, and in the end all is tidy."""
        for number in range(300):
            _make(folder / file_name(str(number)), age=3600)
        left: list[int] = []
        for _ in range(4):
            cache.set("key", "value", 60)
            left.append(len(list(folder.iterdir())))
        assert sorted(left, reverse=True) == left
        assert all(301 - 128 * writes <= count for writes, count in enumerate(left, 1))
        assert 1 == left[-1]

    def test_a_lock_that_is_held_stays(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N8: a lock that is held is not tidied away, however old it is."""
        with cache.lock("key", 60) as mine:
            assert mine
            os.utime(only(folder, "lock"), (1, 1))
            cache.set("key", "value", 60)
            with cache.lock("key", 60) as second:
                assert not second
        cache.set("key", "value", 60)
        assert [] == list(folder.glob("*.lock"))

    @pytest.mark.parametrize(("removals", "mine"), [(1, True), (99, False)])
    def test_a_lock_is_on_the_file_of_that_name(
        self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch, removals: int, mine: bool
    ) -> None:
        """N8: who locks a file that is tidied away at that moment has locked nothing, and tries again a few times."""
        flock = fcntl.flock

        def remove_first(descriptor: int, operation: int) -> None:
            nonlocal removals
            if operation & fcntl.LOCK_NB and removals:
                removals -= 1
                only(folder, "lock").unlink()
            flock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", remove_first)
        with cache.lock("key", 60) as locked:
            assert mine == locked
            monkeypatch.undo()
            with cache.lock("key", 60) as second:
                assert mine != second

    def test_a_lock_is_tidied_away_by_one(
        self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N8: who comes to tidy away a lock that is another file by now leaves that one alone."""
        _make(folder / file_name("key", "lock"), age=3600)
        flock = fcntl.flock

        def make_anew(descriptor: int, operation: int) -> None:
            flock(descriptor, operation)
            only(folder, "lock").unlink()
            _make(folder / file_name("key", "lock"), age=0)

        monkeypatch.setattr(fcntl, "flock", make_anew)
        cache.set("key", "value", 60)
        assert only(folder, "lock").exists()


class TestSwap:
    """A directory that is not what it was a moment ago."""

    def test_it_is_opened_once(self, cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """R3/file: a link put in the directory's place after the check leads nowhere: the checked one is used."""
        victim, moved, real = folder.with_name("victim"), folder.with_name("moved"), os.open
        victim.mkdir(0o700)
        _make(victim / file_name("old"), age=3600)

        def swap(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if str(path).endswith(".tmp"):
                folder.rename(moved)
                folder.symlink_to(victim)
            return real(path, flags, *rest, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", swap)
            cache.set("key", "new", 60)
        assert [victim / file_name("old")] == list(victim.iterdir())
        entry = FileCachingStrategy(moved).get("key")
        assert entry
        assert "new" == entry.value
        with pytest.raises(PermissionError, match="a link"):
            cache.get("key")


class TestClock:
    """The wall clock says how long an entry has left."""

    @pytest.mark.parametrize(("step", "left"), [(0, 3600), (3000, 600), (3600, None), (-1, None), (-86400, None)])
    def test_the_wall_clock_counts(
        self, cache: FileCachingStrategy, monkeypatch: pytest.MonkeyPatch, step: float, left: float | None
    ) -> None:
        """I11: a reader, after a reboot too, goes by the wall clock; an entry written in the future is a miss."""
        monkeypatch.setattr(time, "time", lambda: 1e9)
        cache.set("key", "value", 3600)
        monkeypatch.setattr(time, "time", lambda: 1e9 + step)
        entry = cache.get("key")
        assert left == (entry and entry.ttl)

    @pytest.mark.parametrize("ttl", [1e12, float("inf")])
    def test_it_may_last_for_ever(self, cache: FileCachingStrategy, ttl: float) -> None:
        """An entry may end later than any file system can say."""
        cache.set("key", "value", ttl)
        entry = cache.get("key")
        assert entry
        assert entry.ttl is not None
        assert entry.ttl > 1e11


class TestLock:
    """The kernel's lock on a file."""

    def test_the_file_stays(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N8: the lock file is left behind and is no lock by itself; while it is in use it is the same file."""
        inodes: set[int] = set()
        for _ in range(3):
            with cache.lock("key", 60) as mine:
                assert mine
            inodes.add(only(folder, "lock").stat().st_ino)
        assert 1 == len(inodes)

    def test_a_dead_holder_holds_nothing(self, cache: FileCachingStrategy, folder: Path) -> None:
        """N8: the kernel releases the lock of a killed process at once, long before its time is up."""
        ready = SPAWN.Event()
        holder = SPAWN.Process(target=hold_for_ever, args=(folder, ready))
        holder.start()
        assert ready.wait(30)
        with cache.lock("key", 60) as mine:
            assert not mine
        holder.kill()
        holder.join()
        with cache.lock("key", 60) as mine:
            assert mine

    def test_a_disk_without_locks(
        self, cache: FileCachingStrategy, server: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N9: where the file system knows no locks, everyone asks, nobody is refused, no file is left open."""

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        strategy = strategy_on(server.url, cache)
        strategy.get_or_create_access_token()  # imports what it needs
        open_before = len(list(Path("/dev/fd").iterdir()))
        strategy.remove_access_token()
        assert strategy.get_or_create_access_token().access_token == server.issued[1]
        until(lambda: len(list(Path("/dev/fd").iterdir())) <= open_before)  # the server closes in its own time

    def test_a_forked_child_has_no_part_in_it(self, cache: FileCachingStrategy) -> None:
        """L1: a child forked under the lock neither has it nor gives it back, nor keeps it when the parent is done."""
        ended, end = os.pipe()
        with cache.lock("key", 60) as mine:
            assert mine
            child = os.fork()
            if child == 0:
                _live_on(ended, end)
            os.close(ended)
            with cache.lock("key", 60) as second:
                assert not second
        with cache.lock("key", 60) as free:
            assert free
        os.write(end, b"!")
        os.close(end)
        assert 0 == os.waitpid(child, 0)[1]

    def test_a_forked_child_gives_nothing_back(self, cache: FileCachingStrategy) -> None:
        """L1: a child that leaves the `with` in which it was forked leaves the lock to its parent."""
        lock = cache.lock("key", 60)
        assert lock.__enter__()
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)
            os._exit(0)
        assert 0 == os.waitpid(child, 0)[1]
        with cache.lock("key", 60) as second:
            assert not second
        lock.__exit__(None, None, None)

    def test_an_orphan_keeps_no_lock(self, cache: FileCachingStrategy, folder: Path) -> None:
        """L1: a child that outlives its killed parent does not keep the parent's lock."""
        told_of: Any = SPAWN.SimpleQueue()
        holder = SPAWN.Process(target=hold_and_fork, args=(folder, told_of))
        holder.start()
        orphan = told_of.get()
        with cache.lock("key", 60) as mine:
            assert not mine
        holder.kill()
        holder.join()
        try:
            with cache.lock("key", 60) as mine:
                assert mine
        finally:
            os.kill(orphan, signal.SIGKILL)

    def test_it_excludes_threads(self, cache: FileCachingStrategy) -> None:
        """J11: threads of one process exclude each other as processes do."""
        inside, most = [0], [0]
        gate = threading.Barrier(8)

        def work() -> None:
            gate.wait()
            for _ in range(100):
                with cache.lock("key", 60) as mine:
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


def test_what_cannot_be_undone(cache: FileCachingStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a write fails, and the temporary file cannot be removed, the error is that of the write."""

    def fail(number: int) -> Callable[..., None]:
        def raising(*_: object) -> None:
            raise OSError(number, "?")

        return raising

    monkeypatch.setattr(Directory, "replace", fail(errno.ENOSPC))
    monkeypatch.setattr(Directory, "remove", fail(errno.EROFS))
    with pytest.raises(OSError, match=r"\?") as raised:
        cache.set("key", "value", 60)
    assert errno.ENOSPC == raised.value.errno


def test_so_many_names_are_listed_at_most(
    cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2/file: a directory with millions of names takes no more memory than one with ten thousand."""
    monkeypatch.setattr("client_credentials.caching.file._MOST_LISTED", 3)
    for number in range(20):
        _make(folder / file_name(str(number)), age=3600)
    for _ in range(2):
        before = len(list(folder.iterdir()))
        cache.set("key", "value", 60)
        assert before - 3 <= len(list(folder.iterdir())) <= before


def test_windows(folder: Path) -> None:
    """N12: without open directories, user ids, flock and Unix's flags, as on Windows, paths and msvcrt do."""
    script = textwrap.dedent("""
        import asyncio, fcntl, logging, os, pathlib, sys, types, urllib3
        import client_credentials.errors  # what must not take this for Windows

        def locking(descriptor, mode, size):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if mode else fcntl.LOCK_UN)
            except BlockingIOError:
                raise PermissionError from None

        sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0)
        for name in [name for name in sys.modules if name.startswith("client_credentials.caching")]:
            del sys.modules[name]
        for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "geteuid"):
            delattr(os, name)
        os.supports_dir_fd = set()
        sys.platform = "win32"
        from client_credentials.caching.file import FileCachingStrategy

        cache = FileCachingStrategy(sys.argv[1])
        cache.set("key", "value", 60)
        with cache.lock("key", 60) as one, cache.lock("key", 60) as other:
            print(cache.get("key").value, one, other)
        with cache.lock("key", 60) as again:
            print(again, len(os.listdir(sys.argv[1])))
        cache.remove("key")
        print(cache.get("key"))
        pathlib.Path(sys.argv[2]).touch()
        try:
            FileCachingStrategy(sys.argv[2]).get("key")
        except PermissionError as error:
            print(error.strerror)
    """)
    arguments = [sys.executable, "-c", script, str(folder), str(folder.with_name("file"))]
    said = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert ["value True False", "True 2", "None", "not a directory, or a link to one"] == said.stdout.splitlines()


def _make(path: Path, *, age: float) -> None:
    """Make a file of this user's that was last used so many seconds ago."""
    path.touch(0o600)
    os.utime(path, (time.time() - age, time.time() - age))


def _live_on(ended: int, end: int) -> None:
    """Be a child that outlives the lock of its parent."""
    os.close(end)
    os.read(ended, 1)
    os._exit(0)


def _is_changed(folder: Path, before: int) -> bool:
    return folder.stat().st_mtime_ns > before

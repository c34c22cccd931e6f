"""The cache in files: what a reader and a writer find, whoever else is there."""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy
from tests.caching.files import file_name, mode, only
from tests.caching.fleet import SPAWN, text_of, write_for_ever
from tests.shell.kit import until


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
                until(partial(_is_changed, folder, before), seconds=60)
                seen = [file_cache.get("key") for _ in range(300)]
            finally:
                writer.kill()
                writer.join()
            assert -signal.SIGKILL == writer.exitcode
            assert {True} == {entry is not None and entry.value in whole for entry in (*seen, file_cache.get("key"))}

    def test_nobody_else_can_read_it(self, folder: Path) -> None:
        """N2, RFC6749-10.3-1: a file is its owner's alone from its first byte, whatever the umask; so is its folder."""
        before = os.umask(0)
        try:
            folder = folder / "two" / "levels" / "down"
            cache = FileCachingStrategy(folder)
            modes: list[int] = []
            replace = os.replace

            def watch(source: str, target: str, **directories: int) -> None:
                modes.append(mode(only(folder, "tmp")))
                assert re.fullmatch(r"client-credentials-[0-9a-f]{64}\.[0-9a-f]{16}\.tmp", source)
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


@pytest.mark.parametrize("given", [None, 1, b"bytes", ""])
def test_what_is_no_directory(given: Any) -> None:
    """What is no path is refused by the name of the argument."""
    with pytest.raises(ValueError, match=r"^directory must be a path, as a string or an os\.PathLike of strings$"):
        FileCachingStrategy(given)


def test_how_it_is_shown(folder: Path) -> None:
    """It shows where it is."""
    assert f"FileCachingStrategy({str(folder)!r})" == repr(FileCachingStrategy(folder))


def _is_changed(folder: Path, before: int) -> bool:
    return folder.stat().st_mtime_ns > before

"""What has expired in the directory of a cache in files goes in time, in bounded work, and nothing else does."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy, TokenRequest, TokenResponse, Urllib3Fetch
from client_credentials.testing import TokenServer
from tests.caching.files import file_name, make_file, only
from tests.caching.fleet import strategy_on, text_of


class TestTidying:
    """What has expired goes with a later lock or write, and nothing else does."""

    def test_before_a_caller_has_its_token(
        self, file_cache: FileCachingStrategy, folder: Path, server: TokenServer
    ) -> None:
        """N1, N8: the directory is tidy before the request is sent, since a program may end once it has its token."""
        left: list[str] = []

        def fetch(request: TokenRequest) -> TokenResponse:
            left.extend(path.suffix for path in folder.iterdir())
            return Urllib3Fetch()(request)

        for number in range(30):
            make_file(folder / file_name(str(number)), age=1)
            make_file(folder / file_name(str(number), "lock"), age=0)
        strategy_on(server.url, file_cache, fetch=fetch).get_or_create_access_token()
        assert [".entry", ".lock"] == sorted(left)  # those of "key" and of this client

    def test_what_has_expired_goes(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N1, N8: dead entries go, and so do locks that nobody has and temporary files of more than a minute."""
        file_cache.set("dead", "value", -0.5)
        make_file(folder / file_name("dead too"), age=0.5)
        (folder / file_name("dead too")).chmod(0o777)  # its owner's all the same
        in_use = file_name("d", f"{'0' * 16}.tmp")
        for name, age in ((file_name("a", "lock"), 0), (file_name("b", f"{'0' * 16}.tmp"), 61), (in_use, 59)):
            make_file(folder / name, age=age)
        file_cache.set("key", "value", 60)
        assert {file_name("key"), in_use} == {path.name for path in folder.iterdir()}

    def test_what_is_not_ours_stays(self, file_cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """R3/file: only a regular file of this user's whose name has our pattern is ever removed."""
        digest, victim = "0" * 64, tmp_path / "victim"
        make_file(victim, age=3600)
        others = ["draft.tmp", f"{digest}.entry", f"{digest}.lock", f"client-credentials-{digest}.entry.tmp", "x.lock"]
        for name in others:
            make_file(folder / name, age=3600)
        (folder / file_name("directory")).mkdir()
        (folder / file_name("link")).symlink_to(victim)
        (folder / file_name("link", "lock")).symlink_to(victim)
        os.mkfifo(folder / file_name("pipe", "lock"))
        for name in ("directory", "link"):
            os.utime(folder / file_name(name), (1, 1), follow_symlinks=False)
        before = {path.name for path in folder.iterdir()}
        for _ in range(3):
            file_cache.set("key", "value", 60)
        assert before == {path.name for path in folder.iterdir()}
        assert victim.exists()

    def test_another_users_file_stays(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R3/file: a file of another user's is not removed, whatever its name."""
        make_file(folder / file_name("theirs"), age=3600)
        theirs, real = (folder / file_name("theirs")).stat().st_ino, os.stat

        def foreign(path: Any, **named: Any) -> Any:
            status = list(real(path, **named))
            status[stat.ST_UID] += status[stat.ST_INO] == theirs
            return os.stat_result(status)

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", foreign)
            file_cache.set("key", "value", 60)
        assert (folder / file_name("theirs")).exists()
        file_cache.set("key", "value", 60)
        assert not (folder / file_name("theirs")).exists()

    def test_a_write_does_a_bounded_part(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """R2/file: a write looks at 128 names at most, the next ones go on from there, and in the end all is tidy."""
        for number in range(300):
            make_file(folder / file_name(str(number)), age=3600)
        left: list[int] = []
        for _ in range(4):
            file_cache.set("key", "value", 60)
            left.append(len(list(folder.iterdir())))
        assert sorted(left, reverse=True) == left
        assert all(301 - 128 * writes <= count for writes, count in enumerate(left, 1))
        assert 1 == left[-1]

    def test_a_lock_that_is_held_stays(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """N8: a lock that is held is not tidied away, however old it is."""
        with file_cache.lock("key", 60) as mine:
            assert mine
            os.utime(only(folder, "lock"), (1, 1))
            file_cache.set("key", "value", 60)
            with file_cache.lock("key", 60) as second:
                assert not second
        file_cache.set("key", "value", 60)
        assert [] == list(folder.glob("*.lock"))

    @pytest.mark.parametrize(("removals", "mine"), [(1, True), (99, False)])
    def test_a_lock_is_on_the_file_of_that_name(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch, removals: int, mine: bool
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
        with file_cache.lock("key", 60) as locked:
            assert mine == locked
            monkeypatch.undo()
            with file_cache.lock("key", 60) as second:
                assert mine != second

    def test_a_lock_is_tidied_away_by_one(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N8: who comes to tidy away a lock that is another file by now leaves that one alone."""
        make_file(folder / file_name("key", "lock"), age=3600)
        flock = fcntl.flock

        def make_anew(descriptor: int, operation: int) -> None:
            flock(descriptor, operation)
            only(folder, "lock").unlink()
            make_file(folder / file_name("key", "lock"), age=0)

        monkeypatch.setattr(fcntl, "flock", make_anew)
        file_cache.set("key", "value", 60)
        assert only(folder, "lock").exists()


class TestSwap:
    """A directory that is not what it was a moment ago."""

    def test_it_is_opened_once(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R3/file: a link put in the directory's place after the check leads nowhere: the checked one is used."""
        victim, moved, real = folder.with_name("victim"), folder.with_name("moved"), os.open
        victim.mkdir(0o700)
        make_file(victim / file_name("old"), age=3600)
        make_file(folder / file_name("dead"), age=3600)

        def swap(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if str(path).endswith(".tmp"):
                folder.rename(moved)
                folder.symlink_to(victim)
            return real(path, flags, *rest, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", swap)
            file_cache.set("key", "new", 60)
        assert [victim / file_name("old")] == list(victim.iterdir())
        assert [moved / file_name("key")] == list(moved.iterdir())
        assert "new" == text_of(FileCachingStrategy(moved), "key")
        with pytest.raises(PermissionError, match="a link"):
            file_cache.get("key")


def test_so_many_names_are_listed_at_most(
    file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2/file: a directory with millions of names takes no more memory than one with ten thousand."""
    monkeypatch.setattr("client_credentials.caching.file._MOST_LISTED", 3)
    for number in range(20):
        make_file(folder / file_name(str(number)), age=3600)
    for _ in range(2):
        before = len(list(folder.iterdir()))
        file_cache.set("key", "value", 60)
        assert before - 3 <= len(list(folder.iterdir())) <= before

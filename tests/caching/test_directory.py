"""The directory of a cache in files: whose it is, and what a disk may do to it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client_credentials import FileCachingStrategy
from client_credentials.caching._circuit_breaker import BUDGET
from client_credentials.caching._directory import Directory
from client_credentials.testing import TokenServer
from tests.caching.files import mode, only
from tests.caching.fleet import strategy_on, told


class TestDirectory:
    """Whose directory it is."""

    @pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
    def test_others_may_not_write_to_it(
        self,
        file_cache: FileCachingStrategy,
        folder: Path,
        bits: int,
        server: TokenServer,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """N5: a directory that others may write to is refused with a reason, for every call; a strategy goes on."""
        folder.chmod(bits)
        calls: list[Callable[[], object]] = [
            lambda: file_cache.get("key"),
            lambda: file_cache.set("key", "value", 60),
            lambda: file_cache.remove("key"),
            lambda: file_cache.lock("key", 60).__enter__(),
        ]
        for call in calls:
            with pytest.raises(PermissionError, match=rf"others may write to it: '{folder}'$"):
                call()
        assert 1 == len(list(folder.iterdir()))
        assert strategy_on(server.url, file_cache).get_or_create_access_token().access_token == server.issued[0]
        assert ["FileCachingStrategy failed with UnsafeDirectory (EPERM); it counts as empty"] == told(caplog)

    def test_it_is_this_users(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """N5: another user's directory is refused with a reason."""
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
        with pytest.raises(PermissionError, match="another user owns it"):
            file_cache.get("key")

    def test_it_is_no_link_and_no_file(self, file_cache: FileCachingStrategy, folder: Path, tmp_path: Path) -> None:
        """N5: a link in the directory's place is refused, and so is a file."""
        link, file = tmp_path / "link", tmp_path / "file"
        link.symlink_to(folder)
        file.touch()
        for path in (link, file):
            with pytest.raises(PermissionError, match=rf"^\[Errno 20\] not a directory, or a link to one: '{path}'$"):
                FileCachingStrategy(path).set("key", "value", 60)

    def test_others_may_read_its_names(self, file_cache: FileCachingStrategy, folder: Path) -> None:
        """A directory that others may look into, but not write to, is good enough: the files are not theirs to read."""
        folder.chmod(0o755)
        assert file_cache.get("key")

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
        file_cache: FileCachingStrategy,
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
        strategy = strategy_on(server.url, file_cache)
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
        self, file_cache: FileCachingStrategy, server: TokenServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R4/file: a disk that does not answer costs half a second once in a while, whatever is asked of it."""
        go, real = threading.Event(), os.open

        def hang(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if str(path) == str(file_cache._directory):  # pyright: ignore[reportPrivateUsage]
                go.wait(60)
            return real(path, flags, *rest, **named)

        strategy = strategy_on(server.url, file_cache)
        began = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", hang)
            assert strategy.get_access_token() is None
            token = strategy.get_or_create_access_token()
            strategy.remove_access_token(token)
            strategy.get_or_create_access_token()
            go.set()
        assert time.monotonic() - began < BUDGET + 10

    def test_there_is_no_home(self, tmp_path: Path, server: TokenServer) -> None:
        """N14: where the directory cannot be made, tokens are kept in memory."""
        (tmp_path / "file").touch()
        for impossible in (tmp_path / "file" / "tokens", Path("/proc/nowhere/tokens")):
            strategy = strategy_on(server.url, FileCachingStrategy(impossible))
            assert strategy.get_or_create_access_token() == strategy.get_or_create_access_token()
        assert 2 == len(server.requests)

    def test_the_file_is_open_elsewhere(
        self, file_cache: FileCachingStrategy, folder: Path, monkeypatch: pytest.MonkeyPatch
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
        file_cache.set("key", "new", 60)
        entry = file_cache.get("key")
        assert entry
        assert (3, "new") == (tries, entry.value)
        refusals, tries = 99, 0
        with pytest.raises(PermissionError):
            file_cache.set("key", "newer", 60)
        assert (3, [only(folder)]) == (tries, list(folder.iterdir()))


def test_what_cannot_be_undone(file_cache: FileCachingStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a write fails, and the temporary file cannot be removed, the error is that of the write."""

    def fail(number: int) -> Callable[..., None]:
        def raising(*_: object) -> None:
            raise OSError(number, "?")

        return raising

    monkeypatch.setattr(Directory, "replace", fail(errno.ENOSPC))
    monkeypatch.setattr(Directory, "remove", fail(errno.EROFS))
    with pytest.raises(OSError, match=r"\?") as raised:
        file_cache.set("key", "value", 60)
    assert errno.ENOSPC == raised.value.errno


def test_windows(folder: Path) -> None:
    """N12: without open directories, user ids, flock and Unix's flags, as on Windows, paths and msvcrt do."""
    script = textwrap.dedent("""
        import asyncio, fcntl, logging, os, pathlib, sys, types, urllib3
        import client_credentials.errors  # what must not take this for Windows

        def locking(descriptor, mode, size):
            assert size
            modes.append(mode)
            try:
                fcntl.flock(descriptor, {2: fcntl.LOCK_EX | fcntl.LOCK_NB, 1: fcntl.LOCK_UN}[mode])
            except BlockingIOError:
                raise PermissionError from None

        modes = []
        sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=1)
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
            print(again, len(os.listdir(sys.argv[1])), modes.count(1))
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
    assert [
        "value True False",
        "True 2 1",
        "None",
        "not a directory, or a link to one",
    ] == said.stdout.splitlines()

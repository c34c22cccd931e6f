"""A private directory of this user: opened once, without following a link; all else is relative to it."""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

import attrs

# Never through a link, never waiting for the other end of a pipe; a platform without a flag has no such danger.
_CAREFUL: Final[int] = sum(getattr(os, flag, 0) for flag in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_DIRECTORY: Final[int] = getattr(os, "O_DIRECTORY", 0)
_IS_RELATIVE: Final = os.open in os.supports_dir_fd
"""Whether files can be named relative to an open directory; not on Windows, where paths have to do."""

_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_THEIR_WRITING = stat.S_IWGRP | stat.S_IWOTH
_PAUSES = (0.01, 0.05)  # seconds before another try to replace a file that somebody has open, on Windows


class UnsafeDirectory(PermissionError):
    """Other users may change the directory."""


@attrs.frozen(repr=False)
class Directory:
    """An open directory; where a platform cannot open one, its path."""

    _path: str
    _descriptor: int | None

    def open(self, name: str, flags: int) -> int:
        """Open or make a file, never a link; what is made is private to this user. Raises OSError."""
        return os.open(self._at(name), flags | _CAREFUL, 0o600, dir_fd=self._descriptor)

    def open_own(self, name: str, flags: int) -> int:
        """As `open`; raises FileExistsError for what is not a file, or not private to this user."""
        descriptor = self.open(name, flags)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_ours(status, _GROUP_OR_OTHERS):
            os.close(descriptor)
            raise FileExistsError(errno.EEXIST, "not a file that is private to this user", name)
        return descriptor

    def check(self, name: str, descriptor: int) -> None:
        """Raise FileNotFoundError unless an open file still has this name."""
        if not os.path.samestat(self._status(name), os.fstat(descriptor)):
            raise FileNotFoundError(name)

    def end_of(self, name: str) -> float:
        """Return a file's mtime, which is when it is no longer needed; infinity if it is not a file of this user's."""
        status = self._status(name)
        is_own = stat.S_ISREG(status.st_mode) and _is_ours(status, 0)
        return status.st_mtime if is_own else math.inf

    def set_end(self, name: str, moment: float) -> None:
        """Set that mtime."""
        os.utime(self._at(name), (moment, moment), dir_fd=self._descriptor)

    def replace(self, source: str, target: str) -> None:
        """Move a file over another; readers find the one or the other."""
        for pause in _PAUSES:
            with suppress(PermissionError):
                return self._replace(source, target)
            time.sleep(pause)
        return self._replace(source, target)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def names(self, most: int) -> list[str]:
        """List what is there, at most `most` names."""
        with os.scandir(self._path if self._descriptor is None else self._descriptor) as found:
            return [each.name for each in islice(found, most)]

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def _replace(self, source: str, target: str) -> None:
        descriptor = self._descriptor
        os.replace(self._at(source), self._at(target), src_dir_fd=descriptor, dst_dir_fd=descriptor)

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name) if self._descriptor is None else name  # noqa: PTH118


@contextmanager
def opened(path: Path, *, make: bool = False) -> Generator[Directory]:
    """Open a directory, or `make` it first if it is missing; raises UnsafeDirectory if it is not fit for secrets."""
    if make and not os.path.lexists(path):
        _make(path)
    descriptor = _open(path) if _IS_RELATIVE else None
    try:
        status = path.lstat() if descriptor is None else os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            raise _not_a_directory(path)
        if not _is_ours(status, _THEIR_WRITING):
            raise UnsafeDirectory(errno.EPERM, "another user owns it, or others may write to it", str(path))
        yield Directory(str(path), descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _make(path: Path) -> None:
    """Make a directory and its missing parents, each private to this user."""
    try:
        path.mkdir(0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make(path.parent)
        _make(path)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | _DIRECTORY | _CAREFUL)
    except NotADirectoryError:
        raise _not_a_directory(path) from None


def _not_a_directory(path: Path) -> UnsafeDirectory:
    return UnsafeDirectory(errno.ENOTDIR, "not a directory, or a link to one", str(path))


def _is_ours(status: os.stat_result, forbidden: int) -> bool:
    """Tell whether it is this user's, and no other user has these rights to it; Windows has no such rights."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & forbidden

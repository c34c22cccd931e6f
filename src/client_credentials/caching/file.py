"""Entries in a directory that is this user's alone, for the processes of one host; what is not whole is a miss."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs

from .._core.model import CacheEntry
from .._shell.fork import survive_fork

# Never through a link, never waiting for the other end of a pipe; a platform without a flag has no such danger.
_CAREFUL: Final[int] = sum(getattr(os, flag, 0) for flag in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))

_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_THEIR_WRITING = stat.S_IWGRP | stat.S_IWOTH
_LARGEST = 1 << 24  # bytes of an entry; ours are far smaller
_KILLED_AFTER = 60.0  # seconds after which whoever was writing a temporary file has been killed
_PAUSES = (0.01, 0.05)  # seconds before another try to replace a file that somebody has open, on Windows


class UnsafeDirectory(PermissionError):
    """Others than this user could change what is in the directory."""


@attrs.frozen(eq=False)
class _Hold:
    """A lock that is held: its file, and when it is lost, in seconds of `time.monotonic`."""

    descriptor: int
    until: float


class FileCachingStrategy:
    """Keeps each entry in a file of mode 0600 named after the SHA-256 of its key, replaced as a whole or not at all.

    The directory is made with mode 0700, by the first write. One that others may write to, or that is another user's,
    is refused with a PermissionError, and so is what cannot be read or written with an OSError. How long an entry has
    left, the wall clock says: no other one survives a reboot. Nothing is forced to the disk: a power cut is a miss.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Name the directory; nothing is read or made. Raises ValueError for what is no path."""
        try:
            name: object = os.fspath(directory)
        except TypeError:
            name = None
        if not isinstance(name, str) or not name:
            raise ValueError("directory: a path is needed, as a string or an os.PathLike of strings")
        self._directory = Path(name).absolute()
        self._holds: set[_Hold] = set()
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set under the key, if its time is not up by the wall clock."""
        if not self._is_made():
            return None
        try:
            descriptor = self._open(self._path(key, "entry"), os.O_RDONLY)
        except FileNotFoundError:
            return None
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            digest, _, entry = file.read(_LARGEST).partition(b"\n")
        if digest != _digest(key, entry):
            return None
        times, _, value = entry.partition(b"\n")
        written, end = map(float, times.split())
        now = time.time()
        # Written in the future: the clock was set back, and nothing tells for how long the entry has been there.
        return CacheEntry(value.decode(), end - now) if written <= now < end else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        self._make()
        now = time.time()
        entry = f"{now!r} {now + ttl!r}\n".encode() + value.encode()
        temporary = self._path(key, f"{os.urandom(8).hex()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_digest(key, entry) + b"\n" + entry)
            _replace(temporary, self._path(key, "entry"))
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._sweep(now)

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        if self._is_made():
            self._path(key, "entry").unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once, without waiting, to be the one who asks.

        The kernel releases the lock when its holder dies, at once, so no other process takes it from a live one. In the
        holder's own process it is lost after `ttl` seconds, lest a call that never returns keeps it for good.
        """
        for held in self._holds.copy():
            if held.until < time.monotonic():
                self._release(held)
        hold = self._seize(key, ttl)
        try:
            yield hold is not None
        finally:
            if hold is not None:
                self._release(hold)

    def _seize(self, key: str, ttl: float) -> _Hold | None:
        self._make()
        # The file stays for ever: a lock on a file that somebody has removed excludes nobody.
        path = self._path(key, "lock")
        descriptor = self._open(path, os.O_RDWR | os.O_CREAT)
        if descriptor is None:
            raise FileExistsError(errno.EEXIST, "not a file of this user's alone", str(path))
        mine = False
        try:
            mine = _flock(descriptor)
        finally:
            if not mine:
                os.close(descriptor)
        if not mine:
            return None
        hold = _Hold(descriptor, time.monotonic() + ttl)
        self._holds.add(hold)
        return hold

    def _release(self, hold: _Hold) -> None:
        try:
            self._holds.remove(hold)
        except KeyError:  # it was lost, or this is a forked child and the lock its parent's
            return
        # Not by closing alone: a child that was forked meanwhile may still have the file open.
        _unlock(hold.descriptor)
        os.close(hold.descriptor)

    def _after_fork(self) -> None:
        # The lock goes with the open file, which parent and child share; unlocking here would unlock it there.
        holds, self._holds = self._holds, set()
        for hold in holds:
            os.close(hold.descriptor)

    def _path(self, key: str, kind: str) -> Path:
        return self._directory / f"{sha256(key.encode()).hexdigest()}.{kind}"

    def _is_made(self) -> bool:
        """Tell whether the directory is there; raises UnsafeDirectory if it is not fit for secrets."""
        try:
            status = self._directory.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(status.st_mode):
            raise UnsafeDirectory(errno.ENOTDIR, "not a directory, or a link to one", str(self._directory))
        if not _is_ours(status, _THEIR_WRITING):
            reason = "another user's, or others than this user may write to it"
            raise UnsafeDirectory(errno.EPERM, reason, str(self._directory))
        return True

    def _make(self) -> None:
        if not self._is_made():
            self._directory.mkdir(0o700, parents=True, exist_ok=True)
            self._is_made()

    def _open(self, path: Path, flags: int) -> int | None:
        """Open a file; None: what is there is no file, or not this user's alone."""
        descriptor = os.open(path, flags | _CAREFUL, 0o600)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and _is_ours(status, _GROUP_OR_OTHERS):
            return descriptor
        os.close(descriptor)
        return None

    def _sweep(self, now: float) -> None:
        """Remove what a writer that was killed has left."""
        with suppress(OSError):
            for path in self._directory.glob("*.tmp"):
                if path.lstat().st_mtime < now - _KILLED_AFTER:
                    path.unlink()

    def __repr__(self) -> str:
        return f"FileCachingStrategy({str(self._directory)!r})"


def _is_ours(status: os.stat_result, forbidden: int) -> bool:
    """Whether it is this user's, and nobody else has these rights to it; Windows has no such rights."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & forbidden


def _digest(key: str, entry: bytes) -> bytes:
    """Tell a whole entry of this key from a torn one, a spoilt one, and another key's under this name."""
    return sha256(sha256(key.encode()).digest() + entry).hexdigest().encode()


def _replace(source: Path, target: Path) -> None:
    for pause in _PAUSES:
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    source.replace(target)


def _flock(descriptor: int) -> bool:
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows: everyone may ask, since a token matters more than a request
        return True
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    with suppress(ImportError):
        from fcntl import LOCK_UN, flock

        flock(descriptor, LOCK_UN)

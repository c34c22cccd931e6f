"""Entries in a private directory of this user, for the processes of one host; what is not whole is a miss."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs

from .._core.model import CacheEntry
from .._core.value import repr_before_init
from . import _directory
from ._directory import Directory
from ._fork import survive_fork
from ._locks import try_lock, unlock

_LARGEST: Final = 1 << 18  # bytes of an entry that is read
_OURS: Final = re.compile(r"client-credentials-[0-9a-f]{64}\.(entry|lock|[0-9a-f]{16}\.tmp)")
_LATEST: Final = 2.0**32  # seconds since the epoch, in 2106; not every file system knows a later time

_LONGEST_WRITE = 60.0  # seconds; a temporary file that is older has lost its writer
_CHECKED_AT_ONCE = 128  # names
_MOST_LISTED = 10_000  # names
_MOST_TRIES = 5  # to lock a file that others tidy away meanwhile


@attrs.frozen(eq=False, repr=False)
class _Hold:
    """A lock that is held: its file, and when it is lost, in seconds of `time.monotonic`."""

    descriptor: int
    until: float


class FileCachingStrategy:
    """Keeps each entry in a file of mode 0600 named after the SHA-256 of its key, replaced as a whole or not at all.

    The first write makes the directory, and those above it that are missing, with mode 0700. One that others may write
    to, that another user owns or that is a link is refused with a PermissionError; what cannot be read or written is an
    OSError. Entries expire by the wall clock, the only one that survives a reboot. Nothing is forced to the disk: a
    power cut is a miss. Each lock and each write tidies away some of what has expired, and no file but ours.
    On Windows, where there are neither owners nor open directories, the directory's own rights have to protect it.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Name the directory, `~` unexpanded; nothing is read or made. Raises ValueError if it is not a path."""
        try:
            name: object = os.fspath(directory)
        except TypeError:
            name = None
        if not isinstance(name, str) or not name:
            raise ValueError("directory must be a path, as a string or an os.PathLike of strings")
        self._directory = Path(name).absolute()
        self._holds: set[_Hold] = set()
        self._unchecked: list[str] = []
        survive_fork(self)

    def get(self, key: str) -> CacheEntry | None:
        """Return what was set under the key, unless it has expired by the wall clock."""
        try:
            with _directory.opened(self._directory) as directory:
                descriptor = directory.open_own(_name(key, "entry"), os.O_RDONLY)
        except (FileNotFoundError, FileExistsError):
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
        now = time.time()
        entry = f"{now!r} {now + ttl!r}\n".encode() + value.encode()
        with _directory.opened(self._directory, make=True) as directory:
            temporary = _name(key, f"{os.urandom(8).hex()}.tmp")
            descriptor = directory.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_digest(key, entry) + b"\n" + entry)
                directory.set_end(temporary, min(max(now + ttl, 0.0), _LATEST))
                directory.replace(temporary, _name(key, "entry"))
            except BaseException:
                with suppress(OSError):
                    directory.remove(temporary)
                raise
            self._tidy(directory, now)

    def remove(self, key: str) -> None:
        """Forget a key, whether it is there or not."""
        with suppress(FileNotFoundError), _directory.opened(self._directory) as directory:
            directory.remove(_name(key, "entry"))

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Try once to take the lock, without waiting.

        The kernel releases it when its holder dies, at once, so no other process takes it from a live one. In the
        holder's own process it is lost after `ttl` seconds, so that a call that never returns does not keep it.
        """
        for held in self._holds.copy():
            if held.until < time.monotonic():
                self._release(held)
        hold = self._seize(_name(key, "lock"), ttl)
        try:
            yield hold is not None
        finally:
            if hold is not None:
                self._release(hold)

    def _seize(self, name: str, ttl: float) -> _Hold | None:
        with _directory.opened(self._directory, make=True) as directory:
            for _ in range(_MOST_TRIES):
                with suppress(FileNotFoundError):
                    descriptor = _locked(directory, name, os.O_RDWR | os.O_CREAT)
                    if descriptor is None:
                        break
                    hold = _Hold(descriptor, time.monotonic() + ttl)
                    self._holds.add(hold)
                    # A program may end as soon as it has its token, before anything is written.
                    self._tidy(directory, time.time())
                    return hold
        return None

    def _release(self, hold: _Hold) -> None:
        try:
            self._holds.remove(hold)
        except KeyError:  # it was lost, or this is a forked child and the lock its parent's
            return
        # Closing is not enough: a child that was forked meanwhile may still have the file open.
        unlock(hold.descriptor)
        os.close(hold.descriptor)

    def _after_fork(self) -> None:
        # The lock goes with the open file, which parent and child share; unlocking here would unlock it there.
        holds, self._holds = self._holds, set()
        for hold in holds:
            os.close(hold.descriptor)

    def _tidy(self, directory: Directory, now: float) -> None:
        """Remove what has expired among a bounded number of names; the next call goes on from there."""
        if not self._unchecked:
            with suppress(OSError):
                self._unchecked = [name for name in directory.names(_MOST_LISTED) if _OURS.fullmatch(name)]
        for name in self._unchecked[-_CHECKED_AT_ONCE:]:
            with suppress(OSError):
                _discard(directory, name, now)
        del self._unchecked[-_CHECKED_AT_ONCE:]

    @repr_before_init
    def __repr__(self) -> str:
        return f"FileCachingStrategy({str(self._directory)!r})"


def _name(key: str, kind: str) -> str:
    return f"client-credentials-{sha256(key.encode()).hexdigest()}.{kind}"


def _digest(key: str, entry: bytes) -> bytes:
    """Return what a whole entry of this key begins with; a damaged one, or another key's under this name, does not."""
    return sha256(sha256(key.encode()).digest() + entry).hexdigest().encode()


def _locked(directory: Directory, name: str, flags: int) -> int | None:
    """Open a file and lock it; None: somebody else has it. Raises FileNotFoundError if it was just tidied away."""
    descriptor = directory.open_own(name, flags)
    is_locked = False
    try:
        if try_lock(descriptor):
            directory.check(name, descriptor)  # a lock on a file that has lost its name excludes no other process
            is_locked = True
    finally:
        if not is_locked:
            os.close(descriptor)
    return descriptor if is_locked else None


def _discard(directory: Directory, name: str, now: float) -> None:
    """Remove a file of ours if it is no longer needed; for a lock only trying it tells."""
    if name.endswith(".lock"):
        descriptor = _locked(directory, name, os.O_RDWR)
        if descriptor is not None:
            try:
                directory.remove(name)
            finally:
                os.close(descriptor)
    elif directory.end_of(name) + (_LONGEST_WRITE if name.endswith(".tmp") else 0.0) < now:
        directory.remove(name)

"""What is looked at and put into the directory of a file cache."""

from __future__ import annotations

import os
import stat
import time
from hashlib import sha256
from pathlib import Path


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


def make_file(path: Path, *, age: float) -> None:
    """Make a file of this user's that was last used so many seconds ago."""
    path.touch(0o600)
    os.utime(path, (time.time() - age, time.time() - age))

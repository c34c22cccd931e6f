"""Who runs the command line in the tests, and what is expected of it whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

UsageErrorOf: TypeAlias = Callable[..., str]
COMMAND: Final = (sys.executable, "-m", "client_credentials")


def run(
    *arguments: str, typed: bytes = b"", stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=typed,
        stdout=stdout,
        stderr=subprocess.PIPE,
        # Buffered, as it is for everybody: what is left in a buffer is lost, or fails, at the exit.
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
        timeout=60,
        check=False,
    )

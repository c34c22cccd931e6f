"""What the command line writes: results to the standard output, a line for each remark or error to standard error."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PROGRAM: Final = "client-credentials"
DONE, FAILED, INTERRUPTED, UNREAD = 0, 1, 130, 141
"""Exit statuses; argparse adds 2 for a usage error, and shells count the last two from 128."""


def guarded(run: Callable[[], int]) -> int:
    """Run a command and give its exit status; output that cannot be written is a failure, not a success."""
    if getattr(sys, "stdout", None) is None:
        return complain("cannot write the output: the standard output is closed")
    try:
        try:
            return run()
        finally:
            # Flushed here: at the interpreter's exit the status is settled, and an error there is a traceback.
            print(end="", flush=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # The interpreter flushes what is left in the buffer once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return UNREAD
        return complain(f"cannot write the output: {error.strerror}")


def say(text: str) -> None:
    """Print a result; what is not ASCII is escaped, so that every terminal takes it."""
    print(text.encode("ascii", "backslashreplace").decode(), flush=True)


def complain(text: str) -> int:
    """Print one line to the standard error, if there is one; gives the exit status of a failure."""
    # print() takes a standard error that is None for the standard output.
    if getattr(sys, "stderr", None) is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {text}", file=sys.stderr)
    return FAILED


def finish(seconds: float) -> None:
    """Wait so long, in all, for what token requests still do behind their callers."""
    ends = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread.name == "client-credentials":
            thread.join(max(ends - time.monotonic(), 0.0))


class Remarks(logging.Handler):
    """A context manager that collects what the library logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("client_credentials").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        finish(0.5)  # a request logs behind its caller
        logging.getLogger("client_credentials").removeHandler(self)

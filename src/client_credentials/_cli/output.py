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

from .._shell import threads

PROGRAM: Final = "client-credentials"
DONE, FAILED, INTERRUPTED, UNREAD = 0, 1, 130, 141
"""Exit statuses; argparse adds 2 for a usage error, and shells count the last two from 128."""


class OutputError(Exception):
    """The standard output could not be written, for the reason that the text gives."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror)
        self.is_unread = isinstance(cause, BrokenPipeError)


def guarded(run: Callable[[], int]) -> int:
    """Run a command and return its exit status; output that cannot be written is a failure, not a success."""
    if getattr(sys, "stdout", None) is None:
        return complain("cannot write the output: the standard output is closed")
    try:
        try:
            return run()
        finally:
            # Flushed here: at the interpreter's exit the status is settled, and an error there is a traceback.
            _write("")
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputError as error:
        # The interpreter flushes what is left in the buffer once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD if error.is_unread else complain(f"cannot write the output: {error}")


def say(text: str) -> None:
    """Print a result; what is not ASCII is escaped, so that every terminal takes it."""
    _write(text.encode("ascii", "backslashreplace").decode() + "\n")


def _write(text: str) -> None:
    try:
        print(end=text, flush=True)
    except OSError as error:
        raise OutputError(error) from None


def complain(text: str) -> int:
    """Print one line to the standard error, if there is one; returns the exit status of a failure."""
    # print() takes a standard error that is None for the standard output.
    if getattr(sys, "stderr", None) is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {text}", file=sys.stderr)
    return FAILED


def finish(seconds: float) -> None:
    """Wait at most `seconds` seconds, in all, for what token requests still do behind their callers."""
    ends = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread.name == threads.NAME:
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

"""Calls beside the caller's: in a thread that nobody waits for, and that does not delay the exit."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from contextvars import copy_context


def run_aside(call: Callable[[], object]) -> None:
    """Run a call that raises nothing in a thread, in the caller's context; here and now where no thread is to be had.

    There is none when a limit is reached, or the interpreter is about to exit.
    """
    thread = threading.Thread(target=copy_context().run, args=(call,), daemon=True)
    try:
        # Thread.start waits for the new thread to run: milliseconds, where hundreds of others are busy.
        _thread.start_new_thread(_begin, (thread,))
    except RuntimeError:
        _begin(thread)


def _begin(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:
        thread.run()

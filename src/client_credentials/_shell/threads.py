"""Daemon threads: they are never joined, and do not delay the exit."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from contextvars import copy_context


def start(call: Callable[[], object], name: str = "client-credentials") -> bool:
    """Start a call that raises nothing in a thread, in a copy of the caller's context; False: there is no thread.

    So it is where a limit is reached, the interpreter is about to exit, or a sub-interpreter allows none.
    """
    try:
        thread = threading.Thread(target=copy_context().run, args=(call,), name=name, daemon=True)
        # Thread.start waits for the new thread to run: milliseconds, where hundreds of others are busy. And an
        # interrupt within it, which is Python code, would end that thread before it has begun.
        _thread.start_new_thread(_begin, (thread,))
    except RuntimeError:
        return False
    return True


def run_aside(call: Callable[[], object], name: str = "client-credentials") -> None:
    """The same, but here and now where there is no thread."""
    if not start(call, name):
        copy_context().run(call)


def _begin(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:
        thread.run()

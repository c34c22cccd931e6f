"""Daemon threads for what may block: they are never joined, and do not delay the exit.

No timeout interrupts a name lookup or a hook; from another thread, a caller can leave it behind at the deadline. And an
interrupt of one caller must not end what others wait for.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")

NAME: Final = "client-credentials"
"""The name of our threads, unless `start` is given another."""

_here: Final = threading.local()


def catchable() -> type[BaseException]:
    """Return what to catch around the program's code: BaseException in a thread of ours, else Exception.

    In a caller's thread Ctrl-C, SystemExit and the end of a greenlet are for the caller.
    """
    return BaseException if getattr(_here, "is_ours", False) else Exception


def start(call: Callable[[], object], name: str = NAME) -> bool:
    """Start a call that raises nothing in a thread, in a copy of the caller's context; False: there is no thread.

    None can be started where a limit is reached, the interpreter is about to exit, or a sub-interpreter allows none.
    """
    if sys.is_finalizing():  # a thread would start, and never run
        return False
    try:
        thread = threading.Thread(target=copy_context().run, args=(_run, call), name=name, daemon=True)
        # Thread.start waits for the new thread to run: milliseconds, where hundreds of others are busy. And a signal
        # whose handler raises within it, which is Python code, would end that thread before it has begun.
        _thread.start_new_thread(_begin, (thread,))
    except RuntimeError:
        return False
    return True


def start_or_call(call: Callable[[], object], name: str = NAME) -> None:
    """As `start`, but call it here if there is no thread."""
    if not start(call, name):
        copy_context().run(call)


def wait_for(call: Callable[[], T], seconds: float) -> T | None:
    """Run `call`, which must not raise, in a thread; return its result, or None if it has none within `seconds`.

    An interrupt of this caller reaches neither the frames of that call nor what it holds.
    """
    done = _thread.allocate_lock()
    done.acquire()
    results: list[T] = []

    def run() -> None:
        try:
            results.append(call())
        finally:
            done.release()

    start_or_call(run)
    done.acquire(timeout=seconds)
    return results[0] if results else None


async def in_thread(call: Callable[[], T]) -> T:
    """Run what may block in a thread that neither blocks the loop nor, as an executor's would, delays the exit."""
    import asyncio
    from concurrent.futures import Future

    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from here on a task that is cancelled cancels its own future alone

    def run() -> None:
        try:
            outcome.set_result(call())
        except StopIteration:  # which no future of asyncio takes
            outcome.set_exception(RuntimeError("StopIteration"))
        except BaseException as error:  # for the task that waits
            outcome.set_exception(error)

    start_or_call(run)
    return await asyncio.wrap_future(outcome)


def call_in(loop: AbstractEventLoop, call: Callable[[], object]) -> None:
    """Have a call made in an event loop, if it is still open."""
    with suppress(RuntimeError):  # the loop is closed, so no task waits in it
        loop.call_soon_threadsafe(call)


def _run(call: Callable[[], object]) -> None:
    _here.is_ours = True
    call()


def _begin(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:
        thread.run()

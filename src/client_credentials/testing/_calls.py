"""Calls of a function that may fail or hang, each in a daemon thread, and in a forked child."""

from __future__ import annotations

import asyncio
import inspect
import os
import select
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NoReturn, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen(kw_only=True, eq=False)
class Call:
    """The result of a call: a value, or an error, or neither within the time limit."""

    value: object = attrs.field(default=None, repr=False)
    error: BaseException | None = attrs.field(default=None, repr=False)
    returned: bool = True
    began: float
    """Seconds of `time.monotonic`."""
    seconds: float

    @property
    def ended(self) -> float:
        """When it returned, in seconds of `time.monotonic`."""
        return self.began + self.seconds


class Caller:
    """Calls plain and coroutine functions from any number of threads, and waits `patience` seconds at most.

    A plain function that hangs is left behind in its thread. An awaitable is awaited in one event loop, which has
    a thread too and ends with `close`.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._loop: Future[asyncio.AbstractEventLoop] | None = None
        self._stop = asyncio.Event()

    @property
    def awaits(self) -> bool:
        """Whether a function called so far was a coroutine function."""
        return self._loop is not None

    def close(self) -> None:
        """Cancel the coroutines that still run."""
        if self._loop is not None:
            self._loop.result().call_soon_threadsafe(self._stop.set)

    def result(self, value: Any) -> Any:  # noqa: ANN401
        """Return what a function returned, awaited if it is awaitable."""
        if not inspect.isawaitable(value):
            return value
        return asyncio.run_coroutine_threadsafe(_awaited(value), self._running_loop()).result()

    def begin(self, function: Callable[[], object], count: int = 1) -> Callable[[], list[Call]]:
        """Call from `count` threads at once; returns a function that waits for these calls."""
        calls: list[Call | None] = [None] * count
        barrier = threading.Barrier(count)

        def run(nth: int) -> None:
            barrier.wait()
            made = partial(Call, began=(began := time.monotonic()))
            try:
                value = self.result(function())
            except BaseException as error:  # its kind is what a drill is about
                calls[nth] = made(error=error, seconds=time.monotonic() - began)
            else:
                calls[nth] = made(value=value, seconds=time.monotonic() - began)

        began = time.monotonic()
        threads = [threading.Thread(target=run, args=(nth,), daemon=True) for nth in range(count)]
        for thread in threads:
            thread.start()

        def wait() -> list[Call]:
            for thread in threads:
                thread.join(max(began + self._patience - time.monotonic(), 0.0))
            late = Call(returned=False, began=began, seconds=self._patience)
            return [call or late for call in calls]

        return wait

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = Future()
                threading.Thread(target=asyncio.run, args=(self._serve(self._loop),), daemon=True).start()
        return self._loop.result()

    async def _serve(self, running: Future[asyncio.AbstractEventLoop]) -> None:
        running.set_result(asyncio.get_running_loop())
        await self._stop.wait()


async def _awaited(value: Awaitable[T]) -> T:
    return await value


def in_child(function: Callable[[], str], patience: float) -> str | None:
    """Return the text that a function returns in a forked child; None: it raised, or took longer than `patience`."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads is the point
        child = os.fork() or _write_and_exit(function, writing)
    os.close(writing)
    end, told, more = time.monotonic() + patience, b"", b"."
    while more and select.select([reading], [], [], max(end - time.monotonic(), 0.0))[0]:
        told += (more := os.read(reading, 65536))
    os.close(reading)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return told.decode() or None


def _write_and_exit(function: Callable[[], str], descriptor: int) -> NoReturn:
    try:
        os.write(descriptor, function().encode())
    finally:
        os._exit(0)

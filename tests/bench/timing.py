"""How a call is timed, alone and in threads, and the least that a method can do; for all benchmarks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from client_credentials import AccessToken


class Bare:
    """The least that a method can do: read one clock, compare, return."""

    def __init__(self, token: AccessToken) -> None:
        self._token = token
        self._until = time.monotonic() + 3600

    def get(self) -> AccessToken:
        """Give the token."""
        if time.monotonic() < self._until:
            return self._token
        raise AssertionError

    async def get_async(self) -> AccessToken:
        """Give the token, to a task."""
        if time.monotonic() < self._until:
            return self._token
        raise AssertionError


def seconds(call: Callable[[], object], times: int) -> float:
    """Measure a loop of calls."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def in_threads(threads: int, call: Callable[[], object], times: int) -> float:
    """Measure a loop of calls in each of so many threads at once; seconds for all of them."""
    barrier = threading.Barrier(threads + 1)

    def work() -> None:
        barrier.wait()
        for _ in range(times):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began

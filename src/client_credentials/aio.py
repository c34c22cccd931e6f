"""The strategy for asyncio: it shares every rule with its synchronous twin, and never blocks the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ._core.lifecycle import pause
from ._core.model import AccessToken
from ._shell import threads
from ._shell.base import BaseStrategy
from ._shell.driver import fly_here
from ._shell.flight import Flight

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")


class AsyncClientCredentialsStrategy(BaseStrategy):
    """Hands out a valid access token for the client-credentials grant (RFC 6749 section 4.4), under asyncio.

    One object serves any number of tasks, in any number of event loops and threads. Requests are made in a thread; a
    `fetch` that is a coroutine function runs in the event loop of the task that asked. Without `set_configuration` the
    defaults are used.
    """

    _takes_coroutines = True

    async def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now.

        A fresh one comes from memory, without a task switch. In its renewal window the token in hand is given at once,
        while one renewal runs in a thread. Where there is none, the task waits for one request, with all others that
        do: `policy.deadline` seconds at the most. Cancelling one task harms no other. Raises TokenError.
        """
        lease = self._active.lease
        if lease.begins <= time.time() < lease.until:
            return lease.token
        return await self._obtain()

    async def get_access_token(self) -> AccessToken | None:
        """Give the token in hand if it is still good, from memory or the cache, else None; never sends a request."""
        return self._look() or (await _in_thread(self._look_in_cache) if self._active.cache else None)

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the token in hand, here and in the cache; nothing happens where there is none.

        With `token`: only if that is still the one in hand, so that any number of callers may report the same dead one.
        """
        forget_in_cache = self._forget(token)
        if self._active.cache:
            await _in_thread(forget_in_cache)

    async def _obtain(self) -> AccessToken:
        until = time.monotonic() + self._deadline
        flights = 0
        while True:
            got = self._serve_or_join(until)
            if isinstance(got, AccessToken):
                return got
            if got.is_unmanned and got.claim():
                await fly_here(self._identity, got)
            await _wait(got, pause(got.left, until - time.monotonic()))
            flights += got.is_settled
            token = self._result(got, until, flights)
            if token:
                return token

    def _running_loop(self) -> AbstractEventLoop:
        import asyncio

        return asyncio.get_running_loop()


async def _wait(flight: Flight, seconds: float) -> None:
    """Wait until there is reason to decide again, for so many seconds at the most; one call wakes a loop's tasks."""
    import asyncio

    loop = asyncio.get_running_loop()
    event = flight.events.get(loop)
    if event is None or event.is_set():
        event = asyncio.Event()
        flight.wait(partial(_call_in, loop, event.set))
        flight.events[loop] = event
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _in_thread(call: Callable[[], T]) -> T:
    """Run what may block in a thread that neither blocks the loop nor, as an executor's would, delays the exit."""
    import asyncio
    from concurrent.futures import Future

    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # for the task that waits
            outcome.set_exception(error)
        _call_in(loop, done.set)

    threads.run_aside(run)
    await done.wait()
    return outcome.result()


def _call_in(loop: AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed, so nobody waits in it
        loop.call_soon_threadsafe(call)

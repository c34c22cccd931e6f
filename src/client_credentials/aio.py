"""The strategy for an event loop: it shares every rule with its twin, and never blocks the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ._core.model import AccessToken
from ._shell.base import Keeper
from ._shell.clock import ticks
from ._shell.flight import Flight
from ._shell.threads import run_aside

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")


class AsyncClientCredentialsStrategy(Keeper):
    """Hands out a valid access token for the client-credentials grant (RFC 6749 section 4.4), under asyncio.

    One object serves any number of tasks, in any number of event loops and threads. Requests are made in a thread.
    Without `set_configuration` the defaults are used.
    """

    async def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now.

        A fresh one comes from memory, without a task switch; one that is about to end too, while its successor is asked
        for in the background. Where there is none, the task waits, with all others, for one request: `policy.deadline`
        seconds at the most. Cancelling one task harms no other. Raises TokenError.
        """
        lease = self._lease
        if ticks() < lease.until:
            return lease.token
        return await self._obtain()

    async def get_access_token(self) -> AccessToken | None:
        """Give the token in hand if it is still good, from memory or the cache, else None; never asks for one."""
        return self._look() or await _aside(self._look_in_cache)

    async def remove_access_token(self, token: AccessToken | str | None = None) -> None:
        """Forget the token in hand, here and in the cache; nothing happens where there is none.

        With `token`: only if that is still the one in hand, so that any number of callers may report the same dead one.
        """
        await _aside(partial(self._forget_in_cache, self._forget(token)))

    async def _obtain(self) -> AccessToken:
        until = time.monotonic() + self._traveller.policy.deadline
        while True:
            seat = self._board()
            if isinstance(seat, AccessToken):
                return seat
            flight, leads = seat
            try:
                if leads:
                    self._start(flight)
                await _landed(flight, min(flight.left, until - time.monotonic()))
            finally:
                self._leave_seat(flight)
            token = self._claim(flight, leads=leads, until=until)
            if token:
                return token


async def _landed(flight: Flight, seconds: float) -> None:
    """Wait until a flight lands, for so many seconds at the most; all tasks of a loop are woken by one call."""
    import asyncio

    loop = asyncio.get_running_loop()
    room = flight.rooms.get(loop)
    if room is None:
        room = flight.rooms[loop] = asyncio.Event()
        flight.listen(partial(_call_in, loop, room.set))
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0.0)):
            await room.wait()


async def _aside(call: Callable[[], T]) -> T:
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

    run_aside(run)
    await done.wait()
    return outcome.result()


def _call_in(loop: AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed, so nobody waits in it
        loop.call_soon_threadsafe(call)

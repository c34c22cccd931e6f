"""The strategy for asyncio; it has the same rules as the synchronous one, and never blocks the event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial

from ._core.model import AccessToken
from ._shell import threads
from ._shell.base import BaseStrategy
from ._shell.driver import fly_here
from ._shell.flight import Flight


class AsyncClientCredentialsStrategy(BaseStrategy):
    """Gives a valid access token for the client credentials grant (RFC 6749 section 4.4), under asyncio.

    One object serves any number of tasks, in any number of event loops and threads. Requests are made in a thread; a
    `fetch` that is a coroutine function runs in the event loop of the task that asked. Without `set_configuration` the
    defaults are used.
    """

    _takes_coroutines = True

    async def get_or_create_access_token(self) -> AccessToken:
        """Return a token that is good now.

        A fresh one comes from memory, without a task switch. In its renewal window the current token is returned
        at once, while one renewal runs in a thread. If there is no good token, all tasks wait for one token request,
        each for `policy.deadline` seconds at most. Cancelling one task affects no other. Raises TokenError.
        """
        lease = self._active.lease
        # The decision to serve this token holds for this span.
        if lease.begins <= time.time() < lease.until:
            return lease.token
        steps = self._obtain()
        while not isinstance(step := next(steps), AccessToken):
            await _wait(*step)
        next(steps, None)  # which ends it
        return step

    async def get_access_token(self) -> AccessToken | None:
        """Return the current token if it is good, from memory or the cache, else None; never sends a token request."""
        active = self._active
        token = active.in_hand()
        if token is None and (look := self._look_in_cache()):
            await _wait(look, look.deadline)
            token = active.in_hand()
        return token

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the current token, here and in the cache; does nothing if there is none.

        With `token`: only if that is still the current one, so any number of callers may report the same dead token.
        """
        if removal := self._remove(token):
            await _wait(removal, removal.deadline)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


async def _wait(flight: Flight, until: float) -> None:
    """Wait until there is reason to decide again, or until a moment; one call wakes all tasks of a loop."""
    if flight.has_no_thread:
        await fly_here(flight)
    loop = asyncio.get_running_loop()
    event = flight.events.get(loop)
    if event is None or event.is_set():
        event = asyncio.Event()
        flight.call_when_ready(partial(threads.call_in, loop, event.set))
        flight.events[loop] = event
    with suppress(TimeoutError):
        async with asyncio.timeout(until - time.monotonic()):
            await event.wait()

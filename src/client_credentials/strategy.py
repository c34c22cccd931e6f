"""The strategy for threads, a port of the SDK's ClientCredentialsStrategy: decide, join a flight, wait."""

from __future__ import annotations

import _thread
import time
from contextvars import copy_context

from ._core.model import AccessToken
from ._shell.base import BaseStrategy
from ._shell.driver import fly_here, run_sync
from ._shell.flight import Flight


class ClientCredentialsStrategy(BaseStrategy):
    """Gives a valid access token for the client credentials grant (RFC 6749 section 4.4).

    One object serves any number of threads. Without `set_configuration` the defaults are used.
    """

    def get_or_create_access_token(self) -> AccessToken:
        """Return a token that is good now.

        A fresh one comes from memory, without a lock. In its renewal window the current token is returned at once,
        while one renewal runs in a thread. If there is no good token, all callers wait for one token request, each for
        `policy.deadline` seconds at most. Raises TokenError.
        """
        lease = self._active.lease
        # The decision to serve this token holds for this span.
        if lease.begins <= time.time() < lease.until:
            return lease.token
        steps = self._obtain()
        while not isinstance(step := next(steps), AccessToken):
            copy_context().run(_wait, *step)
        next(steps, None)  # which ends it
        return step

    def get_access_token(self) -> AccessToken | None:
        """Return the current token if it is good, from memory or the cache, else None; never sends a token request."""
        active = self._active
        token = active.in_hand()
        if token is None and (look := self._look_in_cache()):
            _wait_for(look, look.deadline)
            token = active.in_hand()
        return token

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget the current token, here and in the cache; does nothing if there is none.

        With `token`: only if that is still the current one, so any number of callers may report the same dead token.
        """
        if removal := self._remove(token):
            _wait_for(removal, removal.deadline)


def _wait(flight: Flight, until: float) -> None:
    """Wait until there is reason to decide again, or until this moment of `time.monotonic`."""
    if flight.has_no_thread:
        run_sync(fly_here(flight))
    flight.enter()
    _wait_for(flight, until)


def _wait_for(flight: Flight, until: float) -> None:
    # On a bare lock of this caller: an interrupt within an Event, which is Python code, would hang others.
    lock = _thread.allocate_lock()
    lock.acquire()
    flight.call_when_ready(lock.release)
    lock.acquire(timeout=max(until - time.monotonic(), 0.0))

"""The port of the SDK's ClientCredentialsStrategy: gather, decide, act."""

from __future__ import annotations

import time

from ._core.model import AccessToken
from ._shell.base import Keeper
from ._shell.clock import ticks
from ._shell.flight import Flight


class ClientCredentialsStrategy(Keeper):
    """Hands out a valid access token for the client-credentials grant (RFC 6749 section 4.4).

    One object serves any number of threads. Without `set_configuration` the defaults are used.
    """

    def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now.

        A fresh one comes from memory, without a lock; one that is about to end too, while its successor is asked for in
        the background. Where there is none, the caller waits, with all others, for one request: `policy.deadline`
        seconds at the most. Raises TokenError.
        """
        lease = self._lease
        if ticks() < lease.until:
            return lease.token
        return self._obtain()

    def get_access_token(self) -> AccessToken | None:
        """Give the token in hand if it is still good, from memory or the cache, else None; never asks for one."""
        return self._look() or self._look_in_cache()

    def remove_access_token(self, token: AccessToken | str | None = None) -> None:
        """Forget the token in hand, here and in the cache; nothing happens where there is none.

        With `token`: only if that is still the one in hand, so that any number of callers may report the same dead one.
        """
        self._forget_in_cache(self._forget(token))

    def _obtain(self) -> AccessToken:
        until = time.monotonic() + self._traveller.policy.deadline
        while True:
            seat = self._board()
            if isinstance(seat, AccessToken):
                return seat
            flight, leads = seat
            try:
                if leads:
                    self._lead(flight)
                flight.wait(min(flight.left, until - time.monotonic()))
            finally:
                self._leave_seat(flight)
            token = self._claim(flight, leads=leads, until=until)
            if token:
                return token

    def _lead(self, flight: Flight) -> None:
        """Make the request in this thread, if nothing in it can outlast the deadline; else in one of its own."""
        if not (self._secret_is_text and flight.setup.configuration.is_ours()):
            self._start(flight)
            return
        try:
            self._fly(flight)
        except BaseException:
            # Ctrl-C is for this caller alone: whoever else waits boards again.
            self._land(flight, None)
            raise

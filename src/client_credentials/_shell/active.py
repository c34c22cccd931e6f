"""A configuration in use, with all that is known and under way under it; setting it again makes another one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Final

from .._core.lifecycle import LOCK_MARGIN, REMOVAL_WAITS, removed, unread
from .._core.model import AccessToken, Client
from .._core.secret import Secret
from .._core.state import EMPTY, Instant, State, merge, publishable, tells_more
from ..configuration import SdkConfiguration
from .chain import Link
from .clock import SystemClock, read
from .dice import dice
from .flight import Flight
from .state_cache import StateCache

_NO_TOKEN: Final = AccessToken("", "Bearer", 0, 0)


class Lease(Link):
    """A state, and the span of the wall clock within which its token is served without deciding again.

    With any clock but SystemClock the span is empty, so that both clocks are read on every call.
    """

    __slots__ = ("begins", "state", "token", "until")

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.token: AccessToken = state.held.token if state.held else _NO_TOKEN
        self.begins = math.inf
        self.until = -math.inf

    def end(self) -> None:
        """Serve the token no longer without deciding again."""
        self.until = -math.inf


class ActiveConfiguration:
    """What flights and callers share: the newest state, the newest flight, and the cache, where there is one."""

    __slots__ = ("cache", "configuration", "flight", "gone", "lease", "looks")

    def __init__(self, client: Client, configuration: SdkConfiguration, cache: StateCache | None) -> None:
        self.configuration = configuration
        self.cache = cache
        self.lease = Lease(EMPTY)
        self.flight = Flight(self, client, Instant(math.nan, math.nan), 0.0)
        self.flight.settle(None)
        self.flight.is_over = True
        self.gone: tuple[Secret, ...] = ()
        """The last tokens removed, which an error must not repeat."""
        self.looks: dict[None, object] = {}
        """Whether somebody looks in the cache for those who wait for an endpoint."""

    def now(self) -> Instant:
        """Read both clocks."""
        return read(self.configuration.clock)

    def known(self) -> Lease:
        """Give the newest state."""
        lease = self.lease
        if lease.is_succeeded:
            lease = self.lease = lease.latest()
        return lease

    def record(self, fact: State) -> State:
        """Merge a fact into what is known, and give that."""
        while True:
            lease = self.known()
            state = merge(lease.state, fact, self.now())
            if state == lease.state:
                return state
            new = Lease(state)
            if lease.succeed(new) is new:
                lease.end()
                self.lease = new
                return state

    def tokens(self) -> Iterator[str]:
        """Give the tokens that a text must not show: the one held, and the last ones removed."""
        held = self.known().state.held
        if held:
            yield held.token.access_token
        for secret in self.gone:
            yield secret.reveal()

    def look(self, key: str) -> State:
        """Merge into memory what the cache keeps under a key, and give what is known then."""
        if self.cache is None:
            return self.known().state
        return self.record(self.cache.load(key, self.now(), dice()))

    def publish(self, key: str, fact: State) -> None:
        """Merge a fact into the cache, but for what is this process's own, and what is granted or removed meanwhile.

        Not all that is known: after a rotation, what one secret was granted is not for those who have the other.
        """
        if self.cache is None:
            return
        cached = self.cache.load(key, self.now(), dice())
        now, known = self.now(), self.known().state
        settled = State(granted=known.granted, removed=known.removed)
        merged = merge(merge(cached, publishable(fact), now), settled, now)
        if tells_more(merged, cached):
            self.cache.store(key, merged, now)

    def forget(self, cache: StateCache, key: str, token: AccessToken | None, fact: State) -> None:
        """Rewrite the entry without that token; None: without any. `fact` is what was removed in memory."""
        theirs = removed(cache.load(key, self.now(), dice()), token)
        self.record(theirs)
        if EMPTY == fact == theirs:
            return
        release = None
        for seconds in REMOVAL_WAITS:
            # A flight that holds the lock may be publishing a newer token, which this must not overwrite.
            release = cache.try_lock(key, LOCK_MARGIN)
            if release:
                break
            time.sleep(seconds)
        try:
            self.publish(key, EMPTY)
        finally:
            if release:
                release()

    def extend(self, lease: Lease, now: Instant, lasts: float) -> None:
        """Serve the token of a lease for so many seconds more."""
        if type(self.configuration.clock) is SystemClock:
            lease.begins = now.wall
            lease.until = now.wall + unread(lasts)
            if lease.is_succeeded:  # meanwhile, by somebody who has ended it already
                lease.end()

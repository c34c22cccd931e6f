"""What callers and flights share under one configuration; `set_configuration` makes a new one."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from .._core.acquisition import Command, Done
from .._core.client import check_kind
from .._core.lifecycle import LONGEST_UNREAD, is_shut, removal_moment, removed, token_in_hand
from .._core.model import AccessToken
from .._core.removal import forget
from .._core.state import EMPTY, Instant, State, merge, publication
from ..configuration import SdkConfiguration
from . import threads
from .chain import Link
from .clock import SystemClock, dice, read
from .flight import Flight
from .identity import Identity

if TYPE_CHECKING:
    from ..caching._state_cache import StateCache

_MOST_GONE: Final = 8
NO_TOKEN: Final = AccessToken("", "Bearer", 0, 0)


class Lease(Link):
    """A state, and the span of the wall clock within which its token is served without deciding again.

    With any clock but SystemClock the span is empty, so that both clocks are read on every call.
    """

    __slots__ = ("begins", "state", "token", "until")

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.token: AccessToken = state.held.token if state.held else NO_TOKEN
        self.begins = math.inf
        self.until = -math.inf

    def end(self) -> None:
        """Serve the token no longer without deciding again."""
        self.until = -math.inf


class ActiveConfiguration:
    """What flights and callers share: the newest state, the newest flight, and the cache, where there is one."""

    __slots__ = ("cache", "cache_work", "configuration", "flight", "gone", "identity", "lease")

    def __init__(self, identity: Identity, configuration: SdkConfiguration, cache: StateCache | None) -> None:
        self.identity = identity
        self.configuration = configuration
        self.cache = cache
        self.lease = Lease(EMPTY)
        self.flight = Flight(self, 0.0)
        self.flight.settle(None)
        self.flight.is_over = True
        self.cache_work: dict[AccessToken | None, Flight] = {}
        """The removals from the cache that are under way, by their tokens, and under None a look."""
        self.gone: tuple[AccessToken, ...] = ()
        """The last tokens removed, which an error must not repeat."""

    def now(self) -> Instant:
        """Read both clocks."""
        return read(self.configuration.clock)

    def known(self) -> Lease:
        """Return the newest state."""
        self.lease = lease = self.lease.latest()
        return lease

    def extend(self, lease: Lease, now: Instant, lasts: float) -> None:
        """Serve the token of a lease for `lasts` seconds more."""
        if type(self.configuration.clock) is SystemClock:
            lease.begins = now.wall
            lease.until = now.wall + min(lasts, LONGEST_UNREAD)
            if lease.has_next:  # meanwhile, by somebody who has ended it already
                lease.end()

    def record(self, fact: State) -> State:
        """Merge a fact into what is known, and return that."""
        while True:
            lease = self.known()
            state = merge(lease.state, fact, self.now())
            if state == lease.state:
                return state
            new = Lease(state)
            if lease.append(new) is new:
                lease.end()
                self.lease = new
                return state

    def tokens(self) -> Iterator[str]:
        """Yield the tokens that a text must not show: the one held, and the last ones removed."""
        held = self.known().state.held
        if held:
            yield held.token.access_token
        for token in self.gone:
            yield token.access_token

    def in_hand(self) -> AccessToken | None:
        """Return the good token in memory."""
        return token_in_hand(self.known().state, self.now())

    def in_cache(self) -> AccessToken | None:
        """Return the good token in the cache, and remember it."""
        if not self.identity.keys and is_shut(self.known().state, self.now()):
            return None  # a secret that could not be read is not read again yet
        key = self.identity.key()
        return token_in_hand(self.look(key), self.now()) if key else None

    def look(self, key: str) -> State:
        """Merge into memory what the cache keeps under a key, and return what is known then."""
        return self.known().state if self.cache is None else self.record(self.peek(key))

    def peek(self, key: str) -> State:
        """Return what the cache keeps under a key."""
        return cast("StateCache", self.cache).load(key, self.now(), dice())

    def look_meanwhile(self, flight: Flight) -> None:
        """See whether the cache has a token for those who wait for the endpoint; one look at a time."""
        mark = object()
        try:
            if flight.looks.setdefault(None, mark) is mark and not threads.start(partial(self._look_for, flight)):
                flight.looks.clear()
        except BaseException:
            flight.looks.clear()
            raise

    def _look_for(self, flight: Flight) -> None:
        try:
            found = self.in_cache()
        finally:
            flight.looks.clear()
        if found:
            flight.wake()

    def publish(self, key: str, fact: State) -> None:
        """Merge a fact into the cache, and what was granted or removed meanwhile."""
        cached = self.peek(key)
        now = self.now()
        merged = publication(cached, fact, self.known().state, now)
        if merged:
            cast("StateCache", self.cache).store(key, merged, now)

    def forget(
        self, token: AccessToken | None
    ) -> tuple[AccessToken, Callable[[], Coroutine[Command, Done[Any], None]]]:
        """Forget the token in memory, or only if it is this one; gives which, and what makes the cache forget it."""
        if token is not None:
            check_kind("token", token, AccessToken)
        newest, known, now = self.flight.latest(), self.known().state, self.now()
        before = removal_moment(now, None if newest.is_gone else newest.asked)
        token = token or token_in_hand(known, now)
        fact = removed(known, token)
        self.record(fact)
        if token:
            self.gone = (*self.gone, token)[-_MOST_GONE:]
        return token or NO_TOKEN, partial(forget, token, fact, before, self.identity.keys)

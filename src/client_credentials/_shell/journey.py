"""The way of a miss: cache, lock, cache again, request, publish, release; what a flight does while others wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs

from .._core.lifecycle import (
    EMPTY,
    LOCKS,
    Fail,
    Gate,
    Instant,
    Serve,
    State,
    adopted,
    backed_off,
    decide,
    failed,
    granted,
    hold,
    poll_wait,
    published,
    retry_wait,
    token_of,
)
from .._core.model import AccessToken, Client, Failure, Granted, RenewalPolicy, without_query
from .._core.request import cache_key
from .._core.secret import Secret
from ..errors import error_of
from . import log
from .attempt import Attempted, attempt, read_secret
from .flight import Flight, Landing


class Record(Protocol):
    """How a flight changes the state, if it still counts; gives the state as it is then."""

    def __call__(self, flight: Flight, change: Callable[[State], State], *, grants: bool = False) -> State: ...


def draw() -> float:
    """Throw the dice: a number from 0 to 1."""
    from random import random

    return random()  # noqa: S311  # jitter, no secret


@attrs.define
class Traveller:
    """Who asks: a client, its secret, and what was learnt on earlier journeys."""

    client: Client
    source: Secret = attrs.field(repr=False)
    policy: RenewalPolicy
    key: str | None = None
    _remarked: frozenset[str] = frozenset()

    def known_key(self) -> tuple[str | None, Secret | None]:
        """Give the cache key, and the secret where it had to be read for that; None: it cannot be read now."""
        if self.key is not None:
            return self.key, None
        secret = read_secret(self.source)
        if isinstance(secret, Attempted):
            return None, None
        self.key = cache_key(self.client, secret.reveal())
        return self.key, secret

    def travel(self, flight: Flight, record: Record) -> tuple[Landing, Exception | None]:
        """Bring what the cache, another process or the server has; and the exception it failed by, if it did."""
        key, secret = self.known_key()
        if key is None:
            return self._ask(flight, record, None)
        vault = flight.setup.vault
        for name, share in LOCKS:
            reserve = self.policy.deadline * (1 - share)
            while flight.left > reserve:
                if found := self._look(flight, record, key):
                    return found, None
                # The lock outlives the exchange, which ends at the deadline.
                release = vault.acquire(key + name, self.policy.deadline + 1)
                if release:
                    try:
                        # Whoever had the lock may have published before it was free.
                        found = self._look(flight, record, key)
                        return (found, None) if found else self._ask(flight, record, secret)
                    finally:
                        release()
                time.sleep(poll_wait(draw(), flight.left - reserve))
        return self._ask(flight, record, secret)

    def _look(self, flight: Flight, record: Record, key: str) -> Landing | None:
        now = flight.setup.now()
        cached = flight.setup.vault.load(key, now, draw())
        if cached == EMPTY:
            return None
        decision = decide(record(flight, partial(adopted, cached=cached, now=now)), now)
        match decision:
            case Serve(token=token):
                return token
            case Fail():
                return decision
            case _:
                return None

    def _ask(self, flight: Flight, record: Record, secret: Secret | None) -> tuple[Landing, Exception | None]:
        state = record(flight, lambda state: state)
        gate = state.gate
        attempts = 0
        while True:
            attempts += 1
            asked = flight.setup.now()
            attempted = self._attempt(flight, secret or read_secret(self.source), state)
            secret = None
            if isinstance(attempted.outcome, Granted):
                return self._granted(flight, record, attempted.outcome, asked), None
            gate = self._failed(flight, gate, attempted.outcome)
            wait = retry_wait(gate, attempts, flight.left) if flight.waiters else None
            if wait is None:
                return self._shut(flight, record, gate), attempted.cause
            time.sleep(wait)

    def _attempt(self, flight: Flight, secret: Secret | Attempted, state: State) -> Attempted:
        if isinstance(secret, Attempted):
            return secret
        # The secret may have been rotated since, and the key goes with it.
        self.key = cache_key(self.client, secret.reveal())
        return attempt(self.client, secret, flight.setup.configuration, flight.left, state)

    def _granted(self, flight: Flight, record: Record, grant: Granted, asked: Instant) -> AccessToken:
        token = token_of(grant, asked, self.policy, self.client.scopes)
        held = hold(token, asked, self.policy, draw())
        record(flight, partial(granted, held=held), grants=True)
        self._publish(flight, State(held=held))
        for remark in frozenset(grant.remarks) - self._remarked:
            log.warn("%s: %s", without_query(self.client.token_url), remark)
        self._remarked |= frozenset(grant.remarks)
        return token

    def abandon(self, flight: Flight, record: Record, failure: Failure) -> Fail:
        """Make a failure of a flight that did not come to its end; for this process alone, since nobody may wait."""
        gate = self._failed(flight, record(flight, lambda state: state).gate, failure)
        record(flight, partial(failed, gate=gate))
        return Fail(failure, gate.wait)

    def _failed(self, flight: Flight, gate: Gate | None, failure: Failure) -> Gate:
        """Tell whoever wants to know of an attempt that failed."""
        gate = backed_off(gate, failure, flight.setup.now(), draw())
        error = error_of(failure, gate.wait)
        log.warn("%s", error)
        try:
            flight.setup.configuration.error_handler(error)
        except BaseException as raised:  # a user's code, in a thread of ours: there is nothing to exit from
            log.warn("error_handler raised %s", type(raised).__name__)
        return gate

    def _shut(self, flight: Flight, record: Record, gate: Gate) -> Landing:
        """Shut the gate for all who come now, here and wherever the cache is shared."""
        state = record(flight, partial(failed, gate=gate))
        self._publish(flight, state)
        return Fail(gate.failure, gate.remaining(flight.setup.now()))

    def _publish(self, flight: Flight, state: State) -> None:
        if self.key is not None:
            now = flight.setup.now()
            cached = flight.setup.vault.load(self.key, now, draw())
            flight.setup.vault.store(self.key, published(cached, state, now), now)

"""The way of a miss, step by step as `_journey.py` goes it, but in virtual time; a test holds the two together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs

from client_credentials import AccessToken, CacheEntry, RenewalPolicy
from client_credentials._core.lifecycle import (
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
    removed,
    retry_wait,
    token_of,
)
from client_credentials._core.model import Failure, Granted
from client_credentials._shell.state_cache import Vault

from .steps import Fetch, Get, Lock, Put, Sleep, Steps, Unlock


@attrs.define(eq=False)
class Flight:
    """A request under way: its deadline by the monotonic clock of its host, and when it began, in true time."""

    number: int
    deadline: float
    began: float = 0.0
    waiters: int = 0
    landing: AccessToken | Fail | None = None


class Desk:
    """Where a vault finds the answer that has come from the cache, and puts the entry that is to go there."""

    def __init__(self) -> None:
        self.entry: CacheEntry | None = None

    def get(self, key: str) -> CacheEntry | None:
        del key
        return self.entry

    def set(self, key: str, value: str, ttl: float) -> None:
        del key
        self.entry = CacheEntry(value, ttl)

    def remove(self, key: str) -> None:
        del key
        self.entry = None


class Traveller(Protocol):
    """Who goes the way: a host, with its clocks, its dice and its memory; a vault, if it shares a cache."""

    @property
    def key(self) -> str: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def vault(self) -> Vault | None: ...
    @property
    def policy(self) -> RenewalPolicy: ...
    def now(self) -> Instant: ...
    def left(self, flight: Flight) -> float: ...
    def draw(self) -> float: ...
    def record(self, flight: Flight, change: Callable[[State], State], *, grants: bool = False) -> State: ...


def travel(host: Traveller, flight: Flight) -> Steps[AccessToken | Fail]:
    """Cache, lock, cache again, request, publish, release; in the end a request without the lock."""
    for name, share in LOCKS:
        reserve = host.policy.deadline * (1 - share)
        while host.left(flight) > reserve:
            if found := (yield from _look(host, flight)):
                return found
            mine = host.vault and (yield Lock(host.key + name, host.policy.deadline + 1))
            if mine is not False:
                landing = (yield from _look(host, flight)) or (yield from _ask(host, flight))
                if mine:
                    yield Unlock(host.key + name)
                return landing
            yield Sleep(poll_wait(host.draw(), host.left(flight) - reserve))
    return (yield from _ask(host, flight))


def abandon(host: Traveller, flight: Flight, failure: Failure) -> Fail:
    """Make a failure of a flight that did not come to its end."""
    gate = backed_off(host.record(flight, _same).gate, failure, host.now(), host.draw())
    host.record(flight, partial(failed, gate=gate))
    return Fail(failure, gate.wait)


def forget(host: Traveller, value: str, forgotten: Callable[[str], object]) -> Steps[None]:
    """Rewrite the entry without that token, and say so; the gate stays."""
    now = host.now()
    cached = yield from _load(host, now)
    if cached.held and cached.held.token.access_token == value:
        yield from _store(host, removed(cached, value), now)
        forgotten(value)


def _load(host: Traveller, now: Instant) -> Steps[State]:
    draw = host.draw()
    if host.vault is None:
        return EMPTY
    entry = yield Get(host.key)
    assert entry is None or isinstance(entry, CacheEntry)
    host.desk.entry = entry
    return host.vault.load(host.key, now, draw)


def _store(host: Traveller, state: State, now: Instant) -> Steps[None]:
    if host.vault is not None:
        host.vault.store(host.key, state, now)
        yield Put(host.key, host.desk.entry)


def _look(host: Traveller, flight: Flight) -> Steps[AccessToken | Fail | None]:
    now = host.now()
    cached = yield from _load(host, now)
    if cached == EMPTY:
        return None
    decision = decide(host.record(flight, partial(adopted, cached=cached, now=now)), now)
    match decision:
        case Serve(token=token):
            return token
        case Fail():
            return decision
        case _:
            return None


def _ask(host: Traveller, flight: Flight) -> Steps[AccessToken | Fail]:
    gate = host.record(flight, _same).gate
    for attempts in itertools.count(1):
        asked = host.now()
        outcome = yield Fetch(host.left(flight))
        if isinstance(outcome, Granted):
            token = token_of(outcome, asked, host.policy, ())
            held = hold(token, asked, host.policy, host.draw())
            host.record(flight, partial(granted, held=held), grants=True)
            yield from _publish(host, State(held=held))
            return token
        assert not isinstance(outcome, CacheEntry | bool | None)
        gate = backed_off(gate, outcome, host.now(), host.draw())
        wait = retry_wait(gate, attempts, host.left(flight)) if flight.waiters else None
        if wait is None:
            return (yield from _shut(host, flight, gate))
        yield Sleep(wait)
    raise AssertionError


def _shut(host: Traveller, flight: Flight, gate: Gate) -> Steps[Fail]:
    yield from _publish(host, host.record(flight, partial(failed, gate=gate)))
    return Fail(gate.failure, gate.remaining(host.now()))


def _publish(host: Traveller, state: State) -> Steps[None]:
    now = host.now()
    cached = yield from _load(host, now)
    yield from _store(host, published(cached, state, now), now)


def _same(state: State) -> State:
    return state

"""One host of a fleet: a strategy's memory and its callers, as `_shell/base.py` serves them, but in virtual time.

Only the moments at which a decision may change are simulated: `Serve.lasts` leaps over all calls until the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import assert_never

import attrs

from client_credentials import AccessToken
from client_credentials._core.lifecycle import (
    EMPTY,
    Ask,
    Fail,
    Instant,
    Renew,
    Serve,
    State,
    decide,
    elapsed,
    good_token,
    removed,
)
from client_credentials._core.model import Failure, Unreachable
from client_credentials._shell.state_cache import Vault

from .journey import Desk, Flight, abandon, forget, travel
from .machine import Machine
from .referee import Referee
from .world import Identity, World

IN_VAIN = Unreachable(reason="nothing came in time")
LATENESS = 1e-6  # seconds by which a timer is late; never early


@attrs.define(eq=False)
class Caller:
    """Somebody who waits for a flight: since and until when, by the monotonic clock."""

    since: float
    until: float
    flight: Flight


class Host(Machine):
    """A machine with one strategy, and callers who never stop asking it."""

    def __init__(self, name: str, identity: Identity, world: World, referee: Referee) -> None:
        super().__init__(name, identity, world, referee)
        self._plans = 0
        self._begin()

    def _begin(self) -> None:
        self.state = EMPTY
        self.desk = Desk()
        self.vault = Vault(self.desk, self.policy) if self.world.cache else None
        self._doomed: set[str] = set()
        self._flight: Flight | None = None
        self._departed = 0
        self._newest = 0
        self._callers: list[Caller] = []

    def left(self, flight: Flight) -> float:
        """The seconds until the deadline of a flight."""
        return flight.deadline - self.monotonic()

    def record(self, flight: Flight, change: Callable[[State], State], *, grants: bool = False) -> State:
        """Change the state for a flight, if nothing newer was granted."""
        state = change(self.state)
        if flight.number > self._newest:
            self._newest = flight.number if grants else self._newest
            self.state = state
        return state

    def restart(self, down: float) -> None:
        """Crash now, and come back with an empty memory after so many seconds."""
        self.crash()
        self._begin()
        self.after(down, self.call)

    def nap(self, seconds: float) -> None:
        """Be suspended for so many seconds; callers are there as soon as it is over."""
        self.suspend(seconds)
        self.after(seconds, self.call)

    def step(self, seconds: float) -> None:
        """Set the wall clock by so many seconds."""
        self.skew += seconds
        self.after(0.0, self.call)

    def call(self) -> None:
        """Somebody asks for a token."""
        now = self.monotonic()
        self._board(now, now + self.policy.deadline)

    def _plan(self, seconds: float) -> None:
        """Leap to the first call after so many seconds; until then all are answered as the last one was."""
        self._plans += 1
        pause = self.world.every * self.draw()
        self.after(max(seconds, 0.0) + pause, partial(self._call_as_planned, self._plans))

    def _call_as_planned(self, plan: int) -> None:
        if plan == self._plans:
            self.call()

    def _board(self, since: float, until: float) -> None:
        now = self.now()
        decision = decide(self.state, now)
        match decision:
            case Serve(token=token, lasts=lasts):
                self._serve(token, lasts)
            case Fail(failure=failure, wait=wait):
                self._refuse(failure, wait)
            case Renew(token=token):
                flight = self._take_seat(now)
                self._serve(token, 0.0 if flight is None else min(self._token_left(now), self.left(flight)))
            case Ask():
                flight = self._take_seat(now)
                if flight is None:
                    self._board(since, until)
                    return
                self._plans += 1
                flight.waiters += 1
                caller = Caller(since, until, flight)
                self._callers.append(caller)
                patience = max(min(self.left(flight), until - now.monotonic), 0.0)
                self.after(patience + LATENESS, partial(self._claim, caller))
            case _:
                assert_never(decision)

    def _token_left(self, now: Instant) -> float:
        held = self.state.held
        return held.end - elapsed(held.asked, now) if held else 0.0

    def _take_seat(self, now: Instant) -> Flight | None:
        flight = self._flight
        if flight is None:
            self._departed += 1
            flight = self._flight = Flight(self._departed, now.monotonic + self.policy.deadline, self.world.now)
            self.start(travel(self, flight), partial(self._land, flight))
        if self.left(flight) >= 0:
            return flight
        self._give_up(flight)
        return None

    def _give_up(self, flight: Flight) -> None:
        if flight is self._flight:
            self._flight = None
            abandon(self, flight, IN_VAIN)

    def _land(self, flight: Flight, landing: AccessToken | Fail) -> None:
        if self._flight is flight:
            self._flight = None
        flight.landing = landing
        waiting = [caller for caller in self._callers if caller.flight is flight]
        for caller in waiting:
            self._claim(caller)
        if not waiting:
            self.call()

    def _claim(self, caller: Caller) -> None:
        if caller not in self._callers:
            return
        self._callers.remove(caller)
        flight = caller.flight
        flight.waiters -= 1
        self.referee.waited(self, self.monotonic() - caller.since)
        match flight.landing:
            case AccessToken() as token:
                self._serve(token, 0.0, flight.began)
            case Fail(failure=failure, wait=wait):
                self._refuse(failure, wait)
            case None:
                if self.left(flight) <= 0:
                    self._give_up(flight)
                if self.monotonic() < caller.until:
                    self._board(caller.since, caller.until)
                elif good := good_token(self.state, self.now()):
                    self._serve(good, 0.0)
                else:
                    self._refuse(IN_VAIN, 0.0)

    def _serve(self, token: AccessToken, lasts: float, began: float = math.inf) -> None:
        self.referee.served(self, token, lasts, began)
        value = token.access_token
        if value in self.world.endpoint.revoked and value not in self._doomed:
            self._doomed.add(value)
            self.after(self.world.every * self.draw(), partial(self._reject, value))
        self._plan(lasts)

    def _refuse(self, failure: Failure, wait: float) -> None:
        self.referee.refused(self, failure, wait)
        self._plan(wait)

    def notice(self, value: str) -> None:
        """Hear from the callers' own server that a token has been revoked, if they use that one."""
        if self.state.held and self.state.held.token.access_token == value and value not in self._doomed:
            self._doomed.add(value)
            self.after(self.world.every * self.draw(), partial(self._reject, value))

    def _reject(self, value: str) -> None:
        """A caller was told that the token is no good: he removes it, while others go on asking."""
        self.rejected.add(value)
        self.referee.disturbed(self, self.world.now, forgets=True)
        self.state = removed(self.state, value)
        self.start(forget(self, value, self._forgotten), self._unconcerned)
        self.call()

    def _forgotten(self, value: str) -> None:
        self.state = removed(self.state, value)

    def _unconcerned(self, _: None) -> None:
        pass

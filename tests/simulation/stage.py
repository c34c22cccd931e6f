"""A stage on which the real journey and the simulated one are given the same answers, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random

import pytest

from client_credentials import (
    AccessToken,
    CacheEntry,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRequest,
    TokenResponse,
)
from client_credentials._core.entry import dump
from client_credentials._core.lifecycle import EMPTY, Fail, Gate, Held, Instant, State, hold
from client_credentials._core.model import Outcome, Refused, Unreachable
from client_credentials._core.refusal import with_retry_after
from client_credentials._core.response import decode, parse_document, status_failure
from client_credentials._core.secret import Secret
from client_credentials._shell import flight as real_flight
from client_credentials._shell import journey as real_journey
from client_credentials._shell.state_cache import Vault

from . import journey
from .machine import EPOCH
from .steps import Answer, Fetch, Get, Lock, Put, Sleep, Step, Steps, Unlock
from .world import identity

IDENTITY = identity(0)
POLICY = RenewalPolicy()
LOST = "connection refused"

Scene = tuple[AccessToken | Fail, State, list[Step]]
"""What a journey brought, what is remembered then, and all that was done."""


class Stage:
    """Time, dice, and answers that depend on the seed and on nothing that a journey does; it notes every step."""

    def __init__(self, seed: int) -> None:
        self.steps: list[Step] = []
        self.time = 0.0
        self._fate = Random(seed)
        self._dice = Random(seed + 1)
        self.state = self._some_state() if self._fate.random() < 0.5 else EMPTY
        self.waiters = self._fate.randint(0, 1)
        self.deadline = POLICY.deadline

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(EPOCH + self.time, self.time)

    def draw(self) -> float:
        """Throw the dice."""
        return self._dice.random()

    def change(self, change: Callable[[State], State]) -> State:
        """Remember the changed state."""
        self.state = change(self.state)
        return self.state

    def note(self, step: Step, seconds: float | None = None) -> None:
        """Take a step, which takes its time."""
        self.steps.append(step)
        self.time += self._fate.choice((0.0, 0.01, 0.3, 2.0)) if seconds is None else seconds

    def entry(self, key: str) -> CacheEntry | None:
        """Say what is kept; raises OSError if the cache does not."""
        kept = dump(self._some_state(), self.now())
        self.note(Get(key))
        match self._fate.randrange(8):
            case 0:
                raise OSError
            case 1:
                return CacheEntry("garbage", 10.0)
            case 2:
                return kept
            case _:
                return None

    def lock(self, key: str, ttl: float) -> bool:
        """Say who has the lock; raises OSError if the cache does not."""
        self.note(Lock(key, ttl))
        fate = self._fate.randrange(8)
        if fate == 0:
            raise OSError
        return fate == 1

    def response(self, timeout: float) -> TokenResponse:
        """Say what a request comes to; raises TokenEndpointUnreachable."""
        self.note(Fetch(timeout))
        match self._fate.randrange(6):
            case 0:
                return TokenResponse(429, {"Retry-After": "7"}, b"")
            case 1:
                return TokenResponse(401, {}, b'{"error": "invalid_client"}')
            case 2:
                return TokenResponse(503, {}, b"")
            case 3:
                raise TokenEndpointUnreachable(LOST)
            case _:
                body = {"access_token": f"token-{self.time}", "token_type": "bearer", "expires_in": 3600}
                return TokenResponse(200, {}, json.dumps(body).encode())

    def _some_state(self) -> State:
        asked = self.now().earlier(self._fate.uniform(0, 4000))
        token = AccessToken(f"kept-{self._fate.random()}", "Bearer", 3600, 0)
        held: Held | None = hold(token, asked, POLICY, 0.5)
        gate = Gate(failure=Refused(status=429), since=self.now(), wait=self._fate.uniform(0.0, 20.0), streak=2)
        return State(held=self._fate.choice((held, None)), gate=self._fate.choice((gate, None)))


class Actor:
    """The simulated traveller, on the stage."""

    key = IDENTITY.key
    policy = POLICY

    def __init__(self, stage: Stage) -> None:
        self.desk = journey.Desk()
        self.vault: Vault | None = Vault(self.desk, POLICY)
        self._stage = stage
        self.now = stage.now
        self.draw = stage.draw

    def left(self, flight: journey.Flight) -> float:
        return flight.deadline - self._stage.time

    def record(self, flight: journey.Flight, change: Callable[[State], State], *, grants: bool = False) -> State:
        del flight, grants
        return self._stage.change(change)


def simulated(stage: Stage) -> Scene:
    """Let the simulated journey take place."""
    flight = journey.Flight(1, stage.deadline, waiters=stage.waiters)
    steps: Steps[AccessToken | Fail] = journey.travel(Actor(stage), flight)
    answer: Answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            return stop.value, stage.state, stage.steps
        answer = _answered(stage, step)


def _answered(stage: Stage, step: Step) -> Answer:
    try:
        match step:
            case Get(key=key):
                return stage.entry(key)
            case Lock(key=key, ttl=ttl):
                return stage.lock(key, ttl)
            case Fetch(timeout=timeout):
                return _outcome(stage, timeout)
            case Sleep(seconds=seconds):
                stage.note(step, seconds)
            case _:
                stage.note(step)
    except OSError:
        pass
    return None


def _outcome(stage: Stage, timeout: float) -> Outcome:
    try:
        response = stage.response(timeout)
    except TokenEndpointUnreachable:
        return Unreachable(reason=LOST)
    failure = status_failure(response)
    return with_retry_after(failure, response, stage.now().wall) if failure else parse_document(response, decode(response))


class Cache:
    """The cache of the real traveller, on the stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def get(self, key: str) -> CacheEntry | None:
        return self._stage.entry(key)

    def set(self, key: str, value: str, ttl: float) -> None:
        self._stage.note(Put(key, CacheEntry(value, ttl)))

    def remove(self, key: str) -> None:
        self._stage.note(Put(key, None))

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        mine = self._stage.lock(key, ttl)
        yield mine
        if mine:
            self._stage.note(Unlock(key))


class Time:
    """What the real journey takes for the module `time`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def monotonic(self) -> float:
        return self._stage.time

    def wall(self) -> float:
        return EPOCH + self._stage.time

    def sleep(self, seconds: float) -> None:
        self._stage.note(Sleep(seconds), seconds)


def performed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Let the real journey take place."""
    clock = Time(stage)
    monkeypatch.setattr(real_journey, "time", clock)
    monkeypatch.setattr(real_flight, "time", clock)
    monkeypatch.setattr(real_journey, "draw", stage.draw)

    def fetch(request: TokenRequest) -> TokenResponse:
        return stage.response(request.timeout)

    def record(flight: real_flight.Flight, change: Callable[[State], State], *, grants: bool = False) -> State:
        del flight, grants
        return stage.change(change)

    configuration = SdkConfiguration(fetch=fetch, caching_strategy=Cache(stage), clock=clock)
    setup = real_flight.Setup(configuration, Vault(configuration.caching_strategy, POLICY))
    flight = real_flight.Flight(1, setup, stage.deadline, waiters=stage.waiters)
    landing, _ = real_journey.Traveller(IDENTITY.client, Secret(IDENTITY.secret), POLICY).travel(flight, record)
    return landing, stage.state, stage.steps

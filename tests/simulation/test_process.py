"""What `process` writes again does what the product does: on the same script, the same commands in the same order."""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Any, Final

import pytest

from client_credentials import RenewalPolicy
from client_credentials._core.acquisition import Command, LookUp, Send, Sleep
from client_credentials._core.model import Granted, Outcome, Refused, Unreachable
from client_credentials._core.state import Instant
from client_credentials._shell import driver
from client_credentials._shell.flight import Flight
from client_credentials._shell.request import Attempted
from tests.simulation.process import Steps, Strategy, Wait, run_on, virtual_time
from tests.simulation.world import identity

_IDENTITY: Final = identity(0)


class Script:
    """A host whose clock moves with every sleep and request, and whose endpoint answers by a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.time = 0.0
        self.commands: list[Command] = []
        self.threads: list[Steps] = []
        self.strategy = Strategy(self, _IDENTITY.known(RenewalPolicy()), shared=False)

    def now(self) -> Instant:
        return Instant(1.7e9 + self.time, self.time)

    def monotonic(self) -> float:
        return self.time

    def draw(self) -> float:
        return 0.5

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def start(self, steps: Steps, flight: Flight) -> bool:
        self.threads.append(steps)
        self.flight = flight
        return True

    def answer(self) -> Outcome:
        self.time += self.rng.choice((0.1, 2.0, 11.5))
        return self.rng.choice(
            (
                Granted(access_token="token", expires_in=3600, scope=None),
                Refused(status=429, retryable=True, retry_after=7.0),
                Refused(status=401, error="invalid_client"),
                Unreachable(reason="down"),
                Unreachable(reason="down"),
            )
        )


def spied(script: Script, patch: pytest.MonkeyPatch, module: Any) -> None:
    """Note the commands that the machine gives to a driver."""
    real: Callable[..., Any] = module.acquire

    class Machine:
        def __init__(self, *values: Any, has_cache: bool) -> None:
            self.machine = real(*values, has_cache=has_cache)

        def send(self, done: Any) -> Command:
            command: Command = self.machine.send(done)
            script.commands.append(command)
            return command

    patch.setattr(module, "acquire", Machine)


def outcome(script: Script) -> object:
    """What is known after a flight, and what it came to."""
    return script.strategy.state, script.flight.ending[0], script.flight.is_over, script.flight.asked, script.time


def stepped(seed: int, patch: pytest.MonkeyPatch) -> tuple[list[Command], object]:
    """Let `process` make a flight."""
    from tests.simulation import process

    script = Script(seed)
    spied(script, patch, process)
    caller = begun(script)
    (thread,) = script.threads
    answer: Any = None
    while True:
        try:
            step = run_on(script, lambda answer=answer: thread.send(answer))  # type: ignore[misc]
        except StopIteration:
            break
        answer = script.answer() if isinstance(step, Send) else None
        if isinstance(step, Sleep):
            script.sleep(step.seconds)
    caller.close()
    return script.commands, outcome(script)


def driven(seed: int, patch: pytest.MonkeyPatch) -> tuple[list[Command], object]:
    """Let the product's driver make the same flight."""
    script = Script(seed)
    spied(script, patch, driver)
    caller = begun(script)

    async def attempt(*_: object) -> Attempted:
        return Attempted(script.answer())

    patch.setattr(driver, "attempt", attempt)
    patch.setattr(driver, "time", script)
    patch.setattr(driver, "dice", script.draw)
    driver.fly(script.flight)
    caller.close()
    return script.commands, outcome(script)


def begun(script: Script) -> Generator[Any, Any, Any]:
    """Let a caller begin a flight, and wait for it in one of two cases."""
    caller = run_on(script, lambda: script.strategy.call())
    step = run_on(script, lambda: next(caller))
    assert isinstance(step, Wait)
    if script.rng.random() < 0.7:
        step.flight.call_when_ready(lambda: None)
    return caller


def test_the_steps_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the same answers, both perform the same commands, remember the same and come to the same end."""
    lengths: set[int] = set()
    with virtual_time():
        for seed in range(60):
            with monkeypatch.context() as patch:
                ours = stepped(seed, patch)
            with monkeypatch.context() as patch:
                assert driven(seed, patch) == ours
            assert isinstance(ours[0][2], LookUp)
            lengths.add(len(ours[0]))
    assert len(lengths) > 2

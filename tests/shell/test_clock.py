"""The clocks of the system."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import math
import os
import random
import time
from typing import Any

import pytest

from client_credentials._shell import clock
from client_credentials.testing import FakeClock


@pytest.mark.parametrize("named", [["CLOCK_BOOTTIME"], ["CLOCK_BOOTTIME", "CLOCK_MONOTONIC"]])
def test_a_clock_that_is_named_and_refused(monkeypatch: pytest.MonkeyPatch, named: list[str]) -> None:
    """I12, Q8/process: the first monotonic clock that really answers is taken, whatever the system's headers name."""
    refused = {getattr(time, name, None) for name in named}
    real = time.clock_gettime

    def refusing(number: int) -> float:
        if number in refused:
            raise OSError(22, "Invalid argument")
        return real(number)

    first: Any = clock._answering()
    assert (getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC),) == first.args
    monkeypatch.setattr(time, "clock_gettime", refusing)
    second: Any = clock._answering()
    assert second() == pytest.approx(time.monotonic(), abs=30)
    assert (() if len(named) == 2 else (time.CLOCK_MONOTONIC,)) == getattr(second, "args", ())
    monkeypatch.delattr(time, "clock_gettime")
    assert clock._answering() is time.monotonic


@pytest.mark.parametrize("wall", [math.inf, -math.inf, math.nan])
def test_a_clock_that_tells_no_time(wall: float) -> None:
    """A clock that is infinite says as little as one that says NaN: the other one counts."""
    mine = FakeClock()
    mine.wall = lambda: wall  # type: ignore[method-assign]
    instant = clock.read(mine)
    assert math.isnan(instant.wall)
    assert mine.monotonic() == instant.monotonic


def test_the_clocks_of_the_system() -> None:
    """They are read at every step without being called, and tell the same then."""
    mine = clock.SystemClock()
    before, now, after = mine.monotonic(), clock.read(mine), mine.monotonic()
    assert before <= now.monotonic <= after
    assert pytest.approx(mine.wall(), abs=30) == now.wall == pytest.approx(time.time(), abs=30)


def test_dice() -> None:
    """They fall anywhere from 0 to 1, whatever a program makes of `random`."""
    drawn: list[float] = []
    for _ in range(200):
        random.seed(1)
        drawn.append(clock.dice())
    assert 0 <= min(drawn) < 0.5 < max(drawn) < 1
    assert 200 == len(set(drawn))


def test_dice_of_a_fleet() -> None:
    """Forked children draw other numbers than their parent, which has drawn some."""
    clock.dice()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, repr(clock.dice()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as drawn:
        assert clock.dice() != float(drawn.read())

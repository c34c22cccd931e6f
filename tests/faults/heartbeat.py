"""How long an event loop is held up: a task that beats each millisecond, and the slowest case that we know of.

`make bench` runs it in processes of its own. The loop may wait for the interpreter's lock, a turn of which takes 5 ms
(`sys.getswitchinterval`).
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncGenerator

import uvloop

from client_credentials import (
    AsyncClientCredentialsStrategy,
    CacheEntry,
    InMemoryCachingStrategy,
)
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, make_async

SLOW = 0.3
BEAT = 0.001
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncGenerator[list[float]]:
    """Measure while a block runs: the seconds by which each beat comes late."""
    late: list[float] = []

    async def beat() -> None:
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            late.append(time.monotonic() - due)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    yield late
    beating.cancel()


class Sluggish(InMemoryCachingStrategy):
    """A cache that takes 0.3 s for everything but its lock."""

    def get(self, key: str) -> CacheEntry | None:
        time.sleep(SLOW)
        return super().get(key)

    def set(self, key: str, value: str, ttl: float) -> None:
        time.sleep(SLOW)
        super().set(key, value, ttl)


def dawdle(*_: object) -> None:
    """Be a slow hook."""
    time.sleep(SLOW)


def make_slow(server: TokenServer, clock: FakeClock) -> AsyncClientCredentialsStrategy:
    """Make a strategy whose server, cache and hook are all slow."""
    server.always(Answer(delay=SLOW))
    return make_async(server, clock, hooks={"caching_strategy": Sluggish(clock=clock), "before_request": dawdle})


async def live(strategy: AsyncClientCredentialsStrategy, clock: FakeClock) -> None:
    """Do all that a strategy does: misses, a request, a hit, a renewal, a removal."""
    assert await strategy.get_access_token() is None
    await strategy.get_or_create_access_token()
    clock.advance(3500)
    await strategy.get_or_create_access_token()
    await strategy.remove_access_token()
    await strategy.get_access_token()


async def measure(server: TokenServer) -> list[float]:
    """Give the latest beat with a strategy at work for the first time, for the second, and of an idle loop."""
    latest: list[float] = []
    began = time.monotonic()
    for _ in range(2):
        clock = FakeClock()
        async with heartbeat() as late:
            await live(make_slow(server, clock), clock)
        latest.append(max(late))
    async with heartbeat() as late:
        await asyncio.sleep((time.monotonic() - began) / 2)
    return [*latest, max(late)]


def held_up(loop: str) -> tuple[str, str, str]:
    """Measure in processes of their own; gives a line of `make bench`: medians, and the worst, in milliseconds."""
    command = [sys.executable, "-m", "tests.faults.heartbeat", loop]
    runs = [subprocess.run(command, capture_output=True, check=True).stdout.split() for _ in range(7)]
    first, later, idle = (sorted(float(word) * 1e3 for word in words) for words in zip(*runs, strict=True))
    told = f"{later[3]:.1f} ms (to {later[-1]:.1f}), idle {idle[3]:.1f}, first use {first[3]:.1f}"
    return f"latest beat of {loop}, slow server, cache and hooks", told, "at most 5 ms"


if __name__ == "__main__":
    with TokenServer(CLIENT_ID, CLIENT_SECRET) as own, asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        print(*runner.run(measure(own)))

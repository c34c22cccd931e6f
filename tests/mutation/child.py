"""A process in which one mutant is tested, as its parent sees it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import attrs


@attrs.define
class Child:
    """A process in which a mutant is tested, and since when its present test has run."""

    pid: int
    pipe: int
    slot: int
    done: Callable[[int, int | None], None]
    limits: dict[int, float]
    test: int | None = None
    until: float = 0.0

    def listen(self) -> None:
        """Take note of the test that runs now."""
        with suppress(BlockingIOError):
            said = os.read(self.pipe, 4096).split()
            if said:
                self.test = int(said[-1])
                self.until = time.monotonic() + self.limits[self.test]

    def end(self, status: int) -> None:
        """End what is left of it, and give its exit status."""
        self.listen()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        self.done(status, self.test)

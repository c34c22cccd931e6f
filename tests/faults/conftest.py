"""The same server, clock, event loop and strategies as in the suite of both strategies."""

from __future__ import annotations

from tests.shell.conftest import clock, loop, make, no_defect, server

__all__ = ["clock", "loop", "make", "no_defect", "server"]

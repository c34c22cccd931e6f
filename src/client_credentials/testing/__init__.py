"""What the tests of a program that uses access tokens need: a token endpoint on loopback and a clock that obeys."""

from __future__ import annotations

from .clock import FakeClock
from .endpoint import Answer, ReceivedRequest, refusal
from .server import TokenServer

__all__ = ["Answer", "FakeClock", "ReceivedRequest", "TokenServer", "refusal"]

"""Test doubles for programs that use access tokens: a token endpoint on loopback and a fake clock.

`drills` tests token holders, `contracts` caches and strategies, `strategies` draws values with hypothesis, and
`simulation` says how a fleet fares.
"""

from __future__ import annotations

from .clock import FakeClock
from .endpoint import Answer, ReceivedRequest, refusal
from .server import TokenServer

__all__ = ["Answer", "FakeClock", "ReceivedRequest", "TokenServer", "refusal"]

"""Test doubles for programs that use access tokens: a token endpoint, a fake clock, a given token.

`drills` tests token holders, `contracts` caches and strategies, `strategies` draws values with hypothesis, and
`simulation` says how a fleet fares.
"""

from __future__ import annotations

from .clock import FakeClock
from .endpoint import Answer, ReceivedRequest, refusal
from .server import TokenServer
from .static import AsyncStaticStrategy, StaticStrategy

__all__ = [
    "Answer",
    "AsyncStaticStrategy",
    "FakeClock",
    "ReceivedRequest",
    "StaticStrategy",
    "TokenServer",
    "refusal",
]

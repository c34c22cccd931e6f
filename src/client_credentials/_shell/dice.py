"""Randomness for jitter, in numbers from 0 to 1."""

from __future__ import annotations

import os


def dice() -> float:
    """Draw a random number from 0 to 1; from the system, since programs seed `random`, and forks share its state."""
    return int.from_bytes(os.urandom(7), "big") / 2**56

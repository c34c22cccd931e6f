"""What a journey does to the world, one step at a time; the world answers when it pleases."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

import attrs

from client_credentials import CacheEntry
from client_credentials._core.model import Outcome

T = TypeVar("T")


@attrs.frozen
class Get:
    """Read an entry; the answer is one or None."""

    key: str


@attrs.frozen
class Put:
    """Write an entry; None: remove it."""

    key: str
    entry: CacheEntry | None


@attrs.frozen
class Lock:
    """Try for a lock; the answer is whether it was got, or None where there is none to be had."""

    key: str
    ttl: float


@attrs.frozen
class Unlock:
    """Give a lock back."""

    key: str


@attrs.frozen
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@attrs.frozen
class Fetch:
    """Make a token request; the answer is its outcome."""

    timeout: float


CacheStep: TypeAlias = Get | Put | Lock | Unlock
Step: TypeAlias = CacheStep | Sleep | Fetch
Answer: TypeAlias = CacheEntry | Outcome | bool | None
Steps: TypeAlias = Generator[Step, Answer, T]

"""What must not be inherited by a forked child: locks that another thread held, calls that it was making."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol, cast
from weakref import WeakValueDictionary


class Forkable(Protocol):
    """An object that has something to forget in a forked child."""

    def _after_fork(self) -> None: ...


_alive: Final[WeakValueDictionary[int, Forkable]] = WeakValueDictionary()
"""By identity, since two may compare equal."""


def survive_fork(item: Forkable) -> None:
    """Call `item._after_fork()` in each forked child; only a weak reference is kept."""
    _alive[id(item)] = item


def _after_fork_in_child() -> None:
    for item in tuple(_alive.values()):
        item._after_fork()  # pyright: ignore[reportPrivateUsage]


# Where there is no fork there is no such function.
_register = cast("Callable[..., None]", getattr(os, "register_at_fork", dict))
_register(after_in_child=_after_fork_in_child)

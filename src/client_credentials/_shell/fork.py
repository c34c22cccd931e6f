"""What must not be inherited by a forked child: locks that another thread held, requests that it was making."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol, cast
from weakref import WeakSet


class Forkable(Protocol):
    """Whatever has something to forget in a forked child."""

    def _after_fork(self) -> None: ...


_LATE: Final = ("random", "cattrs", "client_credentials._http.transport")
"""What is imported with the first request."""

_alive: Final[WeakSet[Forkable]] = WeakSet()


def survive_fork(item: Forkable) -> None:
    """Have `item` told, in the child, that the process was forked; it is not kept alive for that."""
    _alive.add(item)


def _before_fork() -> None:
    # Another thread may be importing one of them right now; a child would wait for ever for that to end.
    for name in _LATE:
        if name in sys.modules:
            import_module(name)


def _after_fork_in_child() -> None:
    for item in tuple(_alive):
        item._after_fork()  # pyright: ignore[reportPrivateUsage]


# Where there is no fork there is no such function.
_register = cast("Callable[..., None]", getattr(os, "register_at_fork", dict))
_register(before=_before_fork, after_in_child=_after_fork_in_child)

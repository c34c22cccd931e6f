"""Values that succeed each other, without a lock that an interrupt could leave taken."""

from __future__ import annotations

from typing import Self


class Link:
    """One of a succession of values; its successor is whichever is put there first.

    `dict.setdefault` is one step, so that a caller who is interrupted at any bytecode has done all of it or nothing.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[None, Self] = {}

    def succeed(self, new: Self) -> Self:
        """Make `new` the successor of this one unless it has one, and return the successor."""
        return self._next.setdefault(None, new)

    @property
    def is_succeeded(self) -> bool:
        """Whether there is a newer one."""
        return bool(self._next)

    def latest(self) -> Self:
        """Give the newest of the succession."""
        link = self
        while (successor := link._next.get(None)) is not None:
            link = successor
        return link

"""Values of which each replaces the one before, without a lock that an interrupt could leave taken."""

from __future__ import annotations

from typing import Self


class Link:
    """One of a chain of values; the next one is whichever is put there first.

    `dict.setdefault` is one step, so that a caller who is interrupted at any bytecode has done all of it or nothing.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[None, Self] = {}

    def append(self, new: Self) -> Self:
        """Make `new` the next one unless there is one, and return the next one."""
        return self._next.setdefault(None, new)

    @property
    def has_next(self) -> bool:
        """Whether there is a next one."""
        return bool(self._next)

    def latest(self) -> Self:
        """Return the newest of the chain."""
        link = self
        while (following := link._next.get(None)) is not None:
            link = following
        return link

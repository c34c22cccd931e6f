"""Values that are put there once, without a lock that an interrupt could leave taken."""

from __future__ import annotations

from typing import Self, TypeVar

T = TypeVar("T")


class First(dict[None, T]):
    """A place for one value; of several callers the first one puts it there.

    `dict.setdefault` is one step, so that a caller who is interrupted at any bytecode has done all of it or nothing.
    """

    __slots__ = ()

    def put(self, value: T) -> bool:
        """Put a value there, if there is none; tells whether it was put there."""
        return self.setdefault(None, value) is value


class Link:
    """One of a succession of values; its successor is whichever is put there first."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: First[Self] = First()

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

"""The wrapper that holds a client secret and never shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn, final

REDACTED: Final = "**********"


@final
class Secret:
    """A secret, or the callable that gives the current one; it never shows itself and cannot be pickled.

    The value stays in a closure, where `vars`, `inspect.getmembers` and a walk over the slots do not look.
    """

    __slots__ = ("_read",)

    def __init__(self, source: str | Callable[[], str]) -> None:
        self._read: Callable[[], str] = source if callable(source) else lambda: source

    def reveal(self) -> str:
        """The bare value; what a user's callable raises comes through."""
        return self._read()

    def __repr__(self) -> str:
        return REDACTED

    def __format__(self, _: str) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client secret cannot be pickled or copied")


NO_SECRET: Final = Secret("")
"""The secret of a client whose TLS certificate is the proof."""

"""The one wrapper that a client secret lives in, and what keeps its like out of every text we write."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import NoReturn, final
from urllib.parse import quote, quote_plus

REDACTED = "**********"

_UNPRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")


@final
class Secret:
    """A secret, or the callable that gives the present one; it never shows itself and never travels.

    The value stays in a closure, where `vars`, `inspect.getmembers` and a walk over the slots do not look.
    """

    __slots__ = ("_read",)

    def __init__(self, source: str | Callable[[], str]) -> None:
        self._read: Callable[[], str] = (lambda: source) if isinstance(source, str) else source

    def reveal(self) -> str:
        """Give the bare value; what a user's callable raises comes through."""
        return self._read()

    def __repr__(self) -> str:
        return REDACTED

    def __format__(self, _: str) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client secret cannot be pickled or copied")


def printable(text: str) -> str:
    """Keep the characters that RFC 6749 section 5.2 allows in an error's text."""
    return _UNPRINTABLE.sub("", text)


def needles(*secrets: str) -> frozenset[str]:
    """Every form in which one of these may come back: raw, percent-encoded, base64, JSON-escaped, stripped."""
    forms: set[str] = set()
    for secret in filter(None, secrets):
        raw = secret.encode("utf-8", "replace")
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) > 0x7E else c for c in secret)
        forms.update((secret, quote(secret, safe=""), quote_plus(secret), escaped.replace('"', '\\"')))
        forms.update(
            form.rstrip("=") for form in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
        )
    return frozenset(filter(None, forms | {printable(form) for form in forms}))


def redact(text: str | None, hidden: Iterable[str]) -> str | None:
    """Make a stranger's text fit to be shown: RFC 6749's characters alone, and nothing of ours in them."""
    if text is None:
        return None
    found = printable(text)
    for needle in sorted(hidden, key=len, reverse=True):
        found = re.sub(re.escape(needle), REDACTED, found, flags=re.IGNORECASE)
    return found

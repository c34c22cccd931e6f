"""The one wrapper that a client secret lives in, and what keeps its like out of every text we write."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
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
        self._read: Callable[[], str] = source if callable(source) else lambda: source

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
    """Every form in which one of these may come back, as `printable` leaves it.

    Raw, percent-encoded, base64 or JSON-escaped; half a surrogate pair, which a stranger's JSON may hold, is one too.
    """
    forms: set[str] = set()
    for secret in secrets:
        raw = secret.encode("utf-8", "surrogatepass")
        # Encoders differ in what they leave alone: all but the unreserved, a path's slash, what JavaScript spares.
        forms.update(quote(raw, safe=spared) for spared in ("", "/", "!*'()"))
        forms.update(form.decode().rstrip("=") for form in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)))
        forms.update((secret, quote_plus(raw), json.dumps(secret)[1:-1]))
    return frozenset(filter(None, map(printable, forms)))


def redact(text: str | None, hidden: Iterable[str]) -> str | None:
    """Make a stranger's text fit to be shown: RFC 6749's characters alone, and none of these needles in any case."""
    if text is None:
        return None
    found = printable(text)
    for needle in sorted(filter(None, hidden), key=len, reverse=True):
        found = REDACTED.join(_around(needle.lower(), found))
    return found


def _around(needle: str, text: str) -> Iterator[str]:
    # No regular expression: `re` would keep the needle in a cache of its own.
    start, lowered = 0, text.lower()
    while (at := lowered.find(needle, start)) >= 0:
        yield text[start:at]
        start = at + len(needle)
    yield text[start:]

"""What may be shown of a text from outside: printable ASCII, cut to a length, and nothing that holds a secret.

A text that holds a secret in any reading is hidden as a whole, so the work is linear in the text and no text grows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import unescape
from itertools import islice
from typing import Final, cast, final
from urllib.parse import quote_plus, unquote

import attrs

from .secret import REDACTED

LONGEST_TEXT: Final = 4096
MOST_MEMBERS: Final = 256
"""The most members without a name in the RFC that are kept."""
_LONGEST_MEMBERS: Final = 16384
"""The most characters of all of them together."""
_DEEPEST: Final = 64
"""How deeply lists and mappings may be nested."""
_PIECE: Final = 10
"""How many characters of a secret in a row count as a leak."""
_SHORTEST: Final = 6
"""Shorter forms stand in texts by chance; only the client secret itself is looked for at any length."""
LONGEST_TOKEN: Final = 65536
_LONG: Final = 512
_STRIDE: Final = 64
"""Of a form longer than `_LONG`, every 64th piece is looked for, so 73 characters in a row give it away."""

_UNPRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")
_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7E]")
_CODE = re.compile(r"[a-z_]{1,40}")
_ESCAPE = re.compile(
    # A backslash first in any case, which the engine looks for quickly.
    r"\\+(?:(x[0-9A-Fa-f]{2}(?:\\+x[0-9A-Fa-f]{2})*)|u([0-9A-Fa-f]{4})|U(0010[0-9A-Fa-f]{4}|000[0-9A-Fa-f]{5})|(.))",
    re.DOTALL,
)


def printable(text: str) -> str:
    """Keep the characters that RFC 6749 section 5.2 allows in an error's text."""
    return _UNPRINTABLE.sub("", text)


def is_code(text: str) -> bool:
    """Whether a text looks like an error code of some standard."""
    return bool(_CODE.fullmatch(text))


def encoded_forms(text: str) -> Mapping[str, str]:
    """Base64 at each of the three places within a longer text, and hex, each as `readings` gives it, with its name."""
    forms: dict[str, str] = {}
    for raw in dict.fromkeys((text.encode("utf-8", "surrogatepass"), quote_plus(text, errors="replace").encode())):
        for offset, first in enumerate((0, 2, 3)):
            # Less the characters that the neighbours share.
            last = (offset + len(raw)) * 8 // 6
            forms[_normal(base64.b64encode(bytes(offset) + raw).decode()[first:last])] = "base64"
        forms[raw.hex()] = "hex"
    return forms


def readings(text: str) -> Iterable[str]:
    """The text as it stands and as a percent, JSON, Python or HTML decoder reads it, without case.

    Only printable characters of it are shown, so each reading is also looked at without the rest.
    """
    once = unquote(text)
    twice = unquote(once)
    decoded = dict.fromkeys((text, unescape(text), _unescaped(text), once, twice, _unescaped(unescape(twice))))
    return dict.fromkeys(_normal(each) for plain in decoded for each in (plain, printable(plain)))


@attrs.frozen(eq=False, repr=False)
class Needles:
    """What is looked for: forms of secrets as a whole, and pieces of the longer ones."""

    whole: frozenset[str] = frozenset()
    pieces: frozenset[str] = frozenset()

    def __or__(self, other: Needles) -> Needles:
        return Needles(self.whole | other.whole, self.pieces | other.pieces)

    def are_in(self, reading: str, shortest: int) -> bool:
        """Whether one reading of a text holds any of them."""
        if any(form in reading for form in self.whole if len(form) >= shortest):
            return True
        return not self.pieces.isdisjoint(_windows(reading))


def needles(
    secret: str = "", others: Iterable[str] = (), messages: Iterable[str] = (), public: Iterable[str] = ()
) -> Needles:
    """Look for a secret of any length, for `others` from six characters on, and for `messages` where they are encoded.

    Pieces that `public` texts have in common with a secret are no secret.
    """
    values = [value for value in (secret, *others) if value == secret != "" or len(value) >= _SHORTEST]
    whole = {_normal(form) for value in values for form in (value, value.replace(" ", "+"))}  # a plus is a form's space
    forms = {form for text in (*values, *messages) for form in encoded_forms(text)}
    forms.update(_normal(printable(value)) for value in values)
    whole.update(form for form in forms if len(form) >= _SHORTEST)
    known = {piece for text in public for reading in readings(text) for piece in _windows(reading)}
    pieces = {piece for form in whole for piece in _windows(form, _STRIDE if len(form) > _LONG else 1)}
    return Needles(frozenset(whole), frozenset(pieces - known))


@final
class Hidden:
    """What must not be shown. Its needles are made when there is a text to look at, and it shows none of them."""

    __slots__ = ("_cached", "_make")

    def __init__(self, make: Callable[[], Needles] = Needles) -> None:
        self._make = make
        self._cached: Callable[[], Needles] | None = None

    def _needles(self) -> Needles:
        # Not before there is a text to look at, as with most answers; in a cache, where no walk over slots finds them.
        if self._cached is None:
            self._cached = cache(self._make)
        return self._cached()

    def beside(self, tokens: Iterable[object]) -> Hidden:
        """Also hide these tokens of an answer; what is not a string is skipped."""
        texts = [token[:LONGEST_TOKEN] for token in tokens if isinstance(token, str) and len(token) >= _SHORTEST]
        return Hidden(lambda: self._needles() | needles(others=texts)) if texts else self

    def holds(self, text: str, shortest: int = 1) -> bool:
        """Whether a text holds one of the secrets, or ten characters of one, in any reading."""
        known = self._needles()
        return bool(known.whole) and any(known.are_in(reading, shortest) for reading in readings(text))

    def shown(self, text: str, longest: int = LONGEST_TEXT) -> str:
        """A text as it may be shown."""
        return self._cut(_UNPRINTABLE, text, longest)

    def shown_header(self, text: str) -> str:
        """A header's value as it may be shown, which can still be parsed."""
        return self._cut(_NOT_IN_HEADERS, text, LONGEST_TEXT)

    def shown_code(self, code: str) -> str:
        """An error code as it may be shown: it is a word of some standard, if it looks like one."""
        if is_code(code):
            return REDACTED if code in self._needles().whole else code
        return self.shown(code, 256)

    def shown_members(self, members: Iterable[tuple[object, object]]) -> dict[str, object]:
        """The members of an answer that may be kept: those that hold no secret, as far as there is room for them."""
        kept: dict[str, object] = {}
        room = _LONGEST_MEMBERS
        for name, value in islice(members, MOST_MEMBERS):
            text = _text_of((name, value), room)
            if text is None:
                continue
            room -= len(text)
            if isinstance(name, str) and not self.holds(text, _SHORTEST):
                kept[name] = value
        return kept

    def shown_scope(self, scope: str | None) -> str | None:
        """A scope, unless it holds a secret."""
        return scope if scope and len(scope) <= _LONGEST_MEMBERS and not self.holds(scope, _SHORTEST) else None

    def _cut(self, unfit: re.Pattern[str], text: str, longest: int) -> str:
        # What is cut off is searched for as far as a piece may reach.
        near = text[: longest + 256]
        return REDACTED if self.holds(near) else unfit.sub("", near)[:longest]


NOTHING: Final = Hidden()
"""No secret is known, as in a text from a cache, which was clean when it was written."""


def _normal(text: str) -> str:
    # Base64 has two alphabets.
    return text.lower().replace("+", "-").replace("/", "_")


def _windows(text: str, stride: int = 1) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(0, len(text) - _PIECE + 1, stride))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    # Pairs of surrogates become the character that they stand for.
    return _ESCAPE.sub(_escaped, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(found: re.Match[str]) -> str:
    if found[1]:
        raw = bytes.fromhex(found[1].replace("\\", "").replace("x", ""))
        return raw.decode("latin-1" if raw.decode(errors="ignore").encode() != raw else "utf-8")
    point = found[2] or found[3]
    return chr(int(point, 16)) if point else found[4]


def _text_of(value: object, room: int) -> str | None:
    """Everything that a member says; None: more than there is room for, too deep, or nothing that can be searched."""
    said: list[str] = []
    waiting = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, Mapping):
            found = list(cast("Mapping[object, object]", found).items())
        if isinstance(found, list | tuple):
            parts = cast("Sequence[object]", found)
            room -= len(parts)
            if room < 0 or depth == _DEEPEST:
                return None
            waiting += ((part, depth + 1) for part in parts)
            continue
        try:
            said.append(found if isinstance(found, str) else repr(found))
        except Exception:  # a user's deserializer may have made it
            return None
        room -= len(said[-1])
        if room < 0:
            return None
    return "\n".join(said)

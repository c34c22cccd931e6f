"""What must not be seen, in all the forms in which it might be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import attrs

import client_credentials

PACKAGE: Final = Path(client_credentials.__path__[0])

SHORTEST: Final = 6
"""A shorter secret or token is no canary: it stands in texts by chance."""
_FEWEST: Final = 4  # different characters, for the same reason: hypothesis is fond of zeros
_SHORTEST_BASE64: Final = 8
_DIGESTS: Final = ("md5", "sha1", "sha256", "sha512")


@attrs.frozen
class Hit:
    """A canary that was seen: where, in which form, and the text around it; the canary itself is left out."""

    where: str
    form: str
    canary: str
    around: str

    def __str__(self) -> str:
        return f"{self.where}: {self.canary}, {self.form}, in {self.around!r}"


def is_canary(text: str) -> bool:
    """Whether a text is fit to be looked for: neither short, nor of few characters, nor a word of our own source."""
    return len(text) >= SHORTEST and len(set(text)) >= _FEWEST and text.lower() not in _vocabulary()


@cache
def _vocabulary() -> str:
    return "".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))).lower()


@lru_cache(1024)
def forms(canary: str) -> Mapping[str, str]:
    """Give the texts that give a canary away, in lower case, with the name of each form."""
    raw = canary.encode("utf-8", "surrogatepass")
    found = {encoded.lower(): "base64" for encoded in _base64(raw)}
    # An unsalted digest of a weak secret gives it away too.
    found |= {hashlib.new(name, raw).hexdigest(): f"{name} digest" for name in _DIGESTS}
    found |= {json.dumps(canary, ensure_ascii=escaped)[1:-1].lower(): "JSON-escaped" for escaped in (True, False)}
    found |= {text[1:-1].lower(): "Python-escaped" for text in (repr(canary), ascii(canary), repr(raw)[1:])}
    encoded = (*(quote(raw, safe=spared) for spared in ("", "/", "!*'()")), quote_plus(raw))
    found |= {text.lower(): "percent-encoded" for text in (*encoded, "".join(f"%{byte:02x}" for byte in raw))}
    return found | {canary.lower(): "raw"}


def _base64(raw: bytes) -> Iterator[str]:
    """Encode at each of the three places within a longer text, less the characters that its neighbours share."""
    for offset in range(3):
        first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(offset) + raw).decode()[first:last]
            if len(text) >= _SHORTEST_BASE64:
                yield text


def search(texts: Mapping[str, str], canaries: Iterable[str]) -> list[Hit]:
    """Look for canaries in texts, which map to where they were found."""
    # One text for one pass each: there are few hits and many needles.
    whole = "\n".join(texts).lower()
    found = ((canary, needle, form) for canary in canaries for needle, form in forms(canary).items() if needle in whole)
    return [_hit(where, text, *each) for each in found for text, where in texts.items() if each[1] in text.lower()]


def _hit(where: str, text: str, canary: str, needle: str, form: str) -> Hit:
    at = text.lower().find(needle)
    around = text[max(at - 60, 0) : at + len(needle) + 60]
    for each in sorted(forms(canary), key=len, reverse=True):
        around = re.sub(re.escape(each), "<here>", around, flags=re.IGNORECASE)
    return Hit(where, form, f"{canary[:2]}... ({len(canary)} characters)", around)

"""What must not be seen, in all the forms in which it might be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import attrs

import client_credentials
from client_credentials._core.redaction import encoded_forms, readings

PACKAGE: Final = Path(client_credentials.__path__[0])

SHORTEST: Final = 6
"""A shorter secret or token is no canary: it stands in texts by chance."""
_FEWEST: Final = 4  # different characters, for the same reason: hypothesis is fond of zeros
_SHORTEST_ENCODED: Final = 8
_MANY: Final = 2000
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
    """Give the texts that give a canary away in some reading of what is shown, with the name of each form."""
    raw = canary.encode("utf-8", "surrogatepass")
    encoded = {form: name for form, name in encoded_forms(canary).items() if len(form) >= _SHORTEST_ENCODED}
    # An unsalted digest of a weak secret gives it away too.
    digests = {hashlib.new(name, raw).hexdigest(): f"{name} digest" for name in _DIGESTS}
    return encoded | digests | {next(iter(readings(canary))): "raw"}


def search(texts: Mapping[str, str], canaries: Iterable[str]) -> list[Hit]:
    """Look for canaries in texts, which map to where they were found, as the package looks for secrets."""
    # One text for all: there are few hits and many needles. Of many, most are ruled out by their beginnings.
    whole = "\0".join(readings("\n".join(texts)))
    needles = [(canary, needle, form) for canary in canaries for needle, form in forms(canary).items()]
    if len(needles) > _MANY:
        begun = {whole[at : at + SHORTEST] for at in range(len(whole))}
        needles = [each for each in needles if each[1][:SHORTEST] in begun]
    found = [each for each in needles if each[1] in whole]
    return [
        _hit(where, reading, *each)
        for each in found
        for text, where in texts.items()
        for reading in [next((reading for reading in readings(text) if each[1] in reading), None)]
        if reading is not None
    ]


def _hit(where: str, reading: str, canary: str, needle: str, form: str) -> Hit:
    at = reading.find(needle)
    around = reading[max(at - 60, 0) : at + len(needle) + 60]
    for each in sorted(forms(canary), key=len, reverse=True):
        around = around.replace(each, "<here>")
    return Hit(where, form, f"{canary[:2]}... ({len(canary)} characters)", around)

"""What may be shown of a text from outside: no secret in any reading, and never more than was said."""

from __future__ import annotations

import base64
import html
import json
import re
import string
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from client_credentials._core.redaction import (
    LONGEST_TEXT,
    MOST_MEMBERS,
    NOTHING,
    Hidden,
    encoded_forms,
    is_code,
    needles,
    printable,
)
from client_credentials._core.secret import REDACTED
from tests.strategies import VISIBLE, credentials, json_values

CANARY: Final = "c4nary-5ecret"

FIT: Final = set(string.printable[:95]) - set('"\\')


def hiding(*secrets: str) -> Hidden:
    """Something that hides these, whatever their length."""
    return Hidden(lambda: needles(secrets[0], secrets[1:]))


def transports() -> Mapping[str, Callable[[str], str]]:
    """The ways in which a server, a proxy or a logger may repeat a text."""
    encoded: dict[str, Callable[[str], str]] = {
        "raw": str,
        "percent": lambda text: quote(text, safe=""),
        "percent, twice": lambda text: quote(quote(text, safe=""), safe=""),
        "percent, lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
        "percent, slashes kept": quote,
        "percent, as JavaScript does": lambda text: quote(text, safe="!'()*"),
        "percent, every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
        "form": quote_plus,
        "urlencode": lambda text: urlencode({"~": text, "~~": ""}),
        "JSON": json.dumps,
        "JSON, upper case": lambda text: re.sub(r"(?<=\\u)....", lambda found: found[0].upper(), json.dumps(text)),
        "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
        "JSON, slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
        "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
        "Python": repr,
        "Python, bytes": lambda text: repr(text.encode()),
        "HTML": html.escape,
        "HTML, by number": lambda text: "".join(f"&#{ord(character)};" for character in text),
        "upper case": lambda text: text.upper() if text.isascii() else text,
        "interrupted": lambda text: "\x1b".join(text),
    }
    return encoded


def blocks() -> Mapping[str, Callable[[bytes], str]]:
    """The ways in which bytes of a longer message may be repeated."""
    return {
        "base64": lambda raw: base64.b64encode(raw).decode(),
        "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode(),
        "base64, no padding": lambda raw: base64.b64encode(raw).decode().rstrip("="),
        "hex": bytes.hex,
        "hex, upper case": lambda raw: raw.hex().upper(),
    }


def tellable() -> st.SearchStrategy[str]:
    """Secrets of which enough can be printed to be recognised."""
    shown = st.text("".join(sorted(FIT)), min_size=6, max_size=9)
    return st.tuples(shown, credentials()).map("".join)


class TestHolds:
    """A text that holds a secret in any reading is hidden as a whole (raw, encoded, escaped, or most of it cut off)."""

    @pytest.mark.parametrize("form", transports())
    @pytest.mark.parametrize("secret", ["pä55/w+rd?\"\\'€😀", "a b%20c+d"])
    def test_nasty_secrets(self, form: str, secret: str) -> None:
        """Whatever reading shows it, nothing of the text is shown."""
        assert REDACTED == hiding(secret).shown(f"~ {transports()[form](secret)} ~")

    @pytest.mark.parametrize("escaped", [json.dumps, ascii])
    def test_escapes_alone(self, escaped: Callable[[str], str]) -> None:
        """Nor where no character of it stands for itself."""
        assert REDACTED == hiding("ключ€😀").shown(f"~ {escaped('ключ€😀')} ~")

    @given(st.sampled_from(sorted(transports())), tellable(), st.text(VISIBLE))
    def test_every_reading(self, form: str, secret: str, around: str) -> None:
        """Nor of any other secret, whatever stands around it."""
        assert REDACTED == hiding(secret).shown(f"{around} {transports()[form](secret)} {around}")

    @given(
        st.sampled_from(sorted(blocks())), st.text(VISIBLE, min_size=6), st.binary(max_size=20), st.binary(max_size=20)
    )
    def test_every_block(self, block: str, secret: str, before: bytes, after: bytes) -> None:
        """Base64 and hex are recognised wherever in a longer message the secret stands."""
        assert REDACTED == hiding(secret).shown(f"dump: {blocks()[block](before + secret.encode() + after)}")

    @pytest.mark.parametrize("secret", ["?" * 12, ">" * 12])
    def test_both_alphabets(self, secret: str) -> None:
        """Base64 has two, and in these a character in four is of one of them alone; each form says what it is."""
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            assert REDACTED == hiding(secret).shown(encode(secret.encode()).decode())
        assert {"base64", "hex"} == set(encoded_forms(secret).values())

    @given(st.text("abcXYZ019._-", min_size=1))
    def test_base64_beside_anything(self, secret: str) -> None:
        """Exactly those characters of it are looked for that the neighbours of the secret do not change."""
        forms = set[str]()
        for before in range(3):
            blocks = (side * before + secret.encode() + side * 6 for side in (b"\0", b"\xff"))
            pairs = zip(*(base64.urlsafe_b64encode(block).decode().rstrip("=") for block in blocks), strict=True)
            forms.add("".join(one for one, other in pairs if one == other).lower())
        assert forms == {form for form, name in encoded_forms(secret).items() if name == "base64"}

    @given(st.text(VISIBLE, min_size=10), st.data())
    def test_ten_characters_are_too_many(self, secret: str, data: st.DataObject) -> None:
        """Ten characters of it in a row give it away, wherever it was cut."""
        start = data.draw(st.integers(0, len(secret) - 10))
        assert hiding(secret).holds(f"<{secret[start : start + 10]}>")

    @given(st.text("abcdefgh", min_size=600, max_size=2000), st.data())
    def test_a_long_secret(self, secret: str, data: st.DataObject) -> None:
        """Of an assertion or a token of more than 512 characters, 73 in a row do."""
        start = data.draw(st.integers(0, len(secret) - 73))
        assert hiding(secret).holds(f"<{secret[start : start + 73]}>")

    def test_a_secret_that_is_just_not_long(self) -> None:
        """Of one of 512 characters ten are too many, too."""
        secret = "".join(f"{number:04x}" for number in range(128))
        assert [True, False] == [hiding(each).holds(secret[1:11]) for each in (secret, f"{secret}x")]

    @given(st.text(VISIBLE, min_size=1, max_size=5))
    def test_a_short_secret(self, secret: str) -> None:
        """The client secret is looked for at any length, other values from six characters on."""
        assert REDACTED == hiding(secret).shown(f"<{secret}>")
        assert f"<{printable(secret)}>" == hiding("another-secret", secret).shown(f"<{secret}>")

    def test_just_long_enough(self) -> None:
        """Six characters of a value are looked for; nine of a longer one, though they are its end, are too few."""
        hidden = hiding("the-secret-0123456789", "sixsix")
        assert [True, False] == list(map(hidden.holds, ("sixsix", "<123456789")))

    def test_messages_are_looked_for_encoded(self) -> None:
        """What is sent as it is, id and secret, say, is recognised in base64, and is no secret by itself."""
        hidden = Hidden(lambda: needles("the-secret-of-all", messages=["my-client:the-secret-of-all"]))
        assert REDACTED == hidden.shown(base64.b64encode(b"my-client:the").decode())
        assert "my-client:" == hidden.shown("my-client:")

    def test_what_is_public_is_no_secret(self) -> None:
        """A secret that begins like the client's id does not hide the id, but is hidden itself."""
        hidden = Hidden(lambda: needles("my-client-id-secret", public=["my-client-id"]))
        assert ("my-client-id is unknown", REDACTED) == (
            hidden.shown("my-client-id is unknown"),
            hidden.shown("-client-id-secret is wrong"),
        )

    def test_a_secret_that_is_public(self) -> None:
        """Where the secret is the id, whole texts with it are hidden all the same."""
        assert Hidden(lambda: needles("my-client-id", public=["my-client-id"])).holds("my-client-id is unknown")

    def test_half_a_surrogate_pair(self) -> None:
        """What no encoding knows, and JSON's escapes allow, is recognised like the rest."""
        assert REDACTED == hiding("\ud800abcdef").shown("\\ud800abcdef")

    @given(st.text(), st.lists(st.text(), max_size=3))
    def test_total(self, text: str, secrets: list[str]) -> None:
        """There is an answer for any text and any secrets."""
        assert isinstance(hiding("x", *secrets).holds(text), bool)

    def test_tokens_beside(self) -> None:
        """An answer's own tokens are secrets as well, and what is no text, or a short one, is none."""
        hidden = hiding(CANARY).beside(["a-token-of-the-answer", None, 5, "short"])
        assert [True, True, False] == list(map(hidden.holds, (CANARY, "a-token-of-the-answer", "short")))
        assert [True, True] == list(map(hidden.holds, (CANARY[:10], "a-token-of")))
        assert NOTHING is NOTHING.beside([None, "short"])
        assert NOTHING.beside(["sixsix"]).holds("sixsix")


class TestShown:
    """What may be shown is RFC 6749's characters alone, cut to a length; a text never grows by being cleaned."""

    @given(st.text(), st.integers(1, 300))
    def test_harmless_texts(self, text: str, longest: int) -> None:
        """Where there is nothing to hide, all that may be shown is, in its order."""
        kept = "".join(c for c in text if c in FIT)
        assert (kept, kept[:longest]) == (printable(text), NOTHING.shown(text, longest))
        assert "".join(c for c in text if " " <= c <= "~") == hiding(CANARY).shown_header(text)

    @given(st.text("*", min_size=1, max_size=9), st.integers(0, 9000))
    def test_it_never_grows(self, secret: str, length: int) -> None:
        """Not even if the secret is what hides it."""
        assert len(hiding(secret).shown("*" * length)) <= max(length, len(REDACTED))

    @given(st.integers(LONGEST_TEXT - 40, LONGEST_TEXT + 40))
    def test_a_cut_through_a_secret(self, before: int) -> None:
        """What stands across the cut is recognised by what stands behind it."""
        shown = hiding(CANARY).shown("x" * before + CANARY)
        assert REDACTED == shown or (before > LONGEST_TEXT and "x" * LONGEST_TEXT == shown)

    @pytest.mark.parametrize("code", ["invalid_client", "a", "x" * 40])
    def test_codes(self, code: str) -> None:
        """A code of some standard stays, though a secret is part of it, unless it is the secret."""
        assert is_code(code)
        assert (code, REDACTED) == (hiding(code[:-1] or "b").shown_code(code), hiding(code).shown_code(code))

    @pytest.mark.parametrize("text", ["", "Invalid", "x" * 41, "a b", "a1"])
    def test_what_is_no_code(self, text: str) -> None:
        """Anything else is a text."""
        assert not is_code(text)
        assert REDACTED == hiding(CANARY).shown_code(f"{text} {CANARY}")

    def test_nothing_is_kept(self) -> None:
        """O19: no cache of the interpreter's keeps a needle once it has been used."""
        secret = "-".join(("unlikely", "c4nary", "in", "any", "cache"))
        assert REDACTED == hiding(secret).shown(secret)
        caches: list[dict[Any, Any]] = [vars(re)[name] for name in vars(re) if name.startswith("_cache")]
        assert caches
        assert [] == [key for cache in caches for key in cache if "c4nary-in-any" in repr(key)]

    def test_it_shows_nothing_itself(self) -> None:
        """O1: neither what hides nor what it looks for shows a secret."""
        hidden = hiding(CANARY)
        assert hidden.holds(CANARY)
        assert CANARY not in f"{hidden!r} {hidden} {needles(CANARY)!r}"


class TestMembers:
    """What is kept of an answer's unknown members holds no secret of six characters or more, and is limited."""

    @given(st.text(VISIBLE, min_size=6), st.dictionaries(st.text(), json_values()), st.integers(0, 3), st.booleans())
    @example("soft\xadhyphen", {}, 1, False)
    @example("tag\U000e0001ged", {}, 1, True)
    @example("123456789012", {}, 0, False)
    def test_what_repeats_is_left_out(self, secret: str, others: dict[str, Any], depth: int, as_name: bool) -> None:
        """Wherever in a member the secret stands, the member goes, and every other stays as it was."""
        hidden = hiding(secret)
        echo: object = {secret: 1} if as_name else int(secret) if re.fullmatch("[1-9][0-9]+", secret) else f"<{secret}>"
        for _ in range(depth):
            echo = [echo]
        assume(not any(hidden.holds(repr(item)) for item in others.items()))
        members = {**others, "echo": echo, secret: 1}
        assert others == hidden.shown_members(members.items()) if "echo" not in others else True

    @given(st.text(VISIBLE, max_size=5))
    def test_short_secrets_are_not_looked_for(self, secret: str) -> None:
        """A word of five characters stands in members and scopes by chance."""
        hidden = hiding(secret)
        assert {"environment": secret} == hidden.shown_members([("environment", secret)])
        assert f"{secret}.read" == hidden.shown_scope(f"{secret}.read")

    def test_scopes(self) -> None:
        """A scope with the secret in it is none, nor is one that is longer than all members may be."""
        hidden = hiding(CANARY)
        assert [None, None, "a b"] == list(map(hidden.shown_scope, (None, f"a {CANARY}", "a b")))
        longest = "a " * 8192
        assert [longest, None] == list(map(hidden.shown_scope, (longest, f"{longest}a")))

    def test_there_are_not_too_many(self) -> None:
        """So many members are kept, and no more."""
        members = {f"m{number}": number for number in range(2 * MOST_MEMBERS)}
        assert MOST_MEMBERS == len(NOTHING.shown_members(members.items()))

    @pytest.mark.parametrize(
        "big", ["x" * 20_000, [0] * 20_000, dict.fromkeys(map(str, range(9000)), 0), [["x" * 9000] * 2]]
    )
    def test_nor_too_long(self, big: object) -> None:
        """A member that has more to say than there is room for is left out, and what comes after it is not."""
        assert {"a": 1, "b": 2} == hiding(CANARY).shown_members([("a", 1), ("big", big), ("b", 2)])

    @pytest.mark.parametrize("part", ["x", [""]])
    def test_as_long_as_it_may_be(self, part: str | list[str]) -> None:
        """Each character counts, and each part: name and value are two."""
        assert {"": part * 16_382} == NOTHING.shown_members([("", part * 16_382)])
        assert {} == NOTHING.shown_members([("", part * 16_383)])

    def test_all_together_have_one_room(self) -> None:
        """Members that are dropped use it up as well, so that the work is bounded."""
        members = [(f"m{number}", "x" * 5000) for number in range(9)]
        assert ["m0", "m1", "m2"] == list(NOTHING.shown_members(members))
        echoes = [(f"m{number}", f"{'x' * 5000}{CANARY}") for number in range(9)]
        assert {} == hiding(CANARY).shown_members([*echoes, ("last", "y" * 5000)])

    def test_what_cannot_be_looked_at(self) -> None:
        """A member that cannot be looked at is not kept: a user's deserializer may have made anything of it."""

        class Blind:
            def __repr__(self) -> str:
                raise LookupError

        circle: list[object] = []
        circle.append(circle)
        members = [("blind", Blind()), ("circle", circle), (7, "x"), ("fine", object)]
        assert {"fine": object} == NOTHING.shown_members(members)

"""Properties of the secret's wrapper, and of what takes its like out of a stranger's text."""

from __future__ import annotations

import base64
import copy
import html
import inspect
import json
import pickle
import re
import string
import traceback
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlencode

import attrs
import cattrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_credentials._core.secret import REDACTED, Secret, needles, printable, redact
from tests.strategies import VISIBLE, credentials

CANARY: Final = "c4nary-5ecret"

VIEWS: Final[dict[str, Callable[[Any], str]]] = {
    "repr": repr,
    "str": str,
    "format": lambda it: f"{it} {it!r} {it!s} {it:>40} {it:x}",
    "percent": lambda it: f"{it!s} {it!r} {it!a}",
    "list": lambda it: repr([it, (it,), {it: it}]),
    "json": lambda it: json.dumps({"it": it}, default=str),
    "dir": lambda it: repr([(name, getattr(it, name)) for name in dir(it)]),
    "members": lambda it: repr(inspect.getmembers(it)),
    "static members": lambda it: repr(inspect.getmembers_static(it)),
    "slots": lambda it: repr([getattr(it, name) for name in Secret.__slots__]),
    "state": lambda it: repr(it.__getstate__()),
    "unstructure": lambda it: repr(cattrs.unstructure(it)),
    "asdict": lambda it: repr(attrs.asdict(Holder(it))) + repr(attrs.astuple(Holder(it))) + repr(Holder(it)),
    "evolve": lambda it: repr(attrs.evolve(Holder(it))),
    "html": lambda it: html.escape(str(it)),
}


@attrs.frozen
class Holder:
    """Something that has a secret."""

    secret: Secret


class TestSecret:
    """The client secret lives in one wrapper that shows itself as `**********`, and refuses to pickle."""

    @pytest.mark.parametrize("view", VIEWS)
    @pytest.mark.parametrize("kind", ["text", "callable"])
    def test_shows_nothing(self, view: str, kind: str) -> None:
        """O1, O2, O3, O4: no way of looking at it shows it."""
        secret = Secret(CANARY if kind == "text" else lambda: CANARY)
        assert CANARY not in VIEWS[view](secret)

    def test_shows_itself_as_stars(self) -> None:
        """O1: what is shown says that there is something to hide, and not how long it is."""
        assert ["**********"] * 4 == [repr(Secret("a")), str(Secret("b" * 99)), f"{Secret('c')}", f"{Secret('d'):>40}"]

    def test_no_dict(self) -> None:
        """O4: vars finds nothing to show."""
        with pytest.raises(TypeError):
            vars(Secret(CANARY))

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_does_not_pickle(self, protocol: int) -> None:
        """O5: it cannot be pickled, nor can what holds it, and the error says so without it."""
        for it in (Secret(CANARY), Holder(Secret(CANARY)), [Secret(CANARY)]):
            with pytest.raises(TypeError, match=r"^a client secret cannot be pickled or copied$"):
                pickle.dumps(it, protocol)

    @pytest.mark.parametrize("way", ["copy", "deepcopy", "__reduce__"])
    def test_does_not_copy(self, way: str) -> None:
        """O5: nor can it be copied."""
        secret = Secret(CANARY)
        ways: dict[str, Callable[[], object]] = {
            "copy": lambda: copy.copy(secret),
            "deepcopy": lambda: copy.deepcopy(Holder(secret)),
            "__reduce__": secret.__reduce__,
        }
        with pytest.raises(TypeError, match=r"^a client secret cannot be pickled or copied$"):
            ways[way]()

    def test_in_a_traceback(self) -> None:
        """O6: a traceback that shows the locals of its frames does not show it."""

        def fail(secret: Secret) -> None:
            holder = [secret]
            raise LookupError(f"{secret} {holder}")

        with pytest.raises(LookupError) as caught:
            fail(Secret(CANARY))
        told = traceback.TracebackException(LookupError, caught.value, caught.tb.tb_next, capture_locals=True)
        assert CANARY not in "".join(told.format())

    @given(st.text())
    def test_reveals(self, text: str) -> None:
        """It gives back what it was given, and reads a callable anew each time."""
        row = iter((text, text + "2"))
        rotating = Secret(lambda: next(row))
        assert (text, text, text + "2") == (Secret(text).reveal(), rotating.reveal(), rotating.reveal())

    def test_what_a_callable_raises(self) -> None:
        """What a user's callable raises comes through."""
        with pytest.raises(ZeroDivisionError):
            Secret(lambda: str(1 // 0)).reveal()

    def test_two_are_never_equal(self) -> None:
        """Comparing two tells nothing of what is in them."""
        assert Secret("a") != Secret("a")


def transports() -> dict[str, Callable[[str], str]]:
    """The ways in which a server, a proxy or a logger may repeat a text."""
    return {
        "raw": str,
        "percent": lambda text: quote(text, safe=""),
        "percent, lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
        "percent, slashes kept": quote,
        "percent, as JavaScript does": lambda text: quote(text, safe="!'()*"),
        "form": quote_plus,
        "urlencode": lambda text: urlencode({"~": text, "~~": ""}),
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
        "base64, no padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
        "JSON": json.dumps,
        "JSON, upper case": lambda text: re.sub(r"(?<=\\u)....", lambda found: found[0].upper(), json.dumps(text)),
        "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
        "JSON, slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
        "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
        "upper case": lambda text: text.upper() if text.isascii() else text,
        "stripped": printable,
        "interrupted": lambda text: "\x1b".join(text),
    }


def tellable() -> st.SearchStrategy[str]:
    """Secrets of which enough can be printed to be recognised, without the stars that hide and the tildes around."""
    return credentials().filter(lambda text: len(printable(text)) > 2 and not {"*", "~"} & {*text})


class TestRedact:
    """What the server says is stripped to RFC 6749's characters, and scrubbed of our secrets in every form."""

    @pytest.mark.parametrize("form", transports())
    @given(tellable(), st.sampled_from(("", "~", "~~")))
    @example("pä55/w+rd?\"\\'€😀", "")
    @example("a b%20c+d", "~")
    def test_every_form(self, form: str, secret: str, around: str) -> None:
        """Whatever form it comes back in, nothing of it is left but stars."""
        said = around + transports()[form](secret) + around
        shown = redact(said, needles(secret))
        assert shown is not None
        assert REDACTED == shown.strip("~=&")

    @given(st.text(VISIBLE, min_size=4), st.text(VISIBLE, min_size=4))
    def test_several(self, one: str, other: str) -> None:
        """Of two secrets of which one is part of the other, neither is left."""
        hidden = needles(one, one + other)
        shown = redact(f"{one + other} {one}", hidden)
        assert f"{REDACTED} {REDACTED}" == shown or "*" in one + other

    @given(st.text())
    def test_harmless_texts(self, text: str) -> None:
        """Where there is nothing to hide, all that may be shown is, in its order."""
        allowed = set(string.printable[:95]) - set('"\\')
        assert "".join(c for c in text if c in allowed) == printable(text) == redact(text, ()) == redact(text, [""])

    def test_nothing_said(self) -> None:
        """What was not said stays unsaid."""
        assert None is redact(None, needles(CANARY))

    @given(st.text(), st.text())
    def test_needles_can_be_found(self, one: str, other: str) -> None:
        """Each needle is such that it may stand in a text that is shown, or it would hide nothing."""
        found = needles(one, other)
        assert found == needles(other, one) == frozenset(map(printable, found)) - {""}
        assert printable(one) in found | {""}

    def test_no_secret_no_needle(self) -> None:
        """An empty secret hides nothing."""
        assert frozenset() == needles() == needles("") == needles("", "")

    def test_half_a_surrogate_pair(self) -> None:
        """What no encoding knows, and JSON's escapes allow, is taken out like the rest."""
        assert "ud800**********" != redact("\\ud800abc", needles("\ud800abc"))
        assert REDACTED == redact("\\ud800abc", needles("\ud800abc"))

    def test_nothing_is_kept(self) -> None:
        """O19: no cache of the interpreter's keeps a needle once it has been used."""
        secret = "-".join(("unlikely", "c4nary", "in", "any", "cache"))
        assert REDACTED == redact(secret, needles(secret))
        caches: list[dict[Any, Any]] = [vars(re)[name] for name in vars(re) if name.startswith("_cache")]
        assert caches
        assert [] == [key for cache in caches for key in cache if "c4nary-in-any" in repr(key)]

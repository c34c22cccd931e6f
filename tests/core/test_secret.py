"""The wrapper that holds a client secret."""

from __future__ import annotations

import copy
import html
import inspect
import json
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

import attrs
import cattrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials._core.secret import Secret

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


def test_o19() -> None:
    """O19: no cache of ours keeps a secret or a token: what is memoised takes no argument, or classes alone."""
    modules = [module for name, module in sys.modules.items() if name.startswith("client_credentials")]
    everything: list[Any] = [it for module in modules for it in vars(module).values() if hasattr(it, "cache_info")]
    memoised = [it for it in everything if it.__module__.startswith("client_credentials")]
    assert memoised
    kinds = {each.annotation for it in memoised for each in inspect.signature(it.__wrapped__).parameters.values()}
    assert kinds <= {"type", "tuple[type, ...]"}

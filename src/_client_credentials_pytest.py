"""The pytest plugin: fixtures for tests with access tokens, and failing assertions that show none of them.

pytest finds it on install and imports it at every start, so it imports the package only where a fixture is used.
"""

from __future__ import annotations

import dataclasses
import reprlib
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client_credentials.testing import FakeClock, TokenServer

_SHORT: Final = reprlib.Repr()
_SHORT.maxother = 300


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A token endpoint on loopback, for the client "my-client-id" with the secret "my-client-secret"."""
    from client_credentials.testing import TokenServer

    with TokenServer("my-client-id", "my-client-secret") as server:
        yield server


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until it is told to move."""
    from client_credentials.testing import FakeClock

    return FakeClock()


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed comparison of our values by their redacted reprs and the names of the fields that differ.

    pytest itself would show each differing field, the token among them, also where the value is in a field of another
    class. Items of lists and mappings it shows by their reprs, which are redacted already.
    """
    if op != "==" or type(left) is not type(right) or not (_shows_secrets(left) or _shows_secrets(right)):
        return None
    differing = [name for name in _fields(left) if getattr(left, name) != getattr(right, name)]
    return [
        f"{_SHORT.repr(left)} == {_SHORT.repr(right)}",
        f"They differ in {', '.join(differing)}; client-credentials does not show the values, which may be secrets.",
    ]


def _shows_secrets(value: object) -> bool:
    """Tell whether pytest, which compares the fields of such values one by one, comes to one of ours on its way."""
    todo, seen = [value], set[int]()
    while todo:
        each = todo.pop()
        names = _fields(each)
        if names and any(kind.__module__.partition(".")[0] == "client_credentials" for kind in type(each).__mro__):
            return True
        if id(each) not in seen:
            seen.add(id(each))
            todo += [getattr(each, name, None) for name in names]
    return False


def _fields(value: object) -> list[str]:
    """Name the fields of a dataclass, attrs or namedtuple instance that its comparison looks at."""
    if isinstance(value, type):
        return []
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if field.compare]
    if isinstance(value, tuple):
        return [*getattr(cast("object", value), "_fields", ())]
    attributes: tuple[Any, ...] = getattr(value, "__attrs_attrs__", ())
    return [attribute.name for attribute in attributes if attribute.eq]

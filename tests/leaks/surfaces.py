"""Every way in which an object shows itself: to a print, a debugger, a serializer, a crash reporter."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, TypeAlias, cast

import attrs

from client_credentials import SdkConfiguration, TokenError
from tests.leaks.canaries import PACKAGE

Text: TypeAlias = tuple[str, str]
"""A text, and where it was found."""

_TESTS: Final = str(Path(__file__).parents[1])
_DEEPEST: Final = 12
_CONTAINERS: Final = (list, tuple, set, frozenset)


def _vars(item: object) -> str:
    return repr(vars(item))


def _slots(item: object) -> Mapping[str, object]:
    kind: Any = type(item)  # mypy takes no class for hashable
    return {name: getattr(item, name, None) for name in _slots_of(kind)}


@cache
def _slots_of(kind: type) -> tuple[str, ...]:
    return tuple(name for each in kind.__mro__ for name in getattr(each, "__slots__", ()))


def _pickled(item: object) -> str:
    return pickle.dumps(item).decode(errors="replace")


def _properties(item: object) -> str:
    kind: Any = type(item)
    return repr([getattr(item, name) for name in _properties_of(kind)])


@cache
def _properties_of(kind: type) -> tuple[str, ...]:
    return tuple(name for name, value in inspect.getmembers_static(kind) if isinstance(value, property))


def _copied(item: object) -> str:
    return f"{copy.copy(item)!r} {copy.deepcopy(item)!r}"


def _plain(item: Any) -> str:
    """Show what attrs makes of an object."""
    return f"{attrs.asdict(item)} {attrs.astuple(item)}"


VIEWS: Final[Mapping[str, Callable[[Any], str]]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "vars": _vars,
    "slots": lambda item: repr(_slots(item)),
    "properties": _properties,
    "asdict": _plain,
    "json": lambda item: json.dumps(item, default=str),
    "json of vars": lambda item: json.dumps(vars(item), default=str),
    "pickle": _pickled,
    "copy": _copied,
}


_FROM_OUTSIDE: Final = ("repr", "str", "format", "json")


def views(item: object, *names: str) -> Iterator[Text]:
    """Give what an object shows of itself, in these views or in all; what a view fails with is a text as well.

    A configuration holds a user's objects, a fetch of the integrations a user's client, and whoever looks into those
    sees what they show.
    """
    of_users = type(item).__module__.startswith("client_credentials.integrations.") or (
        isinstance(item, SdkConfiguration) and not _is_ours(item)
    )
    for name in names or (_FROM_OUTSIDE if of_users else VIEWS):
        view = VIEWS[name]
        try:
            text = view(item)
        except Exception as error:  # most objects bear only some of the views
            text = f"{error!r} {error}"
        yield f"{name} of a {type(item).__name__}", text


def _is_ours(configuration: SdkConfiguration) -> bool:
    origins = (str(getattr(each, "__module__", None)) for each in attrs.astuple(configuration, recurse=False))
    return all(
        origin.startswith("client_credentials.") and not origin.startswith("client_credentials.integrations.")
        for origin in origins
    )


def leaves(item: object, seen: set[int], depth: int = 0) -> Iterator[str]:
    """Give each text, seen for the first time, that a walk over attributes, slots and containers of ours comes to."""
    if isinstance(item, str | bytes | bytearray):
        yield item if isinstance(item, str) else item.decode(errors="replace")
        return
    if depth > _DEEPEST or id(item) in seen:
        return
    seen.add(id(item))
    for each in _parts(item):
        yield from leaves(each, seen, depth + 1)


def _parts(item: object) -> Iterator[object]:
    if isinstance(item, dict | MappingProxyType):
        mapping = cast("Mapping[object, object]", item)
        yield from (*mapping.keys(), *mapping.values())
    elif isinstance(item, _CONTAINERS):
        yield from tuple(cast("tuple[object, ...]", item))
    elif type(item).__module__.startswith("client_credentials.") and ".testing" not in type(item).__module__:
        yield from getattr(item, "__dict__", {}).values()
        yield from _slots(item).values()


def said(error: BaseException) -> Iterator[Text]:
    """Give what an error says in itself."""
    kind = type(error).__name__
    notes = getattr(error, "__notes__", ())
    yield f"text of a {kind}", f"{error} {error!r} {error:} {error.args!r} {vars(error)!r} {notes!r}"


def chain(error: BaseException) -> list[BaseException]:
    """Give an error with its causes and contexts, of any depth, and the members of groups."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or any(each is known for known in found):
            continue
        found.append(each)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions
    return found


def shown(error: BaseException) -> Iterator[Text]:
    """Give all that an error shows, its causes and contexts too, to whoever prints, pickles or reports it."""
    for each in chain(error):
        kind = type(each).__name__
        # What a test raises itself is the test's own to say; its way through our frames is not.
        if not _raised_by_a_test(each):
            yield from said(each)
            yield f"traceback of a {kind}", "".join(traceback.format_exception_only(each))
        yield f"locals in the traceback of a {kind}", _our_frames(each.__traceback__)
        if isinstance(each, TokenError):
            with contextlib.suppress(Exception):  # what a test has put into it
                yield f"pickle of a {kind}", _pickled(each)


def _raised_by_a_test(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_code.co_filename.startswith(_TESTS)


def _our_frames(trace: TracebackType | None) -> str:
    """Show the frames of the package with their locals; a test's own hold secrets, and so do the test kit's."""
    ours = [
        (frame, line)
        for frame, line in traceback.walk_tb(trace)
        if (path := frame.f_code.co_filename).startswith(str(PACKAGE)) and not path.startswith(str(PACKAGE / "testing"))
    ]
    return "".join(traceback.StackSummary.extract(iter(ours), capture_locals=True).format())

"""How values compare and show themselves, as attrs would have it; and how an object shows itself until it is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


def repr_before_init(show: Callable[[T], str]) -> Callable[[T], str]:
    """Let a `__repr__` serve in the traceback of the object's own constructor, with its locals: it names the class."""

    @wraps(show)
    def __repr__(self: T) -> str:  # noqa: N807
        try:
            return show(self)
        except AttributeError:
            return f"{type(self).__name__}()"

    return __repr__


class Value:
    """Has one comparison and one repr for all: compiling them for each class takes attrs most of an import's time."""

    __slots__ = ()
    __attrs_attrs__: ClassVar[tuple[Any, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        for field in self.__attrs_attrs__:
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if ours is not theirs and ours != theirs:  # as in a tuple, NaN equals itself
                return False
        return True

    def __hash__(self) -> int:
        values = (getattr(self, field.name) for field in self.__attrs_attrs__ if field.hash is not False)
        return hash((type(self), *values))

    @repr_before_init
    def __repr__(self) -> str:
        fields = [
            (field.name, repr if field.repr is True else field.repr) for field in self.__attrs_attrs__ if field.repr
        ]
        return f"{type(self).__qualname__}({', '.join(f'{name}={show(getattr(self, name))}' for name, show in fields)})"

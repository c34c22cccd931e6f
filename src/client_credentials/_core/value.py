"""How objects show themselves: the frozen values as attrs would have it, and all of them while half made."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


def even_half_made(show: Callable[[T], str]) -> Callable[[T], str]:
    """Let a `__repr__` serve in the traceback of the object's own constructor, with its locals: it names the class."""

    @wraps(show)
    def __repr__(self: T) -> str:  # noqa: N807
        try:
            return show(self)
        except AttributeError:
            return f"{type(self).__name__}()"

    return __repr__


class Value:
    """Has one repr for all: to compile one for each class takes attrs most of the time of an import."""

    __slots__ = ()
    __attrs_attrs__: ClassVar[tuple[Any, ...]]

    @even_half_made
    def __repr__(self) -> str:
        fields = [
            (field.name, repr if field.repr is True else field.repr) for field in self.__attrs_attrs__ if field.repr
        ]
        return f"{type(self).__qualname__}({', '.join(f'{name}={show(getattr(self, name))}' for name, show in fields)})"

"""The base of the frozen values: they show themselves as attrs would have it."""

from __future__ import annotations

from typing import Any, ClassVar


class Value:
    """Has one repr for all: to compile one for each class takes attrs most of the time of an import."""

    __slots__ = ()
    __attrs_attrs__: ClassVar[tuple[Any, ...]]

    def __repr__(self) -> str:
        fields = [
            (field.name, repr if field.repr is True else field.repr) for field in self.__attrs_attrs__ if field.repr
        ]
        return f"{type(self).__qualname__}({', '.join(f'{name}={show(getattr(self, name))}' for name, show in fields)})"

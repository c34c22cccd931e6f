"""A cache of a user's that does what a test tells it to, and what can be done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest


class Cache:
    """A cache of a user's, which does in each operation what it is told to."""

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        self.does = does
        self.calls: list[str] = []
        self.threads: list[int] = []

    def get(self, key: str) -> Any:
        return self._did("get")

    def set(self, key: str, value: str, ttl: float) -> None:
        self._did("set")

    def remove(self, key: str) -> None:
        self._did("remove")

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[Any]:
        found = self._did("lock")
        try:
            yield found
        finally:
            self._did("unlock")

    def _did(self, operation: str) -> object:
        self.calls.append(operation)
        self.threads.append(threading.get_ident())
        return self.does()


def failing(error: BaseException) -> Callable[..., NoReturn]:
    """Give what raises."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def operations(cache: Any) -> list[object]:
    """Do all that can be done with a cache, and give what came of it."""
    with cache.lock("key", 60) as mine:
        return [cache.get("key"), cache.set("key", "value", 60), cache.remove("key"), mine]


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the breakers believe that so much time has passed."""
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + seconds)


def operation(cache: Any, name: str) -> None:
    """Do one of them."""
    if name == "lock":
        with cache.lock("key", 60):
            pass
    else:
        getattr(cache, name)(*("key", "value", 60)[: 3 if name == "set" else 1])

"""The package's own module: its names, and what is imported when one of them is named."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import client_credentials
from client_credentials.assertions import AssertionFile, PrivateKeyJwt


def test_what_not_every_program_uses_is_imported_when_it_is_named() -> None:
    """An import brings neither the asynchronous strategy nor a cache but that in memory; dir() has them all."""
    code = """
import sys
import client_credentials
late = ["client_credentials." + name for name in ("aio", "caching.file", "caching.redis", "caching._state_cache")]
print(set(late) & set(sys.modules), set(client_credentials.__all__) - set(dir(client_credentials)))
print(client_credentials.FileCachingStrategy is client_credentials.FileCachingStrategy, set(late) & set(sys.modules))
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "set() set()\nTrue {'client_credentials.caching.file'}\n" == said


def test_a_name_that_is_not_there() -> None:
    """Any other name is an AttributeError, as of every module."""
    with pytest.raises(AttributeError, match=r"^module 'client_credentials' has no attribute 'Strategy'$"):
        getattr(client_credentials, "Strategy")  # noqa: B009  # the checkers know that it is not there


def test_all_names_are_there() -> None:
    """Each name of `__all__` can be had, and is listed."""
    assert set(client_credentials.__all__) <= set(dir(client_credentials))
    assert all(hasattr(client_credentials, name) for name in client_credentials.__all__)


NOT: Any = None
CLOCK: Any = 5


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("AssertionFile", lambda: AssertionFile(NOT)),
        ("PrivateKeyJwt", lambda: PrivateKeyJwt(NOT, client_id="", audience="", algorithm="")),
        ("FileCachingStrategy", lambda: client_credentials.FileCachingStrategy(NOT)),
        ("RedisCachingStrategy", lambda: client_credentials.RedisCachingStrategy(NOT)),
        ("InMemoryCachingStrategy", lambda: client_credentials.InMemoryCachingStrategy(clock=CLOCK)),
    ],
)
def test_the_report_of_a_bad_argument_shows_what_is_half_made(name: str, make: Callable[[], object]) -> None:
    """A traceback with locals shows the object whose constructor failed, by its class."""
    with pytest.raises(ValueError, match=" must ") as raised:
        make()
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert f"self = {name}()" in shown

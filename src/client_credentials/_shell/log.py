"""The logger of the package; it has no handler but logging's NullHandler, and is never given a secret."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

_LOGGER: Final = logging.getLogger("client_credentials")
# Else logging prints the warnings itself in a program that configured no logging.
_LOGGER.addHandler(logging.NullHandler())


def warn(message: str, *values: object) -> None:
    """Log a warning; what a handler of the program raises is ignored."""
    with suppress(BaseException):
        _LOGGER.warning(message, *values)

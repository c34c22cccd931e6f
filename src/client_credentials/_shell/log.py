"""The logger of the package; it has no handler, and is never given a secret."""

from __future__ import annotations

import logging
from contextlib import suppress


def warn(message: str, *values: object) -> None:
    """Log a warning; what a handler of the program raises is ignored."""
    with suppress(Exception, SystemExit):
        logging.getLogger("client_credentials").warning(message, *values)

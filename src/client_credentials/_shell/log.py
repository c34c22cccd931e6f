"""The one logger; it has no handler, and nothing that it is given holds a secret."""

from __future__ import annotations

import logging
from contextlib import suppress


def warn(message: str, *values: object) -> None:
    """Log a warning; a handler that raises is code of the program's that fails, and harms nobody."""
    with suppress(Exception, SystemExit):
        logging.getLogger("client_credentials").warning(message, *values)

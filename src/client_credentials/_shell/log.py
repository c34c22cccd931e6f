"""The one logger; it has no handler, and nothing that it is given holds a secret."""

from __future__ import annotations


def warn(message: str, *values: object) -> None:
    """Log a warning; the module is loaded when there is something to say."""
    import logging

    logging.getLogger("client_credentials").warning(message, *values)

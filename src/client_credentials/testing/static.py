"""Strategies that hand out one given token, for tests of programs that take a strategy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .._core.model import AccessToken

if TYPE_CHECKING:
    from ..configuration import SdkConfiguration

_LIFETIME: Final = 3600  # seconds


class _Static:
    """What both strategies share: a given token, and a list of removals."""

    def __init__(self, token: AccessToken | str) -> None:
        self._token = _token(token)
        self.removed: list[AccessToken | None] = []

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Do nothing: no collaborator is used."""


class StaticStrategy(_Static):
    """An AuthStrategy that always has the given token: no request, no clock, no cache.

    `token` is an AccessToken, or the text of one, which then lives an hour (3600 s) by its own account. Nothing raises
    TokenError; ValueError if `token` is neither an AccessToken nor a non-empty string. The token is handed out past its
    end and after its removal, too: look at `removed`, a list of what was passed to `remove_access_token`.
    AsyncStaticStrategy is the asynchronous twin.
    """

    def get_or_create_access_token(self) -> AccessToken:
        """Return the given token."""
        return self._token

    def get_access_token(self) -> AccessToken | None:
        """Return the given token."""
        return self._token

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Note the removal in `removed`."""
        self.removed.append(token)


class AsyncStaticStrategy(_Static):
    """An AsyncAuthStrategy that always has the given token; StaticStrategy says the rest."""

    async def get_or_create_access_token(self) -> AccessToken:
        """Return the given token."""
        return self._token

    async def get_access_token(self) -> AccessToken | None:
        """Return the given token."""
        return self._token

    async def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Note the removal in `removed`."""
        self.removed.append(token)


def _token(token: AccessToken | str) -> AccessToken:
    if isinstance(token, AccessToken):
        return token
    if not isinstance(token, str) or not token:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("token must be an AccessToken, or a non-empty string")
    return AccessToken(token, "Bearer", _LIFETIME, int((time.time() + _LIFETIME) * 1000))

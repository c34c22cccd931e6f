"""For spotipy and spotify-sdk: a strategy as their `auth_manager` or `auth_provider`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._shell.driver import run_sync
from ._bearer import Bearer, at_once

if TYPE_CHECKING:
    from ..protocols import AuthStrategy


class AuthManager:
    """Gives the strategy's token as text, as spotipy and spotify-sdk expect it.

    `spotipy.Spotify(auth_manager=AuthManager(strategy))`, or `SpotifyClient(auth_provider=AuthManager(strategy))`. They
    cannot use the strategy itself, whose `get_access_token` is the SDK's: the token in hand as an AccessToken, whose
    text is redacted, or None.

    Raises ValueError if `strategy` is not a strategy; asking an asynchronous one for a token is a ValueError, too.
    """

    def __init__(self, strategy: AuthStrategy) -> None:
        self._bearer = Bearer(strategy, None, allow_http=False)

    def get_access_token(self, as_dict: bool = False) -> str:  # the signature is spotipy's
        """Return the text of a token that is good now, whatever `as_dict` says; raises TokenError."""
        return run_sync(self._bearer.get(at_once)).access_token

"""For spotipy: a strategy as its `auth_manager`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..protocols import AuthStrategy


class AuthManager:
    """Gives spotipy the strategy's token as text: `spotipy.Spotify(auth_manager=AuthManager(strategy))`.

    spotipy asks its auth manager's `get_access_token` for the bare token, each time and whether there is one or not.
    That of a strategy is the SDK's: the token in hand as an AccessToken, whose text is redacted, or None.
    """

    def __init__(self, strategy: AuthStrategy) -> None:
        self._strategy = strategy

    def get_access_token(self, as_dict: bool = False) -> str:  # spotipy's signature
        """Give a token that is good now; raises TokenError. Only as text, whatever `as_dict` says."""
        return self._strategy.get_or_create_access_token().access_token

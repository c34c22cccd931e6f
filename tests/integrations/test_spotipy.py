"""What spotipy sends with a strategy of ours."""

from __future__ import annotations

from typing import Any

import pytest

from client_credentials.integrations.spotipy import AuthManager
from client_credentials.testing import TokenServer
from tests.integrations.kit import Api, blocking


def test_spotipy_sends_the_token(api: Api, server: TokenServer) -> None:
    """Cold and warm, each request carries the token; there is one token request."""
    spotipy: Any = pytest.importorskip("spotipy")
    client = spotipy.Spotify(auth_manager=AuthManager(blocking(server)), retries=0)
    client.prefix = api.url("/")
    for _ in range(2):
        client._get("me")
    assert server.issued * 2 == api.tokens
    assert 1 == len(server.requests)

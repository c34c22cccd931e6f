"""What the Spotify libraries send by the README's recipes: spotipy, spotify-sdk and tekore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from client_credentials.integrations.httpx import BearerAuth
from client_credentials.integrations.spotipy import AuthManager
from client_credentials.testing import TokenServer
from tests.integrations.kit import Api, awaited, blocking


def with_spotipy(server: TokenServer, url: str, patch: pytest.MonkeyPatch) -> None:
    """Ask with spotipy."""
    client = pytest.importorskip("spotipy").Spotify(auth_manager=AuthManager(blocking(server)), retries=0)
    patch.setattr(client, "prefix", url)
    for _ in range(2):
        client.track("1")


def with_spotify_sdk(server: TokenServer, url: str, patch: pytest.MonkeyPatch) -> None:
    """Ask with spotify-sdk."""
    sdk: Any = pytest.importorskip("spotify_sdk")
    patch.setattr("spotify_sdk._sync._base_client.BaseClient.BASE_URL", url)
    with sdk.SpotifyClient(auth_provider=AuthManager(blocking(server))) as client:
        for _ in range(2):
            with suppress(ValueError):  # of an empty answer
                client.tracks.get("1")


def with_tekore(server: TokenServer, url: str, patch: pytest.MonkeyPatch) -> None:
    """Ask with tekore."""
    tekore: Any = pytest.importorskip("tekore")
    patch.setattr("tekore._client.base.prefix", url)
    with httpx.Client(auth=BearerAuth(blocking(server)), trust_env=False) as http:
        client = tekore.Spotify(sender=tekore.SyncSender(http))
        for _ in range(2):
            client.send(client._get("tracks/1")[0])


def with_async_tekore(server: TokenServer, url: str, patch: pytest.MonkeyPatch) -> None:
    """Ask with tekore in an event loop."""
    tekore: Any = pytest.importorskip("tekore")
    patch.setattr("tekore._client.base.prefix", url)

    async def run() -> None:
        async with httpx.AsyncClient(auth=BearerAuth(awaited(server)), trust_env=False) as http:
            client = tekore.Spotify(sender=tekore.AsyncSender(http))
            for _ in range(2):
                await client.send(client._get("tracks/1")[0])

    asyncio.run(run())


@pytest.mark.parametrize("strategy", [None, "token"])
def test_an_unfit_strategy_is_refused(strategy: Any) -> None:
    """What is no strategy is found out when the manager is made."""
    with pytest.raises(ValueError, match=r"^strategy must be an auth strategy"):
        AuthManager(strategy)


def test_an_asynchronous_strategy_is_refused(server: TokenServer) -> None:
    """The libraries cannot await a token; the error says what they need."""
    strategy: Any = awaited(server)
    with pytest.raises(ValueError, match=r"^strategy must be a synchronous one"):
        AuthManager(strategy).get_access_token()


@pytest.mark.parametrize("ask", [with_spotipy, with_spotify_sdk, with_tekore, with_async_tekore])
def test_each_request_carries_the_token(
    ask: Callable[[TokenServer, str, pytest.MonkeyPatch], None],
    api: Api,
    server: TokenServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cold and warm, each request carries the token; there is one token request."""
    ask(server, api.url("/"), monkeypatch)
    assert server.issued * 2 == api.tokens
    assert 1 == len(server.requests)

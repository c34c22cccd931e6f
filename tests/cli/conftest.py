"""A token server, and an environment in which nobody is a client of Spotify."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from client_credentials.testing import TokenServer
from tests.cli.kit import CLIENT


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every client and every proxy out of the environment."""
    for name in list(os.environ):
        if name.startswith(("SPOTIFY_", "CLIENT_CREDENTIALS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Generator[TokenServer]:
    """Give a token server that knows one client."""
    with TokenServer(*CLIENT) as running:
        yield running


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the token server's client into the environment."""
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", CLIENT[0])
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", CLIENT[1])

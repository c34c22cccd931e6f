"""An environment in which nobody is a client of Spotify, and only the tests' authority is trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client_credentials._cli.main import main
from tests.cli.kit import UsageErrorOf
from tests.http.loopback import CLIENT
from tests.http.peers import trust


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Take every client and every proxy out of the environment; gives the folder of the authority, `ca.pem`."""
    for name in list(os.environ):
        if name.startswith(("SPOTIFY_", "CLIENT_CREDENTIALS_", "SSL_CERT_")):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("authority")
    trust(monkeypatch, folder)
    return folder


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the token server's client into the environment."""
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", CLIENT[0])
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", CLIENT[1])


@pytest.fixture
def usage_error(capsys: pytest.CaptureFixture[str]) -> UsageErrorOf:
    """Give a function that runs a command that must be refused, and gives the last line of what it is told."""

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            main(argv)
        out, err = capsys.readouterr()
        assert (2, "") == (exit_.value.code, out)
        return err.splitlines()[-1]

    return run

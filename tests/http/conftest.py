"""The tests' authority is the only one that is trusted, and no proxy but one that a test names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.peers import trust


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the tests' authority, by SSL_CERT_FILE; take every proxy out of the environment."""
    trust(monkeypatch, tmp_path)

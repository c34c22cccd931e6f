"""Fixtures for a program's tests with access tokens; pytest finds them on install, and pays for those in use alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# On its own and not in the package: pytest imports it at every start, and the package would be imported with it.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from client_credentials.testing import FakeClock, TokenServer


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A token endpoint on loopback, for the client "my-client-id" with the secret "my-client-secret"."""
    from client_credentials.testing import TokenServer

    with TokenServer("my-client-id", "my-client-secret") as server:
        yield server


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until it is told to move."""
    from client_credentials.testing import FakeClock

    return FakeClock()

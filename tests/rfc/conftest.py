"""The endpoint that the tests of the RFCs ask."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from client_credentials.testing import TokenServer
from tests.rfc.kit import ID, SECRET


@pytest.fixture
def server() -> Generator[TokenServer]:
    """A token endpoint on loopback that grants as RFC 6749 asks."""
    with TokenServer(ID, SECRET) as server:
        yield server

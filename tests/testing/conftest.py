"""A token server for the tests of the test kit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client_credentials.testing import TokenServer
from tests.http.loopback import CLIENT


@pytest.fixture
def server() -> Iterator[TokenServer]:
    """Serve my-client with tokens of an hour."""
    with TokenServer(*CLIENT) as running:
        yield running

"""A token server, a resource server that accepts its tokens, and every way to ask it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from client_credentials.testing import TokenServer
from tests.integrations.kit import (
    CLIENT,
    Api,
    Caller,
    with_async_httpx,
    with_async_httpx_and_sync_strategy,
    with_httpx,
    with_requests,
)

DIALS = [with_requests, with_httpx, with_async_httpx, with_async_httpx_and_sync_strategy]


@pytest.fixture
def server() -> Generator[TokenServer]:
    """Give a token server that knows one client."""
    with TokenServer(*CLIENT) as running:
        yield running


@pytest.fixture
def api(server: TokenServer) -> Generator[Api]:
    """Give a resource server that accepts what the token server grants."""
    with Api(lambda: server.issued) as running:
        yield running


@pytest.fixture
def elsewhere() -> Generator[Api]:
    """Give a resource server of somebody else, who refuses everyone and takes note of what they carry."""
    with Api(lambda: ()) as running:
        yield running


@pytest.fixture(params=DIALS, ids=lambda dial: dial.__name__)
def ask(request: pytest.FixtureRequest, server: TokenServer) -> Caller:
    """Ask with each library in turn."""
    caller: Caller = request.param(server)
    return caller

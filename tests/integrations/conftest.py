"""A token server, a resource server that accepts its tokens, and every way to ask it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from client_credentials.testing import TokenServer
from tests.http.peers import authority
from tests.integrations.kit import CLIENT, DIALS, Api, Caller, Dial


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


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the file by which clients trust the tests' authority."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(params=DIALS)
def dial(request: pytest.FixtureRequest) -> Dial:
    """Give a way to ask with each library in turn."""
    return DIALS[request.param]


@pytest.fixture
def ask(dial: Dial, server: TokenServer) -> Caller:
    """Ask with each library in turn."""
    return dial(server)

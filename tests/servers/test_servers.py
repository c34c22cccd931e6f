"""Each row of the README's "Servers that differ", against an emulation of that server on a real socket."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any, Final

import attrs
import pytest

from client_credentials import ClientCredentialsStrategy, SdkConfiguration, TokenError
from tests.integrations.kit import Hit, serving
from tests.readme.pages import README
from tests.servers.emulations import SERVERS, TOKEN, Asked, Server

SECTION: Final = re.split(r"^## ", README.read_text(), flags=re.MULTILINE)
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CONFIGURED: Final = {field.name for field in attrs.fields(SdkConfiguration)}
NEEDS_NOTHING: Final = frozenset(("Apigee", "SAP XSUAA"))


def _section() -> str:
    return next(text for text in SECTION if text.startswith("Servers that differ\n"))


def rows() -> dict[str, str]:
    """The recipe of each server in the table: keyword arguments, as code; nothing for some."""
    cells = [line.strip("| ").split(" | ") for line in _section().splitlines() if line.startswith("| ")][1:]
    return {
        name: "" if what.startswith("nothing") else what.strip("`")
        for names, _, what in cells
        for name in names.split(", ")
    }


def arguments(recipe: str, strategy: ClientCredentialsStrategy) -> dict[str, Any]:
    """What a recipe says, with the names of the block above the table."""
    block = _BLOCK.search(_section())
    assert block is not None
    names: dict[str, Any] = {"strategy": strategy}
    exec(block[1], names)
    found: dict[str, Any] = eval(f"dict({recipe})", names)
    return found


@pytest.fixture(params=SERVERS)
def endpoint(request: pytest.FixtureRequest) -> Generator[tuple[str, Server, str]]:
    """One of the servers on loopback: its name, itself, and its address."""
    server = SERVERS[request.param]

    def answer(hit: Hit) -> tuple[int, Mapping[str, str], bytes]:
        status, said = server(Asked(hit.method, hit.path, hit.headers, hit.body))
        return status, {}, (said if isinstance(said, str) else json.dumps(said)).encode()

    with serving(answer) as port:
        yield request.param, server, f"http://127.0.0.1:{port}/token"


def strategy_for(server: Server, url: str, recipe: str) -> ClientCredentialsStrategy:
    """A strategy by the recipe."""
    plain = ClientCredentialsStrategy(server.client_id, server.client_secret, token_url=url)
    said = arguments(recipe, plain)
    of_client = {name: value for name, value in said.items() if name not in _CONFIGURED}
    strategy = ClientCredentialsStrategy(server.client_id, server.client_secret, token_url=url, **of_client)
    strategy.set_configuration(SdkConfiguration(**{name: value for name, value in said.items() if name in _CONFIGURED}))
    return strategy


def test_the_recipe(endpoint: tuple[str, Server, str]) -> None:
    """With the row's recipe the server is content with the request, and its answer is a token."""
    name, server, url = endpoint
    token = strategy_for(server, url, rows()[name]).get_or_create_access_token()
    assert (TOKEN, "Bearer") == (token.access_token, token.token_type)
    assert 60 <= token.expires_in <= 86400


def test_without_it(endpoint: tuple[str, Server, str]) -> None:
    """Without it there is none, so the recipe is needed, unless the row says that nothing is."""
    name, server, url = endpoint
    plain = strategy_for(server, url, "")
    if name in NEEDS_NOTHING:
        assert TOKEN == plain.get_or_create_access_token().access_token
    elif name != "Salesforce":  # where the recipe says how long a token lives
        with pytest.raises(TokenError):
            plain.get_or_create_access_token()


def test_every_server_has_a_row() -> None:
    """The table and the emulations are about the same servers; only those that need nothing have no code."""
    assert [*SERVERS] == [*rows()]
    assert {name for name, recipe in rows().items() if not recipe} == NEEDS_NOTHING

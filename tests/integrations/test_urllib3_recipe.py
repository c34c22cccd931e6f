"""The README's recipe for urllib3, against a real resource server."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import urllib3

from client_credentials import ClientCredentialsStrategy
from client_credentials.testing import TokenServer
from tests.integrations.kit import CLIENT, Api


def get(pool: urllib3.PoolManager, strategy: ClientCredentialsStrategy, url: str) -> urllib3.BaseHTTPResponse:
    """Ask an API with a token; if it refuses the token, ask once more with another."""
    token = strategy.get_or_create_access_token()
    response = pool.request("GET", url, headers={"Authorization": token.authorization}, redirect=False)
    if response.status == 401:
        strategy.remove_access_token(token)
        token = strategy.get_or_create_access_token()
        response = pool.request("GET", url, headers={"Authorization": token.authorization}, redirect=False)
    return response


@pytest.fixture
def strategy(server: TokenServer) -> ClientCredentialsStrategy:
    """Give a strategy for the token server's client."""
    return ClientCredentialsStrategy(*CLIENT, token_url=server.url)


@pytest.fixture
def pool() -> Generator[urllib3.PoolManager]:
    """Give a pool of connections."""
    with urllib3.PoolManager() as pool:
        yield pool


def test_the_recipe_renews_a_dead_token(
    pool: urllib3.PoolManager, strategy: ClientCredentialsStrategy, api: Api, server: TokenServer
) -> None:
    """H22: one token serves until it is refused; then one other is asked for."""
    assert [200, 200] == [get(pool, strategy, api.url()).status for _ in range(2)]
    api.revoked.update(server.issued)
    assert 200 == get(pool, strategy, api.url()).status
    first, second = server.issued
    assert [first, first, first, second] == api.tokens


def test_the_recipe_gives_up_after_the_second_refusal(
    pool: urllib3.PoolManager, strategy: ClientCredentialsStrategy, api: Api
) -> None:
    """H22: a second 401 is passed through, a 403 at once."""
    api.forbidden = "/secret"
    assert 403 == get(pool, strategy, api.url("/secret")).status
    api.refuses_all = True
    assert 401 == get(pool, strategy, api.url()).status
    assert 3 == len(api.hits)


def test_the_recipe_follows_no_redirect(
    pool: urllib3.PoolManager, strategy: ClientCredentialsStrategy, api: Api, elsewhere: Api
) -> None:
    """6750-5.3-2: the token goes nowhere but to the URL that it is for."""
    api.moved["/me"] = 302, elsewhere.url()
    assert 302 == get(pool, strategy, api.url()).status
    assert [] == elsewhere.hits

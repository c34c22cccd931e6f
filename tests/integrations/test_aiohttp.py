"""What is peculiar to aiohttp: each redirect is a request of its own to a middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from client_credentials.integrations.aiohttp import bearer
from client_credentials.testing import AsyncStaticStrategy, TokenServer
from tests.integrations.kit import Api, awaited


def in_session(server: TokenServer, run: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Run something with a session that has a bearer."""

    async def main() -> None:
        async with aiohttp.ClientSession(middlewares=(bearer(awaited(server)),)) as session:
            await run(session)

    asyncio.run(main())


def test_a_redirect_followed_by_hand_leaves_the_token_at_home(api: Api, elsewhere: Api, server: TokenServer) -> None:
    """RFC6750-5.3-2: the next request of a task, to where the last one was redirected, counts as the redirect."""

    async def run(session: aiohttp.ClientSession) -> None:
        async with session.get(api.url(), allow_redirects=False) as response:
            assert 302 == response.status
        for _ in range(2):
            async with session.get(elsewhere.url()):
                pass

    api.moved["/me"] = 302, elsewhere.url()
    in_session(server, run)
    assert [None, server.issued[0]] == elsewhere.tokens[:2]


def test_a_redirect_of_one_api_leaves_another_apis_token_alone(api: Api, server: TokenServer) -> None:
    """Who goes by hand to where a redirect led, with a session of its own for that API, has that session's token."""
    other = AsyncStaticStrategy("the-other-token")

    async def run(session: aiohttp.ClientSession) -> None:
        async with aiohttp.ClientSession(middlewares=(bearer(other, origin=partner.url("")),)) as another:
            async with session.get(api.url(), allow_redirects=False) as response:
                assert 303 == response.status
            for _ in range(2):
                async with another.get(partner.url()):
                    pass

    with Api(lambda: ("the-other-token",)) as partner:
        api.moved["/me"] = 303, partner.url()
        in_session(server, run)
    assert ["the-other-token"] * 2 == partner.tokens


def test_the_next_request_at_home_has_its_token(api: Api, elsewhere: Api, server: TokenServer) -> None:
    """A redirect that the caller does not follow leaves no trace on other requests."""

    async def run(session: aiohttp.ClientSession) -> None:
        for _ in range(3):
            async with session.get(api.url(), allow_redirects=False):
                pass

    api.moved["/me"] = 302, elsewhere.url()
    in_session(server, run)
    assert server.issued * 3 == api.tokens


@pytest.mark.parametrize("location", ["http://[", "http:/me", "//127.0.0.1:1/", ""])
def test_an_odd_location_brings_no_token_anywhere(api: Api, server: TokenServer, location: str) -> None:
    """RFC9700-4.9: whatever aiohttp makes of a Location, the token stays at its origin."""
    elsewhere = Api(lambda: ())
    elsewhere.moved_for_all["/between"] = 302, location

    async def run(session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(api.url()):
                pass
        except aiohttp.ClientError:
            pass

    with elsewhere:
        api.moved["/me"] = 302, elsewhere.url("/between")
        in_session(server, run)
    assert server.issued == [token for token in api.tokens if token]
    assert {None} == set(elsewhere.tokens)

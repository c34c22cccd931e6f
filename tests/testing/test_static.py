"""The strategies that hand out a given token."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from client_credentials import AccessToken, AsyncAuthStrategy, AuthStrategy, SdkConfiguration
from client_credentials.testing import AsyncStaticStrategy, StaticStrategy

GIVEN = AccessToken("a-token", "Bearer", 60, 60_000)


def test_the_token_is_always_there() -> None:
    """A given AccessToken is handed out as it is, also past its end and after its removal, which is noted."""
    strategy = StaticStrategy(GIVEN)
    as_protocol: AuthStrategy = strategy
    as_protocol.set_configuration(SdkConfiguration())
    as_protocol.remove_access_token(GIVEN)
    as_protocol.remove_access_token()
    assert as_protocol.get_or_create_access_token() is as_protocol.get_access_token() is GIVEN
    assert [GIVEN, None] == strategy.removed


def test_the_twin_does_the_same() -> None:
    """The same under asyncio."""
    strategy = AsyncStaticStrategy(GIVEN)

    async def use(as_protocol: AsyncAuthStrategy) -> None:
        as_protocol.set_configuration(SdkConfiguration())
        await as_protocol.remove_access_token(GIVEN)
        await as_protocol.remove_access_token()
        assert GIVEN == await as_protocol.get_or_create_access_token() == await as_protocol.get_access_token()

    asyncio.run(use(strategy))
    assert [GIVEN, None] == strategy.removed


@pytest.mark.parametrize("kind", [StaticStrategy, AsyncStaticStrategy])
def test_a_text_is_a_token_of_an_hour(kind: type[StaticStrategy | AsyncStaticStrategy]) -> None:
    """A text becomes a bearer token with an hour to live; an empty one, or what is no text, is a mistake."""
    got = kind("my-token").get_or_create_access_token()
    token = got if isinstance(got, AccessToken) else asyncio.run(got)
    assert "Bearer my-token" == token.authorization
    assert token.expires_in == pytest.approx(token.expires / 1000 - time.time(), abs=30)
    for wrong in ("", 5, b"my-token", None):
        mistake: Any = wrong
        with pytest.raises(ValueError, match=r"^token must be an AccessToken, or a non-empty string$"):
            kind(mistake)

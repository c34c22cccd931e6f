"""The collaborators: each default is public, and each is checked when it is given."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from client_credentials import (
    ClientCredentialsStrategy,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenRefused,
    TokenResponse,
    accept_success,
    json_object,
)
from client_credentials.testing import FakeClock
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, Endpoint, grant, settled


async def later(*_: object) -> Any:
    """Give something, once awaited."""


class Late:
    """Something whose every method has to be awaited."""

    get = set = remove = wall = monotonic = __call__ = later


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(SdkConfiguration)])
def test_what_has_to_be_awaited(name: str) -> None:
    """A hook that is a coroutine function is refused, since nothing would await it; but for the async one's fetch."""
    awaited: dict[str, Any] = {name: Late()}
    number: dict[str, Any] = {name: 7}
    with pytest.raises(ValueError, match=f"^{name} must be synchronous"):
        ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET).set_configuration(SdkConfiguration(**awaited))
    with pytest.raises(ValueError, match=f"^{name} must (be|have)"):
        SdkConfiguration(**number)


@pytest.mark.parametrize("name", ["caching_strategy", "clock"])
def test_a_default_in_the_wrong_place(name: str) -> None:
    """What is right for one collaborator is checked where it is given as another."""
    wrong: dict[str, Any] = {name: getattr(SdkConfiguration(), "clock" if name != "clock" else "fetch")}
    with pytest.raises(ValueError, match=f"^{name} must have the methods"):
        SdkConfiguration(**wrong)


def test_the_validator() -> None:
    """`accept_success` passes 200 and 201, and raises what any other status means."""
    accept_success(TokenResponse(201, {}, b""))
    with pytest.raises(TokenRefused):
        accept_success(TokenResponse(400, {}, b"{}"))


def test_the_deserializer() -> None:
    """`json_object` gives the members of a document, and raises for what is none."""
    assert {"a": 1} == json_object(TokenResponse(200, {}, b'{"a":1}'))
    with pytest.raises(InvalidTokenResponse):
        json_object(TokenResponse(200, {}, b"[]"))


def test_the_default_cache_has_the_clock_of_the_strategies() -> None:
    """What has ended by the clock that was given is gone from the default cache, too, for all who share it."""
    clock = FakeClock()
    shared = SdkConfiguration(clock=clock, fetch=Endpoint(grant("first"), grant("second")))
    for name in ("first", "second"):
        strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET)
        strategy.set_configuration(shared)
        assert name == strategy.get_or_create_access_token().access_token
        settled(strategy)
        clock.advance(3600)

"""What must not type-check, and what comes of it when it is run all the same.

Each comment names the complaints that are due. If a line should begin to type-check, both checkers report its comment
as unnecessary.
"""

from __future__ import annotations

import inspect
import time

import attrs
import pytest

import client_credentials as cc
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal

TOKEN = cc.AccessToken("a-token", "Bearer", 3600, 1_700_000_000_000)


class Plain:
    """A cache without a lock."""

    def get(self, key: str) -> cc.CacheEntry | None:
        """Give nothing."""
        return None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep nothing."""

    def remove(self, key: str) -> None:
        """Forget nothing."""


class Forgetful:
    """A strategy of a user's whose removal is not told which token is dead."""

    def get_or_create_access_token(self) -> cc.AccessToken:
        """Give a token."""
        return TOKEN

    def remove_access_token(self) -> None:
        """Forget it."""


def test_arguments_of_a_strategy() -> None:
    """A wrong argument is a ValueError that names it; a missing one, or one too many, a TypeError as everywhere."""
    with pytest.raises(TypeError):
        cc.ClientCredentialsStrategy("an-id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.ClientCredentialsStrategy("an-id", "a-secret", "https://example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.ClientCredentialsStrategy("an-id", "a-secret", scope="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="client_id"):
        cc.ClientCredentialsStrategy(None, "a-secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="client_secret"):
        cc.ClientCredentialsStrategy("an-id", b"a-secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="token_url"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", token_url=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="scopes"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", scopes=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="audience"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", audience=["a"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="resources"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", resources=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="extra_params"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", extra_params={"a": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="client_authentication"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", client_authentication="basic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="policy"):
        cc.ClientCredentialsStrategy("an-id", "a-secret", policy=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="client_secret"):
        cc.AsyncClientCredentialsStrategy("an-id", 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        cc.AsyncClientCredentialsStrategy("an-id", "a-secret", "https://example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_arguments_of_a_configuration() -> None:
    """A collaborator that cannot do its work is refused by name, and none is given by position."""
    with pytest.raises(TypeError):
        cc.SdkConfiguration(cc.Urllib3Fetch())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.SdkConfiguration(redirection_strategy=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="fetch"):
        cc.SdkConfiguration(fetch=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="error_handler"):
        cc.SdkConfiguration(error_handler="log")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="caching_strategy"):
        cc.SdkConfiguration(caching_strategy={})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="clock"):
        cc.SdkConfiguration(clock=time.time)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="clock"):
        cc.SdkConfiguration(clock=time)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="configuration"):
        cc.ClientCredentialsStrategy("an-id", "a-secret").set_configuration({})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        cc.RenewalPolicy(60)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="deadline"):
        cc.RenewalPolicy(deadline=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_hooks_of_the_wrong_shape() -> None:
    """A hook that takes or gives what it should not is told by the type checkers alone; a call would show it."""

    def takes_text(url: str) -> cc.TokenResponse:
        raise AssertionError(url)

    def gives_nothing(request: cc.TokenRequest) -> None:
        raise AssertionError(request)

    def takes_one(response: cc.TokenResponse) -> None:
        raise AssertionError(response)

    configurations = [
        cc.SdkConfiguration(fetch=takes_text),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        cc.SdkConfiguration(fetch=gives_nothing),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        cc.SdkConfiguration(after_request=takes_one),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        cc.SdkConfiguration(deserializer=takes_one),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ]
    assert 4 == len(configurations)


def test_a_token_does_not_change() -> None:
    """No member of a value can be set, and what is not there is not made up."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TOKEN.access_token = "another"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError):
        TOKEN.authorization = "Bearer another"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        TOKEN.extra["tier"] = 3  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(AttributeError):
        assert TOKEN.id_token  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cc.RenewalPolicy().deadline = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cc.SdkConfiguration().clock = FakeClock()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        cc.AccessToken("a-token", "Bearer")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.CacheEntry("text")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.TokenRequest("POST", "https://example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.TokenResponse(200)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_what_is_given_is_not_what_it_seems() -> None:
    """There may be no token to look at, and a coroutine is none until it is awaited."""
    strategy = cc.ClientCredentialsStrategy("an-id", "a-secret")
    with pytest.raises(AttributeError):
        assert strategy.get_access_token().access_token  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    pending = cc.AsyncClientCredentialsStrategy("an-id", "a-secret").get_access_token()
    with pytest.raises(AttributeError):
        assert pending.access_token  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    pending.close()
    with pytest.raises(ValueError, match="token"):
        strategy.remove_access_token(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given: cc.AccessToken = strategy.get_access_token()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert repr(None) == repr(given)


def test_errors_need_their_reasons() -> None:
    """An error is made with what explains it, and the rest of it by name."""
    with pytest.raises(TypeError):
        cc.TokenRefused()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.InvalidTokenResponse(200)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.TokenEndpointUnreachable()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.TokenError("why", True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(AttributeError):
        assert cc.TokenError("why").status  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_one_kind_is_not_the_other() -> None:
    """The two interfaces of the SDK do not stand in for each other, nor does a cache without a lock for one with it."""
    blocking: cc.AuthStrategy = cc.AsyncClientCredentialsStrategy("an-id", "a-secret")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    awaited: cc.AsyncAuthStrategy = cc.ClientCredentialsStrategy("an-id", "a-secret")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert inspect.iscoroutinefunction(blocking.get_access_token)
    assert not inspect.iscoroutinefunction(awaited.get_access_token)
    locking: cc.LockingCachingStrategy = Plain()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert "lock" not in dir(locking)
    cache: cc.CachingStrategy = FakeClock()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert "get" not in dir(cache)
    clock: cc.Clock = Plain()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert "wall" not in dir(clock)


def test_arguments_of_the_rest() -> None:
    """The caches, the fetch and the test kit take what they say, as they say it."""
    with pytest.raises(TypeError):
        cc.InMemoryCachingStrategy(FakeClock())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.FileCachingStrategy()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.RedisCachingStrategy()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        cc.Urllib3Fetch(None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="max_body"):
        cc.Urllib3Fetch(max_body="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="pool"):
        cc.Urllib3Fetch(pool="https")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        TokenServer("an-id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        Answer(429)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        refusal()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(AttributeError):
        TokenServer("an-id", "a-secret").url = "https://example.com"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_bearers() -> None:
    """Checkers refuse a strategy whose removal is not told the token; requests refuses one that has to be awaited."""
    awaited = cc.AsyncClientCredentialsStrategy("an-id", "a-secret")
    with pytest.raises(ValueError, match="strategy"):
        for_requests.BearerAuth(awaited)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for_requests.BearerAuth(Forgetful())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for_httpx.BearerAuth(Forgetful())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        for_httpx2.BearerAuth(awaited, "https://api.example")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="strategy"):
        for_aiohttp.bearer("token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

"""What a type checker knows of each public name; the checkers read this file, and running it shows that it is true."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal, assert_type

import client_credentials as cc
from client_credentials.testing import FakeClock, TokenServer

TOKEN = cc.AccessToken("a-token", "Bearer", 3600, 1_700_000_000_000)
REQUEST = cc.TokenRequest("POST", "https://example.com/token", {}, b"", 1.0)
RESPONSE = cc.TokenResponse(200, {}, b"{}")


def test_values() -> None:
    """The values have the types that RFC 6749 suggests; every optional one says so."""
    assert_type(TOKEN, cc.AccessToken)
    assert_type(TOKEN.access_token, str)
    assert_type(TOKEN.token_type, str)
    assert_type(TOKEN.expires_in, int)
    assert_type(TOKEN.expires, int)
    assert_type(TOKEN.scope, str | None)
    assert_type(TOKEN.refresh_token, str | None)
    assert_type(TOKEN.extra, Mapping[str, object])
    assert_type(TOKEN.authorization, str)
    assert_type(TOKEN.expires_at, datetime)
    assert_type(REQUEST, cc.TokenRequest)
    assert_type(REQUEST.method, str)
    assert_type(REQUEST.url, str)
    assert_type(REQUEST.headers, Mapping[str, str])
    assert_type(REQUEST.body, bytes)
    assert_type(REQUEST.timeout, float)
    assert_type(RESPONSE, cc.TokenResponse)
    assert_type(RESPONSE.status, int)
    assert_type(RESPONSE.headers, Mapping[str, str])
    assert_type(RESPONSE.body, bytes)
    assert_type(RESPONSE.header("Content-Type"), str | None)
    entry = cc.CacheEntry("text", 1.0)
    assert_type(entry, cc.CacheEntry)
    assert_type(entry.value, str)
    assert_type(entry.ttl, float | None)


def test_policy_and_authentication() -> None:
    """Times are numbers of seconds; the ways of authentication are an enumeration."""
    policy = cc.RenewalPolicy(
        renew_ahead=120, leeway=10, assumed_lifetime=300, max_lifetime=86400, jitter=0, deadline=10
    )
    assert_type(policy, cc.RenewalPolicy)
    assert_type(policy.renew_ahead, float | None)
    assert_type(policy.leeway, float)
    assert_type(policy.assumed_lifetime, float)
    assert_type(policy.max_lifetime, float)
    assert_type(policy.jitter, float)
    assert_type(policy.deadline, float)
    way = cc.ClientAuthentication("basic")
    assert_type(way, cc.ClientAuthentication)
    ways = (way.BASIC, way.BASIC_RAW, way.POST, way.ASSERTION, way.TLS)
    assert [*cc.ClientAuthentication] == [*ways]
    assert "basic basic-raw post assertion tls".split() == [each.value for each in ways]
    assert_type(cc.ClientAuthentication.TLS, Literal[cc.ClientAuthentication.TLS])


def test_errors() -> None:
    """An error says whether and when to ask again; each kind has what explains it."""
    for error in (cc.TokenError("why"), cc.TokenRefused(400), cc.TokenEndpointUnreachable("")):
        assert_type(error.retryable, bool)
        assert_type(error.retry_after, float | None)
        assert_type(error.token_url, str | None)
        assert_type(error.client_id, str | None)
    refused = cc.TokenRefused(400, "invalid_scope", None, None, www_authenticate=None, retryable=False)
    assert_type(refused, cc.TokenRefused)
    assert_type(refused.status, int)
    assert_type(refused.error, str | None)
    assert_type(refused.error_description, str | None)
    assert_type(refused.error_uri, str | None)
    assert_type(refused.www_authenticate, str | None)
    invalid = cc.InvalidTokenResponse(None, "why", retryable=False, retry_after=None)
    assert_type(invalid, cc.InvalidTokenResponse)
    assert_type(invalid.status, int | None)
    assert_type(invalid.reason, str)
    hook = cc.HookError("fetch", "raised KeyError", retryable=False)
    assert_type(hook.hook, str)
    unreachable = cc.TokenEndpointUnreachable("why", retryable=True, retry_after=1)
    assert_type(unreachable, cc.TokenEndpointUnreachable)
    assert_type(unreachable.reason, str)
    leaves = {type(leaf) for leaf in (refused, invalid, hook, unreachable)}
    assert leaves == {leaf for leaf in cc.TokenError.__subclasses__() if leaf.__module__ == cc.TokenError.__module__}


def test_configuration() -> None:
    """What a hook gives back is its own affair; what it is given is not."""
    configuration = cc.SdkConfiguration()
    assert_type(configuration, cc.SdkConfiguration)
    assert_type(configuration.fetch, Callable[[cc.TokenRequest], cc.TokenResponse | Awaitable[cc.TokenResponse]])
    assert_type(configuration.before_request, Callable[[cc.TokenRequest], object])
    assert_type(configuration.after_request, Callable[[cc.TokenRequest, cc.TokenResponse], object])
    assert_type(configuration.deserializer, Callable[[cc.TokenResponse], Mapping[str, object]])
    assert_type(configuration.response_validator, Callable[[cc.TokenResponse], object])
    assert_type(configuration.error_handler, Callable[[cc.TokenError], object])
    assert_type(configuration.caching_strategy, cc.CachingStrategy)
    assert_type(configuration.clock, cc.Clock)
    defaults: list[Callable[[cc.TokenResponse], object]] = [cc.accept_success, cc.json_object]
    assert [configuration.response_validator, configuration.deserializer] == defaults


def test_the_strategies(tmp_path: Path) -> None:
    """The arguments are as general as can be, what comes back is as exact; the twins have the same."""
    scopes: Collection[str] = frozenset({"read"})
    resources: Collection[str] = []
    extra: Mapping[str, str] = {}
    audience: str | None = None
    with TokenServer("an-id", "a-secret") as server:
        strategy = cc.ClientCredentialsStrategy(
            "an-id",
            lambda: "a-secret",
            token_url=server.url,
            scopes=scopes,
            audience=audience,
            resources=resources,
            extra_params=extra,
            headers=extra,
            client_authentication=cc.ClientAuthentication.POST,
            policy=cc.RenewalPolicy(),
        )
        assert_type(strategy, cc.ClientCredentialsStrategy)
        strategy.set_configuration(cc.SdkConfiguration(caching_strategy=cc.FileCachingStrategy(tmp_path)))
        assert_type(strategy.get_access_token(), cc.AccessToken | None)
        token = assert_type(strategy.get_or_create_access_token(), cc.AccessToken)
        strategy.remove_access_token(token)
        assert through_protocol(strategy) is not None
        twin = cc.AsyncClientCredentialsStrategy("an-id", ["a-secret"], token_url=server.url)
        assert_type(twin, cc.AsyncClientCredentialsStrategy)
        assert asyncio.run(through_async_protocol(twin)) is not None
        assert asyncio.run(awaited(twin)) is None
    assert inspect.signature(cc.ClientCredentialsStrategy) == inspect.signature(cc.AsyncClientCredentialsStrategy)


async def awaited(strategy: cc.AsyncClientCredentialsStrategy) -> cc.AccessToken | None:
    """Use the asynchronous strategy, as a checker sees it."""
    assert_type(await strategy.get_access_token(), cc.AccessToken | None)
    token = assert_type(await strategy.get_or_create_access_token(), cc.AccessToken)
    await strategy.remove_access_token(token)
    await strategy.remove_access_token()
    return await strategy.get_access_token()


def through_protocol(strategy: cc.AuthStrategy) -> cc.AccessToken | None:
    """Use the SDK's interface, as a checker sees it."""
    configure: Callable[[cc.SdkConfiguration], None] = strategy.set_configuration
    forget_all: Callable[[], None] = strategy.remove_access_token
    forget_one: Callable[[cc.AccessToken | None], None] = strategy.remove_access_token
    configure(cc.SdkConfiguration())
    forget_all()
    forget_one(TOKEN)
    assert_type(strategy.get_or_create_access_token(), cc.AccessToken)
    return assert_type(strategy.get_access_token(), cc.AccessToken | None)


async def through_async_protocol(strategy: cc.AsyncAuthStrategy) -> cc.AccessToken | None:
    """Use the SDK's interface for an event loop, as a checker sees it."""
    configure: Callable[[cc.SdkConfiguration], None] = strategy.set_configuration
    configure(cc.SdkConfiguration())
    await strategy.remove_access_token()
    await strategy.remove_access_token(TOKEN)
    assert_type(await strategy.get_or_create_access_token(), cc.AccessToken)
    return assert_type(await strategy.get_access_token(), cc.AccessToken | None)


class NoRedis:
    """A Redis client that has nothing."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Answer nothing to anything."""
        return None


class Unlocked:
    """A cache of a user's that keeps nothing and has no lock."""

    def get(self, key: str) -> None:
        """Give nothing."""

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep nothing."""

    def remove(self, key: str) -> None:
        """Forget what was never kept."""


def test_caches(tmp_path: Path) -> None:
    """Every cache gives entries or nothing, and takes seconds as any number; ours lock, a user's may do without."""
    clock: cc.Clock | None = None
    directory: str | os.PathLike[str] = tmp_path
    memory = assert_type(cc.InMemoryCachingStrategy(clock=clock), cc.InMemoryCachingStrategy)
    file = assert_type(cc.FileCachingStrategy(directory), cc.FileCachingStrategy)
    redis = assert_type(cc.RedisCachingStrategy(NoRedis()), cc.RedisCachingStrategy)
    for cache in (memory, file, redis):
        through_caches(cache, cache)
        assert_type(cache.get("key"), cc.CacheEntry | None)
        cache.set("key", "value", 1)
        cache.remove("key")
        with cache.lock("key", 1.0) as mine:
            assert_type(mine, bool)
        assert cache.get("key") is None
    caches: tuple[cc.CachingStrategy, ...] = (memory, file, redis, Unlocked())
    configured = [cc.SdkConfiguration(caching_strategy=each).caching_strategy for each in caches]
    assert [True, True, True, False] == [isinstance(each, cc.LockingCachingStrategy) for each in configured]


def through_caches(cache: cc.CachingStrategy, locking: cc.LockingCachingStrategy) -> None:
    """Use a cache that a user may have made, as a checker sees it."""
    keep: Callable[[str, str, float], None] = cache.set
    forget: Callable[[str], None] = cache.remove
    keep("key", "value", 1)
    forget("key")
    assert_type(cache.get("key"), cc.CacheEntry | None)
    assert_type(locking.get("key"), cc.CacheEntry | None)
    with assert_type(locking.lock("key", 1.0), AbstractContextManager[bool]) as mine:
        assert_type(mine, bool)


def test_clocks() -> None:
    """Every clock gives seconds; the fake one is moved by seconds."""
    anybodys: cc.Clock = cc.SystemClock()
    for clock in (cc.SystemClock(), FakeClock(wall=1, monotonic=2.5), anybodys):
        assert_type(clock.wall(), float)
        assert_type(clock.monotonic(), float)
        assert clock is cc.SdkConfiguration(clock=clock).clock
    fake = assert_type(FakeClock(), FakeClock)
    moves: list[Callable[[float], None]] = [fake.advance, fake.step_wall, fake.suspend]
    for move in moves:
        move(1)
    assert (1_700_000_003.0, 1.0) == (fake.wall(), fake.monotonic())


def test_the_fetch() -> None:
    """Urllib3Fetch is a fetch, and so is any function from a request to a response."""
    fetch = assert_type(cc.Urllib3Fetch(pool=None, ssl_context=None, max_body=1024, trust_env=False), cc.Urllib3Fetch)
    fetches: tuple[Callable[[cc.TokenRequest], cc.TokenResponse], ...] = (fetch, lambda _: RESPONSE)
    configured = [cc.SdkConfiguration(fetch=each).fetch for each in fetches]
    with TokenServer("an-id", "a-secret") as server:
        request = cc.TokenRequest("POST", server.url, {}, b"", 5)
        assert 415 == assert_type(fetch(request), cc.TokenResponse).status
    assert [*fetches] == configured

"""What a type checker knows of each public name; the checkers read this file, and running it shows that it is true."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal, assert_type

import client_credentials
import client_credentials.testing
from client_credentials import (
    AccessToken,
    AsyncAuthStrategy,
    AsyncClientCredentialsStrategy,
    AuthStrategy,
    CacheEntry,
    CachingStrategy,
    ClientAuthentication,
    ClientCredentialsStrategy,
    Clock,
    FileCachingStrategy,
    HookError,
    InMemoryCachingStrategy,
    InvalidTokenResponse,
    LockingCachingStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    SystemClock,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
    accept_success,
    json_object,
)
from client_credentials.testing import (
    Answer,
    AsyncStaticStrategy,
    FakeClock,
    ReceivedRequest,
    StaticStrategy,
    TokenServer,
    refusal,
)

TOKEN = AccessToken("a-token", "Bearer", 3600, 1_700_000_000_000)
REQUEST = TokenRequest("POST", "https://example.com/token", {}, b"", 1.0)
RESPONSE = TokenResponse(200, {}, b"{}")


def test_values() -> None:
    """The values have the types that RFC 6749 suggests; every optional one says so."""
    assert_type(TOKEN, AccessToken)
    assert_type(TOKEN.access_token, str)
    assert_type(TOKEN.token_type, str)
    assert_type(TOKEN.expires_in, int)
    assert_type(TOKEN.expires, int)
    assert_type(TOKEN.scope, str | None)
    assert_type(TOKEN.refresh_token, str | None)
    assert_type(TOKEN.extra, Mapping[str, object])
    assert_type(TOKEN.authorization, str)
    assert_type(TOKEN.expires_at, datetime)
    assert_type(REQUEST, TokenRequest)
    assert_type(REQUEST.method, str)
    assert_type(REQUEST.url, str)
    assert_type(REQUEST.headers, Mapping[str, str])
    assert_type(REQUEST.body, bytes)
    assert_type(REQUEST.timeout, float)
    assert_type(RESPONSE, TokenResponse)
    assert_type(RESPONSE.status, int)
    assert_type(RESPONSE.headers, Mapping[str, str])
    assert_type(RESPONSE.body, bytes)
    assert_type(RESPONSE.header("Content-Type"), str | None)
    entry = CacheEntry("text", 1.0)
    assert_type(entry, CacheEntry)
    assert_type(entry.value, str)
    assert_type(entry.ttl, float | None)


def test_policy_and_authentication() -> None:
    """Times are numbers of seconds; the ways of authentication are an enumeration."""
    policy = RenewalPolicy(renew_ahead=120, leeway=10, assumed_lifetime=300, max_lifetime=86400, jitter=0, deadline=10)
    assert_type(policy, RenewalPolicy)
    assert_type(policy.renew_ahead, float | None)
    assert_type(policy.leeway, float)
    assert_type(policy.assumed_lifetime, float)
    assert_type(policy.max_lifetime, float)
    assert_type(policy.jitter, float)
    assert_type(policy.deadline, float)
    assert_type(ClientAuthentication("basic"), ClientAuthentication)
    assert_type(ClientAuthentication.BASIC, Literal[ClientAuthentication.BASIC])
    assert_type(ClientAuthentication.BASIC_RAW, Literal[ClientAuthentication.BASIC_RAW])
    assert_type(ClientAuthentication.ASSERTION, Literal[ClientAuthentication.ASSERTION])
    assert_type(ClientAuthentication.TLS, Literal[ClientAuthentication.TLS])
    assert_type(ClientAuthentication.POST, Literal[ClientAuthentication.POST])


def test_errors() -> None:
    """An error says whether and when to ask again; each kind has what explains it."""
    for error in (TokenError("why"), TokenRefused(400), InvalidTokenResponse(200, "why"), TokenEndpointUnreachable("")):
        assert_type(error.retryable, bool)
        assert_type(error.retry_after, float | None)
        assert_type(error.token_url, str | None)
        assert_type(error.client_id, str | None)
    refused = TokenRefused(400, "invalid_scope", None, None, www_authenticate=None, retryable=False, retry_after=None)
    assert_type(refused, TokenRefused)
    assert_type(refused.status, int)
    assert_type(refused.error, str | None)
    assert_type(refused.error_description, str | None)
    assert_type(refused.error_uri, str | None)
    assert_type(refused.www_authenticate, str | None)
    invalid = InvalidTokenResponse(None, "why", retryable=False, retry_after=None)
    assert_type(invalid, InvalidTokenResponse)
    assert_type(invalid.status, int | None)
    assert_type(invalid.reason, str)
    hook = HookError("fetch", "raised KeyError", retryable=False)
    assert_type(hook.hook, str)
    unreachable = TokenEndpointUnreachable("why", retryable=True, retry_after=1)
    assert_type(unreachable, TokenEndpointUnreachable)
    assert_type(unreachable.reason, str)


def test_configuration() -> None:
    """What a hook gives back is its own affair; what it is given is not."""
    configuration = SdkConfiguration()
    assert_type(configuration, SdkConfiguration)
    assert_type(configuration.fetch, Callable[[TokenRequest], TokenResponse | Awaitable[TokenResponse]])
    assert_type(configuration.before_request, Callable[[TokenRequest], object])
    assert_type(configuration.after_request, Callable[[TokenRequest, TokenResponse], object])
    assert_type(configuration.deserializer, Callable[[TokenResponse], Mapping[str, object]])
    assert_type(configuration.response_validator, Callable[[TokenResponse], object])
    assert_type(configuration.error_handler, Callable[[TokenError], object])
    assert_type(configuration.caching_strategy, CachingStrategy)
    assert_type(configuration.clock, Clock)
    defaults: list[Callable[[TokenResponse], object]] = [accept_success, json_object]
    assert [configuration.response_validator, configuration.deserializer] == defaults


def test_the_strategy(tmp_path: Path) -> None:
    """The arguments are as general as can be, what comes back is as exact."""
    scopes: Collection[str] = frozenset({"read"})
    resources: Collection[str] = []
    extra: Mapping[str, str] = {}
    audience: str | None = None
    with TokenServer("an-id", "a-secret") as server:
        strategy = ClientCredentialsStrategy(
            "an-id",
            lambda: "a-secret",
            token_url=server.url,
            scopes=scopes,
            audience=audience,
            resources=resources,
            extra_params=extra,
            client_authentication=ClientAuthentication.POST,
            policy=RenewalPolicy(),
        )
        assert_type(strategy, ClientCredentialsStrategy)
        strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(tmp_path)))
        assert_type(strategy.get_access_token(), AccessToken | None)
        token = assert_type(strategy.get_or_create_access_token(), AccessToken)
    configure: Callable[[SdkConfiguration], None] = strategy.set_configuration
    forget_all: Callable[[], None] = strategy.remove_access_token
    forget_one: Callable[[AccessToken | None], None] = strategy.remove_access_token
    forget_one(token)
    forget_all()
    configure(SdkConfiguration())
    assert strategy.get_access_token() is None


async def awaited(strategy: AsyncClientCredentialsStrategy) -> AccessToken | None:
    """Use the asynchronous strategy, as a checker sees it."""
    assert_type(await strategy.get_access_token(), AccessToken | None)
    token = assert_type(await strategy.get_or_create_access_token(), AccessToken)
    await strategy.remove_access_token(token)
    await strategy.remove_access_token()
    return await strategy.get_access_token()


def test_the_asynchronous_strategy() -> None:
    """The twin has the same arguments and the same types, to be awaited."""
    with TokenServer("an-id", "a-secret") as server:
        strategy = AsyncClientCredentialsStrategy("an-id", "a-secret", token_url=server.url)
        assert_type(strategy, AsyncClientCredentialsStrategy)
        assert asyncio.run(awaited(strategy)) is None
    twins = (ClientCredentialsStrategy, AsyncClientCredentialsStrategy)
    assert inspect.signature(twins[0]) == inspect.signature(twins[1])


class NoRedis:
    """A Redis client that has nothing."""

    def execute_command(self, *args: str | bytes | int) -> object:
        """Answer nothing to anything."""
        return None


def test_caches(tmp_path: Path) -> None:
    """Every cache gives entries or nothing, and takes seconds as any number."""
    clock: Clock | None = None
    directory: str | os.PathLike[str] = tmp_path
    memory = assert_type(InMemoryCachingStrategy(clock=clock), InMemoryCachingStrategy)
    file = assert_type(FileCachingStrategy(directory), FileCachingStrategy)
    redis = assert_type(RedisCachingStrategy(NoRedis()), RedisCachingStrategy)
    caches: tuple[LockingCachingStrategy, ...] = (memory, file, redis)
    for cache in caches:
        through_protocols(cache, cache)
    for cache in (memory, file, redis):
        assert_type(cache.get("key"), CacheEntry | None)
        cache.set("key", "value", 1)
        cache.remove("key")
        with cache.lock("key", 1.0) as mine:
            assert_type(mine, bool)
        assert cache.get("key") is None


def through_protocols(cache: CachingStrategy, locking: LockingCachingStrategy) -> None:
    """Use a cache that a user may have made, as a checker sees it."""
    keep: Callable[[str, str, float], None] = cache.set
    forget: Callable[[str], None] = cache.remove
    keep("key", "value", 1)
    forget("key")
    assert_type(cache.get("key"), CacheEntry | None)
    assert_type(locking.get("key"), CacheEntry | None)
    with assert_type(locking.lock("key", 1.0), AbstractContextManager[bool]) as mine:
        assert_type(mine, bool)


def through_strategies(strategy: AuthStrategy) -> AccessToken | None:
    """Use the SDK's interface, as a checker sees it."""
    configure: Callable[[SdkConfiguration], None] = strategy.set_configuration
    forget: Callable[[], None] = strategy.remove_access_token
    configure(SdkConfiguration())
    forget()
    assert_type(strategy.get_or_create_access_token(), AccessToken)
    return assert_type(strategy.get_access_token(), AccessToken | None)


async def through_asynchronous_strategies(strategy: AsyncAuthStrategy) -> AccessToken | None:
    """Use the SDK's interface for an event loop, as a checker sees it."""
    configure: Callable[[SdkConfiguration], None] = strategy.set_configuration
    configure(SdkConfiguration())
    await strategy.remove_access_token()
    assert_type(await strategy.get_or_create_access_token(), AccessToken)
    return assert_type(await strategy.get_access_token(), AccessToken | None)


def test_the_interfaces_of_the_sdk() -> None:
    """Whoever is given one of the two interfaces has all four methods, typed."""
    with TokenServer("an-id", "a-secret") as server:
        strategy = ClientCredentialsStrategy("an-id", "a-secret", token_url=server.url)
        twin = AsyncClientCredentialsStrategy("an-id", "a-secret", token_url=server.url)
        assert through_strategies(strategy) is not None
        assert asyncio.run(through_asynchronous_strategies(twin)) is not None


def test_clocks() -> None:
    """Every clock gives seconds; the fake one is moved by seconds."""
    anybodys: Clock = SystemClock()
    for clock in (SystemClock(), FakeClock(wall=1, monotonic=2.5), anybodys):
        assert_type(clock.wall(), float)
        assert_type(clock.monotonic(), float)
    fake = assert_type(FakeClock(), FakeClock)
    moves: list[Callable[[float], None]] = [fake.advance, fake.step_wall, fake.suspend]
    for move in moves:
        move(1)
    assert (1_700_000_003.0, 1.0) == (fake.wall(), fake.monotonic())


def test_the_fetch() -> None:
    """A fetch is any function from a request to a response."""
    fetch = assert_type(Urllib3Fetch(pool=None, max_body=1024, trust_env=False), Urllib3Fetch)
    with TokenServer("an-id", "a-secret") as server:
        request = TokenRequest("POST", server.url, {}, b"", 5)
        assert 415 == assert_type(fetch(request), TokenResponse).status


def test_the_test_kit() -> None:
    """What users' own tests are given is typed like the rest."""
    answer = Answer(status=200, headers={}, body=None, delay=0, drip=0, lifetime=None, raw=None)
    assert_type(answer, Answer)
    assert_type(answer.status, int)
    assert_type(answer.headers, Mapping[str, str])
    assert_type(answer.body, bytes | Mapping[str, object] | None)
    assert_type(answer.delay, float)
    assert_type(answer.drip, float)
    assert_type(answer.lifetime, int | None)
    assert_type(answer.raw, bytes | None)
    assert_type(answer.encode(), bytes)
    assert_type(refusal("invalid_scope", None, 400), Answer)
    with TokenServer("an-id", "a-secret", 60, ssl_context=None) as server:
        assert_type(server, TokenServer)
        assert_type(server.url, str)
        assert_type(server.issued, list[str])
        assert_type(server.connections, int)
        server.answer(answer, refusal("invalid_scope"))
        server.always(answer)
        server.always(None)
        ClientCredentialsStrategy("an-id", "a-secret", token_url=server.url).get_or_create_access_token()
        [received] = assert_type(server.requests, list[ReceivedRequest])
    scripted: list[Callable[..., None]] = [server.start, server.close, server.answer, server.always]
    assert 4 == len(scripted)
    assert_type(received, ReceivedRequest)
    assert_type(received.method, str)
    assert_type(received.target, str)
    assert_type(received.headers, dict[str, str])
    assert_type(received.body, bytes)
    assert_type(received.form, list[tuple[str, str]])
    assert_type(received.client_id, str | None)
    assert_type(received.problem, str | None)


def public(owner: object) -> set[str]:
    """The public names of a module or of a class, its own and those of the package that it inherits."""
    if not inspect.isclass(owner):
        return set(getattr(owner, "__all__", ()))
    ours = [base for base in owner.__mro__ if base.__module__.startswith("client_credentials")]
    return {name for base in ours for name in (*vars(base), *vars(base).get("__annotations__", ())) if name[0] != "_"}


def test_static_strategies() -> None:
    """The strategies for tests fulfil the protocols; what was removed from them is a list."""
    static, asynchronous = StaticStrategy("a-token"), AsyncStaticStrategy(TOKEN)
    strategies: tuple[AuthStrategy, AsyncAuthStrategy] = static, asynchronous
    assert_type(static.removed, list[AccessToken | None])
    assert_type(asynchronous.removed, list[AccessToken | None])
    assert 2 == len(strategies)


def test_no_name_is_left_out() -> None:
    """Each public name, and each public member of a class, is used in this file."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(Path(__file__).read_text("utf-8"))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                used.add(name)
            case _:
                pass
    modules = (client_credentials, client_credentials.testing)
    names = {name: getattr(module, name) for module in modules for name in public(module)}
    missing = {name: public(owner) - used for name, owner in names.items() if inspect.isclass(owner)}
    assert set() == set(names) - used
    assert {} == {name: members for name, members in missing.items() if members}

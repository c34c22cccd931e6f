"""What a type checker knows of the public names of the other modules: testing, integrations, discovery, assertions."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal, assert_type

import aiohttp
import httpx
import httpx2
import requests
from hypothesis.strategies import SearchStrategy
from requests.auth import AuthBase

import client_credentials as cc
from client_credentials import testing
from client_credentials.assertions import AssertionFile, PrivateKeyJwt
from client_credentials.discovery import ServerMetadata, discover, discover_async
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from client_credentials.integrations.spotipy import AuthManager
from client_credentials.testing import drills, simulation, strategies
from client_credentials.testing.contracts import AuthStrategyContract, CachingContract

PUBLIC = [
    *("", ".assertions", ".discovery", ".testing"),
    *(f".integrations.{name}" for name in "aiohttp httpx httpx2 requests spotipy".split()),
    *(f".testing.{name}" for name in "contracts drills simulation strategies".split()),
]
TOKEN = cc.AccessToken("a-token", "Bearer", 3600, 1_700_000_000_000)
BLOCKING = cc.ClientCredentialsStrategy("an-id", "a-secret")
AWAITED = cc.AsyncClientCredentialsStrategy("an-id", "a-secret")


def test_discovery() -> None:
    """Both ways to look an issuer up give its metadata."""

    def fetch(_: cc.TokenRequest) -> cc.TokenResponse:
        return cc.TokenResponse(200, {}, b'{"issuer":"https://a.example","token_endpoint":"https://a.example/token"}')

    found = assert_type(discover("https://a.example", fetch=fetch), ServerMetadata)
    assert_type(found.issuer, str)
    assert_type(found.token_url, str)
    assert_type(found.token_endpoint_auth_methods, tuple[str, ...])
    assert found == assert_type(asyncio.run(discover_async("https://a.example", fetch=fetch)), ServerMetadata)


def test_assertions(tmp_path: Path) -> None:
    """An assertion is a secret that is asked for."""
    (tmp_path / "token").write_text("an.asser.tion")
    read = AssertionFile(tmp_path / "token")
    sign = PrivateKeyJwt("key.pem", client_id="an-id", audience="a", algorithm="ES256", key_id=None, lifetime=60)
    secrets: tuple[Callable[[], str], ...] = (read, sign)
    assert "an.asser.tion" == assert_type(read(), str)
    for secret in secrets:
        cc.ClientCredentialsStrategy("an-id", secret, client_authentication=cc.ClientAuthentication.ASSERTION)


def test_bearers() -> None:
    """A bearer is what its library takes for `auth`, and takes the strategies that it can use."""
    for_a_session: AuthBase = for_requests.BearerAuth(BLOCKING, origin=None, allow_http=False)
    for_clients: tuple[httpx.Auth, ...] = (for_httpx.BearerAuth(BLOCKING), for_httpx.BearerAuth(AWAITED))
    for_new_clients: tuple[httpx2.Auth, ...] = (for_httpx2.BearerAuth(BLOCKING), for_httpx2.BearerAuth(AWAITED))
    for_sessions: tuple[aiohttp.ClientMiddlewareType, ...] = (for_aiohttp.bearer(BLOCKING), for_aiohttp.bearer(AWAITED))
    assert all(callable(each) for each in (for_a_session, *for_sessions))
    for each in for_new_clients:
        with httpx2.Client(auth=each) as new_client:
            assert each is new_client.auth
    for bearer in for_clients:
        with httpx.Client(auth=bearer) as client:
            assert bearer is client.auth
    flows = (for_httpx.BearerAuth.sync_auth_flow, for_httpx2.BearerAuth.async_auth_flow)
    assert inspect.isgeneratorfunction(flows[0])
    assert inspect.isasyncgenfunction(flows[1])
    manager = AuthManager(testing.StaticStrategy("a-token"))
    assert "a-token" == assert_type(manager.get_access_token(as_dict=False), str)


def test_fetches() -> None:
    """A ready-made fetch is one by its type, and fits a configuration."""
    with requests.Session() as session, httpx.Client() as client, httpx2.Client() as new_client:
        fetches: tuple[Callable[[cc.TokenRequest], cc.TokenResponse], ...] = (
            for_requests.RequestsFetch(session),
            for_httpx.HttpxFetch(client),
            for_httpx2.HttpxFetch(new_client),
        )
    awaited: tuple[Callable[[cc.TokenRequest], Awaitable[cc.TokenResponse]], ...] = (
        for_httpx.AsyncHttpxFetch(httpx.AsyncClient()),
        for_httpx2.AsyncHttpxFetch(httpx2.AsyncClient()),
    )

    async def with_aiohttp() -> Callable[[cc.TokenRequest], Awaitable[cc.TokenResponse]]:
        async with aiohttp.ClientSession() as session:
            return for_aiohttp.AiohttpFetch(session)

    configured = [cc.SdkConfiguration(fetch=fetch).fetch for fetch in fetches]
    configured += [cc.SdkConfiguration(fetch=fetch).fetch for fetch in (*awaited, asyncio.run(with_aiohttp()))]
    assert [*fetches, *awaited] == configured[:-1]


def test_the_test_kit() -> None:
    """What users' own tests are given is typed like the rest."""
    answer = testing.Answer(status=200, headers={}, body=None, delay=0, drip=0, lifetime=None, raw=None)
    assert_type(answer, testing.Answer)
    assert_type(answer.status, int)
    assert_type(answer.headers, Mapping[str, str])
    assert_type(answer.body, bytes | Mapping[str, object] | None)
    assert_type(answer.delay, float)
    assert_type(answer.drip, float)
    assert_type(answer.lifetime, int | None)
    assert_type(answer.raw, bytes | None)
    assert_type(answer.encode(), bytes)
    assert_type(testing.refusal("invalid_scope", None, 400), testing.Answer)
    with testing.TokenServer("an-id", "a-secret", 60, ssl_context=None) as server:
        assert_type(server, testing.TokenServer)
        assert_type(server.url, str)
        assert_type(server.issued, list[str])
        assert_type(server.connections, int)
        server.answer(answer, testing.refusal("invalid_scope"))
        server.always(answer)
        server.always(None)
        cc.ClientCredentialsStrategy("an-id", "a-secret", token_url=server.url).get_or_create_access_token()
        [received] = assert_type(server.requests, list[testing.ReceivedRequest])
    scripted: list[Callable[..., None]] = [server.start, server.close, server.answer, server.always]
    assert 4 == len(scripted)
    assert_type(received, testing.ReceivedRequest)
    assert_type(received.method, str)
    assert_type(received.target, str)
    assert_type(received.headers, dict[str, str])
    assert_type(received.body, bytes)
    assert_type(received.form, list[tuple[str, str]])
    assert_type(received.client_id, str | None)
    assert_type(received.problem, str | None)


def test_static_strategies() -> None:
    """The strategies for tests fulfil the protocols; what was removed from them is a list."""
    static, asynchronous = testing.StaticStrategy("a-token"), testing.AsyncStaticStrategy(TOKEN)
    both: tuple[cc.AuthStrategy, cc.AsyncAuthStrategy] = static, asynchronous
    assert_type(static.removed, list[cc.AccessToken | None])
    assert_type(asynchronous.removed, list[cc.AccessToken | None])
    assert 2 == len(both)


def test_drills() -> None:
    """A holder is anything that gives a token; a report is typed to the last field."""

    def make_holder(token_url: str, client_id: str, client_secret: str) -> drills.Holder:
        return cc.ClientCredentialsStrategy(client_id, client_secret, token_url=token_url).get_or_create_access_token

    make: drills.MakeHolder = make_holder
    result = assert_type(drills.drill("redirect", make, patience=15), drills.Result)
    assert_type(result.drill, str)
    assert_type(result.verdict, Literal["good", "bad", "skipped"])
    assert_type(result.asked, str)
    assert_type(result.came, str)
    assert_type(result.requests, int)
    assert_type(result.good, str)
    assert_type(result.faults, tuple[str, ...])
    assert_type(result.seconds, float)
    assert_type(result.row(), str)
    report = drills.Report((result,))
    assert_type(report.results, tuple[drills.Result, ...])
    assert_type(report.exit_status, int)
    table: str = report.table()
    assert table.startswith(drills.HEADING)
    summary: str = report.summary()
    assert "1 good, 0 bad, 0 skipped" == summary
    assert_type(report.as_json(), str)
    assert_type(drills.load("builtins:print"), drills.MakeHolder)
    run: Callable[[drills.MakeHolder], drills.Report] = drills.run
    removing: drills.RemovingHolder = BLOCKING
    assert all(callable(each) for each in (run, removing.get_or_create_access_token, removing.remove_access_token))


def test_a_fleet() -> None:
    """A simulation gives numbers."""
    fleet = assert_type(simulation.simulate(1, lifetime=60, outage=0, shared=False, policy=None), simulation.Report)
    assert_type(fleet.seconds, float)
    assert_type(fleet.requests, int)
    assert_type(fleet.peak_at_start, int)
    assert_type(fleet.peak, int)
    assert_type(fleet.errors, int)


def test_what_is_drawn() -> None:
    """Each kind of value is drawn as what it is."""
    assert_type(strategies.access_tokens(), SearchStrategy[cc.AccessToken])
    assert_type(strategies.token_requests(), SearchStrategy[cc.TokenRequest])
    assert_type(strategies.token_responses(spoiled="any"), SearchStrategy[cc.TokenResponse])
    assert_type(strategies.token_refusals(), SearchStrategy[cc.TokenRefused])
    assert_type(strategies.invalid_token_responses(), SearchStrategy[cc.InvalidTokenResponse])
    assert_type(strategies.unreachable_endpoints(), SearchStrategy[cc.TokenEndpointUnreachable])
    assert_type(strategies.hook_errors(), SearchStrategy[cc.HookError])
    assert_type(strategies.token_errors(), SearchStrategy[cc.TokenError])
    assert_type(strategies.renewal_policies(), SearchStrategy[cc.RenewalPolicy])
    assert_type(strategies.cache_entries(), SearchStrategy[cc.CacheEntry])


class OfAHolder(drills.TokenHolderDrills):
    """The drills, as a project has them."""

    patience = 20

    def make_holder(self, token_url: str, client_id: str, client_secret: str) -> drills.Holder:
        """Make one."""
        return cc.ClientCredentialsStrategy(client_id, client_secret, token_url=token_url).get_or_create_access_token


class OfAStrategy(AuthStrategyContract):
    """The contract of strategies, as a project has it."""

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> cc.AuthStrategy:
        """Make one."""
        return cc.ClientCredentialsStrategy(client_id, client_secret, token_url=token_url)


class OfACache(CachingContract):
    """The contract of caches, as a project has it."""

    is_shared = False
    patience = 20

    def make_cache(self) -> cc.CachingStrategy:
        """Make one."""
        return cc.InMemoryCachingStrategy()

    def break_cache(self) -> None:
        """Break it."""


def test_contracts() -> None:
    """A subclass says how the thing is made, with types as general as the contract's or narrower."""
    assert OfACache().make_cache().get("key") is None
    assert OfAStrategy().make_strategy("https://a.example/token", "an-id", "a-secret").get_access_token() is None
    assert callable(OfAHolder().make_holder("https://a.example/token", "an-id", "a-secret"))


def names_in(module: ModuleType) -> set[str]:
    """The public names of a module: those that it lists, or that are its own."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return {name for name in getattr(module, "__all__", own) if name[0] != "_"}


def members_of(kind: type) -> set[str]:
    """The public members of a class, those too that it inherits from classes of the package; not its tests."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("client_credentials")]
    found = {name for base in ours for name in (*vars(base), *vars(base).get("__annotations__", ()))}
    return {name for name in found if not name.startswith(("_", "test_"))}


def test_no_name_is_left_out() -> None:
    """Each public name, and each public member of a class, is used in these files."""
    used: set[str] = set()
    for path in Path(__file__).parent.glob("test_given_types*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name):
                    used.add(name)
                case _:
                    pass
    modules = [importlib.import_module(f"client_credentials{name}") for name in PUBLIC]
    public = [(name, getattr(module, name)) for module in modules for name in names_in(module)]
    missing = {kind: members_of(kind) - used for _, kind in public if inspect.isclass(kind)}
    assert (set(), set()) == ({name for name, _ in public} - used, set().union(*missing.values()))

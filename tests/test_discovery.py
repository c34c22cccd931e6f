"""Discovery on the wire: a synchronous and an asynchronous search, with any fetch, within ten seconds."""

from __future__ import annotations

import asyncio
import pickle
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from client_credentials import (
    ClientCredentialsStrategy,
    HookError,
    InvalidTokenResponse,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
    discovery,
)
from client_credentials._shell import threads
from client_credentials.discovery import ServerMetadata, discover, discover_async
from client_credentials.testing import Answer, TokenServer
from tests.http.loopback import CLIENT
from tests.http.peers import Peer, answers, authority, drips, server_context, silent
from tests.integrations.fetches import ASYNC, SYNC, in_loop, opened

FIRST, SECOND = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
MISSING = Answer(status=404, body=b"")

Search: TypeAlias = Callable[..., ServerMetadata]


def discover_in_loop(issuer: str, **options: Any) -> ServerMetadata:
    """Search under asyncio."""
    return asyncio.run(discover_async(issuer, **options))


SEARCHES: Final[Mapping[str, Search]] = {"sync": discover, "async": discover_in_loop}


@pytest.fixture(params=SEARCHES)
def search(request: pytest.FixtureRequest) -> Search:
    """Give each of the two."""
    return SEARCHES[request.param]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the time that a search has short."""
    monkeypatch.setattr(discovery, "_SECONDS", 0.3)


def issuer_of(server: TokenServer) -> str:
    """Give the issuer that a server is."""
    return server.url.removesuffix("/api/token")


def document(server: TokenServer, **changed: object) -> Answer:
    """Give its metadata."""
    return Answer(body={"issuer": issuer_of(server), "token_endpoint": server.url, **changed})


def test_a_token_from_what_was_found(search: Search, server: TokenServer) -> None:
    """RFC9700-2.6-1: a client knows its issuer, and configures itself from that."""
    server.answer(document(server, token_endpoint_auth_methods_supported=["client_secret_post"]))
    found = search(issuer_of(server))
    assert ServerMetadata(server.url, ("client_secret_post",), issuer_of(server)) == found
    token = ClientCredentialsStrategy(*CLIENT, token_url=found.token_url).get_or_create_access_token()
    assert [token.access_token] == server.issued
    assert [("GET", FIRST), ("POST", "/api/token")] == [(each.method, each.target) for each in server.requests]
    assert "Authorization" not in server.requests[0].headers


def test_openid_where_there_is_no_other(search: Search, server: TokenServer) -> None:
    """After a 404 the second form is asked; after two, an error says what to do."""
    server.answer(MISSING, document(server), MISSING, MISSING)
    assert server.url == search(issuer_of(server)).token_url
    with pytest.raises(TokenRefused, match=r"^no server metadata at .* or .*: status 404; check the issuer") as raised:
        search(issuer_of(server))
    assert [FIRST, SECOND] * 2 == [each.target for each in server.requests]
    assert (404, None, None) == (raised.value.status, raised.value.__cause__, raised.value.__context__)
    assert str(raised.value) == str(pickle.loads(pickle.dumps(raised.value)))


def test_a_secret_goes_nowhere_else(search: Search, server: TokenServer) -> None:
    """RFC8414-3.3: with a document of another issuer there is no token endpoint."""
    server.answer(document(server, issuer="https://login.example"))
    with pytest.raises(InvalidTokenResponse, match=r"names another issuer, https://login.example;") as raised:
        search(issuer_of(server))
    assert (200, False) == (raised.value.status, raised.value.retryable)


def test_a_wait_that_the_server_orders(search: Search, server: TokenServer) -> None:
    """The seconds of a Retry-After are the error's, as with a token request."""
    server.answer(Answer(status=503, headers={"Retry-After": "7"}))
    with pytest.raises(TokenRefused) as raised:
        search(issuer_of(server))
    assert (True, 7.0) == (raised.value.retryable, raised.value.retry_after)


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        (b"302 Found\r\nLocation: https://other.example/", b"", "a redirect to https://other.example/"),
        (b"200 OK\r\nContent-Encoding: gzip", b"{}", "content-encoding refused"),
        (b"200 OK", b"x" * 1048577, "larger than 1048576 bytes"),
        (b"200 OK", b"{}{}", "not JSON"),
    ],
)
def test_it_has_the_bounds_of_a_token_answer(search: Search, head: bytes, body: bytes, words: str) -> None:
    """No redirect, nothing compressed, nothing long."""
    whole = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
    with Peer(answers(whole)) as peer, pytest.raises(InvalidTokenResponse, match=words) as raised:
        search(f"http://127.0.0.1:{peer.port}")
    assert raised.value.reason in str(raised.value)
    assert 1 == peer.connections


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("script", [silent, drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")])
def test_a_server_without_an_end(search: Search, script: Callable[..., object]) -> None:
    """The deadline is for the whole of it."""
    with Peer(script) as peer, pytest.raises(TokenEndpointUnreachable, match=r"timed out"):
        search(f"http://127.0.0.1:{peer.port}")


@pytest.mark.usefixtures("short")
def test_a_fetch_without_an_end(search: Search, server: TokenServer) -> None:
    """A fetch that keeps no timeout, or a name lookup, which knows none, delays nobody past the deadline."""
    given = threading.Event()

    def fetch(_: TokenRequest) -> bool:
        return given.wait(60)

    try:
        begun = time.monotonic()
        with pytest.raises(TokenEndpointUnreachable, match=rf"{FIRST} or .*: timed out; check the issuer") as raised:
            search(issuer_of(server), fetch=fetch)
        assert time.monotonic() - begun < 30
    finally:
        given.set()
    assert raised.value.retryable


@pytest.mark.usefixtures("short")
def test_a_coroutine_without_an_end(server: TokenServer) -> None:
    """A coroutine that keeps no timeout is cancelled."""
    ended: list[str] = []

    async def fetch(_: TokenRequest) -> TokenResponse:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("cancelled")
        return TokenResponse(200, {}, b"")

    with pytest.raises(TokenEndpointUnreachable, match=r"timed out"):
        discover_in_loop(issuer_of(server), fetch=fetch)
    assert ["cancelled"] == ended


def test_both_requests_share_the_time(search: Search, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request has what the first one left."""
    now = iter((100.0, 100.0, 107.0))
    monkeypatch.setattr(discovery, "time", type("Time", (), {"monotonic": lambda: next(now), "time": time.time}))
    timeouts: list[float] = []

    def fetch(request: TokenRequest) -> TokenResponse:
        timeouts.append(request.timeout)
        return TokenResponse(404, {}, b"")

    with pytest.raises(TokenRefused):
        search(issuer_of(server), fetch=fetch)
    assert [10.0, 3.0] == timeouts


def test_the_loop_goes_on(server: TokenServer) -> None:
    """A fetch that blocks does so in a thread; what it awaits runs in the loop of the caller."""
    server.always(document(server))
    send, seen = Urllib3Fetch(), list[threading.Thread]()

    def fetch(request: TokenRequest) -> Awaitable[TokenResponse]:
        seen.append(threading.current_thread())
        return awaited(request)

    async def awaited(request: TokenRequest) -> TokenResponse:
        seen.append(threading.current_thread())
        return await asyncio.to_thread(send, request)

    assert server.url == discover_in_loop(issuer_of(server), fetch=fetch).token_url
    assert [False, True] == [each is threading.main_thread() for each in seen]


@pytest.mark.parametrize("name", ["ours", *SYNC, *ASYNC, "coroutine"])
def test_every_fetch_will_do(name: str, tmp_path: Path) -> None:
    """RFC8414-6.1: over TLS, with the fetches that token requests have; each verifies the certificate."""
    authority().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with TokenServer(*CLIENT, ssl_context=server_context()) as server, opened(name, str(tmp_path / "ca.pem")) as fetch:
        server.answer(MISSING, document(server))
        assert server.url == in_loop(discover_async(issuer_of(server), fetch=fetch)).token_url
        if name in ("ours", *SYNC):
            server.answer(MISSING, document(server))
            assert server.url == discover(issuer_of(server), fetch=fetch).token_url
        with pytest.raises(TokenEndpointUnreachable, match=r"trust store"):
            discover(issuer_of(server), fetch=Urllib3Fetch(ssl_context=ssl.create_default_context(), trust_env=False))


class TestFetch:
    """What the program's own fetch does wrong."""

    def test_what_it_raises(self, search: Search) -> None:
        """An exception is the cause of a HookError; a TokenError is taken for what it says."""
        cause = KeyError("secret")

        def fails(_: TokenRequest) -> TokenResponse:
            raise cause

        def knows(_: TokenRequest) -> TokenResponse:
            raise TokenEndpointUnreachable("the network\n is down", retryable=False)

        with pytest.raises(HookError, match=r"^fetch raised KeyError$") as raised:
            search("https://login.example", fetch=fails)
        assert cause is raised.value.__cause__
        with pytest.raises(TokenEndpointUnreachable, match=r"no answer from https://.*: the network is down;") as known:
            search("https://login.example", fetch=knows)
        assert (False, None) == (known.value.retryable, known.value.__cause__)

    def test_an_error_without_its_attributes(self, search: Search) -> None:
        """One that does not have what its class promises is any other exception."""

        class Hollow(TokenEndpointUnreachable):
            def __init__(self) -> None:
                Exception.__init__(self, "a-secret-41")

        def fails(_: TokenRequest) -> TokenResponse:
            raise Hollow

        with pytest.raises(HookError, match=r"^fetch raised Hollow$"):
            search("https://login.example", fetch=fails)

    def test_what_it_exits_with(self) -> None:
        """In a thread there is nothing to exit from."""

        def exits(_: TokenRequest) -> TokenResponse:
            sys.exit(3)

        with pytest.raises(HookError, match=r"fetch raised SystemExit"):
            discover("https://login.example", fetch=exits)

    def test_what_it_returns(self, search: Search) -> None:
        """Anything but a TokenResponse is named by its type."""

        def fetch(_: TokenRequest) -> str:
            return ""

        with pytest.raises(HookError, match=r"^fetch returned str, expected TokenResponse$"):
            search("https://login.example", fetch=fetch)

    def test_what_it_is(self, search: Search) -> None:
        """It is callable, and for the synchronous search no coroutine function; nothing is sent otherwise."""
        with pytest.raises(ValueError, match=r"^fetch must be callable$"):
            search("https://login.example", fetch=7)

        async def fetch(_: TokenRequest) -> TokenResponse:
            raise AssertionError

        with pytest.raises(ValueError, match=r"^fetch must be synchronous; .* use discover_async$"):
            discover("https://login.example", fetch=fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_issuer_is_checked_first(search: Search) -> None:
    """RFC8414-2-1: what is no issuer is a ValueError, and nothing is sent."""

    def fetch(_: TokenRequest) -> TokenResponse:
        raise AssertionError

    for issuer in ("http://login.example", "https://login.example/?a", "login.example"):
        with pytest.raises(ValueError, match=r"^issuer must "):
            search(issuer, fetch=fetch)


def test_where_there_is_no_thread(search: Search, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller asks itself."""

    def start(*_: object) -> bool:
        return False

    monkeypatch.setattr(threads, "start", start)
    server.answer(document(server))
    assert server.url == search(issuer_of(server)).token_url

"""What is peculiar to httpx: redirects sent on by hand, two kinds of client, bodies that are streams."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Generator
from typing import Any

import anyio
import httpx
import pytest

from client_credentials import AccessToken, AsyncClientCredentialsStrategy, ClientCredentialsStrategy
from client_credentials.integrations.httpx import BearerAuth
from client_credentials.testing import TokenServer
from tests.integrations.kit import CLIENT, INVALID, Api


@pytest.fixture
def auth(server: TokenServer) -> BearerAuth:
    """Give a bearer for the token server's client."""
    return BearerAuth(ClientCredentialsStrategy(*CLIENT, token_url=server.url))


@pytest.fixture
def client(auth: BearerAuth) -> Generator[httpx.Client]:
    """Give a client that authenticates, and follows no redirect."""
    with httpx.Client(auth=auth, trust_env=False) as client:
        yield client


def revoke(client: httpx.Client, api: Api) -> None:
    """Let the client's token die."""
    client.get(api.url())
    api.revoked.update(token for token in api.tokens if token)


def test_a_redirect_sent_on_by_hand_leaves_the_token_at_home(client: httpx.Client, api: Api, elsewhere: Api) -> None:
    """6750-5.3-2: httpx authenticates a `next_request` anew; that one too gets no token at another origin."""
    api.moved["/me"] = 302, elsewhere.url()
    onward = client.get(api.url()).next_request
    assert onward is not None
    assert 401 == client.send(onward).status_code
    assert [None] == elsewhere.tokens


def test_so_it_does_in_an_event_loop(auth: BearerAuth, api: Api, elsewhere: Api) -> None:
    """6750-5.3-2: the same for AsyncClient."""

    async def run() -> int:
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            onward = (await client.get(api.url())).next_request
            assert onward is not None
            return (await client.send(onward)).status_code

    api.moved["/me"] = 302, elsewhere.url()
    assert (401, [None]) == (asyncio.run(run()), elsewhere.tokens)


def test_a_redirect_sent_on_by_hand_at_home_has_the_token(
    client: httpx.Client, api: Api, elsewhere: Api, server: TokenServer
) -> None:
    """Within the origin a `next_request` is authenticated like any other, after a stay elsewhere it is not."""
    api.moved["/me"] = 302, api.url("/new")
    onward = client.get(api.url()).next_request
    assert onward is not None
    assert 200 == client.send(onward).status_code
    assert server.issued * 2 == api.tokens


def test_one_dictionary_of_extensions_may_serve_many_requests(
    client: httpx.Client, api: Api, server: TokenServer
) -> None:
    """What is noted of one request stays with it: a caller's extensions are not written to."""
    extensions: dict[str, Any] = {"timeout": {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}}
    for host in ("127.0.0.1", "localhost"):
        request = client.build_request("GET", api.url(host=host))
        request.extensions = extensions
        assert 200 == client.send(request).status_code
    assert ["timeout"] == list(extensions)
    assert server.issued * 2 == api.tokens


def test_a_move_to_tls_earns_no_new_token(auth: BearerAuth, server: TokenServer) -> None:
    """9700-4.9: https is another origin; httpx lets the header pass, but no token is spent on the 401 from there."""
    asked: list[tuple[str, bool]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), "Authorization" in request.headers))
        headers = {"Location": "https://api.example/", "WWW-Authenticate": INVALID}
        return httpx.Response(401 if request.url.scheme == "https" else 302, headers=headers)

    with httpx.Client(auth=auth, transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        assert 401 == client.get("http://api.example/").status_code
    assert [("http://api.example/", True), ("https://api.example/", True)] == asked
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "content", [{"content": "text"}, {"data": {"a": "1"}}, {"json": {"a": 1}}], ids=["text", "form", "json"]
)
def test_a_body_in_memory_is_sent_again(client: httpx.Client, api: Api, content: dict[str, Any]) -> None:
    """What httpx holds as bytes is sent again as it was."""
    revoke(client, api)
    assert 200 == client.post(api.url(), **content).status_code
    assert api.hits[1].body == api.hits[2].body != b""


@pytest.mark.parametrize(
    "content", [{"content": io.BytesIO(b"x")}, {"files": {"f": io.BytesIO(b"x")}}], ids=["content", "files"]
)
def test_a_body_that_is_a_stream_is_not_sent_again(client: httpx.Client, api: Api, content: dict[str, Any]) -> None:
    """Files and uploads are streams to httpx, of which nobody can tell whether they can be had again."""
    revoke(client, api)
    assert 401 == client.post(api.url(), **content).status_code
    assert 2 == len(api.hits)


def test_a_streamed_refusal_is_left_unread(client: httpx.Client, api: Api) -> None:
    """An answer that is passed through still has its body to come."""
    api.refuses_all, api.challenge = True, 'Bearer error="insufficient_scope"'
    with client.stream("POST", api.url(), content=b"why not") as answer:
        assert not answer.is_closed
        assert b"why not" == answer.read()


def test_an_asynchronous_strategy_needs_an_asynchronous_client(server: TokenServer, api: Api) -> None:
    """A Client cannot await: the error says what to use, and nothing is sent."""
    auth = BearerAuth(AsyncClientCredentialsStrategy(*CLIENT, token_url=server.url))
    with (
        httpx.Client(auth=auth, trust_env=False) as client,
        pytest.raises(ValueError, match=r"httpx\.AsyncClient, or take ClientCredentialsStrategy"),
    ):
        client.get(api.url())
    assert [] == api.hits


@pytest.mark.parametrize("strategy", [object(), None, "token"])
def test_an_unfit_strategy_is_refused(strategy: Any) -> None:
    """A strategy that cannot be told which token is dead is found out when the bearer is made, not at the first 401."""
    with pytest.raises(ValueError, match=r"^strategy: .*remove_access_token takes the token"):
        BearerAuth(strategy)


class Closed:
    """A synchronous strategy of somebody's own whose token is a long time coming: until the gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = threading.Event()

    def get_or_create_access_token(self) -> AccessToken:
        """Give a token once the gate is open."""
        self.asked.set()
        assert self.gate.wait(10)
        return AccessToken("late", "Bearer", 3600, 0)

    def remove_access_token(self, token: AccessToken) -> None:
        """Forget nothing."""


def hello(request: httpx.Request) -> httpx.Response:
    """Tell what the request carried."""
    return httpx.Response(200, text=request.headers["Authorization"])


def test_a_synchronous_strategy_never_blocks_the_loop() -> None:
    """K5: while a token is waited for, the loop runs on: here it is the loop that opens the gate."""
    strategy = Closed()

    async def run() -> str:
        async with httpx.AsyncClient(auth=BearerAuth(strategy), transport=httpx.MockTransport(hello)) as client:
            request = asyncio.create_task(client.get("https://api.example/"))
            assert await asyncio.to_thread(strategy.asked.wait, 10)
            strategy.gate.set()
            return (await request).text

    assert "Bearer late" == asyncio.run(run())


def test_a_cancelled_request_does_not_wait_for_its_token() -> None:
    """K8: who gives up is let go at once, though the thread that asks for him is still at it."""
    strategy = Closed()

    async def run() -> bool:
        async with (
            httpx.AsyncClient(auth=BearerAuth(strategy), transport=httpx.MockTransport(hello)) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.get, "https://api.example/")
            assert await asyncio.to_thread(strategy.asked.wait, 10)
            tasks.cancel_scope.cancel()
        return strategy.gate.is_set()

    try:
        assert not asyncio.run(run())
    finally:
        strategy.gate.set()

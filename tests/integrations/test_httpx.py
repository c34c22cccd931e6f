"""What is peculiar to httpx and httpx2: redirects sent on by hand, two kinds of client, bodies that are streams."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx
import httpx2
import pytest

from client_credentials import AccessToken
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.testing import TokenServer
from tests.integrations.kit import INVALID, Api, awaited, blocking


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Give each of the two libraries."""
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


@pytest.fixture
def bearer(library: Any) -> Any:
    """Give the BearerAuth of the library."""
    return {httpx: for_httpx, httpx2: for_httpx2}[library].BearerAuth


@pytest.fixture
def auth(bearer: Any, server: TokenServer) -> Any:
    """Give a bearer for the token server's client."""
    return bearer(blocking(server))


@pytest.fixture
def client(library: Any, auth: Any) -> Generator[Any]:
    """Give a client that authenticates, and follows no redirect."""
    with library.Client(auth=auth, trust_env=False) as client:
        yield client


def revoke(client: Any, api: Api) -> None:
    """Let the client's token die."""
    client.get(api.url())
    api.revoked.update(token for token in api.tokens if token)


def test_a_redirect_sent_on_by_hand_leaves_the_token_at_home(
    library: Any, client: Any, auth: Any, api: Api, elsewhere: Api
) -> None:
    """RFC6750-5.3-2: httpx authenticates a `next_request` anew; that one too gets no token at another origin."""

    async def run() -> Any:
        async with library.AsyncClient(auth=auth, trust_env=False) as client:
            return await client.send((await client.get(api.url())).next_request)

    api.moved["/me"] = 302, elsewhere.url()
    answers = client.send(client.get(api.url()).next_request), asyncio.run(run())
    assert [401, 401] == [answer.status_code for answer in answers]
    assert [None, None] == elsewhere.tokens


def test_a_redirect_sent_on_by_hand_at_home_has_the_token(client: Any, api: Api, server: TokenServer) -> None:
    """Within the origin a `next_request` is authenticated like any other."""
    api.moved["/me"] = 302, api.url("/new")
    assert 200 == client.send(client.get(api.url()).next_request).status_code
    assert server.issued * 2 == api.tokens


def test_one_dictionary_of_extensions_may_serve_many_requests(client: Any, api: Api, server: TokenServer) -> None:
    """What is noted of one request stays with it: a caller's extensions are not written to."""
    extensions: dict[str, Any] = {"timeout": {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}}
    for host in ("127.0.0.1", "localhost"):
        request = client.build_request("GET", api.url(host=host))
        request.extensions = extensions
        assert 200 == client.send(request).status_code
    assert ["timeout"] == list(extensions)
    assert server.issued * 2 == api.tokens


def test_a_move_to_tls_earns_no_new_token(library: Any, bearer: Any, server: TokenServer) -> None:
    """RFC9700-4.9: https is another origin; httpx lets the header pass, but no token is spent on the 401 from there."""
    asked: list[tuple[str, bool]] = []

    def answer(request: Any) -> Any:
        asked.append((str(request.url), "Authorization" in request.headers))
        headers = {"Location": "https://api.example/", "WWW-Authenticate": INVALID}
        return library.Response(401 if request.url.scheme == "https" else 302, headers=headers)

    auth = bearer(blocking(server), allow_http=True)
    with library.Client(auth=auth, transport=library.MockTransport(answer), follow_redirects=True) as client:
        assert 401 == client.get("http://api.example/").status_code
    assert [("http://api.example/", True), ("https://api.example/", True)] == asked
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("body", "is_sent_again"),
    [
        (lambda: {"content": "text"}, True),
        (lambda: {"data": {"a": "1"}}, True),
        (lambda: {"json": {"a": 1}}, True),
        (lambda: {"content": io.BytesIO(b"x")}, False),
        (lambda: {"files": {"f": io.BytesIO(b"x")}}, False),
    ],
    ids="text form json file upload".split(),
)
def test_a_body_in_memory_is_sent_again(
    client: Any, api: Api, body: Callable[[], dict[str, Any]], *, is_sent_again: bool
) -> None:
    """What httpx holds as bytes is sent again as it was; files are streams, which may not be there again."""
    revoke(client, api)
    assert (200 if is_sent_again else 401) == client.post(api.url(), **body()).status_code
    sent = [hit.body for hit in api.hits[1:]]
    assert sent[0] or not is_sent_again
    assert [sent[0]] * (2 if is_sent_again else 1) == sent


def test_a_streamed_refusal_is_left_unread(client: Any, api: Api) -> None:
    """An answer that is passed through still has its body to come."""
    api.refuses_all, api.challenge = True, 'Bearer error="insufficient_scope"'
    with client.stream("POST", api.url(), content=b"why not") as answer:
        assert not answer.is_closed
        assert b"why not" == answer.read()


def test_an_asynchronous_strategy_needs_an_asynchronous_client(
    library: Any, bearer: Any, server: TokenServer, api: Api
) -> None:
    """A Client cannot await: the error says what to use, and nothing is sent."""
    with (
        library.Client(auth=bearer(awaited(server)), trust_env=False) as client,
        pytest.raises(ValueError, match="must be a synchronous one"),
    ):
        client.get(api.url())
    assert [] == api.hits


def test_a_bearer_of_one_library_serves_the_other(server: TokenServer, api: Api) -> None:
    """Programs that have both need not care which BearerAuth they have in hand."""
    with httpx2.Client(auth=for_httpx.BearerAuth(blocking(server)), trust_env=False) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert 200 == client.get(api.url()).status_code
    with httpx.Client(auth=for_httpx2.BearerAuth(blocking(server)), trust_env=False) as client:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert 200 == client.get(api.url()).status_code


@pytest.mark.parametrize("in_loop", [False, True])
def test_a_refusal_that_a_hook_has_read_is_left_to_it(library: Any, auth: Any, api: Api, *, in_loop: bool) -> None:
    """A response hook of the caller's may read what was refused, whole; the history has it."""
    api.watcher = lambda hit: api.revoked.update([hit.token or ""]) if len(api.hits) == 1 else None

    def read(response: Any) -> None:
        response.read()

    async def read_in_loop(response: Any) -> None:
        await response.aread()

    async def ask_in_loop() -> Any:
        async with library.AsyncClient(auth=auth, trust_env=False, event_hooks={"response": [read_in_loop]}) as client:
            return await client.post(api.url(), content=b"x" * 100_000)

    if in_loop:
        answer = asyncio.run(ask_in_loop())
    else:
        with library.Client(auth=auth, trust_env=False, event_hooks={"response": [read]}) as client:
            answer = client.post(api.url(), content=b"x" * 100_000)
    assert (200, [100_000]) == (answer.status_code, [len(each.content) for each in answer.history])


class Closed:
    """A synchronous strategy of somebody's own whose token is a long time coming: until the gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = threading.Event()

    def get_or_create_access_token(self) -> AccessToken:
        """Give a token once the gate is open."""
        self.asked.set()
        assert self.gate.wait(60)
        return AccessToken("late", "Bearer", 3600, 0)

    def remove_access_token(self, token: AccessToken | None = None) -> None:
        """Forget nothing."""


def hello(library: Any) -> Any:
    """Make a transport that says what a request is authorized with."""

    def answer(request: Any) -> Any:
        return library.Response(200, text=request.headers["Authorization"])

    return library.MockTransport(answer)


def test_a_synchronous_strategy_never_blocks_the_loop(library: Any, bearer: Any) -> None:
    """K5: while a token is waited for, the loop runs on: here it is the loop that opens the gate."""
    strategy = Closed()

    async def run() -> str:
        async with library.AsyncClient(auth=bearer(strategy), transport=hello(library)) as client:
            request = asyncio.create_task(client.get("https://api.example/"))
            assert await asyncio.to_thread(strategy.asked.wait, 10)
            strategy.gate.set()
            text: str = (await request).text
            return text

    assert "Bearer late" == asyncio.run(run())


def test_a_cancelled_request_does_not_wait_for_its_token(library: Any, bearer: Any) -> None:
    """K8: who gives up is let go at once, though the thread that asks for him is still at it."""
    strategy = Closed()

    async def run() -> bool:
        async with (
            library.AsyncClient(auth=bearer(strategy), transport=hello(library)) as client,
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


def test_the_threads_of_others_are_left_alone(library: Any, bearer: Any, server: TokenServer) -> None:
    """Forty endpoints of a web framework that hold all of its threads can each wait for a client of the loop."""
    strategy = blocking(server)

    async def run() -> list[str]:
        said: list[str] = []
        together = threading.Barrier(40)
        async with library.AsyncClient(auth=bearer(strategy), transport=hello(library)) as client:

            def endpoint() -> None:
                together.wait(60)
                said.append(anyio.from_thread.run(client.get, "https://api.example/").text)

            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    for _ in range(40):
                        tasks.start_soon(partial(anyio.to_thread.run_sync, endpoint, abandon_on_cancel=True))
        return said

    assert [f"Bearer {strategy.get_or_create_access_token().access_token}"] * 40 == anyio.run(run)

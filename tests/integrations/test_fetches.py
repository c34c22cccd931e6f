"""What a ready-made fetch sends and shows, and what it takes of its client; `test_conformance.py` has the rest."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
import httpx
import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.cookies import cookiejar_from_dict

from client_credentials import ClientCredentialsStrategy, TokenEndpointUnreachable, TokenRequest, TokenResponse
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from tests.http.peers import (
    BODY,
    CLOSED_PORT,
    GRANTED,
    SECRET,
    Peer,
    answers,
    at_deadline,
    failure,
    holds,
    read_request,
    silent,
    token_request,
    within,
)
from tests.integrations.fetches import ASYNC, SYNC, Fetch, fetch_of, in_loop, opened
from tests.integrations.kit import CLIENT

_HTTPX: Final = [name for name in (*SYNC, *ASYNC) if "httpx" in name]


@pytest.fixture(params=["ours", *SYNC, *ASYNC])
def fetch(request: pytest.FixtureRequest, ca: str) -> Fetch:
    """Give each fetch, ours included."""
    return fetch_of(request.param, ca)


def test_a_request_goes_out_as_it_is(fetch: Fetch) -> None:
    """Method, path, query, headers and body are those of the token request; nothing is asked to be compressed."""
    received: list[bytes] = []

    def script(sock: Any) -> None:
        received.append(read_request(sock))
        sock.sendall(GRANTED)

    with Peer(script) as peer:
        response = fetch(token_request(f"{peer.url}?tenant=a%2Fb"))
    assert (200, BODY) == (response.status, response.body)
    head, _, body = received[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert "POST /token?tenant=a%2Fb HTTP/1.1" == first
    assert (f"Basic {SECRET}", "identity") == (headers["authorization"], headers.get("accept-encoding", "identity"))
    assert f"client_secret={SECRET}".encode() == body


def test_the_headers_of_a_refusal_outlive_its_body(fetch: Fetch) -> None:
    """S6/library: a 429 whose body stalls or is cut short is a 429, with its Retry-After and what came of the body."""
    head = b"HTTP/1.1 429 No\r\nRetry-After: 60\r\nContent-Length: 100\r\n\r\n"
    for script in (answers(head + b"abc"), holds(head + b"abc")):
        with Peer(script) as peer, within(1.0):
            response = fetch(token_request(peer.url, timeout=1.0))
        assert (429, "60") == (response.status, response.header("retry-after"))


def test_nothing_is_retried(fetch: Fetch) -> None:
    """One request is sent for one call, whatever becomes of it."""
    with Peer(answers()) as peer:
        failure(fetch, token_request(peer.url))
    assert 1 == peer.connections


def test_plain_http_stays_here(fetch: Fetch) -> None:
    """RFC6749-10.8-1: a secret goes nowhere in the clear, whoever made the request."""
    error = failure(fetch, token_request("http://api.example/token"))
    assert (False, True) == (error.retryable, "plain http is for loopback only" in str(error))


@pytest.mark.parametrize("name", ["requests", *_HTTPX])
def test_nothing_of_the_clients_is_added(name: str, ca: str) -> None:
    """Auth, headers, cookies and parameters are for the API; none goes to the token endpoint."""
    options: dict[str, Any] = {
        "auth": ("user", "password"),
        "headers": {"X-Of": "the client"},
        "cookies": cookiejar_from_dict({"a": "b"}),
        "params": {"c": "d"},
        **({} if name == "requests" else {"follow_redirects": True}),
    }
    received: list[bytes] = []

    def script(sock: Any) -> None:
        received.append(read_request(sock))
        sock.sendall(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    with Peer(script) as peer:
        assert 307 == fetch_of(name, ca, **options)(token_request(peer.url)).status
    (said,) = received
    assert [b"POST /token HTTP/1.1", 1, 0] == [
        said.split(b"\r\n")[0],
        said.count(f"Basic {SECRET}".encode()),
        said.lower().count(b"x-of") + said.lower().count(b"cookie"),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of BasicAuth
def test_a_session_of_aiohttp_with_auth_is_refused() -> None:
    """Aiohttp would send its auth in place of the client's; its middlewares and raise_for_status do not count."""

    async def run(**options: Any) -> int:
        async with aiohttp.ClientSession(**options) as session:
            with Peer(answers(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")) as peer:
                return (await for_aiohttp.AiohttpFetch(session)(token_request(peer.url))).status

    strategy = ClientCredentialsStrategy(*CLIENT)
    assert 401 == asyncio.run(run(middlewares=(for_aiohttp.bearer(strategy),), raise_for_status=True))
    for options in ({"auth": aiohttp.BasicAuth("user")}, {"headers": {"authorization": "Basic dXNlcjo="}}):
        with pytest.raises(ValueError, match="session must have no auth, "):
            asyncio.run(run(**options))


@pytest.mark.parametrize("headers", [{"Authorization": f"Basic {SECRET}"}, {}], ids=["basic", "post"])
def test_aiohttp_sends_nothing_of_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: str, headers: dict[str, str]
) -> None:
    """A session that trusts the environment would send what netrc has for the host; the client authenticates alone."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password from-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    received: list[bytes] = []

    def script(sock: Any) -> None:
        received.append(read_request(sock))
        sock.sendall(GRANTED)

    with Peer(script) as peer:
        request = attrs.evolve(token_request(peer.url), headers=headers)
        assert 200 == fetch_of("aiohttp", ca, trust_env=True)(request).status
    assert list(headers.values()) == re.findall("^authorization: (.*)\r$", received[0].decode(), re.I | re.M)


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("name", _HTTPX)
def test_a_hook_that_raises_for_a_status_hides_none(name: str, ca: str, *, read: bool) -> None:
    """Clients have response hooks that call raise_for_status: the refusal is passed on, its body if it was read."""

    def hook(response: Any) -> None:
        if read:
            response.read()
        response.raise_for_status()

    async def async_hook(response: Any) -> None:
        if read:
            await response.aread()
        response.raise_for_status()

    hooks = {"response": [async_hook if name.startswith("async") else hook]}
    with Peer(answers(b"HTTP/1.1 401 No\r\nX-Why: so\r\nContent-Length: 3\r\n\r\nwhy")) as peer:
        response = fetch_of(name, ca, event_hooks=hooks)(token_request(peer.url))
    assert (401, "so", b"why" if read else b"") == (response.status, response.header("x-why"), response.body)


@pytest.mark.parametrize("name", ["requests", *_HTTPX])
def test_a_proxy_is_named(name: str, ca: str) -> None:
    """A14: where the client's proxy cannot be reached, it is named, without its credentials."""
    port = CLOSED_PORT
    url = f"http://user:p4ssword@127.0.0.1:{port}"
    options: Any = {"proxies": {"https": url}} if name == "requests" else {"proxy": url}
    error = failure(fetch_of(name, ca, **options), token_request("https://token.test/token"))
    assert isinstance(error, TokenEndpointUnreachable)
    assert (f"connect to proxy 127.0.0.1:{port}: ECONNREFUSED", True) == (error.reason, error.retryable)


@pytest.mark.parametrize("is_in_handshake", [False, True])
@pytest.mark.parametrize("name", ASYNC)
def test_cancellation_ends_the_exchange(name: str, ca: str, *, is_in_handshake: bool) -> None:
    """A task that is cancelled lets go of the endpoint at once, and leaves no socket open."""
    with Peer(silent) as peer, opened(name, ca) as fetch:
        request = token_request(peer.secure_url if is_in_handshake else peer.url)
        with within(0.1), pytest.raises(TimeoutError):
            in_loop(asyncio.wait_for(fetch(request), 0.1))
    gc.collect()


@pytest.mark.parametrize("name", _HTTPX)
def test_no_time_for_tls_leaves_no_socket(name: str, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time is over once there is a connection, the failure is a timeout and the connection is closed."""

    def linger(*_: object) -> None:
        time.sleep(0.2)

    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", linger)  # called between the two
    with Peer(silent) as peer:
        at_deadline(fetch_of(name, ca), token_request(peer.secure_url), "response of localhost: timed out", 0.1)
        gc.collect()


def test_no_time_at_all(fetch: Fetch) -> None:
    """Where the time is over before the library is called, the failure is a timeout, and no coroutine is left."""
    error = failure(fetch, token_request("https://127.0.0.1:1/token", timeout=1e-9))
    assert "timed out" in str(error)
    gc.collect()


@pytest.mark.parametrize("name", _HTTPX)
def test_no_tls_over_a_unix_socket(name: str, ca: str, tmp_path: Path) -> None:
    """A handshake that fails there is the failure that is told, and leaves no socket open."""
    library = httpx2 if name.endswith("2") else httpx
    kind: Any = library.AsyncHTTPTransport if name in ASYNC else library.HTTPTransport
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        transport = kind(uds=str(tmp_path / "s"), verify=ssl.create_default_context(cafile=ca))
        send = fetch_of(name, ca, transport=transport)
        at_deadline(send, token_request("https://idp.example/token"), "response of idp.example: timed out")
        gc.collect()


@pytest.mark.parametrize(("library", "module"), [(httpx, for_httpx), (httpx2, for_httpx2)])
@pytest.mark.parametrize("is_connected", [True, False])
def test_no_tls_over_socks(library: Any, module: Any, *, is_connected: bool) -> None:
    """The proxy is named, the stream closed, and the error that of the handshake; with events as httpcore has them."""
    closed: list[str] = []

    class Stream:
        async def aclose(self) -> None:
            closed.append("stream")

    async def handle(request: Any) -> Any:
        trace = request.extensions["trace"]
        await trace("socks.connect_tcp.started", {"host": "127.0.0.1", "port": 1080, "timeout": 1.0})
        if is_connected:
            await trace("socks.connect_tcp.complete", {"return_value": Stream()})
        await trace("socks.start_tls.failed", {})
        raise TimeoutError

    client = library.AsyncClient(transport=library.MockTransport(handle))
    error = failure(
        lambda request: asyncio.run(module.AsyncHttpxFetch(client)(request)), token_request("https://idp.example/token")
    )
    stage = "response of idp.example through" if is_connected else "connect to"
    assert (f"{stage} proxy 127.0.0.1:1080: timed out" in str(error), ["stream"] * is_connected) == (True, closed)


def _raises(error: BaseException) -> Any:
    def handle(*_: object, **__: object) -> Any:
        raise error

    return handle


def test_an_interrupt_shows_nothing(ca: str) -> None:
    """Ctrl-C in an exchange comes through, without the frames that hold the request."""
    session = requests.Session()
    session.mount("https://idp.example", adapter := HTTPAdapter())
    adapter.send = _raises(KeyboardInterrupt())  # type: ignore[method-assign]
    fetches: list[Any] = [for_requests.RequestsFetch(session)]
    fetches += [
        module.HttpxFetch(library.Client(transport=library.MockTransport(_raises(KeyboardInterrupt()))))
        for library, module in ((httpx, for_httpx), (httpx2, for_httpx2))
    ]
    for fetch in fetches:
        with pytest.raises(KeyboardInterrupt) as raised:
            fetch(token_request("https://idp.example/token"))
        frames = [entry.name for entry in raised.traceback]
        assert ["test_an_interrupt_shows_nothing", "__call__", "run_sync", "exchanged"] == frames


@pytest.mark.parametrize("name", [*_HTTPX, "aiohttp"])
def test_a_closed_client_is_suspected(name: str, ca: str) -> None:
    """A client that is closed, or whose loop has ended, says so in words of its own: the error asks."""
    with Peer(silent) as peer, opened(name, ca) as fetch:
        pass

    def send(request: TokenRequest) -> TokenResponse:
        response: TokenResponse = in_loop(fetch(request)) if name in ASYNC else fetch(request)
        return response

    error = failure(send, token_request(peer.url))
    assert (False, True) == (error.retryable, "is the client closed, or of another event loop?" in str(error))


@pytest.mark.parametrize(("library", "module"), [(httpx, for_httpx), (httpx2, for_httpx2)])
def test_what_nobody_knows_is_named(library: Any, module: Any) -> None:
    """An exception of a transport of the program's own is named, not quoted, and not worth another attempt."""
    client = library.Client(transport=library.MockTransport(_raises(LookupError(SECRET))))
    error = failure(module.HttpxFetch(client), token_request("https://idp.example/token"))
    assert isinstance(error, TokenEndpointUnreachable)
    assert ("response of idp.example: LookupError", False) == (error.reason, error.retryable)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (for_requests.RequestsFetch, "session must be an instance of requests.Session"),
        (for_httpx.HttpxFetch, r"client must be an instance of httpx\.Client or httpx2\.Client"),
        (for_httpx.AsyncHttpxFetch, r"client must be an instance of httpx\.AsyncClient or httpx2\.AsyncClient"),
        (for_aiohttp.AiohttpFetch, "session must be an instance of aiohttp.ClientSession"),
    ],
)
def test_a_misfit_is_refused(make: Any, message: str) -> None:
    """What is no client of the library is found out when the fetch is made."""
    with pytest.raises(ValueError, match=message):
        make("https://idp.example")

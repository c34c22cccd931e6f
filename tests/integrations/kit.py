"""A resource server that checks tokens (RFC 6750), and one face for every library that asks it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol, Self

import aiohttp
import attrs
import httpx
import httpx2
import requests

from client_credentials import AsyncClientCredentialsStrategy, ClientCredentialsStrategy, Clock, SdkConfiguration
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from client_credentials.testing import TokenServer

CLIENT: Final = ("my-client", "my-secret-8d1b")  # nobody's
INVALID: Final = 'Bearer realm="api", error="invalid_token", error_description="The token expired"'


@attrs.frozen
class Hit:
    """A request as a server had it; the names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        """What it carried (RFC 6750 section 2.1)."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None


@contextmanager
def serving(
    answer: Callable[[Hit], tuple[int, Mapping[str, str], bytes]], context: ssl.SSLContext | None = None
) -> Generator[int]:
    """Serve HTTP on loopback, each request in a thread; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = answer(Hit(self.command, self.path, headers, self.body()))
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  # the names that http.server looks for

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks: list[bytes] = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *_: object, **__: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a client that went away."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Api:
    """A resource server on loopback; it accepts the tokens that a token server granted, less those taken back.

    `moved` maps paths to the status and the Location that who has a good token is sent on with, `moved_for_all` does
    that to everyone; the path `forbidden` is a 403. Everything else echoes the body. `watcher` hears of each hit first.
    """

    def __init__(self, granted: Callable[[], Iterable[str]], *, context: ssl.SSLContext | None = None) -> None:
        self.revoked: set[str] = set()
        self.refuses_all = False
        self.challenge: str | None = INVALID
        self.forbidden: str | None = None
        self.moved: dict[str, tuple[int, str]] = {}
        self.moved_for_all: dict[str, tuple[int, str]] = {}
        self.hits: list[Hit] = []
        self.watcher: Callable[[Hit], object] = str
        self._granted = granted
        self._scheme = "http" if context is None else "https"
        self._serving = serving(self._answer, context)
        self._port = 0

    def url(self, path: str = "/me", *, host: str = "127.0.0.1") -> str:
        """Give the URL of a path."""
        return f"{self._scheme}://{host}:{self._port}{path}"

    @property
    def tokens(self) -> list[str | None]:
        """What each request so far carried."""
        return [hit.token for hit in self.hits]

    def _answer(self, hit: Hit) -> tuple[int, Mapping[str, str], bytes]:
        """Answer as RFC 6750 section 3.1 asks."""
        self.hits.append(hit)
        self.watcher(hit)
        is_good = not self.refuses_all and hit.token in {*self._granted()} - self.revoked
        status, location = (self.moved if is_good else {}).get(hit.path) or self.moved_for_all.get(hit.path) or (0, "")
        if location:
            return status, {"Location": location}, hit.body
        if is_good and hit.path != self.forbidden:
            return 200, {}, hit.body
        challenge = {} if self.challenge is None else {"WWW-Authenticate": self.challenge}
        return 403 if is_good else 401, challenge, hit.body

    def __enter__(self) -> Self:
        self._port = self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)


@attrs.frozen
class Reply:
    """What a caller got in the end, and the statuses of what it got before."""

    status: int
    body: bytes
    before: list[int]


class Caller(Protocol):
    """Asks with one library; `one_shot` makes of the content a body that can be had only once."""

    def __call__(
        self, method: str, url: str, content: bytes = b"", *, one_shot: bool = False, ca: str | None = None
    ) -> Reply: ...


class Dial(Protocol):
    """Makes a caller with a bearer for a token server's client; `options` are the bearer's."""

    def __call__(self, server: TokenServer, clock: Clock = ..., **options: Any) -> Caller: ...


class Yesterday:
    """A clock by which every token was granted a day ago: one that is refused is worth replacing."""

    def wall(self) -> float:
        """Give the seconds since the epoch."""
        return time.time() - 86400

    def monotonic(self) -> float:
        """Give the seconds since some point."""
        return time.monotonic()


YESTERDAY: Final = Yesterday()


def blocking(server: TokenServer, clock: Clock = YESTERDAY) -> ClientCredentialsStrategy:
    """Make a strategy for threads."""
    strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
    strategy.set_configuration(SdkConfiguration(clock=clock))
    return strategy


def awaited(server: TokenServer, clock: Clock = YESTERDAY) -> AsyncClientCredentialsStrategy:
    """Make a strategy for event loops."""
    strategy = AsyncClientCredentialsStrategy(*CLIENT, token_url=server.url)
    strategy.set_configuration(SdkConfiguration(clock=clock))
    return strategy


def _requests(auth: Any) -> Caller:
    def ask(method: str, url: str, content: bytes = b"", *, one_shot: bool = False, ca: str | None = None) -> Reply:
        with requests.Session() as session:
            session.trust_env = False
            data = iter([content]) if one_shot else content
            answer = session.request(method, url, data=data, auth=auth, verify=ca or True, timeout=60)
            return _told(answer)

    return ask


def _httpx(client: Any, auth: Any, ca: str | None) -> Any:
    verify = ssl.create_default_context(cafile=ca) if ca else False
    return client(auth=auth, trust_env=False, follow_redirects=True, verify=verify, timeout=60)


def _blocking_httpx(library: Any, auth: Any) -> Caller:
    def ask(method: str, url: str, content: bytes = b"", *, one_shot: bool = False, ca: str | None = None) -> Reply:
        with _httpx(library.Client, auth, ca) as client:
            return _told(client.request(method, url, content=iter([content]) if one_shot else content))

    return ask


def _awaited_httpx(library: Any, auth: Any) -> Caller:
    def ask(method: str, url: str, content: bytes = b"", *, one_shot: bool = False, ca: str | None = None) -> Reply:
        async def run() -> Reply:
            async with _httpx(library.AsyncClient, auth, ca) as client:
                return _told(await client.request(method, url, content=_once(content) if one_shot else content))

        return asyncio.run(run())

    return ask


def _aiohttp(middleware: aiohttp.ClientMiddlewareType) -> Caller:
    def ask(method: str, url: str, content: bytes = b"", *, one_shot: bool = False, ca: str | None = None) -> Reply:
        statuses: list[int] = []

        async def note(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            response = await handler(request)
            statuses.append(response.status)
            return response

        async def run() -> Reply:
            data = _once(content) if one_shot else content
            trust = ssl.create_default_context(cafile=ca) if ca else True
            async with (
                aiohttp.ClientSession(middlewares=(middleware, note)) as session,
                session.request(method, url, data=data, ssl=trust) as answer,
            ):
                return Reply(answer.status, await answer.read(), statuses[:-1])

        return asyncio.run(run())

    return ask


def _dial(made: Callable[[Any], Caller], bearer: Any, strategy: Callable[..., Any]) -> Dial:
    def dial(server: TokenServer, clock: Clock = YESTERDAY, **options: Any) -> Caller:
        return made(bearer(strategy(server, clock), **options))

    return dial


_ASYNC: Final[Mapping[str, tuple[Callable[[Any], Caller], Any]]] = {
    "httpx": (partial(_awaited_httpx, httpx), for_httpx.BearerAuth),
    "httpx2": (partial(_awaited_httpx, httpx2), for_httpx2.BearerAuth),
    "aiohttp": (_aiohttp, for_aiohttp.bearer),
}
DIALS: Final[Mapping[str, Dial]] = {
    "sync requests": _dial(_requests, for_requests.BearerAuth, blocking),
    "sync httpx": _dial(partial(_blocking_httpx, httpx), for_httpx.BearerAuth, blocking),
    "sync httpx2": _dial(partial(_blocking_httpx, httpx2), for_httpx2.BearerAuth, blocking),
    **{f"async {name}": _dial(*made, awaited) for name, made in _ASYNC.items()},
    **{f"async {name}, sync strategy": _dial(*made, blocking) for name, made in _ASYNC.items()},
}
"""Every bearer in every kind of client that takes it, with each strategy that it may have."""


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _told(answer: Any) -> Reply:
    return Reply(answer.status_code, answer.content, [each.status_code for each in answer.history])

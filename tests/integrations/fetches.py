"""Every ready-made fetch over a client of its library, and every pair of a strategy and a fetch that it may use."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Final, TypeVar

import aiohttp
import attrs
import httpx
import httpx2
import requests

from client_credentials import (
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    RenewalPolicy,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests
from client_credentials.testing import FakeClock
from tests.integrations.kit import CLIENT
from tests.shell.kit import OnALoop, Strategy, configuration

T = TypeVar("T")
Fetch = Callable[[TokenRequest], TokenResponse]


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Give a loop that goes on: transports whose TLS has failed are closed some time later."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def in_loop(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in that loop."""
    return asyncio.run_coroutine_threadsafe(call, loop()).result(60)


def _session(ca: str, **options: Any) -> requests.Session:
    session = requests.Session()
    session.trust_env, session.verify = False, ca  # or REQUESTS_CA_BUNDLE outranks it
    for name, value in options.items():
        setattr(session, name, value)
    return session


def _httpx(kind: Any, ca: str, **options: Any) -> Any:
    return kind(verify=ssl.create_default_context(cafile=ca), **options)


def _aiohttp(ca: str, **options: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
    return aiohttp.ClientSession(connector=connector, **options)


SYNC: Final[Mapping[str, tuple[Callable[..., Any], Any]]] = {
    "requests": (_session, for_requests.RequestsFetch),
    "httpx": (partial(_httpx, httpx.Client), for_httpx.HttpxFetch),
    "httpx2": (partial(_httpx, httpx2.Client), for_httpx2.HttpxFetch),
}
"""How a client of each library is made, and the fetch over it."""
ASYNC: Final[Mapping[str, tuple[Callable[..., Any], Any]]] = {
    "async httpx": (partial(_httpx, httpx.AsyncClient), for_httpx.AsyncHttpxFetch),
    "async httpx2": (partial(_httpx, httpx2.AsyncClient), for_httpx2.AsyncHttpxFetch),
    "aiohttp": (_aiohttp, for_aiohttp.AiohttpFetch),
}
"""The same for those whose fetch is a coroutine function."""


@contextmanager
def opened(name: str, ca: str, **options: Any) -> Generator[Any]:
    """Give a fetch that trusts the certificates of a file; `options` are those of its client."""
    if name in ASYNC:

        async def make() -> Any:
            return await ASYNC[name][0](ca, **options).__aenter__()

        client = in_loop(make())
        try:
            yield ASYNC[name][1](client)
        finally:
            in_loop(client.__aexit__(None, None, None))
    elif name in SYNC:
        with SYNC[name][0](ca, **options) as client:
            yield SYNC[name][1](client)
    else:
        send = Urllib3Fetch(ssl_context=ssl.create_default_context(cafile=ca), trust_env=False)

        async def coroutine(request: TokenRequest) -> TokenResponse:
            return await asyncio.to_thread(send, request)

        yield send if name == "ours" else coroutine


def fetch_of(name: str, ca: str, **options: Any) -> Fetch:
    """Give a ready-made one, or ours, as a function that is called from a thread."""

    def fetch(request: TokenRequest) -> TokenResponse:
        with opened(name, ca, **options) as send:
            response: TokenResponse = in_loop(send(request)) if name in ASYNC else send(request)
            return response

    return fetch


PAIRS: Final[Mapping[str, str]] = {
    **{f"sync {name}": name for name in ("ours", *SYNC)},
    "async ours": "ours",
    "async requests": "requests",
    **{f"async {name.removeprefix('async ')}": name for name in (*ASYNC, "coroutine")},
}
"""Each strategy with each fetch that it may use, by a name that reads like the pair."""


@contextmanager
def paired(
    pair: str,
    url: str,
    ca: str,
    clock: FakeClock | None = None,
    *,
    deadline: float = 10.0,
    timeout: float | None = None,
) -> Generator[Strategy]:
    """Give the strategy of a pair, with a deadline in seconds; `timeout` is what the fetch gets of it, if not all."""
    policy = RenewalPolicy(jitter=0, deadline=deadline)
    with opened(PAIRS[pair], ca) as fetch:
        settings = configuration(clock, fetch=fetch if timeout is None else _sooner(fetch, timeout))
        if pair.startswith("async"):
            strategy = AsyncClientCredentialsStrategy(*CLIENT, token_url=url, policy=policy)
            strategy.set_configuration(settings)
            yield OnALoop(strategy, loop())
        else:
            blocking = ClientCredentialsStrategy(*CLIENT, token_url=url, policy=policy)
            blocking.set_configuration(settings)
            yield blocking


def _sooner(fetch: Any, timeout: float) -> Any:
    def send(request: TokenRequest) -> Any:
        return fetch(attrs.evolve(request, timeout=timeout))

    async def send_in_loop(request: TokenRequest) -> Any:
        return await send(request)

    is_async = inspect.iscoroutinefunction(fetch) or inspect.iscoroutinefunction(type(fetch).__call__)
    return send_in_loop if is_async else send

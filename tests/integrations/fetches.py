"""Every ready-made fetch behind one face: a program's own client, sent through by a synchronous call."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import aiohttp
import httpx
import httpx2
import requests

from client_credentials import TokenRequest, TokenResponse, Urllib3Fetch
from client_credentials.integrations import aiohttp as for_aiohttp
from client_credentials.integrations import httpx as for_httpx
from client_credentials.integrations import httpx2 as for_httpx2
from client_credentials.integrations import requests as for_requests

T = TypeVar("T")
Fetch = Callable[[TokenRequest], TokenResponse]
Make = Callable[..., Fetch]
"""Makes a fetch that trusts the certificates of a file; further arguments are those of the client."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def in_loop(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop that goes on: transports whose TLS has failed are closed some time later."""
    return asyncio.run_coroutine_threadsafe(call, _loop()).result(10)


def own(ca: str) -> Fetch:
    """Make ours."""
    return Urllib3Fetch(ssl_context=ssl.create_default_context(cafile=ca), trust_env=False)


def with_requests(ca: str, **options: Any) -> Fetch:
    """Make one over a session of requests."""
    session = requests.Session()
    session.trust_env, session.verify = False, ca  # or REQUESTS_CA_BUNDLE outranks it
    for name, value in options.items():
        setattr(session, name, value)

    def fetch(request: TokenRequest) -> TokenResponse:
        with session:
            return for_requests.RequestsFetch(session)(request)

    return fetch


def _over_httpx(library: Any, make: Any) -> Make:
    def over_client(ca: str, **options: Any) -> Fetch:
        def fetch(request: TokenRequest) -> TokenResponse:
            with library.Client(verify=ssl.create_default_context(cafile=ca), **options) as client:
                response: TokenResponse = make(client)(request)
                return response

        return fetch

    return over_client


def _over_async_httpx(library: Any, make: Any) -> Make:
    def over_client(ca: str, **options: Any) -> Fetch:
        async def send(request: TokenRequest) -> TokenResponse:
            async with library.AsyncClient(verify=ssl.create_default_context(cafile=ca), **options) as client:
                response: TokenResponse = await make(client)(request)
                return response

        return lambda request: in_loop(send(request))

    return over_client


def with_aiohttp(ca: str, **options: Any) -> Fetch:
    """Make one over a session of aiohttp."""

    async def send(request: TokenRequest) -> TokenResponse:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
        async with aiohttp.ClientSession(connector=connector, **options) as session:
            return await for_aiohttp.AiohttpFetch(session)(request)

    return lambda request: in_loop(send(request))


GUESTS: Final[Mapping[str, Make]] = {
    "requests": with_requests,
    "httpx": _over_httpx(httpx, for_httpx.HttpxFetch),
    "httpx2": _over_httpx(httpx2, for_httpx2.HttpxFetch),
    "async httpx": _over_async_httpx(httpx, for_httpx.AsyncHttpxFetch),
    "async httpx2": _over_async_httpx(httpx2, for_httpx2.AsyncHttpxFetch),
    "aiohttp": with_aiohttp,
}
FETCHES: Final[Mapping[str, Make]] = {"Urllib3Fetch": own, **GUESTS}

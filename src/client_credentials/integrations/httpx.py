"""For httpx: a BearerAuth for clients, and fetches that send the token request through a client."""

from __future__ import annotations

import httpx

from ._httpx_fetch import AsyncHttpxFetch, HttpxFetch
from ._httpx_flows import BearerFlows

__all__ = ["AsyncHttpxFetch", "BearerAuth", "HttpxFetch"]


class BearerAuth(BearerFlows, httpx.Auth):
    """Sends the strategy's token with each request: `httpx.Client(auth=BearerAuth(strategy))`.

    An AsyncClient takes it, too, under asyncio. A request whose token is refused is sent once more with a new one if
    httpx holds its body in memory, as it does bytes, text, JSON and forms, but no file, multipart or generator. The 401
    is in the `history` of the answer, with at most 64 KiB of its body. With `origin`, such as "https://api.example",
    other origins get no token; `allow_http` permits plain http. The rules of all bearers are in
    `help("client_credentials.integrations")`.

    Raises ValueError for a strategy or an origin that cannot be used; a request raises TokenError where there is no
    token, and ValueError where it would go in the clear, or the strategy would have to be awaited and cannot be.
    """

"""For httpx2: what `client_credentials.integrations.httpx` has for httpx."""

from __future__ import annotations

import httpx2

from ._httpx_fetch import AsyncHttpxFetch, HttpxFetch
from ._httpx_flows import BearerFlows

__all__ = ["AsyncHttpxFetch", "BearerAuth", "HttpxFetch"]


class BearerAuth(BearerFlows, httpx2.Auth):
    """Sends the strategy's token with each request: `httpx2.Client(auth=BearerAuth(strategy))`, or an AsyncClient.

    Its arguments, rules and errors are those of `client_credentials.integrations.httpx.BearerAuth`.
    """

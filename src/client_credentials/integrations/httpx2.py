"""For httpx2: what `client_credentials.integrations.httpx` has, where it is described, for the clients of httpx2."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx2

from ._httpx_fetch import AsyncClientFetch, ClientFetch
from ._httpx_flows import BearerFlows


class BearerAuth(BearerFlows, httpx2.Auth):
    """Sends the strategy's token with each request: `httpx2.Client(auth=BearerAuth(strategy))`, or an AsyncClient.

    Its arguments, rules and errors are those of `client_credentials.integrations.httpx.BearerAuth`.
    """


class HttpxFetch(ClientFetch):
    """Sends token requests through the program's own httpx2.Client: `SdkConfiguration(fetch=HttpxFetch(client))`.

    Its rules and errors are those of `client_credentials.integrations.httpx.HttpxFetch`.
    """

    module: ClassVar[Any] = httpx2


class AsyncHttpxFetch(AsyncClientFetch):
    """Sends token requests through the program's own httpx2.AsyncClient, for AsyncClientCredentialsStrategy.

    Its rules and errors are those of `client_credentials.integrations.httpx.AsyncHttpxFetch`.
    """

    module: ClassVar[Any] = httpx2

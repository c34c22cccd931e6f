"""For httpx2: a BearerAuth for clients, and fetches that send the token request through a client."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx2

from ._httpx_fetch import AsyncFetch, SyncFetch
from ._httpx_flows import BearerFlows


class BearerAuth(BearerFlows[httpx2.Request, httpx2.Response], httpx2.Auth):
    """Sends the strategy's token with each request: `httpx2.Client(auth=BearerAuth(strategy))`, or an AsyncClient.

    A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent, unless it was
    granted less than ten seconds ago: its successor would be refused too. The request is then repeated once with a
    new token, unless there is no other, or httpx2 does not hold the body in memory (as it does bytes, text, JSON
    and forms, but no file, multipart or generator). The caller gets the last answer; the 401 is in its `history`,
    with at most 64 KiB of its body. A 403 is returned as it is.

    Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would
    raise, and it says who failed and when to try again, of which the 401 knows nothing.

    The token goes over https or to a loopback host; any other URL is a ValueError at the request, unless
    `allow_http` is true (for a service mesh that encrypts). It goes only to the origin of the first request,
    whether httpx2 follows a redirect or the caller sends its `next_request`. (The one exception is that of httpx2:
    from http to https on the same host, both on their default ports, the header stays.) With `origin`, such as
    "https://api.example", requests to other origins carry no token; without, a client that has a BearerAuth should
    speak to one API only.

    An AsyncClient takes either kind of strategy; a synchronous one is called in a thread, so that it never blocks
    the event loop. A Client takes a synchronous one; another is a ValueError at the first request. One object
    serves any number of threads, tasks and clients. Raises ValueError for a strategy or an origin that cannot be
    used.
    """


class HttpxFetch(SyncFetch):
    """Sends token requests through the program's own client: `SdkConfiguration(fetch=HttpxFetch(client))`.

    The client decides on connections, TLS, proxies and event hooks; its auth, headers, cookies, parameters and
    redirects do not count. Nothing is retried but what its transport retries. At most 1 MiB of a body is read, and a
    compressed one is refused. `request.timeout` is what the exchange may take; only headers that drip can outlast it.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event; ValueError for
    what is no httpx2.Client.
    """

    module: ClassVar[Any] = httpx2


class AsyncHttpxFetch(AsyncFetch):
    """Sends token requests through the program's own AsyncClient, for AsyncClientCredentialsStrategy.

    As HttpxFetch, but that `request.timeout` bounds the exchange whatever the endpoint does. It needs asyncio.
    """

    module: ClassVar[Any] = httpx2

"""For httpx: every request carries a token that is good now, and one refused for its token is sent once more."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

import httpx

from ._bearer import AsyncRenewing, Renewing, asks_for_new_token, checked, is_asynchronous, origin_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from .._core.model import AccessToken

T = TypeVar("T")

# Redirected requests inherit the extensions, those too that a caller sends on by hand.
_HOME: Final = "client_credentials.origin"


class BearerAuth(httpx.Auth):
    """Sends the strategy's token with each request: `httpx.Client(auth=BearerAuth(strategy))`, or an AsyncClient.

    A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent. The request is then
    repeated once with a new one, unless there is no other token, or the body is not one that httpx holds in memory
    (as it does bytes, text, JSON and forms, but no file, multipart or generator). Whatever comes of that is what the
    caller gets; the 401 is in its `history`. A 403 is left alone.

    Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would
    raise, and it says who failed and when to try again, of which the 401 knows nothing.

    The token goes to the origin of the first request alone, whether httpx follows a redirect or the caller sends its
    `next_request`. (The one exception is httpx's own: from http to https on the same host, both on their default
    ports, the header stays.) Given to a client it goes to whatever URL the client is asked for, so let a client that
    has one speak to one API only, over https.

    An AsyncClient takes either kind of strategy; a synchronous one is called in a thread, so that it never blocks the
    event loop. A Client takes a synchronous one; another is a ValueError at the first request. One object serves any
    number of threads, tasks and clients. Raises ValueError for a strategy that cannot be used.
    """

    def __init__(self, strategy: Renewing | AsyncRenewing) -> None:
        self._sync: Renewing | None = None
        if is_asynchronous(checked(strategy)):
            self._async = cast("AsyncRenewing", strategy)
        else:
            self._sync = cast("Renewing", strategy)
            self._async = _Threaded(self._sync)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with a token and, if it is refused, once more with another."""
        strategy = self._sync
        if strategy is None:
            raise ValueError("strategy: an asynchronous one needs httpx.AsyncClient, or take ClientCredentialsStrategy")
        if not _is_home(request):
            yield request
            return
        token = strategy.get_or_create_access_token()
        request.headers["Authorization"] = token.authorization
        response = yield request
        if not _refuses(response, token):
            return
        strategy.remove_access_token(token)
        if not _in_memory(response.request):
            return
        new = strategy.get_or_create_access_token()
        if new.access_token != token.access_token:
            response.request.headers["Authorization"] = new.authorization
            yield response.request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token and, if it is refused, once more with another."""
        strategy = self._async
        if not _is_home(request):
            yield request
            return
        token = await strategy.get_or_create_access_token()
        request.headers["Authorization"] = token.authorization
        response = yield request
        if not _refuses(response, token):
            return
        await strategy.remove_access_token(token)
        if not _in_memory(response.request):
            return
        new = await strategy.get_or_create_access_token()
        if new.access_token != token.access_token:
            response.request.headers["Authorization"] = new.authorization
            yield response.request


class _Threaded:
    """A synchronous strategy for an event loop: even a token in hand may have to be looked up in a slow cache."""

    def __init__(self, strategy: Renewing) -> None:
        self._strategy = strategy

    async def get_or_create_access_token(self) -> AccessToken:
        return await _in_thread(self._strategy.get_or_create_access_token)

    async def remove_access_token(self, token: AccessToken, /) -> object:
        return await _in_thread(partial(self._strategy.remove_access_token, token))


async def _in_thread(call: Callable[[], T]) -> T:
    # anyio, since httpx runs under trio too; only asynchronous clients pay for its import.
    from anyio import to_thread

    return await to_thread.run_sync(call, abandon_on_cancel=True)


def _is_home(request: httpx.Request) -> bool:
    """Tell whether a request goes where the one went that it was redirected from, and note that for the next."""
    here = origin_of(str(request.url))
    home = request.extensions.get(_HOME, here)
    request.extensions = {**request.extensions, _HOME: home}
    return bool(home == here)


def _refuses(response: httpx.Response, token: AccessToken) -> bool:
    """Tell whether the answer refuses this very token, at the origin that it is for."""
    request = response.request
    carried = request.headers.get("Authorization") == token.authorization and _is_home(request)
    return carried and asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate"))


def _in_memory(request: httpx.Request) -> bool:
    """Tell whether the body can be sent again."""
    return isinstance(request.stream, httpx.ByteStream)

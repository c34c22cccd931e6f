"""The token endpoint of an issuer, from the metadata that its authorization server publishes (RFC 8414)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from typing import Final, TypeAlias, TypeVar, cast

from ._core.metadata import (
    ServerMetadata,
    Undiscovered,
    check_issuer,
    metadata_request,
    search,
    well_known_urls,
)
from ._core.model import Failure, HookFailed, TokenRequest, TokenResponse, Unreachable
from ._http.fetch import Urllib3Fetch
from ._shell import threads
from ._shell.driver import run_sync
from ._shell.request import described
from .configuration import is_coroutine_function
from .errors import TokenError, error_of

__all__ = ["ServerMetadata", "discover", "discover_async"]

_SECONDS: Final = 10.0
_SHORTEST_TIMEOUT: Final = 0.001

T = TypeVar("T")
_Send: TypeAlias = Callable[[TokenRequest], Awaitable[object]]
_Found: TypeAlias = tuple[ServerMetadata | Undiscovered, BaseException | None]


def discover(issuer: str, *, fetch: Callable[[TokenRequest], TokenResponse] | None = None) -> ServerMetadata:
    """Find the token endpoint of an issuer, whose URL must be given exactly as the server spells it.

    Asks for `/.well-known/oauth-authorization-server`, and if that is missing, for OpenID's
    `/.well-known/openid-configuration`. `fetch` sends the requests, as that of `SdkConfiguration` does; default:
    `Urllib3Fetch()`. The call takes 10 s at most, and keeps nothing: discover once, and give `token_url` to a strategy.

    Raises TokenError, whose text says what to change, and ValueError for an issuer that is not https (but for a
    loopback host) or has a query or fragment.
    """
    if is_coroutine_function(fetch):
        raise ValueError("fetch must be synchronous; for a coroutine function use discover_async")
    issuer, call = check_issuer(issuer), _callable(fetch)

    async def send(request: TokenRequest) -> object:
        return call(request)

    # In a thread of its own, since a fetch may hang past its timeout: no timeout interrupts a name lookup.
    return _unwrapped(threads.wait_for(lambda: run_sync(_find(issuer, send)), _SECONDS), issuer)


async def discover_async(
    issuer: str, *, fetch: Callable[[TokenRequest], TokenResponse | Awaitable[TokenResponse]] | None = None
) -> ServerMetadata:
    """As `discover`, under asyncio: `fetch` is called in a thread, its coroutine, if any, runs in this event loop."""
    import asyncio

    issuer, call = check_issuer(issuer), _callable(fetch)
    found: _Found | None = None

    async def send(request: TokenRequest) -> object:
        fetched: object = await threads.in_thread(partial(call, request))
        return await cast("Awaitable[object]", fetched) if isawaitable(fetched) else fetched

    with suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            found = await _find(issuer, send)
    return _unwrapped(found, issuer)


def _callable(fetch: T | None) -> T | Urllib3Fetch:
    if fetch is None:
        return Urllib3Fetch()
    if not callable(fetch):
        raise ValueError("fetch must be callable")
    return fetch


async def _find(issuer: str, send: _Send) -> _Found:
    """Make the requests of a search."""
    ends = time.monotonic() + _SECONDS
    cause: BaseException | None = None

    async def ask(url: str) -> tuple[TokenResponse | Failure, float]:
        nonlocal cause
        request = metadata_request(url, max(ends - time.monotonic(), _SHORTEST_TIMEOUT))
        answer: TokenResponse | Failure
        try:
            fetched = await send(request)
        except TokenError as error:
            answer = described(error, "fetch")
        except threads.catchable() as error:  # the program's code
            answer, cause = HookFailed(hook="fetch", kind=f"raised {type(error).__name__}"), error
        else:
            wrong = f"returned {type(fetched).__name__}, expected TokenResponse"
            answer = fetched if isinstance(fetched, TokenResponse) else HookFailed(hook="fetch", kind=wrong)
        return answer, time.time()

    return await search(issuer, ask), cause


def _unwrapped(found: _Found | None, issuer: str) -> ServerMetadata:
    late = Undiscovered(Unreachable(reason="timed out"), " or ".join(well_known_urls(issuer)))
    outcome, cause = found or (late, None)
    if isinstance(outcome, ServerMetadata):
        return outcome
    error = error_of(outcome.failure, outcome.failure.retry_after)
    error.args = (outcome.text,)
    raise error from cause

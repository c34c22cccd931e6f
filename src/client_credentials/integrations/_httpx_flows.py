"""Authentication flows for httpx and httpx2, which have the same shape: a token with each request, one replay."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from .._shell.driver import run_sync
from ._bearer import REFUSED_BODY, Bearer, asks_for_new_token, at_once, head_of, origin_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from types import ModuleType

    from .._core.model import AccessToken
    from ..protocols import AsyncAuthStrategy, AuthStrategy

Request: TypeAlias = Any
"""A request of either library, of which neither need be installed."""
Response: TypeAlias = Any
"""A response of either."""

# Redirected requests inherit the extensions, also those that a caller sends on by hand.
_HOME: Final = "client_credentials.origin"


class BearerFlows:
    """What the BearerAuth of httpx and that of httpx2 do."""

    def __init__(
        self, strategy: AuthStrategy | AsyncAuthStrategy, *, origin: str | None = None, allow_http: bool = False
    ) -> None:
        self._bearer = Bearer(strategy, origin, allow_http=allow_http)
        # A client knows an Auth by its class; the clients of both libraries take this one, if both are here.
        auths = tuple(sys.modules[name].Auth for name in ("httpx", "httpx2") if name in sys.modules)
        self.__class__ = _derived(cast("type", self.__class__), auths)

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Send with a token and, if it is refused, once more with another."""
        if not self._takes_token(request):
            yield request
            return
        token = run_sync(self._bearer.get(at_once))
        response = yield _with(token, request)
        if _refuses(response, token):
            new = run_sync(self._bearer.replacement(at_once, token, can_send=_in_memory(response.request)))
            if new is not None:
                _keep_head(response)
                yield _with(new, response.request)

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Send with a token and, if it is refused, once more with another."""
        if not self._takes_token(request):
            yield request
            return
        call = self._bearer.in_loop
        token = await self._bearer.get(call)
        response = yield _with(token, request)
        if _refuses(response, token):
            new = await self._bearer.replacement(call, token, can_send=_in_memory(response.request))
            if new is not None:
                await _keep_head_async(response)
                yield _with(new, response.request)

    def _takes_token(self, request: Request) -> bool:
        return _note_home(request) and self._bearer.admits(str(request.url))


@cache
def _derived(kind: type, auths: tuple[type, ...]) -> type:
    """Derive a kind of bearer from these classes too."""
    missing = tuple(auth for auth in auths if not issubclass(kind, auth))
    return type(kind.__name__, (kind, *missing), {}) if missing else kind


def _note_home(request: Request) -> bool:
    """Note the origin of the first request for those that it is redirected to; tell whether this one goes there."""
    here = origin_of(str(request.url))
    home = request.extensions.get(_HOME, here)
    request.extensions = {**request.extensions, _HOME: home}
    return bool(home == here)


def _refuses(response: Response, token: AccessToken) -> bool:
    """Tell whether the answer refuses this very token, at the origin that it is for."""
    request = response.request
    carried = request.headers.get("Authorization") == token.authorization and _note_home(request)
    return carried and asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate"))


def _with(token: AccessToken, request: Request) -> Request:
    request.headers["Authorization"] = token.authorization
    return request


def _in_memory(request: Request) -> bool:
    """Tell whether the body can be sent again."""
    return isinstance(request.stream, _library(request).ByteStream)


# The client reads a refused response to its end before it sends the replay; some responses have no end.


def _keep_head(response: Response) -> None:
    if not response.is_closed:
        library = _library(response)
        head = head_of(response.stream, library.TransportError)
        response.stream.close()
        response.stream = library.ByteStream(head)


async def _keep_head_async(response: Response) -> None:
    if not response.is_closed:
        library, head = _library(response), bytearray()
        with suppress(library.TransportError):
            async for piece in response.stream:
                head += piece
                if len(head) >= REFUSED_BODY:
                    break
        await response.stream.aclose()
        response.stream = library.ByteStream(bytes(head[:REFUSED_BODY]))


def _library(message: Request | Response) -> ModuleType:
    return sys.modules[type(message).__module__.partition(".")[0]]

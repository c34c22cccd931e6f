"""Authentication flows for httpx and httpx2, which have the same shape: a token with each request, one replay."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, cast

from ._bearer import REFUSED_BODY, Bearer, asks_for_new_token, origin_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from .._core.model import AccessToken
    from ..protocols import AsyncAuthStrategy, AuthStrategy

# Redirected requests inherit the extensions, those too that a caller sends on by hand.
_HOME: Final = "client_credentials.origin"


class _Request(Protocol):
    url: Any
    headers: Any
    stream: Any
    extensions: Any


class _Response(Protocol):
    status_code: int
    headers: Any
    stream: Any
    is_closed: bool

    @property
    def request(self) -> Any:  # noqa: ANN401  # a Q
        ...


Q = TypeVar("Q", bound=_Request)
R = TypeVar("R", bound=_Response)


class BearerFlows(Generic[Q, R]):
    """What the BearerAuth of httpx and that of httpx2 do."""

    def __new__(
        cls, strategy: AuthStrategy | AsyncAuthStrategy, *, origin: str | None = None, allow_http: bool = False
    ) -> Self:
        """Make one that the clients of both libraries take, if both are here: they tell an Auth by its class."""
        auths = tuple(sys.modules[name].Auth for name in ("httpx", "httpx2") if name in sys.modules)
        return cast("Self", object.__new__(_serving(cast("type", cls), auths)))

    def __init__(
        self, strategy: AuthStrategy | AsyncAuthStrategy, *, origin: str | None = None, allow_http: bool = False
    ) -> None:
        self._bearer = Bearer(strategy, origin, allow_http=allow_http)

    def sync_auth_flow(self, request: Q) -> Generator[Q, R, None]:
        """Send with a token and, if it is refused, once more with another."""
        if not self._takes_token(request):
            yield request
            return
        token = self._bearer.get()
        request.headers["Authorization"] = token.authorization
        response = yield request
        if not _refuses(response, token):
            return
        self._bearer.report(token)
        if not _in_memory(response.request):
            return
        new = self._bearer.get()
        if new.access_token != token.access_token:
            if not response.is_closed:
                _keep_head(response)
            yield _with(new, response.request)

    async def async_auth_flow(self, request: Q) -> AsyncGenerator[Q, R]:
        """Send with a token and, if it is refused, once more with another."""
        if not self._takes_token(request):
            yield request
            return
        token = await self._bearer.get_async()
        request.headers["Authorization"] = token.authorization
        response = yield request
        if not _refuses(response, token):
            return
        await self._bearer.report_async(token)
        if not _in_memory(response.request):
            return
        new = await self._bearer.get_async()
        if new.access_token != token.access_token:
            if not response.is_closed:
                await _keep_head_async(response)
            yield _with(new, response.request)

    def _takes_token(self, request: Q) -> bool:
        return _is_home(request) and self._bearer.admits(str(request.url))


@cache
def _serving(kind: type, auths: tuple[type, ...]) -> type:
    """Derive a kind of bearer from these classes too."""
    missing = tuple(auth for auth in auths if not issubclass(kind, auth))
    return type(kind.__name__, (kind, *missing), {}) if missing else kind


def _is_home(request: _Request) -> bool:
    """Tell whether a request goes where the one went that it was redirected from, and note that for the next."""
    here = origin_of(str(request.url))
    home = request.extensions.get(_HOME, here)
    request.extensions = {**request.extensions, _HOME: home}
    return bool(home == here)


def _refuses(response: _Response, token: AccessToken) -> bool:
    """Tell whether the answer refuses this very token, at the origin that it is for."""
    request = response.request
    carried = request.headers.get("Authorization") == token.authorization and _is_home(request)
    return carried and asks_for_new_token(response.status_code, response.headers.get("WWW-Authenticate"))


def _with(token: AccessToken, request: Q) -> Q:
    request.headers["Authorization"] = token.authorization
    return request


def _in_memory(request: _Request) -> bool:
    """Tell whether the body can be sent again."""
    return isinstance(request.stream, _library(request).ByteStream)


# The client reads a refused response to its end before it sends the replay; some have none.


def _keep_head(response: _Response) -> None:
    library, head = _library(response), bytearray()
    with suppress(library.TransportError):
        for piece in response.stream:
            head += piece
            if len(head) >= REFUSED_BODY:
                break
    response.stream.close()
    response.stream = library.ByteStream(bytes(head[:REFUSED_BODY]))


async def _keep_head_async(response: _Response) -> None:
    library, head = _library(response), bytearray()
    with suppress(library.TransportError):
        async for piece in response.stream:
            head += piece
            if len(head) >= REFUSED_BODY:
                break
    await response.stream.aclose()
    response.stream = library.ByteStream(bytes(head[:REFUSED_BODY]))


def _library(value: _Request | _Response) -> Any:  # noqa: ANN401  # a module
    return sys.modules[type(value).__module__.partition(".")[0]]

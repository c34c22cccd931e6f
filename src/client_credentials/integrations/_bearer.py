"""Rules for sending bearer tokens with any HTTP library: where they may go, and when they are replaced (RFC 6750)."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from urllib.parse import urlsplit

from .._core.client import AUTHORITY, is_loopback
from .._shell.threads import in_thread

if TYPE_CHECKING:
    from .._core.model import AccessToken
    from ..protocols import AsyncAuthStrategy, AuthStrategy

Origin: TypeAlias = tuple[str, str | None, int | None]
"""Scheme, host and port (RFC 6454 section 4)."""
Call: TypeAlias = Callable[..., Awaitable[object]]
"""Calls a method of a strategy, in the way of one kind of client."""

REFUSED_BODY: Final = 65536
"""How many bytes of a refused response are kept for the caller's history."""

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# Quoted strings are taken whole, so that nothing inside one passes for a parameter; a name begins where a word does,
# so that the longest header is read in one pass.
_PARAMETER: Final = re.compile(rf'(?<!{_WORD})({_WORD}+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}*))')
_PORTS: Final = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(rf"(?i:https?)://{AUTHORITY.pattern}")
_YOUNG: Final = 10.0  # seconds
_THREADS: Final = 40


def asks_for_new_token(status: int, challenge: str | None) -> bool:
    """Tell whether a resource server refused because of the token itself (RFC 6750 section 3.1).

    It did if it is a 401 whose WWW-Authenticate (`challenge`) says `invalid_token`, names no error or is missing.
    """
    if status != 401:
        return False
    found = _PARAMETER.findall(challenge or "")
    errors = {quoted or bare for name, quoted, bare in found if name.lower() == "error"} - {""}
    return not errors or "invalid_token" in errors


def may_replace(age: float, since_last: float | None) -> bool:
    """Tell whether a refused token is worth replacing: not if it is new, since its successor would be refused too.

    `age` is in seconds since the grant, `since_last` since a token was last replaced. The second holds where the first
    says nothing, as the strategy's clock may be a fake one: an API that always says 401 costs at most one token
    request in ten seconds.
    """
    return not 0 <= age < _YOUNG and (since_last is None or since_last >= _YOUNG)


def origin_of(url: str) -> Origin:
    """Read the origin of an http or https URL."""
    parts = urlsplit(url)
    host = parts.hostname
    if host and ":" in host:
        host = str(ipaddress.ip_address(host))  # it can be written in many ways
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme)


def head_of(pieces: Iterable[bytes], *errors: type[Exception]) -> bytes:
    """Read what is kept of a refused response; one of `errors` ends it early."""
    head = bytearray()
    with suppress(*errors):
        for piece in pieces:
            head += piece
            if len(head) >= REFUSED_BODY:
                break
    return bytes(head[:REFUSED_BODY])


class Bearer:
    """A strategy's tokens, for requests to one API; shared by the threads, tasks and event loops that send them.

    Raises ValueError for a strategy that lacks a method, and for an `origin` that is not one.
    """

    def __init__(self, strategy: AuthStrategy | AsyncAuthStrategy, origin: str | None, *, allow_http: bool) -> None:
        for name in ("get_or_create_access_token", "remove_access_token"):
            if not callable(getattr(strategy, name, None)):
                raise ValueError(f"strategy must be an auth strategy, with a method {name}")
        self._strategy = strategy
        self._removal_is_told = _takes_token(strategy.remove_access_token)
        self._allow_http = allow_http
        self._origin = None if origin is None else _checked_origin(origin)
        if self._origin is not None:
            self._require_safe(self._origin)
        self._replaced: tuple[AccessToken, float] | None = None
        self._limits: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def admits(self, url: str) -> bool:
        """Tell whether a request to a URL carries a token; raises ValueError where anyone could read it on the way."""
        here = origin_of(url)
        if self._origin is not None:
            return here == self._origin
        self._require_safe(here)
        return True

    async def get(self, call: Call) -> AccessToken:
        """Return a token that is good now; raises TokenError."""
        return cast("AccessToken", await call(self._strategy.get_or_create_access_token))

    async def replacement(self, call: Call, token: AccessToken, *, can_send: bool) -> AccessToken | None:
        """Remove a token that was refused, unless it is too new for that to help.

        Returns another one; None if there is no other, or the request cannot be sent again. Raises TokenError.
        """
        if self._begin_replacement(token):
            if self._removal_is_told:
                await call(self._strategy.remove_access_token, token)
            elif await call(self._strategy.get_access_token) == token:
                await call(self._strategy.remove_access_token)
        new = await self.get(call) if can_send else token
        return None if new.access_token == token.access_token else new

    async def in_loop(self, method: Callable[..., object], *arguments: object) -> object:
        """Call a method of the strategy from a task, and await what it returns if that is awaitable.

        Anything but a coroutine function may block, so it is called in a thread, even where the token is in memory:
        only the strategy knows whether it is. At most 40 such calls are awaited at once in each event loop.
        """
        call = partial(method, *arguments)
        # A mock of a synchronous method passes for a coroutine function, and blocks as little.
        if inspect.iscoroutinefunction(method):
            given = call()
        else:
            async with self._limit(asyncio.get_running_loop()):
                given = await in_thread(call)
        return await cast("Awaitable[object]", given) if inspect.isawaitable(given) else given

    def _limit(self, loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
        """Return the limit of a loop; it refers to its loop, so those of closed loops are dropped when one is made."""
        limit = self._limits.get(loop)
        if limit is None:
            limit = asyncio.Semaphore(_THREADS)
            # A new dictionary, as loops run in threads of their own.
            others = {each: its for each, its in self._limits.items() if not each.is_closed()}
            self._limits = {**others, loop: limit}
        return limit

    def _require_safe(self, origin: Origin) -> None:
        scheme, host, _ = origin
        if scheme != "https" and not self._allow_http and not is_loopback(host or ""):
            raise ValueError(
                f"{scheme}://{host}: a token is sent over https or to a loopback host only (RFC 6750 section 5.3); "
                "allow_http=True permits plain http"
            )

    def _begin_replacement(self, token: AccessToken) -> bool:
        """Note that this token is being replaced; False: it is too new."""
        # Without a lock, which a fork could leave taken: at worst, two refused tokens are replaced at once.
        now = time.monotonic()
        last, at = self._replaced or (None, None)
        if last is not None and last.access_token == token.access_token:
            return True
        age = time.time() - (token.expires / 1000 - token.expires_in)
        if not may_replace(age, None if at is None else now - at):
            return False
        self._replaced = token, now
        return True


async def at_once(method: Callable[..., object], *arguments: object) -> object:
    """Call a method for a client that cannot await; raises ValueError for what would have to be awaited."""
    value = method(*arguments)
    if inspect.iscoroutine(value):
        value.close()
    if inspect.isawaitable(value):
        raise ValueError("strategy must be a synchronous one for a synchronous client, as ClientCredentialsStrategy is")
    return value


def _takes_token(remove: Callable[..., object]) -> bool:
    """Tell whether a removal takes a token; that of the SDK's interface does not."""
    try:
        inspect.signature(remove).bind("token")
    except TypeError:
        return False
    return True


def _checked_origin(origin: object) -> Origin:
    with suppress(ValueError):  # of its port, or its address
        if isinstance(origin, str) and _ORIGIN.fullmatch(origin) and urlsplit(origin).port != 0:
            return origin_of(origin)
    raise ValueError(
        "origin must be a string https://host[:port], without a path, a user name or a password;"
        " use punycode for international names"
    )

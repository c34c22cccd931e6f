"""The collaborators of a strategy, with their defaults: fetch, hooks, cache and clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from inspect import CO_COROUTINE
from types import FunctionType, MethodType
from typing import Any, Final

import attrs

from ._core.model import Failure, TokenRequest, TokenResponse
from ._core.redaction import NOTHING, Hidden
from ._core.response import decode, status_failure
from ._core.value import Value
from ._http.fetch import Urllib3Fetch
from ._shell.clock import SystemClock
from .caching.memory import InMemoryCachingStrategy
from .errors import TokenError, error_of
from .protocols import CachingStrategy, Clock


class Reading:
    """A response that the hooks see: what must not be shown of it, and the failures that the defaults found in it."""

    def __init__(self, hidden: Hidden = NOTHING) -> None:
        self.hidden = hidden
        self.found: list[Failure] = []

    def error(self, failure: Failure) -> TokenError:
        """Make the exception of a failure found."""
        self.found.append(failure)
        return error_of(failure)


READING: Final[ContextVar[Reading | None]] = ContextVar("READING", default=None)
"""The response being read in this context."""


def nothing(*_: object) -> None:
    """Do nothing; the default of the hooks."""


def accept_success(response: TokenResponse) -> None:
    """Accept statuses 200 and 201; raises the TokenError that explains any other.

    This is the default `response_validator`. Your own can call it for the statuses that it does not accept itself.
    """
    reading = READING.get() or Reading()
    failure = status_failure(response, reading.hidden)
    if failure is not None:
        raise reading.error(failure)


def json_object(response: TokenResponse) -> Mapping[str, object]:
    """Read the body as one JSON object; raises InvalidTokenResponse for any other.

    This is the default `deserializer`. Your own can call it and change the members.
    """
    reading = READING.get() or Reading()
    document = decode(response, reading.hidden)
    if isinstance(document, Mapping):
        return document
    raise reading.error(document)


def is_coroutine_function(value: object) -> bool:
    """Tell whether a call returns a coroutine; that of a mock does not, though the mock has every attribute."""
    called: object = getattr(type(value), "__call__", None)  # noqa: B004
    return _is_async_def(value) or _is_async_def(called)


def _is_async_def(value: Any) -> bool:  # noqa: ANN401  # whatever was given
    # By type(): a mock claims to be an instance of what it stands for.
    while type(value) in (MethodType, partial):
        value = value.func if type(value) is partial else value.__func__
    return type(value) is FunctionType and bool(value.__code__.co_flags & CO_COROUTINE)


_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "caching_strategy": ("get", "set", "remove"),
    "clock": ("wall", "monotonic"),
}
"""What these collaborators must have; all others must be callable."""


_OURS: Final[Mapping[str, object]] = {
    "fetch": Urllib3Fetch,
    "before_request": nothing,
    "after_request": nothing,
    "deserializer": json_object,
    "response_validator": accept_success,
    "error_handler": nothing,
    "clock": SystemClock,
    "caching_strategy": InMemoryCachingStrategy,
}
"""The defaults, which need no check."""


@attrs.frozen(kw_only=True, eq=False)
class SdkConfiguration(Value):
    """The collaborators of a strategy; each has a default. Raises ValueError for one that lacks a method.

    - `fetch(request)`: sends the TokenRequest and returns a TokenResponse; must keep `request.timeout` and follow no
      redirect. Default: `Urllib3Fetch()`. For the asynchronous strategy it may be a coroutine function, which runs in
      the event loop of the caller who asked.
    - `before_request(request)`, `after_request(request, response)`: see what is sent and what came back.
    - `response_validator(response)`: raises to refuse a response. Default: `accept_success`, statuses 200 and 201.
    - `deserializer(response)`: returns the body of an accepted response as a mapping. Default: `json_object`.
    - `error_handler(error)`: called with a TokenError after every failed request, those in the background too, once
      the callers who wait have their answer.
    - `caching_strategy`: keeps tokens (`CachingStrategy`). Default: `InMemoryCachingStrategy(clock=clock)`.
    - `clock`: tells the time (`Clock`), for tests. Default: `SystemClock()`.

    Hooks are called without a lock held, in the daemon thread that makes the request. An exception that one raises
    becomes a HookError, and a TokenError is taken as the failure that it describes; what `error_handler` raises is only
    logged.
    """

    fetch: Callable[[TokenRequest], TokenResponse | Awaitable[TokenResponse]] = attrs.field(factory=Urllib3Fetch)
    before_request: Callable[[TokenRequest], object] = nothing
    after_request: Callable[[TokenRequest, TokenResponse], object] = nothing
    deserializer: Callable[[TokenResponse], Mapping[str, object]] = json_object
    response_validator: Callable[[TokenResponse], object] = accept_success
    error_handler: Callable[[TokenError], object] = nothing
    clock: Clock = attrs.field(factory=SystemClock)
    caching_strategy: CachingStrategy = attrs.Factory(
        lambda self: InMemoryCachingStrategy(clock=self.clock), takes_self=True
    )

    def __attrs_post_init__(self) -> None:
        for name, value in self._named():
            if (value if type(value) is FunctionType else type(value)) is _OURS[name]:
                continue
            methods = _METHODS.get(name, ())
            calls = [getattr(value, method, None) for method in methods] or [value]
            if not all(map(callable, calls)):
                needed = f"must have the methods {', '.join(methods)}" if methods else "must be callable"
                raise ValueError(f"{name} {needed}")
            if name != "fetch" and any(map(is_coroutine_function, calls)):
                raise ValueError(f"{name} must be synchronous, not a coroutine function")

    def __repr__(self) -> str:
        # Only by name: a user's cache may show its values, a partial its arguments.
        names = [(name, getattr(value, "__qualname__", type(value).__qualname__)) for name, value in self._named()]
        return f"SdkConfiguration({', '.join(f'{name}=<{kind}>' for name, kind in names)})"

    def _named(self) -> list[tuple[str, object]]:
        return [(name, getattr(self, name)) for name in _OURS]

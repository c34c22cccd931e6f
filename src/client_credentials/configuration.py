"""What a user may replace around the strategy, and the protocols that a replacement keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from inspect import iscoroutinefunction
from types import FunctionType, MethodType
from typing import Any, Final

import attrs

from ._core.model import TokenRequest, TokenResponse
from ._core.redaction import NOTHING, Hidden
from ._core.response import decode, status_failure
from ._http.fetch import Urllib3Fetch
from ._shell.clock import SystemClock
from .caching.memory import InMemoryCachingStrategy
from .errors import TokenError, error_of
from .protocols import CachingStrategy, Clock

HIDDEN: Final[ContextVar[Hidden]] = ContextVar("HIDDEN", default=NOTHING)
"""What must not be shown of the answer that the hooks are looking at."""


def nothing(*_: object) -> None:
    """Do nothing: the hook that is not there."""


def accept_success(response: TokenResponse) -> None:
    """Accept status 200 and 201; raises the TokenError that explains any other.

    This is the default `response_validator`. One of your own can call it for every status that it does not accept.
    """
    failure = status_failure(response, HIDDEN.get())
    if failure is not None:
        raise error_of(failure)


def json_object(response: TokenResponse) -> Mapping[str, object]:
    """Read the body as one JSON object; raises InvalidTokenResponse for any other.

    This is the default `deserializer`. One of your own can call it and change the members.
    """
    document = decode(response, HIDDEN.get())
    if isinstance(document, Mapping):
        return document
    raise error_of(document)


def is_coroutine_function(value: object) -> bool:
    """Tell whether a call gives a coroutine; that of a mock does not, though the mock has every attribute."""
    called: object = getattr(type(value), "__call__", None)  # noqa: B004
    return any(_is_async_def(each) for each in (value, called))


def _is_async_def(value: Any) -> bool:  # noqa: ANN401  # whatever was given
    # By type(): a mock says of itself that it is an instance of what it stands for.
    while type(value) in (MethodType, partial):
        value = value.func if type(value) is partial else value.__func__
    return type(value) is FunctionType and iscoroutinefunction(value)


# What each collaborator must be able to do; none named: to be called.
_ABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "fetch": (),
    "before_request": (),
    "after_request": (),
    "deserializer": (),
    "response_validator": (),
    "error_handler": (),
    "caching_strategy": ("get", "set", "remove"),
    "clock": ("wall", "monotonic"),
}


@attrs.frozen(kw_only=True)
class SdkConfiguration:
    """The collaborators of a strategy; each has a default that is fit for use. Raises ValueError for a misfit.

    Hooks are called without any lock held, in the thread that makes the request. What one of them raises becomes a
    HookError; a TokenError that one raises is taken as the failure that it describes.
    """

    fetch: Callable[[TokenRequest], TokenResponse | Awaitable[TokenResponse]] = attrs.field(factory=Urllib3Fetch)
    """Sends a token request; keeps `request.timeout`, follows no redirect.

    For the asynchronous strategy it may be a coroutine function, which runs in the event loop of the caller who asked.
    """
    before_request: Callable[[TokenRequest], object] = nothing
    after_request: Callable[[TokenRequest, TokenResponse], object] = nothing
    deserializer: Callable[[TokenResponse], Mapping[str, object]] = json_object
    """Reads the body of an accepted response."""
    response_validator: Callable[[TokenResponse], object] = accept_success
    """Raises to refuse a response."""
    error_handler: Callable[[TokenError], object] = nothing
    """Called after every failed request, those in the background too, once the callers who wait have their error."""
    caching_strategy: CachingStrategy = attrs.field(factory=InMemoryCachingStrategy)
    clock: Clock = attrs.field(factory=SystemClock)

    def __attrs_post_init__(self) -> None:
        for name, methods in _ABILITIES.items():
            value = getattr(self, name)
            calls = [getattr(value, method, None) for method in methods] if methods else [value]
            if not all(map(callable, calls)):
                needed = f"must have the methods {', '.join(methods)}" if methods else "must be callable"
                raise ValueError(f"{name} {needed}")
            if name != "fetch" and any(map(is_coroutine_function, calls)):
                raise ValueError(f"{name} must be synchronous: nothing awaits what a coroutine function gives")

    def __repr__(self) -> str:
        # By name alone: a user's cache may show its values, a partial its arguments.
        values = ((name, getattr(self, name)) for name in _ABILITIES)
        named = (f"{name}=<{getattr(value, '__qualname__', type(value).__qualname__)}>" for name, value in values)
        return f"SdkConfiguration({', '.join(named)})"

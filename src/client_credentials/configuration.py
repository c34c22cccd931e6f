"""What a user may replace around the strategy, and the protocols that a replacement keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Final

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


def is_plain(value: object) -> bool:
    """Tell whether it can be called and then is done; what a coroutine function gives, nobody would await."""
    # Looking at one costs microseconds, and these come with every strategy.
    if any(value is known for known in (nothing, accept_success, json_object)):
        return True
    called: object = getattr(type(value), "__call__", None)  # noqa: B004
    return callable(value) and not iscoroutinefunction(value) and not iscoroutinefunction(called)


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
    TokenError that names its class; a TokenError that one raises is taken as the failure that it describes.
    """

    fetch: Callable[[TokenRequest], TokenResponse] = attrs.field(factory=Urllib3Fetch)
    """Sends a token request; keeps `request.timeout`, follows no redirect."""
    before_request: Callable[[TokenRequest], object] = nothing
    after_request: Callable[[TokenRequest, TokenResponse], object] = nothing
    deserializer: Callable[[TokenResponse], Mapping[str, object]] = json_object
    """Reads the body of an accepted response."""
    response_validator: Callable[[TokenResponse], object] = accept_success
    """Raises to refuse a response."""
    error_handler: Callable[[TokenError], object] = nothing
    """Is told of every failed attempt, those in the background too."""
    caching_strategy: CachingStrategy = attrs.field(factory=InMemoryCachingStrategy)
    clock: Clock = attrs.field(factory=SystemClock)

    def __attrs_post_init__(self) -> None:
        for name, methods in _ABILITIES.items():
            value = getattr(self, name)
            if not methods and not is_plain(value):
                raise ValueError(f"{name} must be callable, and no coroutine function")
            if not all(is_plain(getattr(value, method, None)) for method in methods):
                raise ValueError(f"{name} must have the methods {', '.join(methods)}, and no coroutine functions")

    def __repr__(self) -> str:
        # By name alone: a user's cache may show its values, a partial its arguments.
        values = ((name, getattr(self, name)) for name in _ABILITIES)
        named = (f"{name}=<{getattr(value, '__qualname__', type(value).__qualname__)}>" for name, value in values)
        return f"SdkConfiguration({', '.join(named)})"

    def is_ours(self) -> bool:
        """Tell whether nothing of a user's runs while a token is asked for, so that all of it keeps the deadline."""
        hooks = (self.before_request, self.after_request, self.error_handler)
        return (
            isinstance(self.fetch, Urllib3Fetch)
            and self.fetch.bounded
            and all(hook is nothing for hook in hooks)
            and self.deserializer is json_object
            and self.response_validator is accept_success
            and type(self.caching_strategy) is InMemoryCachingStrategy
        )

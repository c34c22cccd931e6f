"""A valid OAuth 2.0 access token for the client credentials grant, at once: one token request serves all who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core.model import AccessToken, CacheEntry, ClientAuthentication, RenewalPolicy, TokenRequest, TokenResponse
from ._http.fetch import Urllib3Fetch
from ._shell.clock import SystemClock
from .caching.memory import InMemoryCachingStrategy
from .configuration import SdkConfiguration, accept_success, json_object
from .errors import HookError, InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused
from .protocols import AsyncAuthStrategy, AuthStrategy, CachingStrategy, Clock, LockingCachingStrategy
from .strategy import ClientCredentialsStrategy

if TYPE_CHECKING:
    from .aio import AsyncClientCredentialsStrategy
    from .caching.file import FileCachingStrategy
    from .caching.redis import RedisCachingStrategy
else:
    _WHEN_NAMED = {
        "AsyncClientCredentialsStrategy": "aio",
        "FileCachingStrategy": "caching.file",
        "RedisCachingStrategy": "caching.redis",
    }

    def __getattr__(name: str) -> object:
        """Import what not every program uses when it is named (PEP 562)."""
        if name not in _WHEN_NAMED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f".{_WHEN_NAMED[name]}", __name__), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "AccessToken",
    "AsyncAuthStrategy",
    "AsyncClientCredentialsStrategy",
    "AuthStrategy",
    "CacheEntry",
    "CachingStrategy",
    "ClientAuthentication",
    "ClientCredentialsStrategy",
    "Clock",
    "FileCachingStrategy",
    "HookError",
    "InMemoryCachingStrategy",
    "InvalidTokenResponse",
    "LockingCachingStrategy",
    "RedisCachingStrategy",
    "RenewalPolicy",
    "SdkConfiguration",
    "SystemClock",
    "TokenEndpointUnreachable",
    "TokenError",
    "TokenRefused",
    "TokenRequest",
    "TokenResponse",
    "Urllib3Fetch",
    "accept_success",
    "json_object",
]

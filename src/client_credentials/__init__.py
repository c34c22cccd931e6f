"""A valid OAuth 2.0 access token for the client-credentials grant, at once, with one request per lifetime."""

from __future__ import annotations

from ._clock import SystemClock
from ._core.model import AccessToken, CacheEntry, ClientAuthentication, RenewalPolicy, TokenRequest, TokenResponse
from ._fetch import Urllib3Fetch
from .aio import AsyncClientCredentialsStrategy
from .caching.file import FileCachingStrategy
from .caching.memory import InMemoryCachingStrategy
from .caching.redis import RedisCachingStrategy
from .configuration import (
    AsyncAuthStrategy,
    AuthStrategy,
    CachingStrategy,
    Clock,
    LockingCachingStrategy,
    SdkConfiguration,
)
from .errors import InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused
from .strategy import ClientCredentialsStrategy

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
]

"""A valid OAuth 2.0 access token for the client-credentials grant, at once, with one request per lifetime."""

from __future__ import annotations

from ._core.model import AccessToken, CacheEntry, ClientAuthentication, RenewalPolicy, TokenRequest, TokenResponse
from ._http.fetch import Urllib3Fetch
from ._shell.clock import SystemClock
from .aio import AsyncClientCredentialsStrategy
from .caching.file import FileCachingStrategy
from .caching.memory import InMemoryCachingStrategy
from .caching.redis import RedisCachingStrategy
from .configuration import SdkConfiguration, accept_success, json_object
from .errors import HookError, InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused
from .protocols import AsyncAuthStrategy, AuthStrategy, CachingStrategy, Clock, LockingCachingStrategy
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

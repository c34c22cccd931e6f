"""Tells hypothesis what the public values look like; hypothesis finds this on install, and calls `register`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

STRATEGIES: Final = {
    "AccessToken": "access_tokens",
    "CacheEntry": "cache_entries",
    "HookError": "hook_errors",
    "InvalidTokenResponse": "invalid_token_responses",
    "RenewalPolicy": "renewal_policies",
    "TokenEndpointUnreachable": "unreachable_endpoints",
    "TokenError": "token_errors",
    "TokenRefused": "token_refusals",
    "TokenRequest": "token_requests",
    "TokenResponse": "token_responses",
}


def register() -> None:
    """Register each public value; runs whenever somebody imports hypothesis.

    The registry is keyed by classes, so the package is imported with hypothesis: some fifty milliseconds, attrs
    included. A hook in the import system would save them, and has no place in a library that holds secrets. The
    strategies are imported when one is used. HYPOTHESIS_NO_PLUGINS=1 turns all such entry points off.
    """
    from hypothesis.strategies import register_type_strategy

    import client_credentials

    for kind, strategy in STRATEGIES.items():
        ours: type[object] = getattr(client_credentials, kind)
        register_type_strategy(ours, partial(_find, ours, strategy))


def _find(ours: type[object], strategy: str, asked: type[object]) -> SearchStrategy[Any]:
    # Asked also about a class above ours, such as Exception, which is not for us to describe.
    found: SearchStrategy[Any] = NotImplemented
    if asked is ours:
        from client_credentials.testing import strategies

        found = getattr(strategies, strategy)()
    return found

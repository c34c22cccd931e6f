"""Use all of it once, against a token server of the library's; print what came of it as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Mapping

import client_credentials
from client_credentials import AccessToken, AsyncAuthStrategy, LockingCachingStrategy
from client_credentials.testing import TokenServer

from . import Api, BorrowedToken, BorrowedTokenLater, Cupboard, LockedCupboard, SteadyClock


async def awaited(strategy: AsyncAuthStrategy) -> str:
    """Give the header that an asynchronous strategy leads to."""
    token = await strategy.get_or_create_access_token()
    return token.authorization


def main() -> None:
    """Get tokens in every way that there is."""
    log: list[str] = []
    clock = SteadyClock()
    with TokenServer("an-id", "a-secret") as server:
        caches = (Cupboard(), LockedCupboard())
        apis: list[Api] = []
        headers: list[Mapping[str, str]] = []
        for cache in caches:
            for secret in ("a-secret", "a-secret", "another"):
                apis.append(Api.of_client("an-id", secret, server.url, cache=cache, clock=clock, log=log))
                headers.append(apis[-1].headers())
                for thread in threading.enumerate():
                    if thread.name == "client-credentials":  # a caller has the token before cache and log have it
                        thread.join(10)
    borrowed = AccessToken(access_token="borrowed", token_type="Bearer", expires_in=60, expires=0)
    told = {
        "from": client_credentials.__file__,
        "names": sorted(name for name in client_credentials.__all__ if hasattr(client_credentials, name)),
        "locks": [isinstance(cache, LockingCachingStrategy) for cache in caches],
        "scopes": [each.get("X-Scope") for each in headers],
        "refused": [each.get("X-Refused") for each in headers],
        "tokens": len({each["Authorization"] for each in headers if "Authorization" in each}),
        "log": log,
        "borrowed": [
            Api(BorrowedToken(borrowed)).headers()["Authorization"],
            asyncio.run(awaited(BorrowedTokenLater(borrowed))),
        ],
        "gone": [api.log_out() for api in (*apis, Api(BorrowedToken(borrowed)))],
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

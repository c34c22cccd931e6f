"""An asynchronous SDK of the consumer's, over aiohttp."""

from __future__ import annotations

from typing import Self

import aiohttp

from client_credentials import AsyncAuthStrategy
from client_credentials.integrations.aiohttp import bearer


class Stock:
    """Reads how much of a thing there is, with one session."""

    def __init__(self, base_url: str, strategy: AsyncAuthStrategy) -> None:
        self._session = aiohttp.ClientSession(
            base_url,
            middlewares=(bearer(strategy),),
        )

    async def read(self, path: str) -> int:
        """Give the status of a page."""
        async with self._session.get(path) as response:
            return response.status

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

"""A synchronous SDK of the consumer's, over httpx."""

from __future__ import annotations

import httpx

from client_credentials import AuthStrategy
from client_credentials.integrations.httpx import BearerAuth


class Catalog:
    """Reads the catalog of an API, with one connection pool."""

    def __init__(self, base_url: str, strategy: AuthStrategy) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            trust_env=False,
            auth=BearerAuth(strategy),
        )

    def read(self, path: str) -> int:
        """Give the status of a page."""
        return self._client.get(path).status_code

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

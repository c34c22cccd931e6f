"""An MCP client of the consumer's, whose server wants a token."""

from __future__ import annotations

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from client_credentials import AsyncAuthStrategy
from client_credentials.integrations.httpx2 import BearerAuth


async def tools(url: str, strategy: AsyncAuthStrategy) -> list[str]:
    """Give the names of the tools that an MCP server offers."""
    async with (
        httpx2.AsyncClient(
            trust_env=False,
            auth=BearerAuth(strategy),
        ) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        return [tool.name for tool in (await client.list_tools()).tools]

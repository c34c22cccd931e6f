"""The consumer's SDKs: what a token costs their authors is one line and an import, and they work."""

from __future__ import annotations

import ast
import asyncio
import inspect
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from client_credentials.testing import TokenServer
from tests.consumer import assistant, catalog, stock
from tests.integrations.kit import Api, awaited, blocking


@pytest.mark.parametrize("module", [catalog, stock, assistant])
def test_auth_costs_one_line(module: ModuleType) -> None:
    """Beyond imports and the argument that takes the strategy, one line has to do with tokens."""
    tree = ast.parse(inspect.getsource(module))
    names = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("client_credentials")
        for alias in node.names
    }
    taken = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.arg)}
    used = {
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id in names | {"strategy"}) and not {node.lineno} & taken
    }
    assert 1 == len(used)


def test_the_synchronous_sdk_works(api: Api, server: TokenServer) -> None:
    """A dead token is replaced without the SDK's doing."""
    sdk = catalog.Catalog(api.url(""), blocking(server))
    statuses = [sdk.read("/a")]
    api.revoked.update(server.issued)
    statuses.append(sdk.read("/b"))
    sdk.close()
    assert ([200, 200], 2) == (statuses, len(server.issued))


def test_the_asynchronous_sdk_works(api: Api, server: TokenServer) -> None:
    """A hundred tasks that are refused with one token cost one other."""

    async def run() -> list[int]:
        async with stock.Stock(api.url("/"), awaited(server)) as sdk:
            first = await sdk.read("/a")
            api.revoked.update(server.issued)
            return [first, *await asyncio.gather(*(sdk.read(f"/{each}") for each in range(100)))]

    assert ([200] * 101, 2) == (asyncio.run(run()), len(server.issued))


@contextmanager
def mcp_server(server: TokenServer) -> Generator[str]:
    """Serve MCP over HTTP, with one tool, to who has a token of the token server."""
    uvicorn: Any = pytest.importorskip("uvicorn")
    mcpserver: Any = pytest.importorskip("mcp.server.mcpserver")
    mcp = mcpserver.MCPServer("orders")

    @mcp.tool()  # type: ignore[untyped-decorator]
    def count_orders() -> int:
        """Count them."""
        return 3

    app = mcp.streamable_http_app(stateless_http=True, json_response=True)

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        if scope["type"] == "http" and token not in server.issued:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    web = uvicorn.Server(uvicorn.Config(guarded, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    try:
        while not web.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        web.should_exit = True
        thread.join(10)


@pytest.mark.filterwarnings("ignore")  # of uvicorn, starlette and mcp
def test_the_mcp_client_works(server: TokenServer) -> None:
    """An MCP server that wants a token gets it with every message, of one token request."""
    with mcp_server(server) as url:
        assert ["count_orders"] == asyncio.run(assistant.tools(url, awaited(server)))
    assert 1 == len(server.requests)

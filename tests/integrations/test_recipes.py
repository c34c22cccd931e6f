"""The recipes in `help("client_credentials.integrations")`, each run as it stands.

httpx and httpx2 are real. grpc, confluent_kafka, fastapi, celery and mcp are stand-ins with the signatures that their
documentation gives; tests/consumer runs a real MCP client.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest

from client_credentials import HookError, integrations
from client_credentials.testing import StaticStrategy

TEXT: Final = inspect.getdoc(integrations)
RECIPES: Final = {
    title.split()[0]: textwrap.dedent(block)
    for title, block in re.findall(
        r"^(\w.*)::\n\n((?:    .*\n|\n)+)", f"{inspect.getdoc(integrations)}\n", re.MULTILINE
    )
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Give a function that runs a recipe beside stand-ins for modules, by name, and gives what it defines."""

    def run(name: str, **modules: dict[str, object]) -> dict[str, Any]:
        for path, names in modules.items():
            module = ModuleType(path)
            vars(module).update(names)
            monkeypatch.setitem(sys.modules, path.replace("__", "."), module)
        session: dict[str, Any] = {"__name__": "recipe", "strategy": StaticStrategy("a-token")}
        exec(compile(RECIPES[name], name, "exec", dont_inherit=True), session)
        return session

    return run


Run = Callable[..., dict[str, Any]]


def pair(*parts: object) -> tuple[object, ...]:
    """Stand in for what makes one object of others."""
    return parts


def test_grpc(run: Run) -> None:
    """The plugin gives metadata and no error, or an error and no metadata."""
    names = {
        "AuthMetadataPlugin": object,
        "composite_channel_credentials": pair,
        "ssl_channel_credentials": pair,
        "metadata_call_credentials": pair,
    }
    session = run("gRPC", grpc=names)
    told: list[object] = []

    def tell(*said: object) -> None:
        told.append(said)

    _, (plugin,) = session["credentials"]
    plugin(None, tell)
    error = HookError("fetch", "raised OSError")

    def fail() -> None:
        raise error

    session["strategy"] = SimpleNamespace(get_or_create_access_token=fail)
    plugin(None, tell)
    assert [((("authorization", "Bearer a-token"),), None), ((), error)] == told


def test_kafka(run: Run) -> None:
    """The callback gives the token and its end in seconds since the epoch."""
    session = run("Kafka", confluent_kafka={"Consumer": dict})
    token = session["strategy"].get_or_create_access_token()
    assert ("a-token", token.expires / 1000) == session["consumer"]["oauth_cb"]("")


def test_fastapi(run: Run) -> None:
    """The client is there while the application runs, with a token for its origin, and closed after it."""

    class Application:
        def __init__(self, *, lifespan: Callable[[Any], Any]) -> None:
            self.lifespan, self.state = lifespan, SimpleNamespace()

    app = run("FastAPI", fastapi={"FastAPI": Application})["app"]

    async def live() -> bool:
        async with app.lifespan(app):
            return bool(app.state.api.is_closed)

    assert [False, True] == [asyncio.run(live()), app.state.api.is_closed]


def test_celery(run: Run) -> None:
    """A task uses the strategy of its module; tests/shell/test_processes.py forks."""

    def celery(_: str) -> object:
        def task(function: object) -> object:
            return function

        return SimpleNamespace(task=task)

    assert "Bearer a-token" == run("Celery", celery={"Celery": celery})["authorization"]()


def test_mcp(run: Run) -> None:
    """The transport has the client whose auth is the bearer."""

    @asynccontextmanager
    async def client(transport: tuple[str, Any]) -> AsyncGenerator[Any]:
        async def list_tools() -> tuple[str, str]:
            return transport[0], type(transport[1].auth).__name__

        yield SimpleNamespace(list_tools=list_tools)

    def transport(url: str, *, http_client: object) -> object:
        return url, http_client

    names: dict[str, dict[str, object]] = {
        "mcp": {"Client": client},
        "mcp__client": {},
        "mcp__client__streamable_http": {"streamable_http_client": transport},
    }
    tools = run("MCP", **names)["tools"]
    assert ("https://mcp.example/mcp", "BearerAuth") == asyncio.run(tools("https://mcp.example/mcp"))


def test_every_recipe_is_run() -> None:
    """Each recipe has its test."""
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {name.lower() for name in RECIPES} == tested - {"every_recipe_is_run"}

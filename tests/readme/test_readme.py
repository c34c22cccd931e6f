"""What the README and the other pages say is true: their code runs, and what is generated is up to date."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import client_credentials.discovery
import client_credentials.testing
from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    RedisCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenRefused,
    Urllib3Fetch,
)
from client_credentials._core.client import make_client
from client_credentials._core.model import Client
from client_credentials._shell import base
from client_credentials.assertions import PrivateKeyJwt
from client_credentials.testing import TokenServer
from tests.readme.pages import PARTS, README, ROOT, rendered

TEXT = README.read_text("utf-8")
OBVIOUS = {"access_token", "token_type", "status", "client_id"}
"""Arguments that say all by their name."""
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_blocks_run_in_one_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The Python blocks run from top to bottom, as one would paste them; a server on loopback plays each endpoint."""
    with TokenServer("my-client-id", "my-client-secret") as server:

        def at_loopback(client_id: str, **registration: Any) -> Client:
            registration["token_url"] = server.url
            return make_client(client_id, **registration)

        monkeypatch.setattr(base, "make_client", at_loopback)
        monkeypatch.chdir(tmp_path)
        session: dict[str, Any] = {"__name__": "readme"}
        for block in BLOCKS:
            exec(compile(block, "README.md", "exec", dont_inherit=True), session)
        assert server.requests
    assert f"Bearer {session['token'].access_token}" == session["headers"]["Authorization"]


def test_the_readme_is_short() -> None:
    """A newcomer reads the README in one go: it has blocks to run, and at most 300 lines."""
    assert len(BLOCKS) > 5
    assert len(TEXT.splitlines()) <= 300


@pytest.mark.parametrize("page", PARTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """What the code says of itself stands in the pages as it says it; `make readme` writes it."""
    text = page.read_text("utf-8")
    assert rendered(page) == text
    assert all(f"<!-- {name} -->\n" in text and f"<!-- end of {name} -->\n" in text for name in PARTS[page])


REFERENCE: dict[type[object], Callable[..., object]] = {
    ClientCredentialsStrategy: ClientCredentialsStrategy.__init__,
    AsyncClientCredentialsStrategy: AsyncClientCredentialsStrategy.__init__,
    RenewalPolicy: RenewalPolicy,
    SdkConfiguration: SdkConfiguration,
    Urllib3Fetch: Urllib3Fetch,
    AccessToken: AccessToken,
    TokenRefused: TokenRefused,
    PrivateKeyJwt: PrivateKeyJwt,
}


@pytest.mark.parametrize("kind", REFERENCE, ids=lambda kind: kind.__name__)
def test_help_is_the_reference(kind: type[object]) -> None:
    """What `help()` shows of a class names each argument of its constructor, since the README does not."""
    text = inspect.getdoc(REFERENCE[kind]) or ""
    named = {word for quoted in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", quoted)}
    own = set(inspect.signature(kind).parameters) - {"common"}
    assert set() == own - named - OBVIOUS


PUBLIC = {
    "client_credentials": client_credentials.__all__,
    "client_credentials.testing": client_credentials.testing.__all__,
    "client_credentials.assertions": ["AssertionFile", "PrivateKeyJwt"],
    "client_credentials.discovery": client_credentials.discovery.__all__,
    "client_credentials.integrations.aiohttp": ["AiohttpFetch", "bearer"],
    "client_credentials.integrations.httpx": ["AsyncHttpxFetch", "BearerAuth", "HttpxFetch"],
    "client_credentials.integrations.httpx2": ["AsyncHttpxFetch", "BearerAuth", "HttpxFetch"],
    "client_credentials.integrations.requests": ["BearerAuth", "RequestsFetch"],
    "client_credentials.integrations.spotipy": ["AuthManager"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_its_place(module: str) -> None:
    """Each has a docstring of its own, and a line in the README."""
    found = {name: getattr(importlib.import_module(module), name) for name in PUBLIC[module]}
    assert [] == [name for name, value in found.items() if not value.__doc__]
    assert [] == [name for name in found if not re.search(rf"\b{name}\b", TEXT)]


def test_the_acl_is_the_one_that_was_tested() -> None:
    """The README and `help(RedisCachingStrategy)`, whose ACL is run against a server, recommend the same."""
    acl = re.search(r"ACL SETUSER .*", inspect.getdoc(RedisCachingStrategy) or "")
    assert acl is not None
    assert f"`{acl[0]}`" in TEXT


def test_make_targets_exist() -> None:
    """Each `make` command that a page names exists."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = {each for page in PARTS for each in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))}
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"run", "test", "readme"} <= named


def test_links_resolve_where_pypi_shows_them() -> None:
    """The README has no relative link and no picture: on PyPI there is nothing beside it."""
    assert [] == [link for link in re.findall(r"\]\((.*?)\)", TEXT) if not link.startswith("https://")]
    assert "![" not in TEXT


def test_pictures_exist() -> None:
    """Each picture that another page shows is beside it."""
    shown = [page.parent / name for page in PARTS for name in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text("utf-8"))]
    assert shown
    assert all(path.is_file() for path in shown)

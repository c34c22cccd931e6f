"""What the README says is so: its code runs, and what the code makes of it is what stands there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from client_credentials import ClientCredentialsStrategy
from client_credentials.testing import TokenServer
from tests.readme.pages import PARTS, README, rendered

TEXT = README.read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_blocks_run(block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every Python block of the README runs as it stands, with a token server of ours in Spotify's place."""
    with TokenServer("my-client-id", "my-client-secret") as server:
        defaults = ClientCredentialsStrategy.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "token_url", server.url)
        monkeypatch.chdir(tmp_path)
        strategy = ClientCredentialsStrategy("my-client-id", "my-client-secret")
        with warnings.catch_warnings():
            exec(compile(block, "README.md", "exec"), {"strategy": strategy, "__name__": "readme"})


def test_blocks_are_found() -> None:
    """The README has code to run."""
    assert len(BLOCKS) > 5


def test_made_parts_are_up_to_date() -> None:
    """The parts that the code makes are as it makes them; `make readme` writes them anew."""
    assert rendered(TEXT) == TEXT
    assert all(f"<!-- {name} -->" in TEXT for name in PARTS)


def test_make_targets_exist() -> None:
    """Each `make` command that is named exists."""
    makefile = (README.parent / "Makefile").read_text()
    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"run", "test"} <= named

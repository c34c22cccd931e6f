"""The drill as a command: rows for people, an object for programs, and an exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client_credentials._cli.main import main
from client_credentials.testing import drills
from tests.cli.kit import UsageErrorOf

HOLDER = """
def make(token_url, client_id, client_secret):
    return None

broken = 1
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current directory with a module that makes holders; the search path is as before afterwards."""
    (tmp_path / "my_holder_of_tokens.py").write_text(HOLDER)
    for name, text in (("exits", "raise SystemExit(0)"), ("raises", "raise RuntimeError"), ("is_broken", "def make(:")):
        (tmp_path / f"my_module_that_{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> drills.Report:
    """A report with one fault, which comes in place of half a minute of drills."""
    result = drills.Result(
        drill="cold_crowd",
        verdict="bad",
        asked="48 threads ask at once",
        came="48 tokens",
        requests=48,
        good="makes one request",
        faults=("48 requests",),
        seconds=0.5,
    )
    made = drills.Report((result,))

    def run(make_holder: object, *, on_result: object = None) -> drills.Report:
        assert callable(make_holder)
        if callable(on_result):
            on_result(result)
        return made

    monkeypatch.setattr(drills, "run", run)
    return made


def test_the_rows_are_printed(report: drills.Report, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole table comes, and a fault is exit status 1."""
    assert 1 == main(["drill", "my_holder_of_tokens:make"])
    assert (report.table() + "\n", "") == capsys.readouterr()


def test_the_object_is_printed(report: drills.Report, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing but the object."""
    assert 1 == main(["drill", "--json", "my_holder_of_tokens:make"])
    assert json.loads(report.as_json()) == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("reason", "holder"),
    [
        ("", "my_holder_of_tokens:broken"),
        (": AttributeError", "my_holder_of_tokens:missing"),
        (": ModuleNotFoundError", "no_such_module_of_hunter:make"),
        (": SystemExit", "my_module_that_exits:make"),
        (": RuntimeError", "my_module_that_raises:make"),
        (": SyntaxError", "my_module_that_is_broken:make"),
        ("", "my_holder_of_tokens"),
    ],
)
def test_what_is_no_holder_is_a_usage_error(reason: str, holder: str, usage_error: UsageErrorOf) -> None:
    """The form is told, and what went wrong, but not what was typed."""
    said = f"client-credentials drill: error: HOLDER must name a callable as package.module:callable{reason}"
    assert said == usage_error("drill", holder)

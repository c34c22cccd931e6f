"""The simulation as a command: rows for people, an object for programs, and the policy that was asked for."""

from __future__ import annotations

import json

import attrs
import pytest

from client_credentials import RenewalPolicy
from client_credentials._cli.main import main
from client_credentials.testing import simulation
from client_credentials.testing.simulation import Report, simulate
from tests.cli.kit import UsageErrorOf

WORDS = "simulate --hosts 5 --lifetime 600 --outage 300 --renew-ahead 100 --leeway 5 --jitter 0.5 --timeout 3".split()
POLICY = RenewalPolicy(renew_ahead=100, leeway=5, jitter=0.5, deadline=3)


@pytest.mark.parametrize("shared", [False, True])
def test_json_prints_the_report(shared: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the report of the same call in Python, to the last request."""
    assert 0 == main([*WORDS, "--json", *["--shared"] * shared])
    report = simulate(5, lifetime=600, outage=300, shared=shared, policy=POLICY)
    assert attrs.asdict(report) == json.loads(capsys.readouterr().out)


def test_the_figures_are_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without, a row for each figure, with what it counts."""

    def simulated(**_: object) -> Report:
        return Report(seconds=7200.0, requests=3600, peak_at_start=1200, peak=7, errors=0)

    monkeypatch.setattr(simulation, "simulate", simulated)
    assert 0 == main(["simulate", "--hosts", "1200"])
    rows = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["3,600", "1,200", "7", "0"] == [figure for _, figure in rows]
    assert "token requests in 7,200 s" == rows[0][0]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--hosts", "0"), ("--lifetime", "0"), ("--outage", "inf"), ("--jitter", "2"), ("--timeout", "0")],
)
def test_a_bad_option_is_named(option: str, value: str, usage_error: UsageErrorOf) -> None:
    """A fleet or a policy that cannot be is wrong usage."""
    line = usage_error("simulate", "--hosts", "1", option, value)
    assert line.startswith(f"client-credentials simulate: error: {option} must be")

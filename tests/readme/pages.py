"""Writes the parts of the README that are made by the code: `make readme`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._cli.main import main as command
from client_credentials._core.lifecycle import (
    EMPTY,
    Gate,
    Instant,
    State,
    backed_off,
    decide,
    elapsed,
    failed,
    granted,
    hold,
    removed,
)
from client_credentials._core.model import Refused

README = Path(__file__).parents[2] / "README.md"

_START = Instant(0.0, 0.0)
_TOKEN = hold(AccessToken("token", "Bearer", 3600, 3_600_000), _START, RenewalPolicy(jitter=0), 0.0)
_SHUT = backed_off(None, Refused(status=429, retry_after=60.0), _START, 0.0)
_AGES = {"fresh": 0.0, "stale": 3500.0, "expired": 3600.0}


def state(token: str, gate: str, now: Instant) -> State:
    """Make the state of a token and a gate, by their names in the table."""
    held = None if token == "none" else attrs.evolve(_TOKEN, asked=now.earlier(_AGES[token]))
    return State(held=held, gate=attrs.evolve(_SHUT, since=now) if gate == "shut" else None)


def name_of(known: State, now: Instant) -> str:
    """Name a state as the table does."""
    gate = "shut" if known.gate and known.gate.remaining(now) > 0 else "open"
    if known.held is None:
        return f"none_{gate}"
    age = elapsed(known.held.asked, now)
    token = "expired" if age >= known.held.end else "fresh" if age <= known.held.renewal else "stale"
    return f"{token}_{gate}"


def diagram() -> str:
    """Draw what becomes of each state, by asking the code."""
    now = Instant(10_000.0, 10_000.0)
    gate: Gate = attrs.evolve(_SHUT, since=now)
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    edges: list[str] = []
    for token in ("none", "fresh", "stale", "expired"):
        for shut in ("open", "shut"):
            here = state(token, shut, now)
            decision = type(decide(here, now)).__name__
            lines.append(f'    state "{token}, gate {shut}: {decision}" as {name_of(here, now)}')
            after: dict[str, State] = {}
            if decision in ("Ask", "Renew"):
                after["granted"] = granted(here, attrs.evolve(_TOKEN, asked=now))
                after["failed"] = failed(here, gate)
            if here.held:
                after["removed"] = removed(here, None)
            if shut == "shut":
                after["gate opens"] = state(token, "open", now)
            if token in ("fresh", "stale"):
                after["time"] = state("stale" if token == "fresh" else "expired", shut, now)
            edges += [f"    {name_of(here, now)} --> {name_of(then, now)}: {event}" for event, then in after.items()]
    start = f"    [*] --> {name_of(EMPTY, now)}"
    return "\n".join([*lines, start, *edges, "```"])


def help_text() -> str:
    """Give what `client-credentials --help` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        command(["--help"])
    return f"```\n{out.getvalue().strip()}\n```"


def figures() -> str:
    """Give the table of the last comparison."""
    return (README.parent / "tests/bench/peers/table.md").read_text("utf-8").rstrip("\n")


PARTS: Mapping[str, Callable[[], str]] = {"diagram": diagram, "help": help_text, "peers": figures}


def rendered(text: str) -> str:
    """Put each made part between its marks."""
    for name, make in PARTS.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        text = f"{before}{start}{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))

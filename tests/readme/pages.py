"""Writes the parts of the README that are made by the code: `make readme`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from client_credentials._cli.main import main as command
from client_credentials._core.lifecycle import decide, failed, removed
from client_credentials._core.model import Refused
from client_credentials._core.state import EMPTY, Asked, Instant, State, elapsed, merge
from tests.core.states import ago, an_hour, granted
from tests.strategies import NOW

README = Path(__file__).parents[2] / "README.md"

_SHUT = failed(EMPTY, Refused(status=429, retryable=True, retry_after=60.0), NOW, NOW, 0.0)
_AGES = {"fresh": 0.0, "stale": 3500.0, "overdue": 3590.0, "expired": 3600.0}


def state(token: str, gate: str) -> State:
    """Make the state of a token and a gate, by their names in the table; a gate is asked for after the token."""
    held = None if token == "none" else an_hour(_AGES[token], assumed=token == "overdue")
    return State(held=held, gates=(_SHUT,) if gate == "shut" else ())


def name_of(known: State, now: Instant) -> str:
    """Name a state as the table does."""
    gate = "shut" if any(gate.remaining(now) > 0 for gate in known.gates) else "open"
    if known.held is None:
        return f"none_{gate}"
    age = elapsed(known.held.asked.at, now)
    phases = {"fresh": known.held.renewal, "stale": known.held.end, "overdue": known.held.last}
    return f"{next((phase for phase, end in phases.items() if age < end), 'expired')}_{gate}"


def diagram() -> str:
    """Draw what becomes of each state, by asking the code."""
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    edges: list[str] = []
    asked = Asked.here(ago(-1e-6))
    for token in ("none", "fresh", "stale", "overdue", "expired"):
        for shut in ("open", "shut"):
            here = state(token, shut)
            decision = type(decide(here, NOW)).__name__
            lines.append(f'    state "{token}, gate {shut}: {decision}" as {name_of(here, NOW)}')
            after: dict[str, State] = {}
            if decision in ("Ask", "Renew"):
                after["granted"] = merge(here, granted(attrs.evolve(an_hour(), asked=asked)), NOW)
                after["failed"] = attrs.evolve(here, gates=(_SHUT,))
            if here.held and token != "expired":
                after["removed"] = merge(here, removed(here, None), NOW)
            if shut == "shut":
                after["gate opens"] = state(token, "open")
            if token in ("fresh", "stale", "overdue"):
                after["time"] = state({"fresh": "stale", "stale": "expired", "overdue": "expired"}[token], shut)
            if token == "stale":
                after["time, where the end is assumed"] = state("overdue", shut)
            edges += [f"    {name_of(here, NOW)} --> {name_of(then, NOW)}: {event}" for event, then in after.items()]
    start = f"    [*] --> {name_of(EMPTY, NOW)}"
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

"""Writes the parts of README.md, CONTRIBUTING.md and the comparison that are generated: `make readme`."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs

from client_credentials._cli.main import main as command
from client_credentials._core.lifecycle import decide, failed, removed
from client_credentials._core.model import Refused
from client_credentials._core.state import EMPTY, Asked, Instant, State, elapsed, merge
from tests.core.states import ago, an_hour, granted
from tests.strategies import NOW

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github/CONTRIBUTING.md"
PEERS = ROOT / "tests/bench/peers"

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


def commands() -> str:
    """Name the commands, each with what `client-credentials --help` says of it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        command(["--help"])
    found = re.findall(r"^    (\w+) +(.+)$", out.getvalue(), re.MULTILINE)
    return "\n".join(["| command | |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in found)])


def table(name: str) -> str:
    """Give the Markdown that the last comparison wrote."""
    return (PEERS / name).read_text("utf-8").rstrip("\n")


FIGURES = (
    "fresh token, one thread, ns",
    "first token over TLS, a private CA, ms",
    "a process for one token, ms",
    "requests for 200 threads, token expired",
    "slowest call during a renewal, ms",
    "errors per 1,000 calls while the endpoint fails",
)


def comparison() -> str:
    """Say how many drills each library handles well, and the figures that users feel, best in drills first."""
    found, measured = _rows("drills.md"), _rows("table.md")
    names = sorted(found["drill"], key=lambda name: -int(found["good"][name]))
    lines = ["", *names], ["---", *[":---:"] * len(names)], ["drills handled well", *(found["good"][n] for n in names)]
    figures = ([what, *(measured[what][name] for name in names)] for what in FIGURES)
    return "\n".join(f"| {' | '.join(line)} |" for line in (*lines, *figures))


def _rows(name: str) -> Mapping[str, Mapping[str, str]]:
    """Read a table: the cells of each row, by its first cell without the mark of a footnote and by their columns."""
    header, *rows = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table(name).splitlines() if line.startswith("| ")
    )
    names = [header[0] or "figure", *header[1:]]
    by_name = {re.sub(r" \[\d+\]$", "", cells[0]): dict(zip(names, cells, strict=True)) for cells in rows}
    return {**by_name, names[0]: dict.fromkeys(header[1:], "")}


PARTS: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    README: {"commands": commands, "comparison": comparison},
    CONTRIBUTING: {"diagram": diagram},
    PEERS / "README.md": {"drills": partial(table, "drills.md"), "peers": partial(table, "table.md")},
}


def rendered(page: Path) -> str:
    """Give the text of a page with each generated part between its marks."""
    text = page.read_text("utf-8")
    for name, make in PARTS[page].items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->\n")
        text = f"{before}{start}{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    for page in PARTS:
        page.write_text(rendered(page), "utf-8")

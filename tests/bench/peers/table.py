"""The comparison as a Markdown table: a row for each figure, and a reason for each in which ours is not the least."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from statistics import median
from typing import Final

import attrs

from . import measures
from .adapters import LIBRARIES, OURS, PEERS
from .measures import LATE, LIMIT, Outage, Runs, Scale, medians, ratios

_CLASSES: Final = "ours makes some forty attrs classes"
_THREAD: Final = (
    "ours sends it in a thread of its own, which callers leave at the deadline; `make bench` prints what that costs"
)

WHY_NOT: Final[Mapping[str, str]] = {
    "first token, from credentials, ms": _THREAD,
    "first token over TLS, a private CA, ms": _THREAD,
    "slowest call during a renewal, ms": "a renewal of ours begins with a thread, as that of google-auth does; the rest"
    " is the noise of twenty threads on few cores",
    "requests per 1,000 calls while the endpoint fails": "ours tries again after a random part of 1, 2, 4 ... 60 s, so"
    " that an outage that is over is soon over for its callers; botocore waits a minute whatever happened, and MSAL"
    " answers every call with the failure, though the token is still good",
    "a process for one token, ms": f"{_CLASSES}, and looks at every argument before it asks",
    "import, ms": f"httpx-auth brings little more than httpx, which puts much off; {_CLASSES}",
    "idle client, KB": "every strategy brings its configuration, its cache and its locks along; those ahead have one"
    " cache for the whole process, or none, and make what sends their requests later, or lighter",
    "its token, KB": "ours is kept twice, in the strategy and as the text in its cache; httpx-auth keeps two strings,"
    " and tekore has its HTTP client before its token. What OpenSSL holds for an HTTP client is outside Python's view",
}
MOST: Final = 0.75  # of the rounds


@attrs.frozen
class Row:
    """One figure of every subject; less is better. A ratio shows its median and its spread."""

    what: str
    figures: Mapping[str, float]
    cells: Mapping[str, str]
    ahead: Sequence[str] = ()
    """The peers that do better than ours."""


def short(figure: float) -> str:
    """Write a number with two or three digits that count."""
    if figure >= 100 or figure == int(figure):
        return f"{figure:,.0f}"
    return f"{figure:.{1 if figure >= 10 else 2}f}"


def row(what: str, figures: Mapping[str, float], *, alike: float = 0.0) -> Row:
    """Make a row of plain figures, of which those up to `alike` are no different."""
    ours = max(figures[OURS.name], alike)
    ahead = [peer.name for peer in PEERS if max(figures[peer.name], alike) < ours]
    return Row(what, figures, {name: short(figure) for name, figure in figures.items()}, ahead)


def timed(what: str, unit: str, scale: float, runs: Runs, limit: str) -> Iterator[Row]:
    """Make the rows of what was timed: as measured, to the limit and to ours."""
    figures = {name: seconds * scale for name, seconds in medians(runs).items()}
    ahead = [peer.name for peer in PEERS if quantile(ratios(runs, peer.name, OURS.name), MOST) < 1]
    yield attrs.evolve(row(f"{what}, {unit}", figures), ahead=ahead)
    for to, called in ((LIMIT, limit), (OURS.name, "ours")):
        found = {name: ratios(runs, name, to) for name in runs}
        cells = {name: f"{short(median(each))} ({short(each[0])} to {short(each[-1])})" for name, each in found.items()}
        yield Row(f"&nbsp; to {called}", {name: median(each) for name, each in found.items()}, {**cells, to: "1"})


def quantile(figures: Sequence[float], share: float) -> float:
    """Give the figure that such a share of figures in order does not exceed."""
    return figures[min(int(len(figures) * share), len(figures) - 1)]


def collect(scale: Scale, tell: Callable[[str], object]) -> Iterator[Row]:
    """Measure everything, row by row."""
    tell("a fresh token")
    yield from timed("fresh token, one thread", "ns", 1e9, measures.hot(scale, 1), "a bare method")
    yield from timed("fresh token, eight threads", "ns", 1e9, measures.hot(scale, 8), "a bare method")
    tell("a cold token")
    yield from timed("first token, from credentials", "ms", 1e3, measures.cold(scale), "a POST by hand")
    with measures.private_authority() as context:
        runs = measures.cold(scale, context)
    yield from timed("first token over TLS, a private CA", "ms", 1e3, runs, "a POST by hand")
    tell("processes")
    yield from timed("a process for one token", "ms", 1e3, measures.processes(scale), "one that posts by hand")
    tell("crowds")
    yield row(f"requests for {scale.threads} threads, no token yet", measures.crowd(scale, None))
    yield row(
        f"requests for {scale.threads} threads, token expired", measures.crowd(scale, lambda library: library.expired)
    )
    tell("renewals")
    late, slowest = measures.delayed(scale)
    yield row(f"calls delayed by a renewal, of {scale.looping * scale.loops}", late)
    yield row(
        "slowest call during a renewal, ms",
        {name: seconds * 1e3 for name, seconds in slowest.items()},
        alike=LATE * 1e3,
    )
    tell("an outage")
    outages = measures.outage(scale)
    yield row("requests per 1,000 calls while the endpoint fails", per_thousand(outages, lambda each: each.requests))
    yield row("errors per 1,000 calls while the endpoint fails", per_thousand(outages, lambda each: each.errors))
    tell("imports")
    runs, modules = measures.imported(scale)
    yield from timed("import", "ms", 1e3, runs, "our dependencies")
    yield row("modules imported", modules)
    tell("memory")
    idle, held = measures.memory(scale)
    yield row("idle client, KB", {name: size / 1024 for name, size in idle.items()})
    yield row("its token, KB", {name: size / 1024 for name, size in held.items()})


def per_thousand(outages: Mapping[str, Outage], count: Callable[[Outage], int]) -> Mapping[str, float]:
    """Count per 1,000 calls, of which the slowest libraries did not get to make as many."""
    return {name: round(count(outage) * 1000 / outage.calls) for name, outage in outages.items()}


def markdown(rows: Sequence[Row]) -> str:
    """Write the table, and under it what it needs to be read."""
    subjects = {LIMIT: "limit", OURS.name: f"**{OURS.name}**", **{peer.name: peer.name for peer in PEERS}}
    lines = [f"| | {' | '.join(subjects.values())} |", f"|---|{'---:|' * len(subjects)}"]
    reasons: list[str] = []
    for each in rows:
        mark = ""
        if each.ahead:
            why = WHY_NOT.get(each.what, "not explained")
            reasons.append(f"{len(reasons) + 1}. {each.what} ({', '.join(each.ahead)}): {why}.")
            mark = f" [{len(reasons)}]"
        lines.append(f"| {each.what}{mark} | {' | '.join(each.cells.get(name, '') for name in subjects)} |")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    told = (
        f"{python} on {platform.system()}, {os.cpu_count()} cores, the endpoint on loopback. Less is better. Medians of"
        " runs in turn; a ratio is of figures of the same round, with the least and the greatest of all rounds, and"
        f" who is ahead in three quarters of them is ahead. A call is delayed that takes longer than {LATE * 1e3:g} ms."
        " Memory is what Python's allocator gave."
    )
    lines += [
        "",
        told,
        "",
        *(f"- {library.name} {version(library.package)}: {library.says}" for library in LIBRARIES.values()),
    ]
    return "\n".join([*lines, *(["", "Where ours is not first:", "", *reasons] if reasons else []), ""])

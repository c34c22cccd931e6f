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
from .measures import LIMIT, Outage, Runs, Scale, medians, ratios

WHY_NOT: Final[Mapping[str, str]] = {
    "idle client, KB": "every strategy brings its configuration, its cache and its locks along; spotify-sdk and"
    " httpx-auth make theirs at the first request, or share one cache in the whole process",
    "its token, KB": "the token is kept twice, in the strategy and as text in its cache; httpx-auth keeps two strings,"
    " and tekore holds its connections before it has a token. What OpenSSL holds for the clients of spotify-sdk and"
    " tekore is outside Python's view",
}


@attrs.frozen
class Row:
    """One figure of every subject; less is better. A ratio shows its median and its spread."""

    what: str
    figures: Mapping[str, float]
    cells: Mapping[str, str]

    @property
    def first(self) -> bool:
        """Whether no peer does better than ours."""
        return all(self.figures[OURS.name] <= self.figures[peer.name] for peer in PEERS)


def short(figure: float) -> str:
    """Write a number with two or three digits that count."""
    if figure >= 100 or figure == int(figure):
        return f"{figure:,.0f}"
    return f"{figure:.{1 if figure >= 10 else 2}f}"


def row(what: str, figures: Mapping[str, float], show: Callable[[float], str] = short) -> Row:
    """Make a row of plain figures."""
    return Row(what, figures, {name: show(figure) for name, figure in figures.items()})


def timed(what: str, unit: str, scale: float, runs: Runs, limit: str) -> Iterator[Row]:
    """Make the rows of what was timed: as measured, to the limit and to ours."""
    yield row(f"{what}, {unit}", {name: seconds * scale for name, seconds in medians(runs).items()})
    for to, called in ((LIMIT, limit), (OURS.name, "ours")):
        found = {name: ratios(runs, name, to) for name in runs if name != to}
        found = {**found, OURS.name: found.get(OURS.name, [1.0])}
        cells = {name: f"{short(median(each))} ({short(each[0])} to {short(each[-1])})" for name, each in found.items()}
        cells |= {to: "1"}
        yield Row(f"&nbsp; to {called}", {name: median(each) for name, each in found.items()}, cells)


def collect(scale: Scale, tell: Callable[[str], object]) -> Iterator[Row]:
    """Measure everything, row by row."""
    tell("a fresh token")
    yield from timed("fresh token, one thread", "ns", 1e9, measures.hot(scale, 1), "a bare method")
    yield from timed("fresh token, eight threads", "ns", 1e9, measures.hot(scale, 8), "a bare method")
    tell("a cold token")
    yield from timed("first token, from credentials", "ms", 1e3, measures.cold(scale), "a POST by hand")
    tell("crowds")
    yield row(f"requests for {scale.threads} threads, no token yet", measures.crowd(scale, None))
    yield row(
        f"requests for {scale.threads} threads, token expired", measures.crowd(scale, lambda library: library.expired)
    )
    tell("renewals")
    late, slowest = measures.delayed(scale)
    yield row(f"calls delayed by a renewal, of {scale.looping * scale.loops}", late)
    yield row("slowest of them, ms", {name: seconds * 1e3 for name, seconds in slowest.items()})
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
        if not each.first:
            base = each.what.removeprefix("&nbsp; ")
            reasons.append(f"{len(reasons) + 1}. {base}: {WHY_NOT.get(each.what, 'not first in this run')}.")
            mark = f" [{len(reasons)}]"
        lines.append(f"| {each.what}{mark} | {' | '.join(each.cells.get(name, '') for name in subjects)} |")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    told = (
        f"{python} on {platform.system()}, {os.cpu_count()} cores, the endpoint on loopback. Less is better. Medians of"
        " runs in turn; a ratio is of figures of the same round, with the least and the greatest of all rounds. A call"
        f" is delayed that takes longer than {measures.LATE * 1e3:g} ms. Memory is what Python's allocator gave."
    )
    lines += [
        "",
        told,
        "",
        *(f"- {library.name} {version(library.package)}: {library.says}" for library in LIBRARIES.values()),
    ]
    return "\n".join([*lines, *(["", "Where ours is not first:", "", *reasons] if reasons else []), ""])

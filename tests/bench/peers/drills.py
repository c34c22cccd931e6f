"""Puts ours and the peers through the drills and writes drills.md: `python -m tests.bench.peers.drills`.

Each library has a process of its own, so that no holder that hangs, and nothing global, meets the next.
"""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

from client_credentials import ClientCredentialsStrategy, Clock, InMemoryCachingStrategy, SdkConfiguration
from client_credentials.testing.drills import MakeHolder, run

from . import adapters

HERE: Final = Path(__file__).parent
MARKS: Final = {"good": "✓", "bad": "✗", "skipped": "-"}

Results = list[dict[str, Any]]


def make_ours(
    token_url: str, client_id: str, client_secret: str, clock: Clock | None = None
) -> ClientCredentialsStrategy:
    """Make ours, with its defaults but for a clock."""
    strategy = ClientCredentialsStrategy(client_id, client_secret, token_url=token_url)
    if clock is not None:
        cache = InMemoryCachingStrategy(clock=clock)
        strategy.set_configuration(SdkConfiguration(clock=clock, caching_strategy=cache))
    return strategy


def maker(library: adapters.Library) -> MakeHolder:
    """Give what makes a library's holder."""
    if library is adapters.OURS:
        return make_ours

    def make(token_url: str, client_id: str, client_secret: str) -> Callable[[], object]:
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        module: Any = adapters
        module.CLIENT, module.BASIC = (client_id, client_secret), f"Basic {basic}"
        get = library.make(token_url).get
        return lambda: token_of(get())

    return make


def token_of(value: Any) -> object:
    """Find the token in what an adapter gives: a token, its header, or the request or arguments that carry it."""
    match value:
        case str():
            return value
        case dict():
            return cast("object", value)
        case (_, headers, _):  # requests-oauthlib
            return headers
        case _:
            return {**value.headers} if hasattr(value, "headers") else value.token


def drill(name: str) -> Results:
    """Put one library through the drills, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.peers.drills", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parents[2])
    print(f"{name}: done", file=sys.stderr, flush=True)
    results: Results = json.loads(done.stdout)["results"]
    return results


def markdown(found: Mapping[str, Results]) -> str:
    """Write the table, what each drill is, and what was found."""
    head = ["drill", *(f"**{name}**" if name == adapters.OURS.name else name for name in found)]
    lines = [f"| {' | '.join(head)} |", f"|---|{':---:|' * len(found)}"]
    lines += [
        f"| {row[0]['drill'].replace('_', ' ')} | {' | '.join(MARKS[each['verdict']] for each in row)} |"
        for row in zip(*found.values(), strict=True)
    ]
    counts = (str(sum(each["verdict"] == "good" for each in results)) for results in found.values())
    lines += [
        f"| good | {' | '.join(counts)} |",
        "",
        "✓ good, ✗ a fault was found, - cannot be tried with this library",
        "",
    ]
    lines += [
        f"- {each['drill'].replace('_', ' ')}: {each['asked']}. A good holder {each['good']}."
        for each in found[adapters.OURS.name]
    ]
    lines += ["", "What was found:", ""]
    for name, results in found.items():
        faults = [
            f"{each['drill'].replace('_', ' ')}: {'; '.join(each['faults'])}" for each in results if each["faults"]
        ]
        package = adapters.LIBRARIES[name].package
        lines.append(f"- {name} {version(package)}: {'. '.join(faults) or 'no fault'}.")
    return "\n".join([*lines, ""])


def main(*names: str) -> None:
    """Drill one library and print the results as JSON, or all of them and write the table."""
    if names:
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        print(run(maker(adapters.LIBRARIES[names[0]])).as_json())
        return
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(adapters.LIBRARIES, pool.map(drill, adapters.LIBRARIES), strict=True))
    (HERE / "drills.md").write_text(markdown(found), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

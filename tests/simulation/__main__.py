"""`python -m tests.simulation` prints the tables and draws the plot; `--seed N` replays one random fleet exactly."""

from __future__ import annotations

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

from .fleet import random_fleet, run
from .plot import draw
from .referee import Violation
from .table import HEADING, HOUR, MODES, SIZES, hours, measure, outages, row

PICTURE = Path(__file__).with_name("peak.svg")


def replay(seed: int) -> int:
    """Print what befalls a random fleet, and how it ends; gives 1 if it breaks a rule."""
    fleet = random_fleet(seed)
    print(f"seed {seed}: {fleet.hosts} hosts of {fleet.identities} identities for {fleet.span:.0f} s")
    print(f"{fleet.policy}, a token lives {fleet.lifetime} s, shared cache: {fleet.shared}")
    try:
        print(run(fleet, print))
    except Violation as violation:
        print(f"BROKEN {violation}")
        return 1
    return 0


def report(picture: Path, sizes: Sequence[int] = SIZES) -> None:
    """Print both tables and draw the plot."""
    peaks: dict[str, list[int]] = {mode: [] for mode in MODES}
    print(HEADING)
    for hosts in sizes:
        for mode, line in peaks.items():
            span = hours(hosts) * HOUR
            measured = measure(mode, hosts, span)
            line.append(measured.peak)
            print(row(mode, hosts, span, measured), flush=True)
            gc.collect()
    print()
    print(*outages(min(max(sizes), 1_000)), sep="\n", flush=True)
    picture.write_text(draw(sizes, peaks), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this random fleet, and print what happens")
    # The warnings of a thousand hosts are not what this is about.
    logging.getLogger("client_credentials").addHandler(logging.NullHandler())
    seed: int | None = parser.parse_args(arguments).seed
    if seed is not None:
        return replay(seed)
    report(PICTURE)
    return 0


if __name__ == "__main__":
    gc.disable()  # it would look again and again at millions of objects that are all in use
    raise SystemExit(main())

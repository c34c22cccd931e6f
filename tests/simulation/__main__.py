"""`python -m tests.simulation` prints the tables; `--seed N` replays one random fleet exactly."""

from __future__ import annotations

import argparse
import gc
import logging
from collections.abc import Sequence

from .fleet import random_fleet, run
from .referee import Violation
from .table import HEADING, HOUR, MODES, SIZES, hours, measure, outages, row


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


def report(sizes: Sequence[int] = SIZES) -> None:
    """Print both tables."""
    print(HEADING)
    for hosts in sizes:
        for mode in MODES:
            span = hours(hosts) * HOUR
            print(row(mode, hosts, span, measure(mode, hosts, span)), flush=True)
            gc.collect()
    print()
    print(*outages(min(max(sizes), 1_000)), sep="\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this random fleet, and print what happens")
    # The warnings of a thousand hosts are not what this is about.
    logging.getLogger("client_credentials").addHandler(logging.NullHandler())
    seed: int | None = parser.parse_args(arguments).seed
    if seed is not None:
        return replay(seed)
    report()
    return 0


if __name__ == "__main__":
    gc.disable()  # it would look again and again at millions of objects that are all in use
    raise SystemExit(main())

"""`python -m tests.explorer` walks every scenario and prints the count of states and schedules, and the laws held."""

from __future__ import annotations

import sys

from .laws import LAWS, Broken
from .scenarios import SCENARIOS
from .walk import walk


def main(most: int = 5_000) -> int:
    """Print a row for each scenario; gives 1 if a law is broken."""
    states = schedules = broken = 0
    print(f"{'scenario':<32}{'states':>8}{'schedules':>11}")
    for scenario in SCENARIOS:
        try:
            walked = walk(scenario, most)
        except Broken as found:
            broken += 1
            print(f"{scenario.name:<32}BROKEN {found}", *getattr(found, "__notes__", ()), sep="\n")
            continue
        states += walked.states
        schedules += walked.schedules
        whole = "all" if walked.is_whole else f"the first {most}"
        print(f"{scenario.name:<32}{walked.states:>8,}{walked.schedules:>11,}  {whole}", flush=True)
    print(f"{'in all':<32}{states:>8,}{schedules:>11,}  {len(LAWS)} laws: {', '.join(LAWS)}")
    return int(broken > 0)


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))

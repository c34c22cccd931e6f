"""Breaks the package in a copy of the repository, and names the mutants that no test notices: `make mutants`.

`--room` takes one room (core, shell, http, caching), `--sample` so many mutants of each room, drawn by `--seed`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from .equivalent import EQUIVALENT
from .operators import mutants
from .rooms import ROOMS, ROOT

COPIED: Final = ("src", "tests", "pyproject.toml", "README.md", "CHANGELOG.md")
ASKED_FOR: Final = 95  # percent
DEAD: Final = ("killed", "timeout")


def copy(place: Path) -> None:
    """Copy what the tests need, so that work on the repository and the run do not disturb each other."""
    junk = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=junk)
        else:
            shutil.copy(ROOT / name, place)


def tested(place: Path, room: str, sample: int, seed: int) -> dict[str, Any]:
    """Run the tests of a room against its mutants, and give what became of them."""
    report = place / f"{room}.json"
    paths = os.pathsep.join((str(place / "src"), str(place)))
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "tests.mutation.runner", room, str(sample), str(seed), str(report)]
    subprocess.run(command, cwd=place, env=environment, check=True)
    told: dict[str, Any] = json.loads(report.read_text())
    return told


def tell(room: str, told: dict[str, Any]) -> bool:
    """Print what became of the mutants of a room, and tell whether it is good enough."""
    results, controls = told["results"], told["controls"]
    reasons = {mutant: reason for reason, names in EQUIVALENT.items() for mutant in names}
    alive = [each for each in results if each["verdict"] not in DEAD]
    without = [each for each in alive if each["name"] not in reasons]
    for each in alive:
        if each not in without:
            print(f"equivalent: {each['name']}\n    {reasons[each['name']]}")
    for each in without:
        print(f"{each['verdict']} {each['tests']} tests: line {each['line']}: {each['name']}")
    counts = Counter(each["verdict"] for each in results)
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
    drawn = "all" if len(results) == told["total"] else f"a sample of {len(results)}"
    score = 100 * (len(results) - len(without)) / len(results)
    failed = sum(each["verdict"] in DEAD for each in controls)
    print(f"{room}: {drawn} of {told['total']} mutants in {told['seconds']:.0f} s: {verdicts}")
    print(f"{room}: {score:.1f} % killed or explained, {ASKED_FOR} % asked for; without a reason: {len(without)}")
    print(f"{room}: {failed} of {len(controls)} runs without a mutant failed")
    return score >= ASKED_FOR


def main() -> int:
    """Copy, mutate, report; gives 1 if too many mutants of a room survive for no reason, or a reason is stale."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    good = True
    with TemporaryDirectory() as scratch:
        copy(Path(scratch))
        for room in [given.room] if given.room else ROOMS:
            told = tested(Path(scratch), room, given.sample, given.seed)
            if given.report:
                given.report.write_text(json.dumps(told, indent=1))
            good = tell(room, told) and good
    there = {mutant.name for room in ROOMS.values() for path in room.modules(ROOT) for mutant in mutants(path)}
    for name in sorted({name for names in EQUIVALENT.values() for name in names} - there):
        print(f"no such mutant, but a reason for it: {name}")
        good = False
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())

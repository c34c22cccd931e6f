"""Mutates the core in a copy of the repository, and names the mutants that no test kills: `make mutants`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from .equivalent import EQUIVALENT

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("src", "tests", "pyproject.toml", "README.md", "CHANGELOG.md")
MUTMUT: Final = Path(sys.executable).with_name("mutmut")
ASKED_FOR: Final = 95  # percent
VERDICTS: Final = {0: "survived", 1: "killed", 3: "killed", 5: "untested", 33: "untested", -24: "timeout"}
DEAD: Final = ("killed", "timeout")


def copy(place: Path) -> None:
    """Copy what the tests of the core need."""
    junk = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=junk)
        else:
            shutil.copy(ROOT / name, place)


def verdicts(place: Path) -> dict[str, str]:
    """Give what became of each mutant, by mutmut's name for it."""
    notes = [json.loads(path.read_text()) for path in sorted((place / "mutants").rglob("*.meta"))]
    codes = {name: code for note in notes for name, code in note["exit_code_by_key"].items()}
    return {name: VERDICTS.get(code, f"exit status {code}") for name, code in codes.items()}


def change(place: Path, name: str) -> str:
    """Describe a mutant in one line: the module and the function, and the lines as they became, or those that went."""
    shown = subprocess.run([MUTMUT, "show", name], cwd=place, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if line.startswith(("+", "-")) and line[:3] not in ("+++", "---")]
    became = [line[1:].strip() for line in lines if line.startswith("+")]
    went = [f"without {line[1:].strip()}" for line in lines]
    module, _, function = name.removeprefix("client_credentials._core.").partition(".")
    where = function.partition("__mutmut_")[0].removeprefix("x").removeprefix("_").strip("ǁ").replace("ǁ", ".")
    return f"{module}.{where}: {' '.join(became or went)}"


def main() -> int:
    """Copy, mutate, report; gives 1 if a mutant survives for no reason, or too many do."""
    began = time.monotonic()
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        copy(place)
        brief = {**os.environ, "HYPOTHESIS_PROFILE": "mutants", "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([MUTMUT, "run"], cwd=place, env=brief, check=True)
        found = verdicts(place)
        alive = {change(place, name): verdict for name, verdict in found.items() if verdict not in DEAD}
    counts = Counter(found.values())
    score = 100 * sum(counts[verdict] for verdict in DEAD) / len(found)
    reasons = {mutant: reason for reason, mutants in EQUIVALENT.items() for mutant in mutants}
    without = sorted(alive.keys() - reasons.keys())
    for mutant in sorted(alive.keys() & reasons.keys()):
        print(f"equivalent: {mutant}\n    {reasons[mutant]}")
    for mutant in sorted(reasons.keys() - alive.keys()):
        print(f"a reason too many: {mutant}")
    for mutant in without:
        print(f"{alive[mutant]}: {mutant}")
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
    print(f"{len(found)} mutants in {time.monotonic() - began:.0f} s: {told}")
    print(f"killed: {score:.1f} %, at least {ASKED_FOR} % asked for")
    print(f"survivors without a reason: {len(without)}")
    return int(bool(without) or score < ASKED_FOR)


if __name__ == "__main__":
    sys.exit(main())

"""Runs the tests on every Python that is found, and with the lowest dependencies.

`make test-all` runs all tests with the newest dependencies on each Python, and those of `ROOMS` with the lowest.
`make test-lean`, after `make test`, runs those of `ROOMS` alone: on the other Pythons, and here with the lowest.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[1]
RELEASES: Final = range(11, 20)
ROOMS: Final = [f"tests/{room}" for room in ("core", "strategy", "http", "caching", "integrations")]
"""Where a Python or a dependency may make a difference."""
WITHOUT: Final = "--ignore-glob=*/test_consumer.py"  # mcp has lower bounds of its own


@attrs.frozen
class Run:
    """One environment: a Python, and what pip is asked for beside the package."""

    version: str
    python: str
    lowest: bool

    def __str__(self) -> str:
        return f"Python {self.version}, {'lowest' if self.lowest else 'newest'} dependencies"


def pythons() -> Iterator[tuple[str, str]]:
    """Give each release of Python that works here and can make an environment: on the PATH, or kept by pyenv."""
    for minor in RELEASES:
        name = f"python3.{minor}"
        places = [shutil.which(name), *map(str, sorted(kept_by_pyenv().glob(f"3.{minor}.*/bin/python"), reverse=True))]
        for place in filter(None, places):
            # Debian's Python comes without ensurepip; a shim of pyenv may stand for no Python at all.
            ask = [place, "-c", "import ensurepip, venv, platform; print(platform.python_version())"]
            said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
            if said.startswith(f"3.{minor}."):
                yield said, place
                break


def kept_by_pyenv() -> Path:
    """Give the folder in which pyenv keeps its Pythons, or one that is empty."""
    pyenv = shutil.which("pyenv")
    root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip() if pyenv else ""
    return Path(root or os.devnull) / "versions"


def lowest() -> list[str]:
    """Give the lowest version of each dependency that all who declare it allow, as pip wants it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    users = [each for name, extra in extras.items() if name not in ("test", "dev") for each in extra]
    declared = [each.partition(">=")[::2] for each in project["dependencies"] + users]
    in_order = sorted(declared, key=lambda each: [int(part) for part in each[1].split(".")])
    return [f"{name}=={version}.*" for name, version in dict(in_order).items()]


def perform(run: Run, extra: str, *selection: str) -> bool:
    """Make an environment, run the tests in it, and tell whether they passed."""
    began = time.monotonic()
    print(f"=== {run}", flush=True)
    home = ROOT / ".venv" / f"all-{run.version}-{run.lowest}"
    subprocess.run([run.python, "-m", "venv", "--clear", home], check=True)
    own = str(home / "bin" / "python")
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", f"{ROOT}[{extra}]"]
    subprocess.run([*pip, *(lowest() if run.lowest else ())], check=True)
    done = subprocess.run([own, "-m", "pytest", "-q", "-n2", "--dist=loadfile", *selection], cwd=ROOT, check=False)
    shutil.rmtree(home)
    print(f"{run}: {'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Run them all; gives the number of runs that failed."""
    runs = [Run(version, place, lowest) for version, place in pythons() for lowest in (False, True)]
    is_lean = "lean" in arguments
    if is_lean:
        here = platform.python_version()
        runs = [run for run in runs if run.lowest is (run.version == here)]
        os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    in_part = ("test", "-p", "no:leaks", "-m", "not slow", WITHOUT, *ROOMS)
    return sum(not perform(run, *(in_part if is_lean or run.lowest else ("dev",))) for run in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

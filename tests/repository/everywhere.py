"""Runs the tests on every Python that is found, and with the lowest dependencies.

`make test-lean`, after `make test`, runs those of `ROOMS` with few examples: on the other Pythons, and here with the
lowest dependencies. `make test-all` runs all tests with the newest dependencies on each Python, and those of `ROOMS`
with the lowest. `prepare` makes the environments of the lean runs and no more; it is run before there is any, so that
nothing but the standard library is imported here.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
RELEASES: Final = range(11, 20)
ROOMS: Final = [f"tests/{room}" for room in ("core", "shell", "http", "caching", "integrations")]
"""Where a Python or a dependency may make a difference."""
IN_PART: Final = ["-p", "no:leaks", "-m", "not slow", "--ignore-glob=*/test_consumer.py", *ROOMS]
"""mcp, which the tests of consumers use, has lower bounds of its own."""
_TESTS_FAILED: Final = 1
"""The exit status of pytest that says so, and no more."""


class Run(NamedTuple):
    """One environment: a Python, and what pip is asked for beside the package."""

    version: str
    python: str
    lowest: bool
    extra: str

    def __str__(self) -> str:
        return f"Python {self.version}, {'lowest' if self.lowest else 'newest'} dependencies"

    @property
    def home(self) -> Path:
        """Where its environment is."""
        return ROOT / ".venv" / f"{self.extra}-{self.version}-{'lowest' if self.lowest else 'newest'}"

    @property
    def own(self) -> str:
        """Its own interpreter."""
        return str(self.home / "bin" / "python")


def pythons() -> Iterator[tuple[str, str]]:
    """Give this Python, and of each other release one that can make an environment: on the PATH, or kept by pyenv."""
    yield platform.python_version(), sys.executable
    for minor in RELEASES:
        if minor == sys.version_info.minor:
            continue
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


def prepare(run: Run) -> None:
    """Make its environment, unless there is one that is as old as pyproject.toml at the most."""
    ready, project = run.home / "ready", ROOT / "pyproject.toml"
    if ready.exists() and ready.stat().st_mtime >= project.stat().st_mtime:
        return
    subprocess.run([run.python, "-m", "venv", "--clear", run.home], check=True)
    pip = [run.own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, "--editable", f"{ROOT}[{run.extra}]", *(lowest() if run.lowest else ())], check=True)
    ready.touch()


def passes(run: Run) -> bool:
    """Run the tests in its environment, those that fail a second time and alone, and tell whether all passed.

    What a busy machine fails passes then; what a Python or a dependency fails does not.
    """
    print(f"=== {run}", flush=True)
    began = time.monotonic()
    options = ["-q", "-n3", "--dist=loadfile", "-o", f"cache_dir={run.home / 'cache'}"]
    command = [run.own, "-m", "pytest", *options, *(IN_PART if run.extra == "test" else ())]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == _TESTS_FAILED:
        status = subprocess.run([*command, "-n0", "--last-failed"], cwd=ROOT, check=False).returncode
    print(f"{run}: {'FAILED' if status else 'passed'} in {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


def main(what: str = "all") -> int:
    """Run them all; gives the number of runs that failed."""
    this, *others = pythons()
    if what == "all":
        runs = [Run(*each, lowest, "test" if lowest else "dev") for lowest in (False, True) for each in (this, *others)]
    else:
        os.environ["HYPOTHESIS_PROFILE"] = "lean"
        runs = [Run(*this, True, "test"), *(Run(*each, False, "test") for each in others)]
    if not others:
        print(f"no other Python than this {this[0]} is found here")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(prepare, runs))
    return 0 if what == "prepare" else [passes(run) for run in runs].count(False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

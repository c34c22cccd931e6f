"""Runs the tests on every Python that is found, with the newest and with the lowest dependencies: `make test-all`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RELEASES = range(11, 20)


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
    """Give the lowest declared version of each dependency, as pip wants it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["redis"], *extras["requests"], *extras["httpx"]]
    return [re.sub(r">=([\d.]+).*", r"==\1.*", each) for each in declared]


def run(version: str, python: str, pins: list[str]) -> bool:
    """Make an environment, run the tests in it, and tell whether they passed."""
    kind = "lowest" if pins else "newest"
    home = ROOT / ".venv" / f"all-{version}-{kind}"
    subprocess.run([python, "-m", "venv", "--clear", home], check=True)
    own = str(home / "bin" / "python")
    subprocess.run(
        [own, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", f"{ROOT}[dev]", *pins], check=True
    )
    print(f"=== Python {version}, {kind} dependencies", flush=True)
    done = subprocess.run([own, "-m", "pytest", "-q", "-n2", "--dist=loadfile"], cwd=ROOT, check=False)
    shutil.rmtree(home)
    return done.returncode == 0


def main() -> int:
    """Run them all; gives the number of runs that failed."""
    runs = [(version, place, pins) for version, place in pythons() for pins in ([], lowest())]
    results = [(version, "lowest" if pins else "newest", run(version, place, pins)) for version, place, pins in runs]
    for version, kind, passed in results:
        print(f"Python {version:<8} {kind} dependencies: {'passed' if passed else 'FAILED'}")
    return sum(not passed for *_, passed in results)


if __name__ == "__main__":
    sys.exit(main())

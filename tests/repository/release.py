"""Builds what would be released, twice, and tests the sdist against the wheel: `make release`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]


def build(place: Path) -> dict[str, str]:
    """Build wheel and sdist, and give the digest of each."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.iterdir())}


def test_sdist(place: Path, scratch: Path) -> int:
    """Run the tests of the sdist but the slow ones, without its src, against the wheel; gives pytest's exit status."""
    (sdist,), (wheel,) = place.glob("*.tar.gz"), place.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch, filter="data")
    (tree,) = scratch.iterdir()
    shutil.rmtree(tree / "src")
    site = scratch / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True)
    # The two that are about the source tree itself stay out.
    left_out = ["--ignore=tests/repository/test_wheel.py", "--ignore=tests/repository/test_house.py"]
    tests = [sys.executable, "-m", "pytest", "-q", "-n2", "--dist=loadfile", "-m", "not slow", *left_out]
    return subprocess.run(tests, cwd=tree, env={**os.environ, "PYTHONPATH": str(site)}, check=False).returncode


def main() -> int:
    """Build, compare, check, test."""
    with TemporaryDirectory() as one, TemporaryDirectory() as two, TemporaryDirectory() as scratch:
        first, second = build(Path(one)), build(Path(two))
        for name, digest in first.items():
            print(
                f"{name}: sha256 {digest[:16]}, {'the same' if second.get(name) == digest else 'DIFFERENT'} each time"
            )
        if first != second:
            return 1
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, Path(one).iterdir())], check=True)
        return test_sdist(Path(one), Path(scratch))


if __name__ == "__main__":
    sys.exit(main())

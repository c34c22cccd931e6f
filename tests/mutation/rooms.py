"""Which modules are mutated, and which tests are run against the mutants of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path("src/client_credentials")


@attrs.frozen
class Room:
    """A folder of the package, and the tests that mirror it."""

    folder: str
    tests: tuple[str, ...]

    def modules(self, root: Path) -> list[Path]:
        """Give the modules to mutate."""
        return sorted((root / PACKAGE / self.folder).glob("*.py"))

    def places(self, root: Path) -> list[str]:
        """Give the tests, as arguments for pytest."""
        return [name for name in self.tests if (root / name).exists()]


ROOMS: Final = {
    "core": Room("_core", ("tests/core", "tests/explorer")),
    "shell": Room("_shell", ("tests/strategy", "tests/shell", "tests/caching/test_outage.py", "tests/faults")),
    "http": Room("_http", ("tests/http",)),
    "caching": Room("caching", ("tests/caching",)),
}

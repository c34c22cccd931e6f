"""Which modules are mutated, and which tests are run against the mutants of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path("src/client_credentials")


@attrs.frozen
class Room:
    """Modules of the package, and the tests that mirror them."""

    patterns: tuple[str, ...]
    tests: tuple[str, ...]

    def modules(self, root: Path) -> list[Path]:
        """Give the modules to mutate."""
        return sorted({path for pattern in self.patterns for path in (root / PACKAGE).glob(pattern)})

    def places(self, root: Path) -> list[str]:
        """Give the tests, as arguments for pytest."""
        return [name for name in self.tests if (root / name).exists()]


ROOMS: Final = {
    "core": Room(("_core/*.py",), ("tests/core", "tests/explorer")),
    "shell": Room(("_shell/*.py",), ("tests/shell", "tests/faults")),
    "http": Room(("_http/*.py",), ("tests/http",)),
    "caching": Room(("caching/*.py",), ("tests/caching",)),
}

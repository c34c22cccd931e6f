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
    without: tuple[str, ...] = ()

    def modules(self, root: Path) -> list[Path]:
        """Give the modules to mutate."""
        found = {path for pattern in self.patterns for path in (root / PACKAGE).glob(pattern)}
        return sorted(path for path in found if path.name not in self.without)

    def places(self, root: Path) -> list[str]:
        """Give the tests, as arguments for pytest."""
        return [name for name in self.tests if (root / name).exists()]


ROOMS: Final = {
    "core": Room(("_core/*.py",), ("tests/core", "tests/explorer")),
    "shell": Room(
        ("_shell/*.py",),
        ("tests/shell", "tests/faults"),
        without=("circuit_breaker.py", "state_cache.py"),
    ),
    "http": Room(("_http/*.py",), ("tests/http",)),
    "caching": Room(("caching/*.py", "_shell/circuit_breaker.py", "_shell/state_cache.py"), ("tests/caching",)),
}
"""What bounds a cache is tested by the tests of the caches, so that it is mutated with them."""

"""The mutants that no test can kill, or that none needs to, and why."""

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {}
"""The reason, and the mutants for which it holds, as the report names them."""

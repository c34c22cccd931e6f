"""What the RFCs ask that is seen on the wire alone; a line that the core decides is named by its test in tests/core."""

from __future__ import annotations

from typing import Final

NOT_TESTABLE: Final[dict[str, str]] = {}
"""The lines that cannot be tested here, and why."""

"""The caching strategies on a real Redis, real files and real processes, line by line of the list of faults."""

from __future__ import annotations

NOT_TESTABLE: dict[str, str] = {}
"""The lines of the list that cannot be tested here, and why."""

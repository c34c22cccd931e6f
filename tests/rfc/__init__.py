"""What the RFCs ask that is seen on the wire alone; a line that the core decides is named by its test in tests/core."""

from __future__ import annotations

from typing import Final

_NO_METADATA: Final = (
    "the token endpoint is an argument: `doctor --issuer` compares it with the metadata and configures nothing"
)

NOT_TESTABLE: Final[dict[str, str]] = {
    "RFC9700-2.6-1": _NO_METADATA,
    "RFC8414-2-2": _NO_METADATA,
    "RFC8414-6.1": _NO_METADATA,
}
"""The lines that cannot be tested here, and why."""

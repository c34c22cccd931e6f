"""What the RFCs ask of a client of this grant, a test for each line, on the wire where it matters."""

from __future__ import annotations

from typing import Final

_NO_METADATA: Final = "authorization server metadata (RFC 8414) is not read: the token endpoint is an argument"

NOT_TESTABLE: Final[dict[str, str]] = {
    "RFC9700-2.5": "private_key_jwt and mutual TLS are not offered yet: a client secret is all there is to test",
    "RFC9700-2.6-1": _NO_METADATA,
    "RFC8414-2-1": _NO_METADATA,
    "RFC8414-2-2": _NO_METADATA,
    "RFC8414-3-1": _NO_METADATA,
    "RFC8414-3.1": _NO_METADATA,
    "RFC8414-3.2": _NO_METADATA,
    "RFC8414-3.3": _NO_METADATA,
    "RFC8414-4": _NO_METADATA,
    "RFC8414-6.1": _NO_METADATA,
}
"""The lines that cannot be tested here, and why."""

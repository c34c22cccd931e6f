"""The metadata of `--issuer`, which name its token endpoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import attrs

from .._core.model import TokenRequest, TokenResponse
from .._http.fetch import Urllib3Fetch
from ..errors import TokenError

if TYPE_CHECKING:
    from ..discovery import ServerMetadata

ISSUER_ADVICE: Final = "check --issuer, or give --token-url"


def find_metadata(arguments: argparse.Namespace, fetch: Urllib3Fetch, seconds: float) -> ServerMetadata:
    """Find the issuer's metadata; each request takes at most `seconds` seconds. Raises TokenError."""
    from ..discovery import discover

    def bounded(request: TokenRequest) -> TokenResponse:
        return fetch(attrs.evolve(request, timeout=min(request.timeout, seconds)))

    return discover(arguments.issuer, fetch=bounded)


def what_failed(error: TokenError) -> str:
    """Say why there are no metadata, without the advice, which is in the library's words."""
    return str(error).partition("; check the issuer")[0]

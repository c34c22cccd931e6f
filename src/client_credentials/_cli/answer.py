"""What may be known of a response without its values: they may hold a token."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import attrs

from .._core.model import Granted, TokenResponse
from .._core.response import parse_document
from ..configuration import json_object
from ..errors import TokenError


@attrs.frozen(kw_only=True)
class Answer:
    """The shape of a response of the token endpoint; by default, of one that was not seen."""

    is_dialect: bool = True
    """Whether its body may be a token endpoint's, even if it is no token response by RFC 6749."""
    date: str | None = None
    retry_after: str | None = None
    members: tuple[str, ...] = ()
    """The names in its JSON object, if it is one."""
    stated: str = ""
    """Its expires_in as text; empty if there is none."""
    remarks: tuple[str, ...] = ()
    """What is odd about it although it grants a token; the library logs that only once the token is handed out."""


def shape_of(response: TokenResponse) -> Answer:
    """Look at a response."""
    document: Mapping[str, object] = {}
    with suppress(TokenError):
        document = json_object(response)
    lifetime = document.get("expires_in")
    outcome = parse_document(response, document)
    body = response.body.lstrip()
    return Answer(
        is_dialect=body.startswith((b"{", b"[")) or b"access_token" in body,
        date=response.header("Date"),
        retry_after=response.header("Retry-After"),
        members=tuple(document),
        stated=str(lifetime) if isinstance(lifetime, str | int | float) else "",
        remarks=outcome.remarks if isinstance(outcome, Granted) else (),
    )

"""What may be known of a response without its values: they may hold a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

import attrs

from .._core.model import Granted, TokenResponse
from .._core.response import parse_document
from .._core.secret import Secret
from ..configuration import json_object
from ..errors import TokenError


@attrs.frozen(kw_only=True)
class Answer:
    """The shape of a response of the token endpoint; by default, of one that was not seen."""

    is_dialect: bool = True
    """Whether its body may be a token endpoint's, even if it is no token response by RFC 6749."""
    date: float | None = None
    """Its Date (RFC 9110 section 6.6.1), in seconds since the epoch."""
    retry_after: int | None = None
    """Its Retry-After, if that is a number of seconds."""
    members: tuple[str, ...] = ()
    """The names in its JSON object, but for those that repeat the secret or the token."""
    stated: int | None = None
    """Its expires_in, if that is a number."""
    remarks: tuple[str, ...] = ()
    """What is odd about it although it grants a token; the library logs that only once the token is handed out."""


def shape_of(response: TokenResponse, secret: Secret) -> Answer:
    """Look at the response to a request that was made with this secret."""
    document: Mapping[str, object] = {}
    with suppress(TokenError):
        document = json_object(response)
    outcome = parse_document(response, document)
    body = response.body.lstrip()
    return Answer(
        is_dialect=body.startswith((b"{", b"[")) or b"access_token" in body,
        date=_date(response.header("Date") or ""),
        retry_after=_number(response.header("Retry-After")),
        members=_names(document, secret),
        stated=_number(document.get("expires_in")),
        remarks=outcome.remarks if isinstance(outcome, Granted) else (),
    )


def _names(document: Mapping[str, object], secret: Secret) -> tuple[str, ...]:
    hidden = [text for text in (secret.reveal(), document.get("access_token")) if isinstance(text, str) and text]
    return tuple(name[:40] for name in document if not any(text in name for text in hidden))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> int | None:
    if isinstance(value, int | float):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else None

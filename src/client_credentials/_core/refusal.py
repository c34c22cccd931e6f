"""What a server says when it grants no token: its code, its words, and how long it asks us to wait."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar, cast

import attrs

from .model import Failure, Refused, TokenResponse
from .redaction import Hidden, is_code

F = TypeVar("F", bound=Failure)

SECRET_MEMBERS: Final = ("access_token", "refresh_token", "id_token")
DIGITS: Final = re.compile(r"[0-9]{1,40}")

_EPOCH: Final = 1e9  # a larger number of seconds is a date
_MOST_LOOKED_AT: Final = 64
_SECONDS = re.compile(r"[0-9]{1,40}(?:\.[0-9]{0,40})?")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}(?![^;\s])", re.ASCII)  # never the half of one
_TRANSIENT_CODES: Final = frozenset(("temporarily_unavailable", "server_error", "slow_down"))
_TRANSIENT_STATUSES: Final = frozenset((408, 421, 425, 429))
# Where servers put their words, without case and underscores: RFC 6749, Okta, Spring, FastAPI, RFC 9457, aioauth,
# WeChat, Apigee.
_CODES: Final = ("error", "errorcode", "errcode", "code")
_WORDS: Final = tuple("errordescription errorsummary message detail title description msg errmsg faultstring".split())
_SHOWN: Final = dict.fromkeys(("error_description", "error_uri", "note", "reason", "hook", "kind"), Hidden.shown) | {
    "error": Hidden.shown_code,
    "www_authenticate": Hidden.shown_header,
}
"""How each text of a failure is made fit to be shown."""
_RESETS: Final = ("X-RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-Reset")


def refusal(response: TokenResponse, said: Mapping[str, object], hidden: Hidden) -> Refused:
    """A refusal with the server's words, wherever they stand; without any, with the kind and size of the body."""
    hidden = hidden.beside(said.get(name) for name in SECRET_MEMBERS)
    code, words = words_of(said)
    uri = said.get("error_uri")
    refused = Refused(
        status=response.status,
        error=code,
        error_description=words,
        error_uri=uri if isinstance(uri, str) else None,
        www_authenticate=response.header("WWW-Authenticate"),
        retryable=response.status >= 500 or response.status in _TRANSIENT_STATUSES or code in _TRANSIENT_CODES,
    )
    note = None if code or words else f"the body is {kind_of(response, hidden)}"
    return attrs.evolve(redacted_failure(refused, hidden), note=note)


def words_of(said: Mapping[str, object]) -> tuple[str | None, str | None]:
    """Return an error's code and its description, wherever they stand, at most one level deep."""
    top = _plain_names(said)
    inner = [*top.values()]
    errors = top.get("errors")
    if isinstance(errors, list):
        inner += cast("list[object]", errors)[:1]
    levels = [top, *(_plain_names(cast("Mapping[str, object]", each)) for each in inner if isinstance(each, Mapping))]
    codes = [text for level in levels for text in _texts(level, _CODES)]
    error = said.get("error")
    code = error if isinstance(error, str) and error else next(filter(is_code, codes), codes[0] if codes else None)
    words = [text for level in levels for text in _texts(level, _WORDS)]
    words += [each for each in inner[len(top) :] if isinstance(each, str)]
    # A sentence where a code should be is the server's words, too.
    words += [text for text in codes if text != code]
    return code, words[0] if words else None


def _plain_names(members: Mapping[str, object]) -> dict[str, object]:
    """The first members by their names, whatever the style: errorSummary and error_summary are the same."""
    named = list(islice(members.items(), _MOST_LOOKED_AT))
    return {str(name).lower().replace("_", "").replace("-", ""): value for name, value in reversed(named)}


def _texts(members: Mapping[str, object], names: Collection[str]) -> Iterator[str]:
    return (value for value in map(members.get, names) if isinstance(value, str) and value.strip())


def kind_of(response: TokenResponse, hidden: Hidden) -> str:
    """Size and media type of a body that cannot be quoted."""
    kind = _MEDIA_TYPE.match(response.header("Content-Type") or "")
    return f"{len(response.body)} bytes of {hidden.shown(kind[0]) if kind else 'no type'}"


def with_retry_after(failure: Failure, response: TokenResponse, wall: float) -> Failure:
    """Add the wait that the server ordered (RFC 9110 section 10.2.3); `wall` is in seconds since the epoch."""
    wait = _retry_after(response, wall)
    if wait is None:
        wait = _reset(response, wall)
    return failure if wait is None else attrs.evolve(failure, retryable=True, retry_after=max(wait, 0.0))


def redacted_failure(failure: F, hidden: Hidden) -> F:
    """A failure that a hook described, or that a cache kept, with every text fit to be shown."""
    blank = None if isinstance(failure, Refused) else ""
    fit: dict[str, Any] = {
        name: show(hidden, text) or blank
        for name, show in _SHOWN.items()
        if (text := getattr(failure, name, None)) is not None
    }
    return attrs.evolve(failure, **fit)


def _retry_after(response: TokenResponse, wall: float) -> float | None:
    text = (response.header("Retry-After") or "").strip()
    return float(text) if DIGITS.fullmatch(text) else _from_now(_date(text), response, wall)


def _reset(response: TokenResponse, wall: float) -> float | None:
    """When the limit starts anew: seconds from now, or seconds or milliseconds since the epoch, or a date."""
    for name in _RESETS:
        text = (response.header(name) or "").strip()
        # Many servers send these with every answer; the limit is reached only where nothing remains.
        if not text or (response.status != 429 and response.header(name.replace("Reset", "Remaining")) != "0"):
            continue
        if not _SECONDS.fullmatch(text):
            return _from_now(_date(text), response, wall)
        moment = float(text)
        if moment < _EPOCH:
            return moment
        return _from_now(moment / 1000 if moment > 100 * _EPOCH else moment, response, wall)
    return None


def _from_now(moment: float | None, response: TokenResponse, wall: float) -> float | None:
    """Count a moment from the answer's own Date, or by the wall clock where it has none."""
    if moment is None:
        return None
    answered = _date(response.header("Date") or "")
    return moment - (wall if answered is None else answered)


def _date(text: str) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch."""
    parts = email.utils.parsedate_tz(text[:64])
    try:
        return None if parts is None else float(email.utils.mktime_tz(parts))
    except (ValueError, OverflowError):
        return None

"""Token response to outcome: total over any bytes, any status, any document, and strict about each member."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Final, NoReturn, assert_never, cast

import attrs

from .model import Failure, Granted, Malformed, Outcome, Refused, TokenResponse, Unreachable
from .secret import needles, printable, redact

LONGEST_TOKEN: Final = 65536
_LONGEST_TEXT: Final = 256
_UNNAMED_PAUSE: Final = 5.0

_TOKEN = re.compile(r"[\x21-\x7E]+")
_DIGITS = re.compile(r"[0-9]{1,40}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}(?![^;\s])", re.ASCII)  # never the half of one
_ORIGIN = re.compile(r"https?://[\w.:\[\]-]{1,100}(?=/|$)", re.ASCII)
_TRANSIENT = frozenset(("temporarily_unavailable", "server_error", "slow_down"))
_NEVER_KEPT = ("refresh_token", "id_token")
_NAMED = frozenset(("access_token", "token_type", "expires_in", "scope", *_NEVER_KEPT))


class _Flaw(Exception):
    """What is wrong with a document, on its way from the member to the outcome; never leaves this module."""


def objection(response: TokenResponse) -> Failure | None:
    """Say why a response does not grant a token, judged by its status; only 200 does (RFC 6749 section 5.1)."""
    status = response.status
    if status == 200:
        return None
    if status == 407:
        return Unreachable(reason="the proxy asks for authentication (status 407)")
    if 300 <= status < 400:
        origin = _ORIGIN.match(response.header("Location") or "")
        to = f" to {origin[0]}" if origin else ""
        return Malformed(status=status, reason=f"status {status}, a redirect{to}, which is never followed")
    if status < 400:
        return Malformed(status=status, reason=f"status {status}, where only 200 brings a token")
    document = decode(response)
    return _refusal(response, {} if isinstance(document, Malformed) else document)


def decode(response: TokenResponse) -> Mapping[str, object] | Malformed:
    """Read a body as one JSON object; duplicate members, NaN and infinity are refused (RFC 8259)."""
    if not response.body.strip():
        return Malformed(status=response.status, reason="the body is empty")
    try:
        document: object = json.loads(
            response.body.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_constant=_not_json,
            parse_float=_finite,
        )
    except _Flaw as flaw:
        return Malformed(status=response.status, reason=str(flaw))
    except (ValueError, RecursionError):
        # The first bytes would tell more, but they may be a token.
        kind = _MEDIA_TYPE.match(response.header("Content-Type") or "")
        digest = hashlib.sha256(response.body).hexdigest()[:8]
        reason = f"not JSON: {len(response.body)} bytes of {kind[0] if kind else 'no type'}, sha256 {digest}"
        return Malformed(status=response.status, reason=reason)
    if not isinstance(document, dict):
        return Malformed(status=response.status, reason="the body is not a JSON object")
    return cast("dict[str, object]", document)


def interpret(response: TokenResponse, document: object, asked: Collection[str] = ()) -> Outcome:
    """Read a document by RFC 6749 sections 5.1 and 5.2; each member is held to its type, nothing is converted.

    `asked` are the scopes of the request, if any: what else was granted is worth a remark (section 3.3).
    """
    if not isinstance(document, Mapping):
        return Malformed(status=response.status, reason="the deserializer gave no mapping")
    given = cast("Mapping[object, object]", document)
    members = {name: value for name, value in given.items() if isinstance(name, str)}
    if members.get("error") is not None:
        return _refusal(response, members)
    try:
        scope = _scope(members.get("scope"))
        return Granted(
            access_token=access_token(members.get("access_token")),
            expires_in=_expires_in(members.get("expires_in")),
            scope=scope,
            extra={name: value for name, value in members.items() if name not in _NAMED},
            remarks=_token_type(members) + _other_scope(scope, asked),
        )
    except _Flaw as flaw:
        return Malformed(status=response.status, reason=str(flaw))


def access_token(value: object) -> str:
    """Hold a token to RFC 6749 appendix A.12, less the space, which no header value can carry."""
    if not isinstance(value, str) or not value:
        raise _Flaw("access_token is missing or not a string")
    if len(value) > LONGEST_TOKEN:
        raise _Flaw(f"access_token is longer than {LONGEST_TOKEN} characters")
    if not _TOKEN.fullmatch(value):
        raise _Flaw("access_token holds a character that is not visible ASCII")
    return value


def usable_token(value: str) -> bool:
    """Tell whether a token may be put into a header."""
    try:
        return bool(access_token(value))
    except _Flaw:
        return False


def ordered(failure: Failure, response: TokenResponse, wall: float) -> Failure:
    """Add the wait that the server ordered (RFC 9110 section 10.2.3); `wall` is in seconds since the epoch."""
    pause = _retry_after(response, wall)
    if pause is None and response.status == 429:
        pause = _UNNAMED_PAUSE
    return failure if pause is None else attrs.evolve(failure, retryable=True, retry_after=pause)


def hushed(failure: Failure, hidden: frozenset[str]) -> Failure:
    """Take our own secrets out of what a stranger said, then cut it to a length that is fit to print."""

    def fit(text: str | None) -> str | None:
        return (redact(text, hidden) or "")[:_LONGEST_TEXT] or None

    match failure:
        case Refused():
            return attrs.evolve(
                failure,
                error=fit(failure.error),
                error_description=fit(failure.error_description),
                error_uri=fit(failure.error_uri),
                www_authenticate=fit(failure.www_authenticate),
            )
        case Malformed() | Unreachable():
            return attrs.evolve(failure, reason=fit(failure.reason) or "")
        case _:
            assert_never(failure)


def discreet(granted: Granted, hidden: frozenset[str]) -> Granted:
    """Leave out of a grant what repeats our own secrets: it is shown, and kept in caches."""

    def repeats(value: object) -> bool:
        try:
            text = json.dumps(value, default=repr, ensure_ascii=False)  # what is not ASCII goes from both
        except Exception:  # a user's deserializer may have made it, and what cannot be looked at is not kept
            return True
        return redact(text, hidden) != printable(text)

    extra = {name: value for name, value in granted.extra.items() if not repeats((name, value))}
    return attrs.evolve(granted, scope=None if repeats(granted.scope) else granted.scope, extra=extra)


def _refusal(response: TokenResponse, said: Mapping[str, object]) -> Refused:
    error, description = said.get("error"), said.get("error_description")
    if isinstance(error, Mapping):  # the shape of Spotify's Web API: {"error": {"status": …, "message": …}}
        description = cast("Mapping[object, object]", error).get("message")
    code = error if isinstance(error, str) else None
    hidden = needles(_string(said.get("access_token")) or "")
    return Refused(
        status=response.status,
        error=redact(code, hidden),
        error_description=redact(_string(description), hidden),
        error_uri=redact(_string(said.get("error_uri")), hidden),
        www_authenticate=redact(response.header("WWW-Authenticate"), hidden),
        retryable=response.status >= 500 or response.status == 421 or code in _TRANSIENT,
    )


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _token_type(members: Mapping[str, object]) -> tuple[str, ...]:
    if "token_type" not in members:
        return ("the answer has no token_type; taken as Bearer",)
    value = members["token_type"]
    if not isinstance(value, str) or value.lower() != "bearer":
        raise _Flaw("token_type is not Bearer, and no other is supported (RFC 6749 section 7.1)")
    return ()


def _expires_in(value: object) -> int | None:
    match value:
        case None:
            return None
        case bool():
            seconds = None
        case int():
            seconds = value
        case float() if math.isfinite(value):
            seconds = math.floor(value)
        case str() if _DIGITS.fullmatch(value):
            seconds = int(value)
        case _:
            seconds = None
    if seconds is None or seconds < 0:
        raise _Flaw("expires_in is not a number of seconds")
    return seconds


def _scope(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _Flaw("scope is not a string")
    if value and not value.isprintable():
        raise _Flaw("scope holds a control character")
    return value or None


def _other_scope(scope: str | None, asked: Collection[str]) -> tuple[str, ...]:
    if not scope or not asked or set(scope.split()) == set(asked):
        return ()
    return ("the scope granted is not the one asked for",)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Flaw("a member stands twice in one JSON object")
    return members


def _not_json(_: str) -> NoReturn:
    raise _Flaw("a number that JSON does not know")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_json(text)


def _retry_after(response: TokenResponse, wall: float) -> float | None:
    text = (response.header("Retry-After") or "").strip()
    if _DIGITS.fullmatch(text):
        return float(text)
    due = _date(text)
    if due is None:
        return None
    asked = _date(response.header("Date") or "")
    return due - (wall if asked is None else asked)


def _date(text: str) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch."""
    import email.utils

    parts = email.utils.parsedate_tz(text[:64])
    try:
        return None if parts is None else float(email.utils.mktime_tz(parts))
    except (ValueError, OverflowError):
        return None

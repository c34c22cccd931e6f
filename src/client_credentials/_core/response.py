"""Token response to outcome: total over any bytes, any status, any document, and strict about each member.

What the server says is made fit to be shown where it enters, by the `hidden` that each function takes; the sentences
around it are ours, and are not touched.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NoReturn, cast

from .model import Failure, Granted, Malformed, Outcome, TokenResponse, Unreachable
from .redaction import LONGEST_TOKEN, NOTHING, Hidden
from .refusal import DIGITS, SECRET_MEMBERS, kind_of, refusal, words_of

_MOST_MEMBERS: Final = 10_000
"""The most members, and the most objects, in a document; colons and braces are counted before it is parsed."""
_LONGEST_VALUE: Final = 64
_LONGEST_WORDS: Final = 256
_LONGEST_REFRESH: Final = 1e9

_TOKEN = re.compile(r"[\x21-\x7E]+")  # RFC 6749 appendix A.12, less the space
_TARGET = re.compile(r"(?:https?://[\w.:\[\]-]{1,100})?(?:/(?!/)[\x21-\x7E]{0,500})?", re.ASCII)
_NAMED: Final = frozenset((*SECRET_MEMBERS, "token_type", "expires_in", "scope", "error"))
_BEARER: Final = frozenset(("bearer", "bearertoken"))


class _Flaw(Exception):
    """Something wrong with a document, on its way from the member to the outcome; never leaves this module."""


def status_failure(response: TokenResponse, hidden: Hidden = NOTHING) -> Failure | None:
    """Why a response does not grant a token, judged by its status; only 200 and 201 do (RFC 6749 section 5.1)."""
    status = response.status
    if status in (200, 201):
        return None
    if status == 407:
        return Unreachable(reason="the proxy asks for authentication (status 407)")
    if 300 <= status < 400:
        target = _TARGET.fullmatch(re.split("[?#]", response.header("Location") or "")[0])
        to = f" to {hidden.shown(target[0])}" if target and target[0] else ""
        return Malformed(status=status, reason=f"status {status}, a redirect{to}; redirects are not followed")
    if status < 400:
        return Malformed(status=status, reason=f"status {status}, expected 200 or 201")
    document = decode(response)
    return refusal(response, document if isinstance(document, Mapping) else {}, hidden)


def decode(response: TokenResponse, hidden: Hidden = NOTHING) -> Mapping[str, object] | Malformed:
    """Read a body as one JSON object; duplicate members, NaN and infinity are refused (RFC 8259)."""
    try:
        return _decoded(response.body)
    except _Flaw as flaw:
        reason = str(flaw)
    except (ValueError, RecursionError):
        # The first bytes would tell more, but they may be a token.
        digest = hashlib.sha256(response.body).hexdigest()[:8]
        reason = f"not JSON: {kind_of(response, hidden)}, sha256 {digest}"
    return Malformed(status=response.status, reason=reason)


def _decoded(body: bytes) -> Mapping[str, object]:
    if not body or body.isspace():
        raise _Flaw("the body is empty")
    if max(body.count(b"{"), body.count(b":")) > _MOST_MEMBERS:
        raise _Flaw(f"more than {_MOST_MEMBERS} members or objects in one document")
    document: object = _DECODER.decode(body.decode("utf-8-sig"))
    if not isinstance(document, dict):
        raise _Flaw("the body is not a JSON object")
    return cast("dict[str, object]", document)


def parse_document(
    response: TokenResponse, document: object, asked: Collection[str] = (), hidden: Hidden = NOTHING
) -> Outcome:
    """Read a document by RFC 6749 sections 5.1 and 5.2; each member is held to its type, nothing is converted.

    `asked` are the scopes of the request, if any: what else was granted is worth a remark (section 3.3).
    """
    if not isinstance(document, Mapping):
        return Malformed(status=response.status, reason="the deserializer did not return a mapping")
    members = cast("Mapping[str, object]", document)
    if members.get("error"):
        return refusal(response, members, hidden)
    said = hidden.beside(members.get(name) for name in SECRET_MEMBERS)
    try:
        token = _access_token(members, said)
        scope = hidden.shown_scope(_scope(members.get("scope")))
        return Granted(
            access_token=token,
            expires_in=_expires_in(members.get("expires_in"), said),
            scope=scope,
            extra=hidden.shown_members((name, value) for name, value in members.items() if name not in _NAMED),
            remarks=(*_token_type(members, said), *_oddities(members, scope, asked)),
            refresh_in=refresh_in(members.get("refresh_in")),
        )
    except _Flaw as flaw:
        return Malformed(status=response.status, reason=str(flaw))


def _access_token(members: Mapping[str, object], hidden: Hidden) -> str:
    value = members.get("access_token")
    if isinstance(value, str) and value:
        if len(value) > LONGEST_TOKEN:
            raise _Flaw(f"access_token must not be longer than {LONGEST_TOKEN} characters")
        if not _TOKEN.fullmatch(value):
            raise _Flaw("access_token must be visible ASCII")
        return value
    if any(isinstance(each, Mapping) and "access_token" in each for each in members.values()):
        raise _Flaw("access_token is nested one level deeper; a deserializer can unwrap it")
    _, words = words_of(members)
    says = f"; the server says: {hidden.shown(words, _LONGEST_WORDS)}" if words else ""
    raise _Flaw(f"access_token is missing or not a string{says}")


def _token_type(members: Mapping[str, object], hidden: Hidden) -> Iterator[str]:
    value = members.get("token_type")
    kind = value.lower() if isinstance(value, str) else None
    if "token_type" not in members:
        yield "token_type is missing; taken as Bearer"
    elif kind not in _BEARER:
        raise _Flaw(
            f"token_type must be Bearer, not {_said(value, hidden)}; a deserializer can rename what the server"
            " documents as a Bearer token"
        )
    elif kind != "bearer":
        yield "token_type is BearerToken; taken as Bearer"


def _expires_in(value: object, hidden: Hidden) -> int | None:
    match value:
        case None | "":
            return None
        case int() | float() if not isinstance(value, bool) and 0 <= value < math.inf:
            return math.floor(value)
        case str() if DIGITS.fullmatch(value):
            return int(value)
        case _:
            said = _said(value, hidden)
            raise _Flaw(f"expires_in must be a number of seconds, not {said}; a deserializer can convert it")


def refresh_in(value: object) -> float | None:
    """Seconds after which the server advises a renewal; odd values are no reason to refuse a token."""
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST_REFRESH
    return float(cast("float", value)) if good else None


def _scope(value: object) -> str | None:
    if isinstance(value, list):
        words = cast("list[object]", value)
        if not all(isinstance(word, str) for word in words):
            raise _Flaw("scope must be a string or a list of strings")
        value = " ".join(cast("list[str]", words))
    if value is not None and not isinstance(value, str):
        raise _Flaw("scope must be a string")
    if value and not value.isprintable():
        raise _Flaw("scope must not contain control characters")
    return value or None


def _oddities(members: Mapping[str, object], scope: str | None, asked: Collection[str]) -> Iterator[str]:
    """What popular servers do and RFC 6749 does not know, where there is no doubt what it means."""
    if members.get("error") is not None:
        yield "error is empty, false or 0 beside a token; taken as missing"
    if members.get("expires_in") == "":
        yield "expires_in is empty; taken as missing"
    if isinstance(members.get("scope"), list):
        yield "scope is a list; taken as its words"
    if scope and asked and set(scope.split()) != set(asked):
        yield "the scope granted is not the one asked for"


def _said(value: object, hidden: Hidden) -> str:
    """A member's value as it may stand in a sentence."""
    match value:
        case str():
            return hidden.shown(value, _LONGEST_VALUE).strip() or "an empty string"
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return hidden.shown(str(value)) if abs(value) < 2**53 else "that number"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return f"a value of type {type(value).__name__}"


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Flaw("duplicate member")
    # A number of 400 digits is read as infinity. A `parse_float` would be called for each number, and take its time.
    if math.inf in members.values() or -math.inf in members.values():
        raise _Flaw("NaN and Infinity are not JSON")
    return members


def _not_json(_: str) -> NoReturn:
    raise _Flaw("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_json)

"""What the doctor finds: a line for each step, and what it makes of a token response; no line holds a secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Final, Literal, cast

import attrs

from .._core.redaction import Hidden

_SKEW: Final = (30.0, 300.0)  # seconds of difference between two clocks that are odd, and that are wrong
_SHORT: Final = 60
_NO_DATE: Final = 1e15
"""No number as large is a time, in seconds or milliseconds."""


@attrs.frozen
class Finding:
    """One line of the doctor: the step, whether it is good, what was seen, and what to change if not."""

    step: str
    status: Literal["ok", "warn", "bad"]
    seen: str
    advice: str | None = None


def ok(step: str, seen: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(step, "ok", seen)


def warn(step: str, seen: str, advice: str) -> Finding:
    """A finding that may do harm."""
    return Finding(step, "warn", seen, advice)


def bad(step: str, seen: str, advice: str) -> Finding:
    """A finding that prevents a token."""
    return Finding(step, "bad", seen, advice)


def clock(date: str, now: float) -> list[Finding]:
    """Compare the wall clock with the Date of a response (RFC 9110 section 6.6.1), if that is one."""
    try:
        skew = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return []
    odd, wrong = _SKEW
    if abs(skew) < odd:
        return [ok("clock", "this machine and the server agree on the time")]
    seen = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server"
    advice = "synchronise the clock (NTP): certificates, assertions and signed tokens are judged by it"
    return [(bad if abs(skew) >= wrong else warn)("clock", seen, advice)]


_METHODS: Final = {
    "basic": {"client_secret_basic"},
    "basic-raw": {"client_secret_basic"},
    "post": {"client_secret_post"},
    "assertion": {"private_key_jwt", "client_secret_jwt"},
    "tls": {"tls_client_auth", "self_signed_tls_client_auth"},
}
"""By the names of `--auth`, those of RFC 8414, RFC 7523 and RFC 8705."""


def authentication(given: str, methods: Collection[str]) -> list[Finding]:
    """Compare the authentication of the client with those that the server's metadata name."""
    if _METHODS[given] & set(methods):
        return []
    names = " or ".join(sorted(_METHODS[given]))
    return [warn("metadata", f"token_endpoint_auth_methods_supported does not name {names}", "try another --auth")]


def members(document: Mapping[str, object], hidden: Hidden) -> Finding:
    """Name the members of a response; the names are the server's words, too."""
    seen = ", ".join(hidden.shown(name, 40) for name in islice(document, 20))
    kept_out = [name for name in ("refresh_token", "id_token") if name in document]
    if kept_out:
        return warn("members", seen, f"nothing: {' and '.join(kept_out)} is not kept (RFC 6749 section 4.4.3)")
    return ok("members", seen)


def lifetime(stated: int | None, granted: int, token: str, now: float) -> list[Finding]:
    """Judge how long a token lives: by the answer, by the library, and by its own `exp` if it is a JWT."""
    if stated is None:
        found = warn("lifetime", f"not stated; {granted} s are assumed", "set assumed_lifetime in the RenewalPolicy")
    elif granted < _SHORT:
        found = warn("lifetime", f"{granted} s", "have the server grant at least some minutes")
    elif stated > granted:
        found = ok("lifetime", f"{granted} s: the server states more, max_lifetime allows no more")
    else:
        found = ok("lifetime", f"{granted} s")
    end = jwt_claims(token).get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float) or not abs(end) < _NO_DATE:
        return [found]
    left = end - now
    if abs(left - granted) < _SKEW[0]:
        return [found, ok("jwt", "its exp agrees with the lifetime")]
    is_short = left < granted
    advice = "have the server state the lifetime that the token has" if is_short else "nothing, if this is intended"
    return [found, warn("jwt", f"its exp is {left:.0f} s from now, the lifetime {granted} s", advice)]


def jwt_claims(token: str) -> Mapping[str, object]:
    """Read the claims of a JWT (RFC 7519), unverified, only for display; empty if the token is not one."""
    parts = token.split(".")
    try:
        payload = base64.b64decode(parts[1] + "==", altchars=b"-_")
        claims: object = json.loads(payload)
    except (IndexError, ValueError, RecursionError):
        return {}
    return cast("Mapping[str, object]", claims) if isinstance(claims, dict) and len(parts) == 3 else {}


def scope(asked: Collection[str], granted: str | None) -> Finding:
    """Compare the scopes asked for with those granted (RFC 6749 section 3.3)."""
    if granted is None:
        return ok("scope", "none asked for, none told")
    if set(granted.split()) == set(asked) or not asked:
        return ok("scope", granted)
    return warn("scope", f"{granted}; asked for was {' '.join(asked)}", "check --scope and what the client may have")

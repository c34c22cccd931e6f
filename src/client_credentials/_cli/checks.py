"""What the doctor makes of what it observed: pure functions from observations to findings, which hold no secret."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Final, cast

import attrs

_SKEW: Final = (30.0, 300.0)  # seconds of difference between two clocks that are odd, and that are wrong
_DAYS_LEFT: Final = 14
_SHORT: Final = 60
_DAY: Final = 86400

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_CLOSED: Final = ("", "UNEXPECTED_EOF_WHILE_READING")
_EXPIRED, _NOT_YET, _SELF_SIGNED, _HOST_MISMATCH, _IP_MISMATCH = 10, 9, (18, 19), 62, 64  # X509_V_ERR_* of OpenSSL


class Status(Enum):
    """How a finding is to be taken."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@attrs.frozen
class Finding:
    """One line of the doctor: the step, what was seen, whether that is good, and what to change if not."""

    step: str
    status: Status
    seen: str
    advice: str | None = None


@attrs.frozen
class Store:
    """The trust store: where it comes from, and how many authorities are in it."""

    name: str
    authorities: int


@attrs.frozen
class Certificate:
    """What a server's certificate says; `ends` is in seconds since the epoch."""

    names: Sequence[str]
    issuer: str
    ends: float


def ok(step: str, seen: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(step, Status.OK, seen)


def bad(step: str, seen: str, advice: str) -> Finding:
    """A finding without whose change there is no token."""
    return Finding(step, Status.BAD, seen, advice)


def warn(step: str, seen: str, advice: str) -> Finding:
    """A finding that may do harm."""
    return Finding(step, Status.WARN, seen, advice)


def tls(version: str, certificate: Certificate, store: Store, now: float) -> Finding:
    """Judge a handshake that succeeded."""
    days = math.floor((certificate.ends - now) / _DAY)
    names = ", ".join(certificate.names[:3])
    seen = f"{version}; certificate for {names} by {certificate.issuer}, {days} days left; trusted by {store.name}"
    if days < _DAYS_LEFT:
        return warn("tls", seen, "have the server's certificate renewed")
    return ok("tls", seen)


def untrusted(code: int, words: str, host: str, certificate: Certificate | None, store: Store) -> Finding:
    """Judge a certificate that did not verify, by OpenSSL's code and words; the certificate where it is known."""
    if store.authorities == 0:
        return bad("tls", f"the trust store is empty: {store.name}", "set SSL_CERT_FILE to a file of authorities")
    if code in (_EXPIRED, _NOT_YET):
        advice = "have the server's certificate renewed, and check the clock of this machine"
        return bad(
            "tls", f"the certificate of {host} {'has expired' if code == _EXPIRED else 'is not valid yet'}", advice
        )
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        names = ", ".join(certificate.names[:5]) if certificate else ""
        seen = f"the certificate is not for {host}{f', but for {names}' if names else ''}"
        return bad("tls", seen, "use the name in --token-url that the certificate has")
    if code in _SELF_SIGNED:
        seen = f"the certificate of {host} is self-signed or its authority is not in {store.name}"
        return bad("tls", seen, "add that authority to the file that SSL_CERT_FILE names, if you trust it")
    seen = f"the certificate of {host} does not verify against {store.name}: {words}"
    advice = "set SSL_CERT_FILE to a file with its authority, or have the server send its intermediate certificates"
    return bad("tls", seen, advice)


def no_tls(reason: str, host: str, port: int) -> Finding:
    """Judge a handshake that failed, by OpenSSL's name of the error; empty: the connection ended."""
    if reason in _NOT_TLS:
        return bad("tls", f"{host}:{port} does not speak TLS", "check the port of --token-url")
    if reason in _CLOSED:
        seen = f"{host}:{port} closed the connection in the handshake"
        return bad("tls", seen, "check the port of --token-url, and firewalls on the way")
    return bad("tls", f"{host}:{port} broke off the handshake: {reason}", "have the server offer TLS 1.2 or later")


def clock(date: float, now: float) -> Finding:
    """Compare the wall clock with the Date of a response; both are in seconds since the epoch."""
    skew = now - date
    odd, wrong = _SKEW
    if abs(skew) < odd:
        return ok("clock", "this machine and the server agree on the time")
    seen = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server"
    advice = "synchronise the clock (NTP): certificates, assertions and signed tokens are judged by it"
    return Finding("clock", Status.BAD if abs(skew) >= wrong else Status.WARN, seen, advice)


def metadata(document: Mapping[str, object], issuer: str, token_url: str, auth: str) -> list[Finding]:
    """Hold authorization server metadata to what is used (RFC 8414 sections 2 and 3.3)."""
    if document.get("issuer") != issuer:
        advice = "give --issuer exactly as the server spells it, if that is your server"
        return [bad("metadata", "the document names another issuer", advice)]
    found: list[Finding] = []
    endpoint = document.get("token_endpoint")
    if endpoint != token_url:
        where = _url(endpoint) or "another, which cannot be shown"
        found.append(bad("metadata", f"its token_endpoint is {where}", "check --token-url and --issuer"))
    for member, wanted, advice in (
        ("grant_types_supported", {"client_credentials"}, "have the server offer the client_credentials grant"),
        ("token_endpoint_auth_methods_supported", _METHODS[auth], "try another --auth"),
    ):
        told = document.get(member)
        if isinstance(told, list) and not wanted & set(map(str, cast("list[object]", told))):
            found.append(warn("metadata", f"{member} does not name {' or '.join(sorted(wanted))}", advice))
    return found or [ok("metadata", "issuer and token_endpoint are yours")]


_METHODS: Final = {
    "basic": {"client_secret_basic"},
    "basic-raw": {"client_secret_basic"},
    "post": {"client_secret_post"},
    "assertion": {"private_key_jwt", "client_secret_jwt"},
    "tls": {"tls_client_auth", "self_signed_tls_client_auth"},
}
"""By the names of `--auth`, those of RFC 8414, RFC 7523 and RFC 8705."""


def _url(value: object) -> str | None:
    if not isinstance(value, str) or not value.isprintable() or not value.isascii() or not value.startswith("https://"):
        return None
    return value.partition("?")[0][:200]


def members(given: Sequence[str]) -> Finding:
    """Name the members of an answer."""
    seen = ", ".join(given[:20])
    kept_out = [name for name in ("refresh_token", "id_token") if name in given]
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
    claims = jwt_claims(token)
    end = claims.get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
        return [found]
    left = end - now
    if abs(left - granted) < _SKEW[0]:
        return [found, ok("jwt", "its exp agrees with the lifetime")]
    advice = "have the server state the lifetime that the token has" if left < granted else "nothing, if that is meant"
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

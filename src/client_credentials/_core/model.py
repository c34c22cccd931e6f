"""The values of the client-credentials grant, named after RFC 6749; all are frozen and none shows a secret."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

import attrs

from .secret import REDACTED

_LONGEST = 1e9  # seconds, thirty years; past it the arithmetic of clocks, sockets and locks overflows


def _redacted(value: object) -> str:
    return repr(value and REDACTED)


def _sizes(value: bytes) -> str:
    return f"<{len(value)} bytes>"


def _names(value: Mapping[str, str]) -> str:
    return f"<{', '.join(value)}>"


def _count(value: Mapping[str, str]) -> str:
    return f"<{len(value)} headers>"


def without_query(url: str) -> str:
    """The URL as it may be shown: gateways put keys into the query."""
    return url.partition("?")[0]


def _shown_url(value: str) -> str:
    return repr(without_query(value))


def _frozen_headers(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


class ClientAuthentication(Enum):
    """How the client authenticates at the token endpoint (RFC 6749 section 2.3)."""

    BASIC = "basic"
    """HTTP Basic with `%`, `+` and a colon in the id percent-encoded: servers that form-decode id and secret
    (RFC 6749 section 2.3.1) and servers that do not mostly read the same."""
    BASIC_RAW = "basic-raw"
    """HTTP Basic without any encoding, for servers that do not decode."""
    POST = "post"
    """Id and secret in the body; the RFC advises against it."""
    ASSERTION = "assertion"
    """The secret is an assertion, usually a JWT, sent as `client_assertion` (RFC 7523 section 2.2)."""
    TLS = "tls"
    """The TLS client certificate is the proof, and there is no secret (RFC 8705 section 2)."""


@attrs.frozen(kw_only=True)
class Client:
    """Everything but the secret that makes one client's token differ from another's."""

    client_id: str
    token_url: str = attrs.field(repr=_shown_url)
    authentication: ClientAuthentication
    scopes: tuple[str, ...]
    audience: str | None
    resources: tuple[str, ...]
    extra_params: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)


@attrs.frozen
class TokenRequest:
    """A token request (RFC 6749 section 4.4.2), ready to be sent by any HTTP client.

    `timeout` is in seconds and bounds the whole exchange, name lookup to last byte. `headers` is a read-only copy; use
    `attrs.evolve` to make a request with other headers.
    """

    method: str
    url: str = attrs.field(repr=_shown_url)
    headers: Mapping[str, str] = attrs.field(repr=_names, hash=False, converter=_frozen_headers)
    body: bytes = attrs.field(repr=_sizes)
    timeout: float

    def __reduce__(self) -> tuple[type[TokenRequest], tuple[object, ...]]:
        # A mapping proxy does not pickle.
        return TokenRequest, (self.method, self.url, dict(self.headers), self.body, self.timeout)


@attrs.frozen
class TokenResponse:
    """What came back from the token endpoint, whatever it was; header names in any case, in a read-only copy."""

    status: int
    # Header names are the server's words too, so the repr counts them.
    headers: Mapping[str, str] = attrs.field(repr=_count, hash=False, converter=_frozen_headers)
    body: bytes = attrs.field(repr=_sizes)

    def __reduce__(self) -> tuple[type[TokenResponse], tuple[object, ...]]:
        return TokenResponse, (self.status, dict(self.headers), self.body)

    def header(self, name: str) -> str | None:
        """Look a header up by name, in any case."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


def _frozen_mapping(value: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(value))


@attrs.frozen
class AccessToken:
    """An access token (RFC 6749 section 5.1) with the moment of its end.

    `expires_in` is the lifetime in seconds from the request, `expires` its end in milliseconds since the epoch.
    `scope` is what was granted. `refresh_token` is always None for this grant (section 4.4.3).
    `extra` holds the members of the answer that the RFC does not name.
    """

    access_token: str = attrs.field(repr=_redacted)
    token_type: str
    expires_in: int
    expires: int
    scope: str | None = None
    refresh_token: str | None = attrs.field(default=None, repr=_redacted)
    extra: Mapping[str, object] = attrs.field(
        factory=dict[str, object], converter=_frozen_mapping, repr=False, hash=False
    )

    @property
    def authorization(self) -> str:
        """The value of the Authorization header (RFC 6750 section 2.1)."""
        return f"Bearer {self.access_token}"

    def __reduce__(self) -> tuple[type[AccessToken], tuple[object, ...]]:
        # A mapping proxy does not pickle.
        head = (self.access_token, self.token_type, self.expires_in, self.expires, self.scope, self.refresh_token)
        return AccessToken, (*head, dict(self.extra))


@attrs.frozen(kw_only=True)
class RenewalPolicy:
    """When a token is renewed and how long anybody waits; every value in seconds, but for `jitter`.

    Raises ValueError for a value that is negative or beyond 1e9, and for values that contradict each other.
    """

    renew_ahead: float = 120.0
    """Renewal begins this long before the end of the token, or at half of its life if that is later."""
    leeway: float = 10.0
    """A token counts as expired this long before its end, or at nine tenths of its life if that is later."""
    assumed_lifetime: float = 300.0
    """The lifetime of a token whose answer names none."""
    max_lifetime: float = 86400.0
    """No token is kept for longer, whatever the answer says."""
    jitter: float = 0.2
    """The share of the renewal window that is drawn at random for each token; 0 makes it exact."""
    deadline: float = 10.0
    """The longest that a caller waits, retries included."""

    def __attrs_post_init__(self) -> None:
        for name in ("renew_ahead", "leeway", "assumed_lifetime", "max_lifetime", "jitter", "deadline"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
                raise ValueError(f"{name}: a number from 0 to {_LONGEST:g} is needed")
        for name in ("assumed_lifetime", "max_lifetime", "deadline"):
            if not getattr(self, name):
                raise ValueError(f"{name}: must be more than 0 seconds")
        if self.jitter > 1:
            raise ValueError("jitter: a share between 0 and 1 is needed")
        if self.leeway > self.renew_ahead:
            raise ValueError("leeway: longer than renew_ahead, so that a token would expire before its renewal begins")
        if self.assumed_lifetime > self.max_lifetime:
            raise ValueError("assumed_lifetime: longer than max_lifetime")


@attrs.frozen(kw_only=True)
class Granted:
    """The server granted a token (RFC 6749 section 5.1); `remarks` say what was odd about the answer."""

    access_token: str = attrs.field(repr=_redacted)
    expires_in: int | None
    scope: str | None
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False, hash=False)
    remarks: tuple[str, ...] = ()
    refresh_in: float | None = None
    """Seconds after which the server advises a renewal, if it does; not judged against the lifetime yet."""


@attrs.frozen(kw_only=True)
class Refused:
    """The server said no (RFC 6749 section 5.2, 429, 5xx)."""

    status: int
    error: str | None = None
    error_description: str | None = None
    error_uri: str | None = None
    www_authenticate: str | None = None
    note: str | None = None
    """Our own words on it: what kind of body there was in place of an error, and what to change."""
    retryable: bool = False
    retry_after: float | None = None


@attrs.frozen(kw_only=True)
class Malformed:
    """What came back is not a token response."""

    status: int | None
    reason: str
    retryable: bool = False
    retry_after: float | None = None


@attrs.frozen(kw_only=True)
class Unreachable:
    """Nothing (whole) came back, in time."""

    reason: str
    retryable: bool = True
    retry_after: float | None = None


Failure: TypeAlias = Refused | Malformed | Unreachable
"""Why there is no token. `retry_after` is the wait in seconds that the server ordered, if it did."""

Outcome: TypeAlias = Granted | Failure
"""What an attempt came to."""


@attrs.frozen
class CacheEntry:
    """What a cache gives for a key: the text that was set, and the seconds that it has left; None: not known."""

    value: str = attrs.field(repr=_redacted)
    ttl: float | None

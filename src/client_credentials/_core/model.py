"""The values of the client credentials grant, named after RFC 6749; all are frozen and none shows a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias, cast

import attrs

from .secret import REDACTED
from .value import Value

_LONGEST = 1e9  # seconds, thirty years; past it the arithmetic of clocks, sockets and locks overflows


def _redacted(value: object) -> str:
    return repr(value and REDACTED)


def _sizes(value: bytes) -> str:
    return f"<{len(value)} bytes>"


def without_query(url: str) -> str:
    """The URL as it may be shown: gateways put keys into the query."""
    return url.partition("?")[0]


def shown_url(value: str) -> str:
    """The repr of a URL."""
    return repr(without_query(value))


def _frozen_headers(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


def _frozen_mapping(value: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType({name: _frozen(member) for name, member in value.items()})


def _frozen(value: object) -> object:
    match value:
        case Mapping():
            return _frozen_mapping(cast("Mapping[str, object]", value))
        case list() | tuple():
            return tuple(_frozen(member) for member in cast("Sequence[object]", value))
        case _:
            return value


def thawed(value: object) -> object:
    """Return the mappings and tuples of a frozen document as the dicts and lists that they were in JSON."""
    match value:
        case Mapping():
            return {name: thawed(member) for name, member in cast("Mapping[str, object]", value).items()}
        case tuple():
            return [thawed(member) for member in cast("tuple[object, ...]", value)]
        case _:
            return value


class _Record(Value):
    """A value with mappings in it, read-only ones, which do not pickle as they are."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type[_Record], tuple[object, ...]]:
        return type(self), tuple(thawed(getattr(self, field.name)) for field in self.__attrs_attrs__)


class ClientAuthentication(Enum):
    """How the client authenticates at the token endpoint (RFC 6749 section 2.3).

    - `BASIC`: HTTP Basic, with only `%`, `+` and a colon in the id percent-encoded. Servers that form-decode id and
      secret (RFC 6749 section 2.3.1) and servers that do not mostly read the same.
    - `BASIC_RAW`: HTTP Basic without any encoding, for servers that do not decode.
    - `POST`: id and secret in the body; the RFC advises against it.
    - `ASSERTION`: the secret is an assertion, usually a JWT, sent as `client_assertion` (RFC 7523 section 2.2).
    - `TLS`: the TLS client certificate is the proof, and there is no secret (RFC 8705 section 2).
    """

    BASIC = "basic"
    BASIC_RAW = "basic-raw"
    POST = "post"
    ASSERTION = "assertion"
    TLS = "tls"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Client(Value):
    """Everything but the secret that makes one client's token differ from another's."""

    client_id: str
    token_url: str = attrs.field(repr=shown_url)
    authentication: ClientAuthentication
    scopes: tuple[str, ...]
    audience: str | None
    resources: tuple[str, ...]
    extra_params: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)


@attrs.frozen(eq=False, repr=False)
class TokenRequest(_Record):
    """A token request (RFC 6749 section 4.4.2), ready to be sent by any HTTP client.

    `timeout`, in seconds, bounds the whole exchange, from name lookup to last byte. `headers` is a read-only copy; use
    `attrs.evolve` to make a request with other headers. The repr shows no secret: no body, no header value, no query.
    """

    method: str
    url: str = attrs.field(repr=shown_url)
    headers: Mapping[str, str] = attrs.field(
        repr=lambda headers: f"<{', '.join(headers)}>", hash=False, converter=_frozen_headers
    )
    body: bytes = attrs.field(repr=_sizes)
    timeout: float


@attrs.frozen(eq=False, repr=False)
class TokenResponse(_Record):
    """The HTTP response of the token endpoint: status, a read-only copy of the headers, and the body as bytes.

    Header names may be in any case; `header(name)` looks one up. The repr shows no header and no byte of the body.
    Raises ValueError if the status is not an int, a header not a string, or the body not bytes.
    """

    status: int
    # Header names are the server's words too, so the repr counts them.
    headers: Mapping[str, str] = attrs.field(
        repr=lambda headers: f"<{len(headers)} headers>", hash=False, converter=_frozen_headers
    )
    body: bytes = attrs.field(repr=_sizes)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.status, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("status must be an int")
        texts: list[object] = [text for header in self.headers.items() for text in header]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("headers must map strings to strings")
        if not isinstance(self.body, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("body must be bytes")

    def header(self, name: str) -> str | None:
        """Look a header up by name, in any case."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


@attrs.frozen(eq=False, repr=False)
class AccessToken(_Record):
    """An access token (RFC 6749 section 5.1) with its end; the repr does not show it.

    `expires_in` is the lifetime in seconds, counted from the request; `expires` is the end in milliseconds since the
    epoch, and `expires_at` the same as a datetime. `authorization` is the value of the Authorization header. `scope` is
    what was granted. `refresh_token` is always None for this grant (section 4.4.3). `extra` holds the members of the
    answer that the RFC does not name, frozen all the way down: objects as mappings, arrays as tuples.
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

    @property
    def expires_at(self) -> datetime:
        """The end as an aware datetime, in UTC."""
        return datetime.fromtimestamp(self.expires / 1000, UTC)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RenewalPolicy(Value):
    """When a token is renewed, and how long a caller waits; every value but `jitter` is in seconds.

    - `renew_ahead`: renewal begins this long before the end of the token, or at half of its lifetime if that is later.
      None: when a third of the lifetime is left, or 120 s (half the lifetime at most) if that is more. In place of
      either, a `refresh_in` in the answer is obeyed where it lies within the lifetime.
    - `leeway`: a token counts as expired this long before its end, or at nine tenths of its lifetime if that is later.
    - `assumed_lifetime`: the lifetime of a token whose answer states none (RFC 6749 section 5.1 allows that).
    - `max_lifetime`: the longest that a token is kept, whatever the answer states.
    - `jitter`: the share, from 0 to 1, of the renewal window that is drawn at random for each token; 0 makes it exact.
    - `deadline`: the longest that a caller waits, retries included.

    Raises ValueError for a value that is negative or beyond 1e9, and for values that contradict each other.
    """

    renew_ahead: float | None = None
    leeway: float = 10.0
    assumed_lifetime: float = 300.0
    max_lifetime: float = 86400.0
    jitter: float = 0.2
    deadline: float = 10.0

    def __attrs_post_init__(self) -> None:
        for name in ("renew_ahead", "leeway", "assumed_lifetime", "max_lifetime", "jitter", "deadline"):
            value: object = getattr(self, name)
            if value is None and name == "renew_ahead":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
                raise ValueError(f"{name} must be a number from 0 to {_LONGEST:g}")
        for name in ("assumed_lifetime", "max_lifetime", "deadline"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be more than 0 seconds")
        if self.jitter > 1:
            raise ValueError("jitter must be a share between 0 and 1")
        if self.renew_ahead is not None and self.leeway > self.renew_ahead:
            raise ValueError("leeway must not exceed renew_ahead: a token would expire before its renewal begins")
        if self.assumed_lifetime > self.max_lifetime:
            raise ValueError("assumed_lifetime must not exceed max_lifetime")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Granted(Value):
    """The server granted a token (RFC 6749 section 5.1); `remarks` say what was odd about the answer."""

    access_token: str = attrs.field(repr=_redacted)
    expires_in: int | None
    scope: str | None
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False, hash=False)
    remarks: tuple[str, ...] = ()
    refresh_in: float | None = None
    """Seconds after which the server advises a renewal, if it does; not judged against the lifetime yet."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Refused(Value):
    """The server said no (RFC 6749 section 5.2, 429, 5xx)."""

    status: int
    error: str | None = None
    error_description: str | None = None
    error_uri: str | None = None
    www_authenticate: str | None = None
    note: str | None = None
    """Our own words: what kind of body came instead of an error, and what to change."""
    retryable: bool = False
    retry_after: float | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Malformed(Value):
    """The answer is not a token response (RFC 6749 section 5.1)."""

    status: int | None
    reason: str
    retryable: bool = False
    retry_after: float | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Unreachable(Value):
    """No complete answer came back in time."""

    reason: str
    retryable: bool = True
    retry_after: float | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HookFailed(Value):
    """The program's own code (`hook`: fetch, a hook, the secret's callable) raised this kind of error."""

    hook: str
    kind: str
    retryable: bool = False
    retry_after: float | None = None


Failure: TypeAlias = Refused | Malformed | Unreachable | HookFailed
"""Why there is no token. `retry_after` is the wait in seconds that the server ordered, if it did."""

Outcome: TypeAlias = Granted | Failure
"""The result of one token request."""


@attrs.frozen(eq=False, repr=False)
class CacheEntry(Value):
    """What a cache returns for a key: the text that was set, and the seconds it has left (`ttl`; None: unknown)."""

    value: str = attrs.field(repr=_redacted)
    ttl: float | None

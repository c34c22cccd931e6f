"""How a token endpoint judges a request and words its answer (RFC 6749 section 4.4), as values without a socket."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import attrs

PATH: Final = "/api/token"
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

Verdict: TypeAlias = tuple[str, str, int]
"""Why a request earns no token: the arguments of `refusal`."""


def _names(value: Mapping[str, str]) -> str:
    return f"<{', '.join(value)}>"


def _size(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else f"<{type(value).__name__}>"


@attrs.frozen(kw_only=True)
class Answer:
    """What the server does with one request; `Answer()` judges it, and grants or refuses as RFC 6749 asks.

    With another status, a body or raw bytes it is sent unconditionally.
    """

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=_names, hash=False)
    """They outrank the server's own, Content-Length included."""
    body: bytes | Mapping[str, object] | None = attrs.field(default=None, repr=_size, hash=False)
    """Bytes are sent as they are, with no Content-Type but yours; a mapping is sent as JSON."""
    delay: float = 0.0
    """Seconds before the first byte; the end of the server cuts them short."""
    drip: float = 0.0
    """Seconds after each byte, so that the answer is always under way; the end of the server cuts them short."""
    lifetime: int | None = None
    """The `expires_in` of a granted token, in seconds; None: the server's own."""
    raw: bytes | None = attrs.field(default=None, repr=_size)
    """Sent in place of an HTTP answer, after which the connection is closed."""

    def encode(self) -> bytes:
        """Return all the bytes of the answer."""
        if self.raw is not None:
            return self.raw
        body, headers = self.body, {"Cache-Control": "no-store", "Connection": "close"}
        if body is None:
            body = b""
        elif not isinstance(body, bytes):
            body = json.dumps(dict(body)).encode()
            headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
        outranked = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in outranked}
        fields = [f"{name}: {value}\r\n" for name, value in {**kept, **self.headers}.items()]
        head = f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}\r\n{''.join(fields)}\r\n"
        return head.encode("latin-1") + body


def refusal(error: str, description: str | None = None, status: int = 400) -> Answer:
    """Make the answer of an endpoint that says no (RFC 6749 section 5.2)."""
    said = {} if description is None else {"error_description": description}
    return Answer(status=status, body={"error": error, **said})


@attrs.frozen(kw_only=True)
class ReceivedRequest:
    """A request as it came in, whatever it was answered; its repr shows no secret.

    The header names are in lower case. `client_id` is who the client claims to be. `problem` is why the endpoint
    refuses the request, in the words of its refusal; None: it earns a token.
    """

    method: str
    target: str = attrs.field(repr=lambda target: repr(target.partition("?")[0]))
    headers: dict[str, str] = attrs.field(repr=_names, hash=False)
    body: bytes = attrs.field(repr=_size)
    form: list[tuple[str, str]] = attrs.field(repr=lambda form: _names(dict(form)), hash=False)
    client_id: str | None
    problem: str | None


def judge(
    method: str, target: str, headers: dict[str, str], body: bytes, client: tuple[str, str]
) -> tuple[ReceivedRequest, Verdict | None]:
    """Read a request to the endpoint of this client (id and secret), and say what is wrong with it, if anything."""
    form = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True)
    readings = _credentials(headers.get("authorization"), form)
    shown_id, shown_secret = client if client in readings else next(iter(readings), (None, None))
    names = [name for name, _ in form]
    twice = any(name != "resource" and count > 1 for name, count in Counter(names).items())
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    two_ways = "authorization" in headers and "client_secret" in names
    grant_type = dict(form).get("grant_type")
    rules: tuple[tuple[bool, Verdict], ...] = (
        (urlsplit(target).path != PATH, ("server_error", "Unexpected status: 404", 404)),
        (method != "POST", ("server_error", "Unexpected status: 405", 405)),
        (content_type != "application/x-www-form-urlencoded", ("server_error", "Unexpected status: 415", 415)),
        (twice, ("invalid_request", "A parameter is repeated", 400)),
        (two_ways, ("invalid_request", "The client authenticates in two ways", 400)),
        (not grant_type, ("unsupported_grant_type", "grant_type parameter is missing", 400)),
        (grant_type != "client_credentials", ("unsupported_grant_type", "grant_type must be client_credentials", 400)),
        (shown_id != client[0], ("invalid_client", "Failed to get client", 400)),
        (shown_secret != client[1], ("invalid_client", "Invalid client secret", 400)),
    )
    verdict = next((verdict for broken, verdict in rules if broken), None)
    request = ReceivedRequest(
        method=method,
        target=target,
        headers=headers,
        body=body,
        form=form,
        client_id=shown_id,
        problem=verdict and verdict[1],
    )
    return request, verdict


def _credentials(authorization: str | None, form: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Read the id and secret that a request shows (RFC 6749 section 2.3.1): Basic form-decoded first, then raw."""
    if authorization is None:
        fields = dict(form)
        return [(fields["client_id"], fields.get("client_secret", ""))] if "client_id" in fields else []
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return []
    if scheme.lower() != "basic" or not colon:
        return []
    return [(unquote_plus(user), unquote_plus(password)), (user, password)]

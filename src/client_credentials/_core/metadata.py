"""Authorization server metadata (RFC 8414): issuer to URLs, answer to token endpoint; total over any answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, assert_never, cast
from urllib.parse import urlsplit

import attrs

from .client import check_endpoint
from .model import (
    Failure,
    HookFailed,
    Malformed,
    Refused,
    TokenRequest,
    TokenResponse,
    Unreachable,
    shown_url,
    without_query,
)
from .redaction import NOTHING
from .refusal import redacted_failure, with_retry_after
from .request import OUR_HEADERS
from .response import decode, status_failure

_MOST_METHODS: Final = 256
_METHOD = re.compile(r"[\x21-\x7E]{1,256}")
_LONGEST_WORDS: Final = 256


@attrs.frozen
class ServerMetadata:
    """What an authorization server says of itself (RFC 8414 section 2), as far as a client of this grant needs it.

    `token_url` passes the checks of the argument of that name. `token_endpoint_auth_methods` are the server's words for
    how clients may authenticate there, such as "client_secret_basic" (`ClientAuthentication.BASIC`), which stands for
    a server that names none.
    """

    token_url: str = attrs.field(repr=shown_url)
    token_endpoint_auth_methods: tuple[str, ...]
    issuer: str


def check_issuer(issuer: object) -> str:
    """Return the issuer if it is a URL as RFC 8414 section 2 asks for, or one of a loopback host; raises ValueError."""
    if isinstance(issuer, str) and "?" in issuer:
        raise ValueError("issuer must not have a query (RFC 8414 section 2)")
    return check_endpoint(issuer, "issuer", "RFC 8414 section 2")


def well_known_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata may be: by RFC 8414 section 3.1, and by OpenID Connect Discovery section 4."""
    parts = urlsplit(issuer)
    host, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return f"{host}/.well-known/oauth-authorization-server{path}", f"{host}{path}/.well-known/openid-configuration"


def metadata_request(url: str, timeout: float) -> TokenRequest:
    """Build the request of RFC 8414 section 3.1; `timeout` is in seconds, for the whole exchange."""
    return TokenRequest("GET", url, OUR_HEADERS, b"", timeout)


@attrs.frozen
class Undiscovered:
    """Why there is no metadata, and at which URL it was looked for."""

    failure: Failure
    where: str

    @property
    def text(self) -> str:
        """What failed, where, and what to change: a failure by itself speaks of the token endpoint."""
        failure, no = self.failure, "no server metadata at"
        match failure:
            case Refused(status=status, error=error, error_description=words):
                said = ": ".join(text[:_LONGEST_WORDS] for text in (error, words) if text)
                reason = f"status {status}{f' ({said})' if said else ''}"
            case Malformed(reason=reason):
                pass
            case Unreachable(reason=reason):
                no = "no answer from"
            case HookFailed(hook=hook, kind=kind):
                return f"{hook} {kind}"
            case _:
                assert_never(failure)
        return f"{no} {self.where}: {reason}; check the issuer, or give token_url yourself"


async def search(
    issuer: str, ask: Callable[[str], Awaitable[tuple[TokenResponse | Failure, float]]]
) -> ServerMetadata | Undiscovered:
    """Find an issuer's metadata; `ask` gives what came of a URL, and the wall clock then.

    The second URL is asked only where the first one is not there (404): any other answer is the server's last word.
    """
    where, second = well_known_urls(issuer)
    answer, wall = await ask(where)
    if isinstance(answer, TokenResponse) and answer.status == 404:
        where = f"{where} or {second}"
        answer, wall = await ask(second)
    if not isinstance(answer, TokenResponse):
        return Undiscovered(redacted_failure(answer, NOTHING), where)
    outcome = _outcome(answer, issuer)
    if isinstance(outcome, ServerMetadata):
        return outcome
    return Undiscovered(with_retry_after(outcome, answer, wall), where)


def _outcome(response: TokenResponse, issuer: str) -> ServerMetadata | Failure:
    """Read a response by RFC 8414 section 3.2; a document that names another issuer is not used (section 3.3)."""
    failure = status_failure(response)
    if failure is not None:
        return failure
    if response.status != 200:
        return Malformed(status=response.status, reason=f"status {response.status}, expected 200")
    document = decode(response)
    if isinstance(document, Malformed):
        return document
    try:
        return _metadata(document, issuer)
    except ValueError as error:
        # The server's words are in it: another issuer, the name of a parameter.
        return Malformed(status=200, reason=NOTHING.shown(str(error), _LONGEST_WORDS))


def _metadata(document: Mapping[str, object], issuer: str) -> ServerMetadata:
    named = document.get("issuer")
    if named != issuer:
        other = f"another issuer, {without_query(named)}" if isinstance(named, str) else "no issuer"
        raise ValueError(f"the document names {other}; the issuer must be given exactly as the server spells it")
    endpoint = check_endpoint(document.get("token_endpoint"), "token_endpoint")
    if urlsplit(endpoint).scheme != "https" == urlsplit(issuer).scheme:
        raise ValueError("token_endpoint must be https, as the issuer is")
    return ServerMetadata(endpoint, _methods(document.get("token_endpoint_auth_methods_supported")), issuer)


def _methods(value: object) -> tuple[str, ...]:
    if value is None:
        return ("client_secret_basic",)
    methods = cast("list[object]", value) if isinstance(value, list) else [None]
    if len(methods) > _MOST_METHODS or not all(isinstance(each, str) and _METHOD.fullmatch(each) for each in methods):
        raise ValueError("token_endpoint_auth_methods_supported must be a list of words")
    return tuple(cast("list[str]", methods))

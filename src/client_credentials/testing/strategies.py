"""Hypothesis strategies for the public values: each draws what a strategy, a token endpoint or a cache may really give.

Hypothesis knows them without an import of this module: `st.from_type(AccessToken)` draws from `access_tokens()`.
"""

from __future__ import annotations

import json
from typing import Final, Literal, TypeAlias, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from .._core.client import make_client
from .._core.entry import dump
from .._core.lifecycle import failed, hold
from .._core.model import (
    AccessToken,
    CacheEntry,
    ClientAuthentication,
    Failure,
    Granted,
    Malformed,
    RenewalPolicy,
    TokenRequest,
    TokenResponse,
)
from .._core.refusal import with_retry_after
from .._core.request import token_request
from .._core.response import decode, parse_document, status_failure
from .._core.state import EMPTY, Asked, Instant, State
from ..errors import (
    HookError,
    InvalidTokenResponse,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    error_of,
    failure_of,
)

Member: TypeAlias = Literal["access_token", "token_type", "expires_in", "scope"]
"""A member of a token response that can be wrong (RFC 6749 section 5.1)."""

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_ABSENT: Final = object()

_any_texts: Final = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=16)
_texts: Final = _any_texts | st.text("a%+:&", min_size=1, max_size=8)  # what a server may decode, or split at
_texts_without_colon: Final = _texts.map(lambda text: text.replace(":", "."))
_token_texts: Final = st.text(_VISIBLE, min_size=1, max_size=40)
_invisible: Final = st.characters(exclude_characters=_VISIBLE, exclude_categories=["Cs"])
# Short, since the same text is often drawn twice: a search for a leaked token should not find a scope.
_words: Final = st.text(_VISIBLE.replace('"', "").replace("\\", ""), min_size=1, max_size=5)
_scopes: Final = st.lists(_words, min_size=1, max_size=3).map(" ".join)
_numbers: Final = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_structures: Final = st.lists(st.text(), max_size=2) | st.dictionaries(st.text(), st.text(), max_size=2)
_not_texts: Final[SearchStrategy[object]] = _numbers | _structures
_extras: Final = st.dictionaries(st.text(max_size=8).map("x-{}".format), st.none() | st.text() | _not_texts, max_size=2)
_waits: Final = st.integers(1, 3600)


@st.composite
def access_tokens(draw: DrawFn) -> AccessToken:
    """Tokens of up to a day, granted in any second of this century: `expires` is `expires_in` after that."""
    lifetime = draw(st.integers(1, 86_400))
    granted = draw(st.integers(946_684_800, 4_102_444_799))
    return AccessToken(
        access_token=draw(_token_texts),
        token_type="Bearer",
        expires_in=lifetime,
        expires=(granted + lifetime) * 1000,
        scope=draw(st.none() | _scopes),
        extra=draw(_extras),
    )


@st.composite
def token_requests(draw: DrawFn) -> TokenRequest:
    """Requests as a `fetch` gets them, of clients of every kind: headers and body belong together."""
    authentication = draw(st.sampled_from(ClientAuthentication))
    client = make_client(
        draw(_texts_without_colon if authentication is ClientAuthentication.BASIC_RAW else _texts),
        token_url=draw(st.sampled_from(("https://issuer.example/token", "https://issuer.example/token?tenant=a%20b"))),
        scopes=draw(st.lists(_words, max_size=3)),
        audience=draw(st.none() | _texts),
        resources=draw(st.lists(st.sampled_from(("https://api.example/", "urn:example:orders")), max_size=2)),
        extra_params=draw(st.dictionaries(_texts.map("x-{}".format), _texts, max_size=2)),
        authentication=authentication,
        has_secret=authentication is not ClientAuthentication.TLS,
    )
    secret = draw(_texts) if authentication is not ClientAuthentication.TLS else ""
    return token_request(client, secret, draw(st.floats(0.125, 60)))


@st.composite
def token_responses(draw: DrawFn, *, spoiled: Member | Literal["any"] | None = None) -> TokenResponse:
    """Answers of status 200, well-formed, or with one bad member: `spoiled`, or any if that is "any".

    A well-formed one makes a token by the default configuration, a spoiled one an `InvalidTokenResponse`.
    """
    optional: dict[str, SearchStrategy[object]] = {
        "token_type": st.sampled_from(("Bearer", "bearer", "BEARER")),
        "expires_in": st.none() | st.integers(0, 10**9) | st.integers(0, 10**9).map(str) | st.floats(0, 1e9),
        "scope": st.none() | st.just("") | _scopes,
        "refresh_token": _token_texts.map("refresh-{}".format),
    }
    document: dict[str, object] = draw(st.fixed_dictionaries({"access_token": _token_texts}, optional=optional))
    document |= draw(_extras)
    if spoiled:
        member = draw(st.sampled_from(list(_SPOILED))) if spoiled == "any" else spoiled
        document[member] = draw(_SPOILED[member])
    present = {name: value for name, value in document.items() if value is not _ABSENT}
    types = st.sampled_from(("application/json", "application/json;charset=UTF-8", "text/plain"))
    return TokenResponse(200, {"Content-Type": draw(types)}, json.dumps(present).encode())


def _is_no_list(value: object) -> bool:
    return not isinstance(value, list)


def _holding(bad: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(st.text(_VISIBLE, max_size=8), bad, st.text(_VISIBLE, max_size=8)).map("".join)


_SPOILED: Final[dict[Member, SearchStrategy[object]]] = {
    "access_token": st.one_of(st.just(_ABSENT), st.none(), st.just(""), _not_texts, _holding(_invisible)),
    "token_type": st.none() | _not_texts | st.sampled_from(("", "mac", "DPoP", "bearer ")) | _words.map("x{}".format),
    "expires_in": st.one_of(
        st.booleans(),
        st.integers(max_value=-1),
        st.floats(-1e9, -0.001),
        st.sampled_from((" 60", "60s", "+1", "-1", "1e3", "0x10", "1_000", "3599.5", "٣٦٠٠", "1" * 41)),
        _structures,
    ),
    "scope": _not_texts.filter(_is_no_list) | _holding(st.characters(categories=["Cc"])),
}


@st.composite
def token_refusals(draw: DrawFn) -> TokenRefused:
    """Errors of a server that said no: `retryable` and `retry_after` are what its whole answer makes them."""
    codes = "invalid_client invalid_request invalid_scope unauthorized_client temporarily_unavailable server_error"
    words = {"error_description": _scopes, "error_uri": _words.map("https://issuer.example/{}".format)}
    errors = st.fixed_dictionaries({"error": st.sampled_from(codes.split())}, optional=words)
    header = {"Retry-After": _waits.map(str), "WWW-Authenticate": st.just("Basic")}
    response = TokenResponse(
        draw(st.sampled_from((400, 401, 403, 429, 500, 502, 503))),
        draw(st.fixed_dictionaries({}, optional=header)),
        draw(errors.map(json.dumps).map(str.encode) | st.just(b"")),
    )
    return cast("TokenRefused", _judged(response))


@st.composite
def invalid_token_responses(draw: DrawFn) -> InvalidTokenResponse:
    """Errors of an answer that is no token response: a spoiled member, another success, a redirect, no JSON."""
    others = st.sampled_from((TokenResponse(204, {}, b""), TokenResponse(302, {}, b"")))
    torn = token_responses().map(lambda whole: TokenResponse(200, whole.headers, whole.body[:-1]))
    return cast("InvalidTokenResponse", _judged(draw(token_responses(spoiled="any") | torn | others)))


@st.composite
def unreachable_endpoints(draw: DrawFn) -> TokenEndpointUnreachable:
    """Errors of an endpoint that gave no whole answer; all but a bad certificate may pass by themselves."""
    reasons = {"connect: Connection refused": True, "read: timed out": True, "connect: certificate": False}
    reason = draw(st.sampled_from(list(reasons)))
    wait = draw(st.none() | _waits.map(float)) if reasons[reason] else None
    return TokenEndpointUnreachable(reason, retryable=reasons[reason], retry_after=wait)


def hook_errors() -> SearchStrategy[HookError]:
    """Errors of code that the program itself brought."""
    hooks = ("fetch", "before_request", "after_request", "response_validator", "deserializer", "client_secret")
    return st.builds(HookError, st.sampled_from(hooks), st.sampled_from(("raised KeyError", "raised OSError")))


def token_errors() -> SearchStrategy[TokenError]:
    """Errors of every kind, as a caller may get them."""
    return st.one_of(token_refusals(), invalid_token_responses(), unreachable_endpoints(), hook_errors())


def _judged(response: TokenResponse) -> TokenError:
    """Make the error that a caller gets for an answer without a token."""
    document = decode(response)
    outcome = document if isinstance(document, Malformed) else parse_document(response, document)
    failure = with_retry_after(status_failure(response) or cast("Failure", outcome), response, wall=0.0)
    return error_of(failure, failure.retry_after)


@st.composite
def renewal_policies(draw: DrawFn) -> RenewalPolicy:
    """Policies that do not contradict themselves, the default one first."""
    if not draw(st.booleans()):
        return RenewalPolicy()
    renew_ahead = draw(st.floats(0, 3600))
    max_lifetime = draw(st.floats(1, 1e6))
    return RenewalPolicy(
        renew_ahead=renew_ahead,
        leeway=draw(st.floats(0, renew_ahead)),
        assumed_lifetime=draw(st.floats(1, max_lifetime)),
        max_lifetime=max_lifetime,
        jitter=draw(st.floats(0, 1)),
        deadline=draw(st.floats(0.125, 60)),
    )


@st.composite
def cache_entries(draw: DrawFn) -> CacheEntry:
    """Entries as a cache is asked to keep them: a token, the failure that shut the gate, or both, still worth knowing.

    `ttl` is what was asked for, or None, as from a cache that does not know.
    """
    token = draw(access_tokens())
    asked = Instant(token.expires / 1000 - token.expires_in, 0.0)
    age = draw(st.floats(0, 0.875)) * token.expires_in  # the leeway takes a tenth at the most
    now = Instant(asked.wall + age, age)
    grant = Granted(access_token=token.access_token, expires_in=token.expires_in, scope=token.scope, extra=token.extra)
    held = hold(grant, Asked.here(asked), RenewalPolicy(), draw(st.floats(0, 1)))
    gates = (
        failed(
            EMPTY, failure_of(draw(token_refusals() | invalid_token_responses())), now, now, draw(st.floats(0.125, 1))
        ),
    )
    state = draw(st.sampled_from((State(held=held), State(gates=gates), State(held=held, gates=gates))))
    entry = cast("CacheEntry", dump(state, "my-key", now, RenewalPolicy()))
    return CacheEntry(entry.value, draw(st.sampled_from((entry.ttl, None))))

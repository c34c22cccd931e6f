"""Hypothesis strategies for the values of the core; those of the public values are the package's own.

Seconds are eighths, which floats add and subtract exactly, so that a boundary can be hit.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from client_credentials import ClientAuthentication, RenewalPolicy
from client_credentials._core.client import make_client
from client_credentials._core.model import Client, Failure, Malformed, Refused, Unreachable
from client_credentials._core.state import Instant

VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))
SCOPE_CHARACTERS: Final = VISIBLE.replace('"', "").replace("\\", "")
NOW: Final = Instant(wall=1_700_000_000.0, monotonic=1_000_000.0)
ENDPOINT: Final = "https://issuer.example/token"
RESOURCES: Final = ("https://a.example/", "urn:b", "https://c.example/?q=1")


def credentials() -> SearchStrategy[str]:
    """Client ids and secrets: any text without control characters, as RFC 6749's appendix A.1 allows and more."""
    return st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=16)


def token_texts() -> SearchStrategy[str]:
    """The texts of access tokens: visible ASCII."""
    return st.text(VISIBLE, min_size=1, max_size=40)


def scope_words() -> SearchStrategy[str]:
    """Single scopes (RFC 6749 section 3.3)."""
    return st.text(SCOPE_CHARACTERS, min_size=1, max_size=12)


def json_values() -> SearchStrategy[Any]:
    """Whatever JSON can carry."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4)


def extras() -> SearchStrategy[dict[str, Any]]:
    """Members that no RFC names."""
    return st.dictionaries(st.text(min_size=1).map(lambda name: f"x-{name}"), json_values(), max_size=2)


def policies() -> SearchStrategy[RenewalPolicy]:
    """Policies that do not contradict themselves."""
    parts = st.tuples(draws(), seconds(1000), seconds(1000, least=1), seconds(100_000, least=1), draws(), deadlines())
    return parts.map(
        lambda each: RenewalPolicy(
            renew_ahead=each[1],
            leeway=each[0] * each[1],
            assumed_lifetime=min(each[2], each[3]),
            max_lifetime=each[3],
            jitter=each[4],
            deadline=each[5],
        )
    )


def deadlines() -> SearchStrategy[float]:
    """How long somebody may wait, in seconds."""
    return seconds(60, least=1)


def seconds(most: float, least: float = 0) -> SearchStrategy[float]:
    """Durations between two bounds, in seconds."""
    return st.integers(int(least * 8), int(most * 8)).map(lambda eighths: eighths / 8)


def draws() -> SearchStrategy[float]:
    """What the dice may show: a number from 0 to 1."""
    return st.integers(0, 64).map(lambda part: part / 64)


def instants() -> SearchStrategy[Instant]:
    """Moments by both clocks, which agree in nothing."""
    return st.builds(Instant, seconds(4e9), seconds(1e7))


def failures() -> SearchStrategy[Failure]:
    """Failures of all three kinds."""
    words = st.none() | scope_words()
    orders: dict[str, SearchStrategy[Any]] = {
        "retryable": st.booleans(),
        "retry_after": st.none() | seconds(3600, least=1),
    }
    return st.one_of(
        st.builds(
            Refused,
            status=st.integers(400, 599),
            error=words,
            error_description=words,
            error_uri=words,
            www_authenticate=words,
            **orders,
        ),
        st.builds(Malformed, status=st.none() | st.integers(100, 599), reason=scope_words(), **orders),
        st.builds(Unreachable, reason=scope_words(), **orders),
    )


def clients() -> SearchStrategy[Client]:
    """Clients as they may be registered."""
    return st.fixed_dictionaries(
        {
            "client_id": credentials(),
            "token_url": st.sampled_from((ENDPOINT, f"{ENDPOINT}?tenant=a%20b", "http://[::1]:8080/")),
            "scopes": st.lists(scope_words(), max_size=3),
            "audience": st.none() | credentials(),
            "resources": st.lists(st.sampled_from(RESOURCES), max_size=3),
            "extra_params": st.dictionaries(credentials().map(lambda name: f"x-{name}"), credentials(), max_size=2),
            "headers": st.dictionaries(
                st.sampled_from(("X-Tenant", "accept", "User-Agent")), token_texts(), max_size=2
            ),
            "authentication": st.sampled_from(ClientAuthentication),
        }
    ).map(_registered)


def _registered(arguments: dict[str, Any]) -> Client:
    if arguments["authentication"] is ClientAuthentication.BASIC_RAW:
        arguments["client_id"] = arguments["client_id"].replace(":", ".")
    return make_client(**arguments, has_secret=arguments["authentication"] is not ClientAuthentication.TLS)


def documents() -> SearchStrategy[dict[str, Any]]:
    """Well-formed token responses, as documents; only `access_token` is always there."""
    lifetimes = st.integers(0, 10**12)
    fractions = st.floats(0, 1e300)
    optional: dict[str, SearchStrategy[Any]] = {
        "token_type": st.sampled_from(("Bearer", "bearer", "BEARER", "bEaReR")),
        "expires_in": st.none() | lifetimes | lifetimes.map(str) | fractions,
        "scope": st.none() | st.lists(scope_words(), max_size=3).map(" ".join),
        "refresh_token": token_texts(),
        "id_token": token_texts(),
    }
    named = st.fixed_dictionaries({"access_token": token_texts()}, optional=optional)
    return st.tuples(named, extras()).map(lambda both: {**both[1], **both[0]})

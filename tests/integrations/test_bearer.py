"""When a refusal is the token's fault, by the header alone (RFC 6750 section 3)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials.integrations._bearer import asks_for_new_token, origin_of

NAMES = st.text(string.ascii_letters + "_-", min_size=1).filter(lambda name: name.lower() != "error")
QUOTED = st.text(string.printable.translate({ord(c): None for c in '"\\\r\n\x0b\x0c'})).map(lambda text: f'"{text}"')
CODES = st.sampled_from(["invalid_request", "insufficient_scope", "invalid_tokens", "Invalid_Token"])


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "",
        "Bearer",
        'Bearer realm="api"',
        'Bearer error="invalid_token"',
        "Bearer error=invalid_token",
        'bearer realm="a", ERROR = "invalid_token", error_description="expired"',
        'Basic realm="old", Bearer realm="new", error="invalid_token"',
        'Bearer realm="say error=\\"insufficient_scope\\""',
        'Bearer x_error="insufficient_scope"',
        'Bearer error=""',
        "Negotiate YWJj==",
        'DPoP error="use_dpop_nonce", Bearer error="invalid_token"',
    ],
)
def test_a_401_for_the_token_asks_for_another(challenge: str | None) -> None:
    """6750-3.1-1: `invalid_token`, no error code, or no challenge at all: another token may help."""
    assert asks_for_new_token(401, challenge)


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer error="insufficient_scope"',
        'Bearer realm="x", error=invalid_request',
        'Bearer realm="invalid_token", error="insufficient_scope", scope="a"',
        'Bearer error_description="error=invalid_token", error="invalid_request"',
    ],
)
def test_a_401_for_another_reason_does_not(challenge: str) -> None:
    """6750-3.1-2: any other error code is not mended by another token."""
    assert not asks_for_new_token(401, challenge)


@given(
    st.lists(st.tuples(NAMES, QUOTED)), st.sampled_from(["error", "Error", "ERROR"]), CODES | st.just("invalid_token")
)
def test_only_the_error_parameter_counts(around: list[tuple[str, str]], name: str, code: str) -> None:
    """Whatever stands in quotes around it, the decision is that of the error parameter."""
    parameters = [f"{key}={text}" for key, text in around]
    middle = len(parameters) // 2
    challenge = "Bearer " + ", ".join([*parameters[:middle], f'{name}="{code}"', *parameters[middle:]])
    assert (code == "invalid_token") == asks_for_new_token(401, challenge)


@given(st.integers(100, 599).filter(lambda status: status != 401), st.none() | st.just('Bearer error="invalid_token"'))
def test_no_other_status_asks(status: int, challenge: str | None) -> None:
    """6750-3.1-2: a 403 above all, but no other status either, has to do with the token."""
    assert not asks_for_new_token(status, challenge)


@given(st.text())
def test_any_header_is_read(challenge: str) -> None:
    """A header is a stranger's text: whatever it is, there is a decision."""
    assert asks_for_new_token(401, challenge) in {True, False}


@pytest.mark.parametrize("piece", ["a", "a ", "a=", 'a="', 'a="\\"', "=", '"', " ", "\\", "error"])
def test_a_hostile_header_costs_no_time(piece: str) -> None:
    """A megabyte made to confuse the parser is read in one pass; it would take hours in two nested ones."""
    assert asks_for_new_token(401, piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.example/a", "https://API.example:443/b?c#d", True),
        ("http://api.example/a", "http://api.example:80/", True),
        ("https://api.example/", "http://api.example/", False),
        ("https://api.example:8443/", "http://api.example:8443/", False),
        ("https://api.example/", "https://api.example:8443/", False),
        ("https://api.example/", "https://api.example.evil/", False),
        ("https://api.example/", "https://api.example@evil/", False),
        ("https://[::1]:8443/", "https://[::1]:8443/x", True),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, *, same: bool) -> None:
    """9700-4.9: origins are told apart by all three, and by nothing else (RFC 6454 section 4)."""
    assert same == (origin_of(one) == origin_of(other))

"""Details of the core that broader rules pass by: exact words, exact bounds, and what wins where two are equal."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import pytest

from client_credentials import RenewalPolicy, TokenResponse
from client_credentials._core.lifecycle import Instant, State, hold, published, token_of
from client_credentials._core.model import Granted, Refused
from client_credentials._core.response import discreet, ordered
from client_credentials._core.secret import needles
from tests.core.kit import NOON, answer, make, refused

NOW: Final = Instant(wall=NOON, monotonic=5.0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scopes": ["a b"]}, "scopes: each is a word of the characters that RFC 6749 section 3.3 allows"),
        ({"resources": ["x"]}, "resources: each is an absolute URI without a fragment (RFC 8707 section 2)"),
    ],
)
def test_what_is_wrong_with_an_argument(changed: dict[str, Any], said: str) -> None:
    """The message names the argument, what it must be, and the section that says so."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        make(**changed)


def test_every_token_is_a_bearer_token() -> None:
    """RFC 6750: the type is written as in the header, whatever case the server chose."""
    token = token_of(Granted(access_token="t", expires_in=60, scope=None), NOW, RenewalPolicy(), ())
    assert ("Bearer", "Bearer t") == (token.token_type, token.authorization)


def test_of_two_tokens_with_the_same_end_the_publishers_is_kept() -> None:
    """A cached token stays only if it ends later: the one that was just granted is no worse for ending with it."""
    token = token_of(Granted(access_token="mine", expires_in=60, scope=None), NOW, RenewalPolicy(), ())
    mine = hold(token, NOW, RenewalPolicy(), 0.0)
    theirs = attrs.evolve(mine, token=attrs.evolve(token, access_token="theirs"))
    assert mine == published(State(held=theirs), State(held=mine), NOW).held


def test_an_echo_in_another_case() -> None:
    """A member that repeats our secret goes in whatever case it does so, letters beyond ASCII included."""
    grant = Granted(access_token="t", expires_in=60, scope=None, extra={"echo": "ZÄRTLICHKEIT", "else": "STÄRKE"})
    assert {"else": "STÄRKE"} == discreet(grant, needles("zärtlichkeit")).extra


@pytest.mark.parametrize("said", ["None", "XXXX", ""])
def test_a_refusal_without_a_token_hides_nothing(said: str) -> None:
    """Only what came as a token is taken out of the texts beside it."""
    refusal = refused(answer({"error": "invalid_client", "error_description": f"<{said}>"}, 401))
    assert f"<{said}>" == refusal.error_description


def test_a_date_is_read_to_its_64th_character() -> None:
    """What stands behind that, however long it is, costs nothing and changes nothing."""
    day, time = "Wed, 21 Oct 2015", "07:28:05"
    waits = [
        ordered(Refused(status=503), TokenResponse(503, {"Retry-After": f"{day:{width}}{time}"}, b""), NOON).retry_after
        for width in (17, 64 - 8, 65 - 8)
    ]
    assert [5.0, 5.0, 0.0] == waits

"""Details of the core that broader rules pass by: exact words, exact bounds, and what wins where two are equal."""

from __future__ import annotations

import time
from typing import Final

import pytest

from client_credentials import RenewalPolicy, TokenResponse
from client_credentials._core.lifecycle import poll_wait, token_of
from client_credentials._core.model import Granted, Malformed, Refused, Unreachable
from client_credentials._core.redaction import NOTHING
from client_credentials._core.refusal import redacted_failure, with_retry_after
from client_credentials._core.response import parse_document
from client_credentials._core.state import Instant
from tests.core.kit import NOON, SECRET, SOUND, answer, judged, refused

NOW: Final = Instant(wall=NOON, monotonic=5.0)


def test_every_token_is_a_bearer_token() -> None:
    """RFC 6750: the type is written as in the header, whatever case the server chose."""
    token = token_of(Granted(access_token="t", expires_in=60, scope=None), NOW, RenewalPolicy(), ())
    assert ("Bearer", "Bearer t") == (token.token_type, token.authorization)


@pytest.mark.parametrize("said", ["None", "XXXX", ""])
def test_a_refusal_without_a_token_hides_nothing(said: str) -> None:
    """Only what came as a token is taken out of the texts beside it."""
    refusal = refused(answer({"error": "invalid_client", "error_description": f"<{said}>"}, 401))
    assert f"<{said}>" == refusal.error_description


def test_a_date_is_read_to_its_64th_character() -> None:
    """What stands behind that, however long it is, costs nothing and changes nothing."""
    day, time = "Wed, 21 Oct 2015", "07:28:05"
    waits = [
        with_retry_after(
            Refused(status=503), TokenResponse(503, {"Retry-After": f"{day:{width}}{time}"}, b""), NOON
        ).retry_after
        for width in (17, 64 - 8, 65 - 8)
    ]
    assert [5.0, 5.0, 0.0] == waits


def test_earlier_by_both_clocks() -> None:
    """A moment before another is so by both clocks."""
    assert Instant(wall=7.0, monotonic=17.0) == Instant(wall=10.0, monotonic=20.0).earlier(3)


@pytest.mark.parametrize(
    ("draw", "left", "wait"), [(0.0, 9.0, 0.025), (1.0, 9.0, 0.25), (0.5, 9.0, 0.1375), (1.0, 0.1, 0.1), (1.0, -1.0, 0)]
)
def test_polls_are_jittered_and_never_late(draw: float, left: float, wait: float) -> None:
    """Between 25 and 250 ms by the dice, but no longer than there is time left."""
    assert pytest.approx(wait) == poll_wait(draw, left)


def test_a_deserializer_that_gives_no_mapping() -> None:
    """The failure says so, and with which status."""
    found = parse_document(TokenResponse(200, {}, b""), "text", ())
    assert Malformed(status=200, reason="the deserializer did not return a mapping") == found


def test_no_reason_stays_none() -> None:
    """A failure of which a user's fetch said nothing has no words put into its mouth."""
    assert Unreachable(reason="") == redacted_failure(Unreachable(reason=""), NOTHING)


@pytest.mark.parametrize("secret", [SECRET, "e", "*"])
@pytest.mark.parametrize(
    "document",
    [
        *({"error": "x", "error_description": each * (1 << 20 >> 4)} for each in ("*" * 16, "e" * 16, SECRET)),
        {"error": "e" * (1 << 20)},
        {**SOUND, "scope": "e " * (1 << 19)},
        {**SOUND, **{f"member-{number}": "eee" for number in range(100_000)}},
        {**SOUND, **{f"member-{number}": "e" * 10_000 for number in range(100)}},
    ],
    ids=["asterisks", "letters", "secrets", "error", "scope", "members", "long members"],
)
def test_the_work_is_linear(document: dict[str, object], secret: str) -> None:
    """R1: a mebibyte that is made to be searched for secrets, of one character too, is judged within a second."""
    response = answer(document, 400 if "error" in document else 200)
    began = time.process_time()
    judged(response, secret=secret)
    assert time.process_time() - began < 1

"""Details of the core that broader rules pass by: exact words, exact bounds, and what wins where two are equal."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from client_credentials import RenewalPolicy, TokenResponse
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import (
    LONGEST_WAIT,
    Gate,
    Held,
    Instant,
    Serve,
    State,
    adopted,
    decide,
    hold,
    poll_wait,
    published,
    token_of,
)
from client_credentials._core.model import Granted, Malformed, Refused, Unreachable
from client_credentials._core.redaction import NOTHING
from client_credentials._core.refusal import redacted_failure, with_retry_after
from client_credentials._core.response import parse_document
from tests.core.kit import NOON, answer, refused

EXACT: Final = RenewalPolicy(jitter=0)
NOW: Final = Instant(wall=NOON, monotonic=5.0)


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


def shut(wait: float, *, status: int = 503) -> Gate:
    """Make a gate that is shut from now on for so many seconds."""
    return Gate(failure=Refused(status=status), since=NOW, wait=wait, streak=1)


def held(value: str, lifetime: int, policy: RenewalPolicy = EXACT) -> Held:
    """Make a token in hand that was asked for now."""
    token = token_of(Granted(access_token=value, expires_in=lifetime, scope=None), NOW, policy, ())
    return hold(token, NOW, policy, 0.0)


def test_earlier_by_both_clocks() -> None:
    """A moment before another is so by both clocks."""
    assert Instant(wall=7.0, monotonic=17.0) == Instant(wall=10.0, monotonic=20.0).earlier(3)


@pytest.mark.parametrize(
    ("mine", "theirs", "kept"),
    [
        (shut(5.0), shut(5.0, status=500), shut(5.0)),
        (shut(9.0), shut(5.0, status=500), shut(9.0)),
        (shut(5.0), shut(9.0, status=500), shut(9.0, status=500)),
        (None, shut(0.5), shut(0.5)),
        (shut(0.2), shut(0.5, status=500), shut(0.5, status=500)),
    ],
)
def test_of_two_gates_the_one_that_opens_later(mine: Gate | None, theirs: Gate, kept: Gate) -> None:
    """Of two that open together it is ours; a fraction of a second counts."""
    assert kept == adopted(State(gate=mine), State(gate=theirs), NOW).gate


def test_of_two_tokens_the_one_that_ends_later() -> None:
    """A cached token that ends before the one in hand is left where it is."""
    mine = held("mine", 600)
    assert mine == adopted(State(held=mine), State(held=held("theirs", 60)), NOW).held


def test_a_gate_does_not_outlast_the_token() -> None:
    """A stale token behind a shut gate is served to its end, and no longer."""
    token = held("t", 100)
    later = NOW.earlier(-80)
    assert Serve(token.token, token.end - 80) == decide(State(held=token, gate=shut(1000)), later)


@pytest.mark.parametrize("spent", [0.0, 0.5, 3.0])
def test_the_age_of_an_entry_is_what_is_gone_of_its_life(spent: float) -> None:
    """What the cache's clock says counts, down to a fraction of a second."""
    entry = dump(State(held=held("t", 600)), NOW)
    assert entry is not None
    assert entry.ttl is not None
    read = load(attrs.evolve(entry, ttl=entry.ttl - spent), NOW, EXACT, 0.0)
    assert read is not None
    assert read.held is not None
    assert pytest.approx(spent) == NOW.wall - read.held.asked.wall


def test_whole_seconds_may_be_written_as_such() -> None:
    """Another writer's JSON may have 0 for 0.0."""
    entry = dump(State(held=held("t", 600)), NOW)
    assert entry is not None
    written = entry.value.replace('"age": 0.0', '"age": 0')
    assert written != entry.value
    assert load(attrs.evolve(entry, value=written), NOW, EXACT, 0.0) == load(entry, NOW, EXACT, 0.0) != None  # noqa: E711


def test_the_longest_wait_is_plausible() -> None:
    """The longest that a gate may be shut is read back like any other."""
    entry = dump(State(gate=shut(LONGEST_WAIT)), NOW)
    assert entry is not None
    assert State(gate=shut(LONGEST_WAIT)) == load(entry, NOW, EXACT, 0.0)


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

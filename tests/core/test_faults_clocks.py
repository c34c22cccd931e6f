"""FAULTS, group I: clocks that step, stop, run apart or reach far."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Final

import pytest

from client_credentials import AccessToken, CacheEntry, RenewalPolicy, TokenResponse
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import (
    Ask,
    Instant,
    Renew,
    Serve,
    State,
    adopted,
    decide,
    good_token,
    hold,
    removed,
    token_of,
)
from client_credentials._core.model import Granted, Refused
from client_credentials._core.refusal import with_retry_after

HOUR: Final = 3600.0
START: Final = Instant(wall=1_700_000_000.0, monotonic=100.0)
EXACT: Final = RenewalPolicy(jitter=0)
TOKEN: Final = AccessToken("a", "Bearer", 3600, 1)
STATE: Final = State(held=hold(TOKEN, START, EXACT, 0.5))


def at(wall: float, monotonic: float) -> Instant:
    """The moment so many seconds after the start, by each of the clocks."""
    return Instant(START.wall + wall, START.monotonic + monotonic)


def served(state: State, now: Instant) -> bool:
    """Whether a token is handed out."""
    return isinstance(decide(state, now), Serve | Renew)


def test_i1() -> None:
    """I1: a wall clock one hour ahead costs one request, and no error."""
    assert Ask() == decide(STATE, at(HOUR + 60, 60))
    renewed = State(held=hold(TOKEN, at(HOUR + 60, 60), EXACT, 0.5))
    assert Serve(TOKEN, 3420.0) == decide(renewed, at(HOUR + 120, 120))


def test_i2() -> None:
    """I2: with the wall clock one hour back a token still expires on time."""
    assert [True, True, False] == [served(STATE, at(age - HOUR, age)) for age in (60.0, 3589.0, 3590.0)]


def test_i2_a_day() -> None:
    """I2: nor does a day matter."""
    assert [True, False] == [served(STATE, at(age - 24 * HOUR, age)) for age in (3589.0, 3590.0)]


def test_i4() -> None:
    """I4: after two hours of suspension a token counts as expired, though the monotonic clock stood still."""
    assert Ask() == decide(STATE, at(2 * HOUR, 1.0))


def test_i5() -> None:
    """I5: suspended, and the wall clock set back: nobody can tell, and the report of a 401 ends it."""
    asleep = at(60.0, 60.0)
    assert served(STATE, asleep)
    assert Ask() == decide(removed(STATE, "a"), asleep)


def test_i6() -> None:
    """I6: a machine that goes on from an hour-old snapshot, with a wall clock that was put right, asks anew."""
    assert Ask() == decide(STATE, at(HOUR, 2.0))


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest) -> Generator[str]:
    """A time zone, for as long as the test takes."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    "date", ["Sun, 08 Mar 2015 07:30:00 GMT", "Sunday, 08-Mar-15 07:30:00 GMT", "Sun Mar  8 07:30:00 2015"]
)
def test_i7(zone: str, date: str) -> None:
    """I7: the time zone is of no account, not even for a date that names none, nor is the hour when summer begins."""
    assert zone == os.environ["TZ"]
    failure = with_retry_after(
        Refused(status=503), TokenResponse(503, {"Retry-After": date}, b""), 1_425_799_800.0 - 30
    )
    assert 30.0 == failure.retry_after


@pytest.mark.parametrize("wall", [0.0, -1e9, 2.0**31 - 1, 2.0**32, 2.5e11, 3e11, 1e14])
@pytest.mark.parametrize("expires_in", [None, 0, 2**31, 10**30])
def test_i8(wall: float, expires_in: int | None) -> None:
    """I8: the years 1938, 2038, 9999 and beyond are numbers of seconds like any other."""
    asked = Instant(wall, 5.0)
    grant = Granted(access_token="a", expires_in=expires_in, scope=None)
    token = token_of(grant, asked, EXACT, ())
    state = State(held=hold(token, asked, EXACT, 0.5))
    assert (True, token) == (served(state, asked), good_token(state, asked))
    assert None is not dump(state, asked)


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_i9(skew: float) -> None:
    """I9: two hosts five minutes apart use a token neither too early nor too late: the cache says how old it is."""
    entry = dump(STATE, at(60, 60))
    assert entry is not None
    assert 3540 == entry.ttl
    for passed, expected in ((0.0, True), (3529.0, True), (3531.0, False)):
        there = Instant(START.wall + 60 + passed + skew, 7.0)
        found = load(CacheEntry(entry.value, 3540 - passed), there, EXACT, 0.5)
        assert found is not None
        assert expected is served(adopted(State(), found, there), there)


@pytest.mark.parametrize("wall", [0.0, 4e9])
def test_i10(wall: float) -> None:
    """I10: what the server's clock says is irrelevant: a lifetime is relative, and `expires` is by our clock."""
    grant = Granted(access_token="a", expires_in=60, scope=None, extra={"expires": 1, "date": wall})
    assert 1_700_000_060_000 == token_of(grant, START, EXACT, ()).expires


@pytest.mark.parametrize(("passed", "expected"), [(60.0, True), (3500.0, True), (3531.0, False), (-1.0, False)])
def test_i11(passed: float, expected: bool) -> None:
    """I11: after a reboot the monotonic clock has begun anew, and only the wall clock applies."""
    entry = dump(STATE, at(60, 60))
    assert entry is not None
    rebooted = Instant(START.wall + 60 + passed, 3.0)
    found = load(CacheEntry(entry.value, None), rebooted, EXACT, 0.5)
    assert expected is served(found or State(), rebooted)


def test_i12() -> None:
    """I12: time is an argument, so a test may put in what it likes, and go back too."""
    assert [True, False, True] == [served(STATE, at(age, age)) for age in (0.0, 1e5, 10.0)]

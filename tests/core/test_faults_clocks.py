"""FAULTS, group I: clocks that step, stop, run apart or reach far."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Final

import pytest

from client_credentials import CacheEntry, RenewalPolicy, TokenResponse
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import Ask, Serve, decide, hold, removed, token_in_hand, token_of
from client_credentials._core.model import Granted, Refused
from client_credentials._core.refusal import with_retry_after
from client_credentials._core.state import EMPTY, Asked, Instant, State, merge
from tests.core.states import EXACT, TOKEN, an_hour, later
from tests.strategies import NOW

HOUR: Final = 3600.0
STATE: Final = State(held=an_hour(), granted=an_hour().asked)


@pytest.mark.parametrize(
    ("wall", "monotonic", "good"),
    [
        (HOUR + 60, 60, False),
        (60 - HOUR, 60, True),
        (3589 - HOUR, 3589, True),
        (3590 - HOUR, 3590, False),
        (3589 - 24 * HOUR, 3589, True),
        (3590 - 24 * HOUR, 3590, False),
        (2 * HOUR, 1, False),
        (HOUR, 2, False),
    ],
)
def test_clocks_apart(wall: float, monotonic: float, good: bool) -> None:
    """I1, I2, I4 and I6: a step forwards costs one request; neither a step back nor a suspension prolongs a life."""
    assert good is (token_in_hand(STATE, later(NOW, wall, monotonic)) is not None)


def test_i5() -> None:
    """I5: suspended, and the wall clock set back: nobody can tell, and the report of a 401 ends it."""
    assert Ask() == decide(merge(STATE, removed(STATE, None), NOW), NOW)


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
    """I7, RFC9110-5.6.7: the time zone is of no account, even for a date that names none, nor is summer time."""
    assert zone == os.environ["TZ"]
    answer = TokenResponse(503, {"Retry-After": date}, b"")
    assert 30.0 == with_retry_after(Refused(status=503), answer, 1_425_799_800.0 - 30).retry_after


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_i9(skew: float) -> None:
    """I9: two hosts five minutes apart use a token neither too early nor too late: the cache says how old it is."""
    entry = dump(STATE, "my-key", later(NOW, 60), EXACT)
    assert entry is not None
    assert entry.ttl is not None
    for passed, good in ((0.0, True), (3529.0, True), (3531.0, False)):
        there = Instant(NOW.wall + 60 + passed + skew, 7.0)
        found = load(CacheEntry(entry.value, entry.ttl - passed), "my-key", there, EXACT, 0.5)
        assert found is not None
        assert good is (token_in_hand(merge(EMPTY, found, there), there) is not None)


@pytest.mark.parametrize("wall", [0.0, 4e9])
def test_i10(wall: float) -> None:
    """I10: what the server's clock says is irrelevant: a lifetime is relative, and `expires` is by our clock."""
    grant = Granted(access_token="a", expires_in=60, scope=None, extra={"expires": 1, "date": wall})
    assert int((NOW.wall + 60) * 1000) == token_of(grant, NOW, EXACT, ()).expires


@pytest.mark.parametrize(("passed", "good"), [(60.0, True), (3500.0, True), (3531.0, False), (-1.0, False)])
def test_i11(passed: float, good: bool) -> None:
    """I11: after a reboot the monotonic clock has begun anew, and only the wall clock applies."""
    entry = dump(STATE, "my-key", later(NOW, 60), EXACT)
    assert entry is not None
    rebooted = Instant(NOW.wall + 60 + passed, 3.0)
    found = load(CacheEntry(entry.value, None), "my-key", rebooted, EXACT, 0.5)
    assert good is (token_in_hand(found or EMPTY, rebooted) is not None)


def test_i8() -> None:
    """I8: far from our days, a token is kept and served like any other."""
    for wall in (0.0, 2.0**31, 3e11):
        asked = Instant(wall, 5.0)
        state = State(held=hold(TOKEN, Asked.here(asked), RenewalPolicy(), 0.5))
        assert isinstance(decide(state, asked), Serve)
        assert None is not dump(state, "my-key", asked, EXACT)


def test_i12() -> None:
    """I12: time is an argument, so a test may put in what it likes, and go back too."""
    assert [True, False, True] == [token_in_hand(STATE, later(NOW, age)) is not None for age in (0.0, 1e5, 10.0)]

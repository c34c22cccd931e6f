"""FAULTS, group H: refusals, throttling and backoff."""

from __future__ import annotations

import attrs
import pytest

from client_credentials import AccessToken, InvalidTokenResponse, RenewalPolicy, TokenEndpointUnreachable, TokenRefused
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import Ask, Fail, Renew, Serve, decide, failed, hold, removed, retry_wait
from client_credentials._core.model import Failure, Unreachable
from client_credentials._core.state import EMPTY, Asked, Gate, Held, Instant, State, merge
from client_credentials.errors import error_of
from tests.core.kit import NOON, answer, failed_by, malformed, refused, unreachable

START = Instant(wall=NOON, monotonic=5.0)
PERMANENT = (
    "invalid_client invalid_grant invalid_request invalid_scope invalid_target unauthorized_client"
    " unsupported_grant_type"
).split()
DOWN = Unreachable(reason="connection refused")


def after(seconds: float) -> Instant:
    """The moment so many seconds after the start."""
    return Instant(START.wall + seconds, START.monotonic + seconds)


def token(value: str = "a", lifetime: int = 3600) -> AccessToken:
    """A token from the start on."""
    return AccessToken(value, "Bearer", lifetime, int((NOON + lifetime) * 1000))


def waits(failure: Failure, count: int, draw: float) -> list[float]:
    """How long the gate stays shut, failure after failure."""
    state = EMPTY
    found: list[float] = []
    for _ in range(count):
        gate = failed(state, failure, START, START, draw)
        state = State(gates=(gate,))
        found.append(gate.wait)
    return found


def shut(failure: Failure) -> Gate:
    """The gate that a failure shuts at the start."""
    return failed(EMPTY, failure, START, START, 0.5)


def granted(held: Held) -> State:
    """The fact that this token was granted."""
    return State(held=held, granted=held.asked)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("error", PERMANENT)
def test_h1_h2_h3(error: str, status: int) -> None:
    """H1, H2, H3: what asking again cannot mend is not retryable; the gate holds it for 5 s, doubling to 60 s."""
    failure = refused(answer({"error": error}, status, WWW_Authenticate='Basic realm="x"'))
    assert (status, error, False, None) == (failure.status, failure.error, failure.retryable, failure.retry_after)
    assert 'Basic realm="x"' == failure.www_authenticate
    assert [5, 10, 20, 40, 60, 60] == waits(failure, 6, draw=0.3)
    assert [60] * 2000 == waits(failure, 2005, draw=0.3)[5:]


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "slow_down"])
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_h4(error: str, status: int) -> None:
    """H4: what passes by itself is retryable."""
    assert refused(answer({"error": error}, status)).retryable


@pytest.mark.parametrize("error", [7, True, ["invalid_client"], 1.5])
@pytest.mark.parametrize("status", [200, 400])
def test_h5(error: object, status: int) -> None:
    """H5: an error that is not a string is a refusal without a code."""
    failure = refused(answer({"error": error, "error_description": "no"}, status))
    assert (status, None) == (failure.status, failure.error)


def test_h5_as_the_web_api_says_it() -> None:
    """H5: an error that is an object with a message, as Spotify's Web API sends it, is read for its message."""
    failure = refused(answer({"error": {"status": 429, "message": "API rate limit exceeded"}}, 429))
    assert (429, None, "API rate limit exceeded", None) == (
        failure.status,
        failure.error,
        failure.error_description,
        failure.retry_after,
    )
    assert refused(answer({"error": {"message": 7}}, 400)).error_description is None


def test_h6() -> None:
    """H6: a text is stripped to RFC 6749's characters and cut at 4096; in the exception's text it is cut at 256."""
    said = "\x1b[31mno\r\nX: y\0 \u202e\u2028\x7f\x85 é\"'\\" + "!" * 1_000_000
    failure = refused(answer({"error": said, "error_description": said, "error_uri": said}, 400))
    expected = ("[31mnoX: y  '" + "!" * 4096)[:4096]
    assert (expected[:256], expected, expected) == (failure.error, failure.error_description, failure.error_uri)
    text = str(error_of(attrs.evolve(failure, error=None)))
    assert f"the token endpoint refused with status 400 ({expected[:256]}...)" == text


def test_h6_nothing_is_left() -> None:
    """H6: a text of which nothing remains counts as not said."""
    said = {"error": "\x1b\r\n", "error_description": "", "error_uri": "é"}
    failure = refused(answer(said, 400, WWW_Authenticate="é"))
    assert (None, None, None, None) == (
        failure.error,
        failure.error_description,
        failure.error_uri,
        failure.www_authenticate,
    )


def test_h8() -> None:
    """H8: error_uri is a text to show; nobody opens it."""
    assert "javascript:alert(1)" == refused(answer({"error": "x", "error_uri": "javascript:alert(1)"}, 400)).error_uri


def test_h9() -> None:
    """H9, RFC6585-4: 429 with Retry-After: 5 shuts the gate for 5 s for all who share the cache; a token is served."""
    failure = refused(answer(b"", 429, Retry_After="5"))
    assert (True, 5) == (failure.retryable, failure.retry_after)
    entry = dump(State(gates=(shut(failure),)), "my-key", START, RenewalPolicy())
    assert entry is not None
    there = Instant(wall=NOON - 300, monotonic=77.0)  # another host, whose clock is five minutes late
    cached = load(entry, "my-key", there, RenewalPolicy(), 0.5)
    assert cached is not None
    asked = Asked.here(Instant(there.wall - 40, 37.0))
    holding = granted(hold(token("b", 60), asked, RenewalPolicy(jitter=0), 0.5))
    assert Fail(failure, 5.0) == decide(merge(EMPTY, cached, there), there)
    assert Serve(token("b", 60), 5.0) == decide(merge(holding, cached, there), there)
    assert Ask() == decide(merge(EMPTY, cached, there), Instant(there.wall, there.monotonic + 5))


RETRY_AFTER = (
    # Retry-After, Date, what the gate waits
    ("5", None, 5),
    (" 7 ", None, 7),
    ("0120", None, 120),
    ("3600", None, 3600),
    ("3601", None, 3600),
    ("86400", None, 3600),
    ("99999999999", None, 3600),
    ("9" * 40, None, 3600),
    ("0", None, 1),
    ("00", None, 1),
    ("Wed, 21 Oct 2015 07:28:30 GMT", None, 30),
    ("Wednesday, 21-Oct-15 07:28:30 GMT", None, 30),
    ("Wed Oct 21 07:28:30 2015", None, 30),
    ("Wed, 21 Oct 2015 08:28:30 +0100", None, 30),
    ("Wed, 21 Oct 2015 07:28:00 GMT", None, 1),
    ("Wed, 21 Oct 2015 07:27:00 GMT", None, 1),
    ("Thu, 01 Jan 1970 00:00:00 GMT", None, 1),
    ("Fri, 31 Dec 9999 23:59:59 GMT", None, 3600),
    ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:10 GMT", 20),
    ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 06:28:30 GMT", 3600),
    ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:30 GMT", 1),
    ("Wed, 21 Oct 2015 07:28:30 GMT", "garbage", 30),
    ("120", "Wed, 21 Oct 2015 07:28:10 GMT", 120),
)
GARBAGE = (
    *("", "soon", "-5", "+5", "5.5", "5, 10", "5s", "\u0665", "1e2", "9" * 41, "\0"),
    *("Wed", "Wed, 99 Foo 2015 07:28:30 GMT", "Wed, 21 Oct 2015", ", ,", "Wed, 21 Oct 20151 07:28:30 GMT"),
)


@pytest.mark.parametrize(("said", "date", "expected"), RETRY_AFTER)
@pytest.mark.parametrize(("status", "error"), [(429, None), (503, None), (400, "invalid_client"), (302, None)])
def test_h10_h11_h13_h16(status: int, error: str | None, said: str, date: str | None, expected: float) -> None:
    """H10, H11, H13, H16, RFC9110-5.6.7: Retry-After in seconds or as a date counts for any failure."""
    headers = {"rEtRy-AfTeR": said} if date is None else {"Retry-After": said, "date": date}
    gate = shut(failed_by(answer({"error": error}, status, **headers)))
    assert (True, expected) == (gate.failure.retryable, gate.wait)


@pytest.mark.parametrize("said", GARBAGE)
def test_h15(said: str) -> None:
    """H15, RFC6585-4: a Retry-After that says nothing orders nothing; a 429 is retryable all the same."""
    for status in (429, 503):
        failure = refused(answer(b"", status, Retry_After=said))
        assert (True, None) == (failure.retryable, failure.retry_after)
    assert not refused(answer(b"", 400, Retry_After=said)).retryable


RESETS = (
    # the header's name, its value, the answer's Date, what is ordered
    ("X-RateLimit-Reset", str(int(NOON) + 60), None, 60),
    ("X-RateLimit-Reset", str(int(NOON) + 60), "Wed, 21 Oct 2015 07:28:10 GMT", 50),
    ("x-ratelimit-reset", "30", None, 30),
    ("X-RateLimit-Reset", "0.5", None, 0.5),
    ("X-RateLimit-Reset", f"{int(NOON) + 60}000", None, 60),
    ("X-RateLimit-Reset", str(int(NOON) - 60), None, 0),
    ("X-Rate-Limit-Reset", str(int(NOON) + 7), None, 7),
    ("RateLimit-Reset", "12", None, 12),
    ("RateLimit-Reset", "Wed, 21 Oct 2015 07:28:30 GMT", None, 30),
    ("RateLimit-Reset", "soon", None, None),
)


@pytest.mark.parametrize(("name", "said", "date", "expected"), RESETS)
def test_h15_a_reset(name: str, said: str, date: str | None, expected: float | None) -> None:
    """H15: a 429 without Retry-After waits until the limit starts anew, by seconds, epoch or date."""
    headers = {name: said} if date is None else {name: said, "Date": date}
    assert expected == refused(answer(b"", 429, **headers)).retry_after


def test_h15_a_reset_by_the_way() -> None:
    """H15: a reset that comes with every answer orders nothing while something remains, nor beside a Retry-After."""
    assert None is refused(answer(b"", 401, X_RateLimit_Reset="60")).retry_after
    assert None is refused(answer(b"", 403, X_RateLimit_Reset="60", X_RateLimit_Remaining="9")).retry_after
    assert 60 == refused(answer(b"", 403, X_RateLimit_Reset="60", X_RateLimit_Remaining="0")).retry_after
    assert 5 == refused(answer(b"", 429, X_RateLimit_Reset="60", Retry_After="5")).retry_after


@pytest.mark.parametrize("status", [500, 502, 504, 599])
def test_h17(status: int) -> None:
    """H17: a failing server is asked again after a random share of 1, 2, 4 … 60 s."""
    failure = refused(answer(b"", status))
    assert [1, 2, 4, 8, 16, 32, 60, 60] == waits(failure, 8, draw=1.0)
    assert [0.25, 0.5, 1, 2, 4, 8, 15, 15] == waits(failure, 8, draw=0.25)
    assert [0] * 8 == waits(failure, 8, draw=0.0)


def test_h18() -> None:
    """H18: nobody waits past a deadline, nor for what the server ordered: the error comes at once, with its wait."""
    ordered = shut(refused(answer(b"", 429, Retry_After="2")))
    drawn = shut(refused(answer(b"", 503)))
    refusal = shut(refused(answer(b"", 400)))
    assert [None, None] == [retry_wait(gate, 1, 60.0) for gate in (ordered, refusal)]
    assert [0.5, None, None] == [retry_wait(drawn, 1, left) for left in (0.6, 0.5, -1.0)]
    assert [0.5, 0.5, None] == [retry_wait(drawn, attempts, 60.0) for attempts in (1, 2, 3)]
    error = error_of(ordered.failure, ordered.remaining(after(0.5)))
    assert isinstance(error, TokenRefused)
    assert (429, True, 1.5) == (error.status, error.retryable, error.retry_after)


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
def test_h19(draw: float) -> None:
    """H19: an outage of ten minutes: no error while the token is good, typed errors then, recovery within a minute."""
    policy = RenewalPolicy(renew_ahead=300, jitter=0)
    state = granted(hold(token(), Asked.here(START), policy, 0.5))
    outage = range(3300, 3901)
    errors: list[int] = []
    attempts: list[int] = []
    recovered = None
    for second in range(3200, 4000):
        now = after(second)
        decision = decide(state, now)
        if isinstance(decision, Fail):
            errors.append(second)
        elif isinstance(decision, Renew | Ask):
            attempts.append(second)
            if second in outage:
                state = merge(state, State(gates=(failed(state, DOWN, now, now, draw),)), now)
            else:
                state = merge(state, granted(hold(token("b"), Asked.here(now), policy, 0.5)), now)
                recovered = recovered or second
    assert 3301 == attempts[0]
    assert not [second for second in errors if second < 3590]
    assert recovered is not None
    assert 3901 <= recovered <= 3901 + 60
    assert draw == 0 or len(attempts) < 60


def test_h22() -> None:
    """H22: a hundred reports of one dead token cost one renewal, and none touches its successor."""
    policy = RenewalPolicy()
    state = granted(hold(token("dead"), Asked.here(START), policy, 0.5))
    state = merge(state, removed(state, token("dead")), START)
    assert Ask() == decide(state, START)
    now = after(1)
    state = merge(state, granted(hold(token("next"), Asked.here(now), policy, 0.0)), now)
    for _ in range(99):
        state = merge(state, removed(state, token("dead")), now)
    assert Serve(token("next"), 2400.0) == decide(state, now)


def test_the_kinds_of_failure() -> None:
    """H1, A4, C12: each kind of failure is raised as its class."""
    kinds = [
        type(error_of(failure))
        for failure in (refused(answer(b"", 400)), malformed(answer(b"?")), unreachable(answer(b"", 407)))
    ]
    assert [TokenRefused, InvalidTokenResponse, TokenEndpointUnreachable] == kinds

"""FAULTS, group H: what a server says when it refuses, and how long it asks to wait."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from email.utils import formatdate
from typing import Any, Final

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client_credentials import TokenResponse
from client_credentials._core.lifecycle import failed
from client_credentials._core.model import Failure, Granted, HookFailed, Malformed, Refused, Unreachable
from client_credentials._core.redaction import NOTHING, Hidden, needles, printable
from client_credentials._core.refusal import redacted_failure, with_retry_after
from client_credentials._core.response import status_failure
from client_credentials._core.state import EMPTY
from client_credentials.errors import error_of
from tests.core.kit import FIT, NOON, SECRET, TEXTS, answer, failed_by, judged, refused
from tests.strategies import NOW, VISIBLE, failures

PERMANENT = (
    "invalid_client invalid_grant invalid_request invalid_scope invalid_target unauthorized_client"
    " unsupported_grant_type"
).split()

WORDS = (
    *("error_description", "error_summary", "errorSummary", "message", "Message", "detail", "title", "description"),
    *("msg", "errmsg", "faultstring"),
)


class TestRefusal:
    """RFC 6749 section 5.2: error, error_description and error_uri are told, less what is ours or unprintable."""

    @given(st.text(), st.text(), st.text(), st.integers(400, 999).filter(lambda status: status != 407))
    def test_what_the_server_said(self, error: str, description: str, uri: str, status: int) -> None:
        """Each text is what was sent, less the characters that the RFC does not allow there."""
        assume(error.strip() and description.strip())
        said = {"error": error, "error_description": description, "error_uri": uri}
        outcome = status_failure(TokenResponse(status, {}, json.dumps(said).encode()))
        assert isinstance(outcome, Refused)
        fit = ["".join(c for c in text if c in FIT) or None for text in (error, description, uri)]
        assert [status, *fit] == [outcome.status, outcome.error, outcome.error_description, outcome.error_uri]

    @given(
        st.sampled_from(WORDS),
        st.text(VISIBLE, min_size=12),
        st.sampled_from(("{}", '{{"fault": {}}}', '{{"error": {}, "id": 7}}')),
    )
    def test_wherever_it_said_it(self, name: str, words: str, around: str) -> None:
        """The words are told whatever the member is called, here or one level deeper."""
        body = around.format(json.dumps({name: words}))
        outcome = status_failure(TokenResponse(400, {}, body.encode()))
        assert isinstance(outcome, Refused)
        assert (printable(words) or None) == outcome.error_description

    @pytest.mark.parametrize(
        "failure",
        [
            *(Refused(status=400, **dict[str, Any]({name: "{}"})) for name in TEXTS),
            *(Malformed(status=200, reason="{}"), Unreachable(reason="{}")),
            *(HookFailed(hook="{}", kind="x"), HookFailed(hook="x", kind="{}")),
        ],
        ids=repr,
    )
    @given(st.text(VISIBLE, min_size=6), st.integers(0, 300))
    def test_nothing_of_ours(self, failure: Failure, secret: str, at: int) -> None:
        """A text of a hook's that holds our secret is hidden as a whole, wherever in it the secret stands."""
        (name,) = (name for name, text in attrs.asdict(failure).items() if text == "{}")
        said: dict[str, Any] = {name: f"{'-' * at}{secret}-"}
        shown = redacted_failure(attrs.evolve(failure, **said), Hidden(lambda: needles(secret)))
        assert attrs.evolve(failure, **(said | {name: "**********"})) == shown

    def test_nothing_left(self) -> None:
        """Where nothing of a text can be shown, a refusal has none; other failures have an empty one."""
        assert Refused(status=400) == redacted_failure(Refused(status=400, error="\0", error_uri="\0"), NOTHING)
        assert Unreachable(reason="") == redacted_failure(Unreachable(reason="\0"), NOTHING)

    @given(failures())
    def test_idempotent(self, failure: Failure) -> None:
        """What is fit to be shown stays as it is."""
        assert failure == redacted_failure(failure, NOTHING)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("error", PERMANENT)
def test_h1_h2_h3(error: str, status: int) -> None:
    """H1, H2, H3, RFC8707-2-5: what asking again cannot mend is not retryable."""
    failure = refused(answer({"error": error}, status, WWW_Authenticate='Basic realm="x"'))
    assert (status, error, False, None) == (failure.status, failure.error, failure.retryable, failure.retry_after)
    assert 'Basic realm="x"' == failure.www_authenticate


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
    """H6, RFC6749-5.2-3: a text is stripped to RFC 6749's characters and cut at 4096, in an exception's text at 256."""
    said = "\x1b[31mno\r\nX: y\0 \u202e\u2028\x7f\x85 é\"'\\" + "!" * 1_000_000
    failure = refused(answer({"error": said, "error_description": said, "error_uri": said}, 400))
    expected = ("[31mnoX: y  '" + "!" * 4096)[:4096]
    assert (expected[:256], expected, expected) == (failure.error, failure.error_description, failure.error_uri)
    text = str(error_of(attrs.evolve(failure, error=None)))
    assert f"the token endpoint refused the request with status 400 ({expected[:256]}...)" == text


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


PLACES: Final[list[tuple[object, str | None, str | None]]] = [
    ({"errorCode": "invalid_client", "errorSummary": "No such client"}, "invalid_client", "No such client"),
    ({"status": 403, "message": "wrong secret"}, None, "wrong secret"),
    ({"errors": [{"code": 99, "message": "Unable to verify"}, {"message": "x"}]}, None, "Unable to verify"),
    ({"errors": ["first", "second"]}, None, "first"),
    ({"errors": [], "message": ""}, None, None),
    ({"errors": [{}, {"message": "the second alone"}]}, None, None),
    ({"code": "Not Today"}, "Not Today", None),
    ({"error-description": "a"}, None, "a"),
    ({"fault": {"faultstring": "Failed to resolve", "detail": {"errorcode": "x"}}}, None, "Failed to resolve"),
    ({"ErrorCode": "invalid_client", "Error": "Id is Invalid"}, "invalid_client", "Id is Invalid"),
    ({"error": "Unauthorized", "message": "Bad credentials"}, "Unauthorized", "Bad credentials"),
    ({"type": "about:blank", "title": "Unknown client", "detail": "Not in tenant blue"}, None, "Not in tenant blue"),
    ({"error": {"code": "invalid_client", "message": "no"}}, "invalid_client", "no"),
    ({"detail": "Client is disabled"}, None, "Client is disabled"),
    ({"error": "a", "description": "b", "message": "c", "error_description": "d"}, "a", "d"),
    ({"a": {"b": {"message": "too deep"}}}, None, None),
    ({"error": 401}, None, None),
    ({"error": "not today", "code": "invalid_client"}, "not today", "invalid_client"),
    ({**{f"m{number}": number for number in range(64)}, "message": "too far"}, None, None),
]


@pytest.mark.parametrize(("said", "code", "words"), PLACES)
def test_words_wherever_they_stand(said: object, code: str | None, words: str | None) -> None:
    """C17, H6: a refusal keeps the server's words, whatever it calls them; without any, the body's type and size."""
    failure = refused(answer(said, 403, Content_Type="application/problem+json"), secret="plain-and-long")
    assert (code, words) == (failure.error, failure.error_description)
    size = len(json.dumps(said))
    bare = code is None and words is None
    assert (f"the body is {size} bytes of application/problem+json" if bare else None) == failure.note


def test_a_challenge_stays_readable() -> None:
    """RFC9110-11.6.1, RFC6749-5.2-2: quotes and backslashes are part of a challenge, which a program may parse."""
    challenge = 'Newauth realm="apps", title="Login to \\"apps\\"", DPoP algs="ES256 PS256"'
    assert challenge == refused(answer({"error": "x"}, 401, WWW_Authenticate=challenge)).www_authenticate
    assert "**********" == refused(answer(b"", 401, WWW_Authenticate=f'Basic realm="{SECRET}"')).www_authenticate


def test_an_outcome_with_a_note() -> None:
    """The body's type and what to change stand side by side."""
    outcome = judged(answer(b"", 401), secret="a+b")
    assert isinstance(outcome, Refused)
    assert (outcome.note or "").startswith("the body is 0 bytes of no type; client_id or client_secret holds ")
    assert isinstance(judged(answer()), Granted)


@pytest.mark.parametrize("said", ["None", "XXXX", ""])
def test_a_refusal_without_a_token_hides_nothing(said: str) -> None:
    """Only what came as a token is taken out of the texts beside it."""
    refusal = refused(answer({"error": "invalid_client", "error_description": f"<{said}>"}, 401))
    assert f"<{said}>" == refusal.error_description


class TestRetryAfter:
    """RFC 9110 section 10.2.3: a number of seconds, or a date, which is counted from the answer's own Date."""

    @given(st.text(), st.text(), st.floats(-1e12, 1e12))
    def test_any_text(self, said: str, date: str, wall: float) -> None:
        """Whatever stands there, a gate waits from one second to an hour for it, or as it would without."""
        response = TokenResponse(503, {"Retry-After": said, "Date": date}, b"")
        failure = with_retry_after(Refused(status=503), response, wall)
        assert failure == Refused(status=503) or 1 <= failed(EMPTY, failure, NOW, NOW, 0.5).wait <= 3600

    @given(st.integers(0, 4_000_000_000), st.integers(-5000, 5000), st.integers(0, 4_000_000_000))
    def test_a_date_counts_from_the_answers_own(self, asked: int, seconds: int, wall: int) -> None:
        """Where the answer has a Date, our clock does not matter, be it years away."""
        dates = {"Retry-After": formatdate(asked + seconds, usegmt=True), "Date": formatdate(asked, usegmt=True)}
        failure = with_retry_after(Refused(status=503), TokenResponse(503, dates, b""), wall)
        assert max(seconds, 0) == failure.retry_after

    @given(st.integers(0, 4_000_000_000), st.integers(-5000, 5000))
    def test_else_from_the_wall_clock(self, wall: int, seconds: int) -> None:
        """Where it has none, the date counts from the wall clock."""
        dates = {"Retry-After": formatdate(wall + seconds, usegmt=True)}
        failure = with_retry_after(Refused(status=503), TokenResponse(503, dates, b""), wall)
        assert max(seconds, 0) == failure.retry_after


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
def test_h10_h11_h13_h16(said: str, date: str | None, expected: float) -> None:
    """H10, H11, H13, H16, RFC9110-5.6.7: Retry-After in seconds or as a date counts for any failure."""
    headers = {"rEtRy-AfTeR": said} if date is None else {"Retry-After": said, "date": date}
    for status, error in ((429, None), (503, None), (400, "invalid_client"), (302, None)):
        failure = failed_by(answer({"error": error}, status, **headers))
        assert (True, expected) == (failure.retryable, failed(EMPTY, failure, NOW, NOW, 0.5).wait)


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
    ("X-RateLimit-Reset", "1000000000", None, 0),
    ("X-RateLimit-Reset", "100000000000", None, 1e11 - NOON),
    ("X-RateLimit-Reset", "100000000001", None, 0),
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


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, None),
        (403, {"X_RateLimit_Remaining": "9"}, None),
        (403, {"X_RateLimit_Remaining": "0"}, 60),
        (429, {"Retry_After": "5"}, 5),
    ],
)
def test_h15_a_reset_by_the_way(status: int, headers: dict[str, str], expected: float | None) -> None:
    """H15: a reset that comes with every answer orders nothing while something remains, nor beside a Retry-After."""
    assert expected == refused(answer(b"", status, X_RateLimit_Reset="60", **headers)).retry_after


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

"""Properties of reading an answer: total over any bytes, strict about each member, and nothing of it lost."""

from __future__ import annotations

import json
import math
from email.utils import formatdate
from typing import Any

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from client_credentials import TokenResponse
from client_credentials._core.lifecycle import failed, token_of
from client_credentials._core.model import Failure, Granted, HookFailed, Malformed, Outcome, Refused, RenewalPolicy
from client_credentials._core.redaction import NOTHING, Hidden, needles, printable
from client_credentials._core.refusal import redacted_failure, with_retry_after
from client_credentials._core.response import decode, parse_document, status_failure
from client_credentials._core.state import EMPTY, Instant
from tests.strategies import (
    MEMBERS,
    NOW,
    RUINS,
    VISIBLE,
    documents,
    extras,
    failures,
    json_values,
    policies,
    token_responses,
)

WORDS = (
    *("error_description", "error_summary", "errorSummary", "message", "Message", "detail", "title", "description"),
    *("msg", "errmsg", "faultstring"),
)
FIT = set(map(chr, range(0x20, 0x7F))) - set('"\\')


def read(response: TokenResponse, document: object = None) -> Outcome:
    """What a response comes to, with the hooks that are there by default."""
    failure = status_failure(response)
    if failure is not None:
        return failure
    found = decode(response) if document is None else document
    return found if isinstance(found, Malformed) else parse_document(response, found)


def texts(failure: Failure) -> list[str]:
    """All that a failure says."""
    if isinstance(failure, Refused):
        said = (failure.error, failure.error_description, failure.error_uri, failure.www_authenticate)
        return [text for text in said if text is not None]
    return [] if isinstance(failure, HookFailed) else [failure.reason]


def saying(failure: Failure, said: str) -> Failure:
    """The same failure, in these words."""
    match failure:
        case Refused():
            return attrs.evolve(failure, error_description=said)
        case HookFailed():
            return failure
        case _:
            return attrs.evolve(failure, reason=said)


def assert_invalid(outcome: Outcome) -> None:
    """The outcome is an answer of 200 that is no token response, which asking again would not mend."""
    assert isinstance(outcome, Malformed)
    assert (200, False, None) == (outcome.status, outcome.retryable, outcome.retry_after)


def headers() -> st.SearchStrategy[dict[str, str]]:
    """Headers of every kind, those that are looked at among them."""
    names = st.sampled_from(("Location", "Content-Type", "Retry-After", "DATE", "www-authenticate", "X"))
    return st.dictionaries(names, st.text() | st.integers().map(str), max_size=4)


def responses() -> st.SearchStrategy[TokenResponse]:
    """Responses of any status, headers and bytes; many of them are JSON."""
    members = "error error_description error_uri access_token token_type expires_in scope".split()
    bodies = st.binary() | json_values().map(json.dumps).map(str.encode)
    refusals = st.dictionaries(st.sampled_from(members), json_values(), min_size=1).map(json.dumps).map(str.encode)
    statuses = st.integers(0, 999) | st.sampled_from((200, 400, 401, 429))
    return st.builds(TokenResponse, statuses, headers(), bodies | refusals)


class TestTotal:
    """There is an outcome for any status, any headers and any bytes, and it is fit to be shown."""

    @given(responses(), st.floats(allow_nan=False, allow_infinity=False))
    @example(TokenResponse(400, {}, b'{"error": "x", "access_token": "\\ud800"}'), 0.0)
    @example(TokenResponse(429, {"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, b""), 0.0)
    def test_any_response(self, response: TokenResponse, wall: float) -> None:
        """Nothing is raised; what is said holds printable ASCII alone; a wait is a number."""
        outcome = read(response)
        if isinstance(outcome, Granted):
            assert set(outcome.access_token) <= set(VISIBLE)
            return
        settled = with_retry_after(outcome, response, wall)
        assert set() == set("".join(texts(settled))) - FIT - set('"\\')
        assert all(len(text) <= 4096 for text in texts(settled))
        assert not math.isnan(failed(EMPTY, settled, NOW, NOW, 0.5).wait)

    @given(st.builds(TokenResponse, st.just(200), headers(), st.just(b"")), json_values() | st.text() | st.binary())
    def test_any_document(self, response: TokenResponse, document: object) -> None:
        """Whatever a user's deserializer makes of a body, there is an outcome."""
        assert isinstance(parse_document(response, document), Granted | Refused | Malformed)

    @given(st.text(), st.text(), st.floats(-1e12, 1e12))
    def test_any_wait(self, said: str, date: str, wall: float) -> None:
        """Whatever stands in Retry-After, a gate waits from one second to an hour for it, or as it would without."""
        response = TokenResponse(503, {"Retry-After": said, "Date": date}, b"")
        failure = with_retry_after(Refused(status=503), response, wall)
        assert failure == Refused(status=503) or 1 <= failed(EMPTY, failure, NOW, NOW, 0.5).wait <= 3600


class TestWellFormed:
    """RFC 6749 section 5.1: a token is granted, with all that was said of it."""

    @given(token_responses())
    def test_members_are_kept(self, response: TokenResponse) -> None:
        """The token, its scope and the members that nobody knows are what they were in the document."""
        document = json.loads(response.body)
        grant = read(response)
        assert isinstance(grant, Granted)
        assert (document["access_token"], document.get("scope") or None) == (grant.access_token, grant.scope)
        known = {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
        assert {name: value for name, value in document.items() if name not in known} == grant.extra

    @given(documents(), policies())
    def test_lifetimes(self, document: dict[str, Any], policy: RenewalPolicy) -> None:
        """A lifetime is the stated one in whole seconds, at least one, at most what the policy allows."""
        grant = parse_document(TokenResponse(200, {}, b""), document)
        assert isinstance(grant, Granted)
        stated = document.get("expires_in")
        seconds = policy.assumed_lifetime if stated is None else float(stated)
        token = token_of(grant, NOW, policy, ())
        assert int(max(1, min(seconds, policy.max_lifetime))) == token.expires_in
        assert int((NOW.wall + token.expires_in) * 1000) == token.expires

    @given(documents())
    def test_a_missing_type_is_the_only_remark(self, document: dict[str, Any]) -> None:
        """There is a remark if and only if the token_type is missing, as long as no scope was asked for."""
        grant = parse_document(TokenResponse(200, {}, b""), document)
        assert isinstance(grant, Granted)
        assert ("token_type" not in document) is bool(grant.remarks)


class TestSpoiled:
    """A document that is well-formed but for one thing is refused, and the refusal quotes nothing of it."""

    @pytest.mark.parametrize("member", MEMBERS)
    @given(data=st.data())
    def test_one_spoiled_member(self, member: str, data: st.DataObject) -> None:
        """It is InvalidTokenResponse whichever member is spoiled."""
        assert_invalid(read(data.draw(token_responses(spoiled=member))))

    @given(st.sampled_from(RUINS).flatmap(lambda ruin: token_responses(spoiled=ruin)))
    def test_a_ruined_body(self, response: TokenResponse) -> None:
        """So it is where the body as a whole is no JSON object."""
        assert_invalid(read(response))

    @given(extras(), st.text(VISIBLE, min_size=12), st.sampled_from("\né\0 "))
    def test_a_spoiled_token_is_not_quoted(self, others: dict[str, Any], token: str, bad: str) -> None:
        """A token that cannot be used is a secret all the same."""
        outcome = parse_document(TokenResponse(200, {}, b""), {**others, "error": None, "access_token": token + bad})
        assert token not in repr(outcome)

    @given(documents(), json_values().filter(bool))
    def test_an_error_beside_a_token(self, document: dict[str, Any], error: object) -> None:
        """A document with an error that says anything is a refusal (section 5.2), whatever else is in it."""
        assert isinstance(parse_document(TokenResponse(200, {}, b""), {**document, "error": error}), Refused)


class TestRefusal:
    """RFC 6749 section 5.2: error, error_description and error_uri are told, less what is ours or unprintable."""

    @given(st.text(), st.text(), st.text(), st.integers(400, 999).filter(lambda status: status != 407))
    def test_what_the_server_said(self, error: str, description: str, uri: str, status: int) -> None:
        """Each text is what was sent, less the characters that the RFC does not allow there."""
        assume(error.strip() and description.strip())
        said = {"error": error, "error_description": description, "error_uri": uri}
        outcome = read(TokenResponse(status, {}, json.dumps(said).encode()))
        assert isinstance(outcome, Refused)
        fit = ["".join(c for c in text if c in FIT) or None for text in (error, description, uri)]
        assert [status, *fit] == [outcome.status, outcome.error, outcome.error_description, outcome.error_uri]

    @pytest.mark.parametrize("name", WORDS)
    @given(st.text(VISIBLE, min_size=12), st.sampled_from(("{}", '{{"fault": {}}}', '{{"error": {}, "id": 7}}')))
    def test_wherever_it_said_it(self, name: str, words: str, around: str) -> None:
        """The words are told whatever the member is called, here or one level deeper."""
        body = around.format(json.dumps({name: words}))
        outcome = read(TokenResponse(400, {}, body.encode()))
        assert isinstance(outcome, Refused)
        assert (printable(words) or None) == outcome.error_description

    @given(failures(), st.text(VISIBLE, min_size=6), st.integers(0, 300))
    def test_nothing_of_ours(self, failure: Failure, secret: str, at: int) -> None:
        """A text of a hook's that holds our secret is hidden as a whole, wherever in it the secret stands."""
        said = saying(failure, "-" * at + secret + "-")
        assert "**********" in texts(redacted_failure(said, Hidden(lambda: needles(secret))))

    @given(failures())
    def test_idempotent(self, failure: Failure) -> None:
        """What is fit to be shown stays as it is."""
        assert failure == redacted_failure(failure, NOTHING)


class TestGrantedMembers:
    """A grant that repeats our secrets is shown, and kept in caches, without what repeats them."""

    @given(documents(), st.text(VISIBLE, min_size=6))
    def test_what_repeats_is_left_out(self, document: dict[str, Any], secret: str) -> None:
        """Members and scopes go; the token and its lifetime stay as they are."""
        said = {**document, "scope": f"a {secret}", "echo": [secret], "error": None}
        plain = parse_document(TokenResponse(200, {}, b""), document)
        grant = parse_document(TokenResponse(200, {}, b""), said, (), Hidden(lambda: needles(secret)))
        assert isinstance(plain, Granted)
        assert isinstance(grant, Granted)
        assert (None, plain.access_token, plain.expires_in) == (grant.scope, grant.access_token, grant.expires_in)
        assert "echo" not in grant.extra


class TestRetryAfter:
    """RFC 9110 section 10.2.3: a number of seconds, or a date, which is counted from the answer's own Date."""

    @given(st.integers(0, 10**12), st.sampled_from((400, 429, 500, 503)))
    def test_seconds(self, seconds: int, status: int) -> None:
        """The gate waits as long as was said, but at least a second and at most an hour."""
        response = TokenResponse(status, {"Retry-After": str(seconds)}, b"")
        failure = with_retry_after(Refused(status=status), response, 0.0)
        assert (True, min(max(seconds, 1), 3600)) == (failure.retryable, failed(EMPTY, failure, NOW, NOW, 0.5).wait)

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


def test_an_instant_is_needed_for_a_token() -> None:
    """A token's end is counted by the wall clock of the moment before it was asked for, to the millisecond."""
    grant = Granted(access_token="a", expires_in=60, scope=None)
    assert 1_060_125 == token_of(grant, Instant(1000.125, 7.0), RenewalPolicy(), ()).expires

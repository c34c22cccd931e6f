"""FAULTS, groups E, F and G: members of a token response that are missing, of another type, or too good to be true."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import AccessToken, TokenResponse
from client_credentials._core.lifecycle import hold
from client_credentials._core.model import Granted, Malformed, Refused, RenewalPolicy
from client_credentials._core.redaction import LONGEST_TOKEN, MOST_MEMBERS, Hidden, needles, printable
from client_credentials._core.response import parse_document
from client_credentials._core.state import Asked, Instant
from client_credentials.testing.strategies import token_responses
from tests.core.kit import (
    NOON,
    SECRET,
    SOUND,
    answer,
    granted,
    make,
    malformed,
    members,
    read,
    reading,
    refused,
    without,
)
from tests.strategies import NOW, VISIBLE, documents, extras, json_values, policies

START = Instant(wall=NOON, monotonic=5.0)

OTHER_TYPES: Final[tuple[object, ...]] = (7, 0, 1.5, True, False, [], ["x"], {}, {"a": "x"})


def lifetime(expires_in: object, policy: RenewalPolicy | None = None) -> int:
    """The seconds for which a token is good whose answer says so."""
    grant = granted(answer(members(expires_in=expires_in)))
    return token_of(grant, policy).expires_in


def token_of(grant: Granted, policy: RenewalPolicy | None = None, *scopes: str) -> AccessToken:
    """The token of a grant, asked for at the start."""
    return hold(grant, Asked.here(START), policy or RenewalPolicy(), 0.5, scopes).token


class TestWellFormed:
    """RFC 6749 section 5.1: a token is granted, with all that was said of it."""

    @given(token_responses())
    def test_members_are_kept(self, response: TokenResponse) -> None:
        """D15, RFC6749-5.1-4: the token, its scope and the members that nobody knows are as in the document."""
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
        token = hold(grant, Asked.here(NOW), policy, 0.5).token
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

    @given(token_responses(spoiled="any"))
    def test_one_spoiled_member(self, response: TokenResponse) -> None:
        """RFC6749-A.12-A.14: it is InvalidTokenResponse whichever member is spoiled; asking again would not mend it."""
        outcome = read(response)
        assert isinstance(outcome, Malformed)
        assert (200, False, None) == (outcome.status, outcome.retryable, outcome.retry_after)

    @given(extras(), st.text(VISIBLE, min_size=12), st.sampled_from("\né\0 "))
    def test_a_spoiled_token_is_not_quoted(self, others: dict[str, Any], token: str, bad: str) -> None:
        """A token that cannot be used is a secret all the same."""
        outcome = parse_document(TokenResponse(200, {}, b""), {**others, "error": None, "access_token": token + bad})
        assert token not in repr(outcome)

    @given(documents(), json_values().filter(bool))
    def test_an_error_beside_a_token(self, document: dict[str, Any], error: object) -> None:
        """A document with an error that says anything is a refusal (section 5.2), whatever else is in it."""
        assert isinstance(parse_document(TokenResponse(200, {}, b""), {**document, "error": error}), Refused)


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


class TestAccessToken:
    """Group E, RFC 6749 section 5.1: access_token is required, a string of 1*VSCHAR."""

    @pytest.mark.parametrize("value", [None, "", *OTHER_TYPES])
    def test_wrong(self, value: object) -> None:
        """E1-E4, RFC6749-5.1-1: missing, null, empty or not a string is refused, and nothing is converted to one."""
        reason = "access_token is missing or not a string"
        assert reason == malformed(answer(members(access_token=value))).reason
        assert reason == malformed(answer(without("access_token"))).reason

    @pytest.mark.parametrize("character", ["\r", "\n", "\0", "\t", "\x7f", "\x1b", "\x80", "é", "€", "\u2028", " "])
    @pytest.mark.parametrize("place", ["{}abc", "ab{}c", "abc{}", "{}"])
    def test_invisible(self, character: str, place: str) -> None:
        """E5, E7, E8, RFC6749-10.14-1: what is not visible ASCII cannot go into a header, and is not repeated."""
        failure = malformed(answer(members(access_token=place.format(character))))
        assert "access_token must be visible ASCII" == failure.reason

    def test_half_a_pair(self) -> None:
        """E7: half a surrogate pair, which JSON's escapes allow, is refused like any other."""
        assert "visible" in malformed(answer(b'{"access_token": "a\\ud800", "token_type": "bearer"}')).reason

    @pytest.mark.parametrize("length", [1, 100, 8192, LONGEST_TOKEN])
    def test_any_length(self, length: int) -> None:
        """E10, E11, RFC6749-5.1-5: a token may have any length up to 64 KiB, and any visible character."""
        token = (VISIBLE * length)[:length]
        assert token == granted(answer(members(access_token=token))).access_token

    @pytest.mark.parametrize("length", [LONGEST_TOKEN + 1, 1_000_000])
    def test_too_long(self, length: int) -> None:
        """E10: a longer one fits into no header."""
        failure = malformed(answer(members(access_token="x" * length)))
        assert "access_token must not be longer than 65536 characters" == failure.reason

    def test_a_jwt_is_opaque(self) -> None:
        """E13: what a token says of itself is between the two servers."""
        expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9."  # {"alg":"none"}.{"exp":1}
        grant = granted(answer(members(access_token=expired)))
        assert (expired, 3600) == (grant.access_token, grant.expires_in)


class TestTypeAndScope:
    """Group F, RFC 6749 sections 3.3, 5.1 and 7.1."""

    def test_missing_type(self) -> None:
        """F1: a missing token_type counts as Bearer, with a remark."""
        grant = granted(answer(without("token_type")))
        assert ("token_type is missing; taken as Bearer",) == grant.remarks

    @pytest.mark.parametrize("value", [None, "", *OTHER_TYPES])
    def test_no_type(self, value: object) -> None:
        """F1, F4: one that is null, empty or not a string does not."""
        assert malformed(answer(members(token_type=value))).reason.startswith("token_type must be Bearer, not ")

    @pytest.mark.parametrize("value", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_any_case(self, value: str) -> None:
        """F2, RFC6749-5.1-2: upper or lower case makes no difference (section 5.1)."""
        assert () == granted(answer(members(token_type=value))).remarks

    @pytest.mark.parametrize(
        "value", ["mac", "DPoP", "N_A", "pop", "Bearer ", " bearer", "bearer,mac", "\uff42earer", "bearer\u212a"]
    )
    def test_another_type(self, value: str) -> None:
        """F3, RFC6749-7.1-1, RFC9700-2.2.1: a token of another type is no bearer token; the error says what came."""
        reason = malformed(answer(members(token_type=value))).reason
        assert reason.startswith(f"token_type must be Bearer, not {printable(value).strip()}; a deserializer can ")

    def test_bearer_token(self) -> None:
        """F3: BearerToken, as Apigee says, is another name for it."""
        grant = granted(answer(members(token_type="BearerToken")))
        assert ("token_type is BearerToken; taken as Bearer",) == grant.remarks

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            *((None, "null"), (True, "true"), (7, "7"), (-1.5, "-1.5"), (2**60, "that number")),
            *((2**53 - 1, "9007199254740991"), (2**53, "that number")),
            *(("", "an empty string"), ([], "a list"), ({}, "an object"), ("x" * 99, "x" * 64), (SECRET, "**********")),
        ],
    )
    def test_what_came_is_said(self, value: object, said: str) -> None:
        """F3, F4, O6: in one word, and without a secret."""
        assert f"token_type must be Bearer, not {said}; " in malformed(answer(members(token_type=value))).reason

    @pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
    def test_a_token_is_not_said(self, name: str) -> None:
        """F3, O6: not even where the server puts one of its tokens in the place of the type."""
        text = "tGzv3JOkF0XG5Qx2TlKWIA"
        reason = malformed(answer(members(**{name: text, "token_type": text}))).reason
        assert reason.startswith("token_type must be Bearer, not **********; ")

    def test_what_a_deserializer_gives(self) -> None:
        """What JSON does not know is told by its class."""

        def read(_: TokenResponse) -> dict[str, object]:
            return members(token_type=b"Bearer")

        assert "token_type must be Bearer, not a value of type bytes; " in malformed(answer(), deserializer=read).reason

    @pytest.mark.parametrize("scope", [None, ""])
    def test_scope_absent(self, scope: str | None) -> None:
        """F5, RFC6749-3.3-3: no scope in the answer means the one that was asked for."""
        grant = granted(answer(members(scope=scope)))
        assert "read write" == token_of(grant, None, "read", "write").scope
        assert token_of(grant).scope is None

    @pytest.mark.parametrize("scope", ["read", "read write admin", "admin", "READ WRITE", 'lire "l\'été"'])
    def test_scope_differs(self, scope: str) -> None:
        """F6, F7, RFC6749-A.4: the token says what was granted, be it narrower or wider, and there is a remark."""
        response = answer(members(scope=scope))
        grant = parse_document(response, members(scope=scope), ("read", "write"))
        assert isinstance(grant, Granted)
        assert ("the scope granted is not the one asked for",) == grant.remarks
        assert scope == token_of(grant, None, "read", "write").scope

    @pytest.mark.parametrize("asked", [(), ("read", "write"), ("write", "read")])
    def test_scope_as_asked(self, asked: tuple[str, ...]) -> None:
        """F6: no remark where all was granted, in any order, or where the server chose since nothing was asked for."""
        grant = parse_document(answer(), members(scope="write read"), asked)
        assert isinstance(grant, Granted)
        assert () == grant.remarks

    @pytest.mark.parametrize(
        "scope",
        [*(t for t in OTHER_TYPES if t not in ([], ["x"])), [7], "a\nb", ["a\n"], "a\x00", "a\x1b[31m", "\u202e"],
    )
    def test_scope_wrong(self, scope: object) -> None:
        """F4: a scope that is neither a string nor a list of strings, or holds a control character, is refused."""
        assert malformed(answer(members(scope=scope))).reason.startswith("scope ")

    @pytest.mark.parametrize(("scope", "read"), [([], None), (["a"], "a"), (["a", "b"], "a b")])
    def test_scope_as_a_list(self, scope: list[str], read: str | None) -> None:
        """F6: a list of strings is taken as its words, with a remark."""
        grant = granted(answer(members(scope=scope)))
        assert (read, ("scope is a list; taken as its words",)) == (grant.scope, grant.remarks)

    def test_a_refresh_token_is_dropped(self) -> None:
        """F9, F10, RFC6749-4.4.3-1: neither refresh_token nor id_token is kept anywhere (section 4.4.3)."""
        grant = granted(answer(members(refresh_token="r3fresh", id_token="1d", extra="kept")))
        token = token_of(grant)
        assert (None, {"extra": "kept"}) == (token.refresh_token, dict(token.extra))
        assert {"extra": "kept"} == grant.extra

    def test_several_at_once(self) -> None:
        """F1, F6: each oddity has a remark of its own."""
        grant = parse_document(answer(), {**without("token_type"), "scope": "a"}, ("b",))
        assert isinstance(grant, Granted)
        assert 2 == len(grant.remarks)


class TestLifetime:
    """Group G, RFC 6749 section 5.1 and appendix A.14: expires_in is a number of seconds."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(3600, 3600), ("3600", 3600), ("0060", 60), (3599.5, 3599), (1, 1), (86400, 86400), (1e3, 1000)],
    )
    def test_numbers(self, value: object, expected: int) -> None:
        """G1-G3: a whole number, ASCII digits in a string, and a fraction that is cut."""
        assert expected == lifetime(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("3599.5", "1_000", " 3600 ", "٣٦٠٠", "²", "+60", "-60", "6e1", "0x3c", "zzz", "1" * 41),
            *(True, False, -1, -0.5, -(10**30), {}, [], [3600], {"seconds": 3600}),
        ],
    )
    def test_no_numbers(self, value: object) -> None:
        """G2, G4-G6, G12, G13: what only looks like a number, a boolean, a negative one, an object, are refused."""
        reason = malformed(answer(members(expires_in=value))).reason
        assert reason.startswith("expires_in must be a number of seconds, not ")
        assert reason.endswith("; a deserializer can convert it")

    @pytest.mark.parametrize(("value", "said"), [(-1, "-1"), ("an hour", "an hour"), (True, "true"), ([], "a list")])
    def test_what_came_is_said(self, value: object, said: str) -> None:
        """G2: as for a type."""
        words = f"expires_in must be a number of seconds, not {said}; a deserializer can convert it"
        assert words == malformed(answer(members(expires_in=value))).reason

    @pytest.mark.parametrize("value", [0, "0", 0.0, 0.9, -0.0])
    def test_zero(self, value: object) -> None:
        """G7: 0 counts as one second, never as for ever."""
        assert 1 == lifetime(value)

    @pytest.mark.parametrize("value", [86401, 10**30, 1e308, "9" * 40, 10**4000])
    def test_huge(self, value: object) -> None:
        """G8: a longer life is cut to max_lifetime, and `expires` agrees."""
        policy = RenewalPolicy(max_lifetime=86400)
        token = token_of(granted(answer(members(expires_in=value))), policy)
        assert (86400, int((NOON + 86400) * 1000)) == (token.expires_in, token.expires)

    @pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
    def test_not_finite(self, literal: bytes) -> None:
        """G9: JSON knows no such number, and a user's deserializer that does makes no difference."""
        body = b'{"access_token": "a", "token_type": "bearer", "expires_in": ' + literal + b"}"
        assert "NaN and Infinity are not JSON" == malformed(answer(body)).reason
        read = members(expires_in=float(literal))
        assert "expires_in" in malformed(answer(), deserializer=reading(read)).reason

    def test_missing(self) -> None:
        """G10, G11, RFC6749-5.1-3: missing or null, the lifetime is the one that is assumed, never infinite."""
        policy = RenewalPolicy(assumed_lifetime=77)
        assert 77 == lifetime(None, policy)
        assert 77 == token_of(granted(answer(without("expires_in"))), policy).expires_in

    def test_empty(self) -> None:
        """G12: an empty string counts as missing, with a remark."""
        grant = granted(answer(members(expires_in="")))
        assert (None, ("expires_in is empty; taken as missing",)) == (grant.expires_in, grant.remarks)

    @pytest.mark.parametrize(
        ("value", "read"),
        [
            *((1800, 1800.0), ("1800", 1800.0), (0.5, 0.5), (0, None), (-1, None), (True, None), ("x", None)),
            *((1e300, None), (None, None), ([], None), ("9" * 40, None), (1e9, None), (1e9 - 1, 1e9 - 1)),
        ],
    )
    def test_refresh_in(self, value: object, read: float | None) -> None:
        """G17: refresh_in is when the server advises a renewal; an odd one is not, and nothing is refused for it."""
        assert read == granted(answer(members(refresh_in=value))).refresh_in

    def test_counted_from_before_sending(self) -> None:
        """G16: a lifetime counts from before the request was sent, however long the answer took."""
        held = hold(granted(answer(members(expires_in=60))), Asked.here(START), RenewalPolicy(), 0.5)
        assert (START, int((NOON + 60) * 1000)) == (held.asked.at, held.token.expires)

    def test_as_many_as_there_is_room_for(self) -> None:
        """R1: so many members that nobody knows are kept, whatever stands beside them, and no more."""
        many = {f"m{number}": number for number in range(MOST_MEMBERS)}
        assert many == granted(answer(members(**many))).extra == granted(answer(members(**many, more=1))).extra

    def test_others_are_ignored(self) -> None:
        """G17, I10: ext_expires_in, expires_on and expires are members like any other."""
        others = {"ext_expires_in": 9999, "expires_on": "1700000000", "expires": 1}
        grant = granted(answer(members(**others)))
        assert (3600, others) == (grant.expires_in, grant.extra)


@pytest.mark.parametrize("error", ["", False, 0, 0.0, [], {}])
def test_an_empty_error(error: object) -> None:
    """C11: an empty, false or zero error beside a token is none, with a remark."""
    grant = granted(answer(members(error=error)))
    assert ("error is empty, false or 0 beside a token; taken as missing",) == grant.remarks
    assert "error" not in grant.extra
    assert "access_token is missing or not a string" == malformed(answer({"error": error})).reason


def test_a_token_in_an_envelope() -> None:
    """E1: a token that stands a level deeper is not taken, but the error says where it is and what to do."""
    said = "access_token is nested one level deeper; a deserializer can unwrap it"
    assert said == malformed(answer({"message": "ok", "data": dict(SOUND)})).reason


def test_words_in_place_of_a_token() -> None:
    """E1: what the server says in an answer of 200 without a token is told, unless it holds a secret."""
    said = "access_token is missing or not a string; the server says: "
    assert f"{said}invalid appid" == malformed(answer({"errcode": 40013, "errmsg": "invalid appid"})).reason
    assert f"{said}**********" == malformed(answer({"errmsg": f"not {SECRET}"})).reason


def test_an_error_outranks_a_token() -> None:
    """C11: an answer with both a token and an error is a refusal, which does not repeat the token."""
    said = f"no more of {SOUND['access_token']} for you"
    failure = refused(answer(members(error="slow_down", error_description=said)), client=make(scopes=["a"]))
    assert ("slow_down", "**********", True) == (
        failure.error,
        failure.error_description,
        failure.retryable,
    )


def test_a_deserializer_that_gives_no_mapping() -> None:
    """The failure says so, and with which status."""
    found = parse_document(TokenResponse(200, {}, b""), "text", ())
    assert Malformed(status=200, reason="the deserializer did not return a mapping") == found


def _listed(inner: object) -> object:
    return [inner]


def _named(inner: object) -> object:
    return {"a": inner}


@pytest.mark.parametrize(("nested", "deepest"), [(_listed, 63), (_named, 31)])
def test_a_member_that_is_nested_deep(nested: Callable[[object], object], deepest: int) -> None:
    """A member that no RFC names is kept if its lists and objects are some dozens deep, and left out if deeper."""
    for depth, kept in ((deepest, True), (deepest + 1, False), (500, False)):
        member: object = 1
        for _ in range(depth):
            member = nested(member)
        assert kept is ("x" in granted(answer(members(x=member))).extra)

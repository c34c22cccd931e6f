"""FAULTS, groups C and D: what is made of a status, of a body that is not one JSON object, and of anything at all."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_credentials import TokenResponse
from client_credentials._core.lifecycle import failed
from client_credentials._core.model import Granted, Malformed, Refused
from client_credentials._core.refusal import with_retry_after
from client_credentials._core.response import parse_document, status_failure
from client_credentials._core.state import EMPTY
from tests.core.kit import (
    FIT,
    SECRET,
    SOUND,
    accept,
    answer,
    granted,
    judged,
    malformed,
    read,
    refused,
    texts,
    unreachable,
)
from tests.strategies import NOW, VISIBLE, json_values

TOKEN = SOUND["access_token"]

REDIRECTS = (300, 301, 302, 303, 307, 308)

BODY = json.dumps(SOUND)[:-1]  # to be continued


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


@pytest.mark.parametrize("status", REDIRECTS)
def test_c1_to_c5(status: int) -> None:
    """C1-C5: a redirect to another host is not a token response; of its Location all but the query is told."""
    failure = malformed(answer(b"", status, Location="https://evil.example:8443/take?code=abc#f"))
    assert (status, False, None) == (failure.status, failure.retryable, failure.retry_after)
    to = "https://evil.example:8443/take"
    assert f"status {status}, a redirect to {to}; redirects are not followed" == failure.reason


@pytest.mark.parametrize("location", ["/api/token/", "/api/token/?a=b", "/api/token/#f"])
def test_c6_where_it_led(location: str) -> None:
    """C6: nor is one to the same host; its path says which URL is the right one."""
    failure = malformed(answer(SOUND, 308, location=location))
    assert "status 308, a redirect to /api/token/; redirects are not followed" == failure.reason


def test_c6_a_secret_in_the_path() -> None:
    """C6, O6: a path that repeats a secret is hidden."""
    failure = malformed(answer(SOUND, 308, location=f"https://issuer.example/{quote(SECRET)}"))
    assert "status 308, a redirect to **********; redirects are not followed" == failure.reason


@pytest.mark.parametrize(
    "location",
    [
        "",
        "token",
        f"/{'x' * 501}",
        "https://a:b@evil.example/",
        "javascript:alert(1)",
        "https://evil.example\x00/",
        "//evil.example/",
    ],
)
def test_c6(location: str) -> None:
    """C6: nor is one to where nothing can be told safely."""
    failure = malformed(answer(SOUND, 307, location=location))
    assert "status 307, a redirect; redirects are not followed" == failure.reason


def test_c8() -> None:
    """C8: there is no redirect loop, since the first redirect ends the attempt."""
    sent: list[object] = []
    response = answer(b"", 302, Location="https://issuer.example/token")
    malformed(response, before_request=sent.append)
    assert 1 == len(sent)


def test_c9() -> None:
    """C9: 204 brings nothing, and neither does an empty body under any status that should bring something."""
    assert "status 204, expected 200 or 201" == malformed(answer(b"", 204)).reason
    assert "the body is empty" == malformed(answer(b"")).reason


def test_c10_created() -> None:
    """C10: 201 grants like 200, as CrowdStrike does."""
    assert TOKEN == granted(answer(SOUND, 201)).access_token


@pytest.mark.parametrize("status", [202, 203, 206])
def test_c10(status: int) -> None:
    """C10: no other status grants, even where a token is in the body; a user's validator may be more generous."""
    assert f"status {status}, expected 200 or 201" == malformed(answer(SOUND, status)).reason
    assert TOKEN == granted(answer(SOUND, status), response_validator=accept).access_token


def test_c11() -> None:
    """C11, RFC6749-5.2-1: 200 with an error is a refusal."""
    failure = refused(answer({"error": "invalid_client", "error_description": "Unknown client"}))
    assert (200, "invalid_client", "Unknown client") == (failure.status, failure.error, failure.error_description)
    assert not failure.retryable


def test_c12() -> None:
    """C12: HTML with 200 is told by its media type, length and digest, and by none of its bytes."""
    page = b"<html>Sign in to the wireless network</html>"
    failure = malformed(answer(page, Content_Type="text/html; charset=utf-8"))
    digest = hashlib.sha256(page).hexdigest()[:8]
    assert f"not JSON: {len(page)} bytes of text/html, sha256 {digest}" == failure.reason


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "text/html", ""])
def test_c13(kind: str) -> None:
    """C13: JSON is JSON whatever the Content-Type says."""
    assert TOKEN == granted(answer(SOUND, content_type=kind)).access_token


def test_c14() -> None:
    """C14: a form is refused; a user's deserializer may read it."""

    def from_form(response: TokenResponse) -> Mapping[str, object]:
        return dict(parse_qsl(response.body.decode()))

    kind = "application/x-www-form-urlencoded"
    response = answer(b"access_token=abc&token_type=bearer&expires_in=60", Content_Type=kind)
    assert malformed(response).reason.startswith("not JSON: 48 bytes of application/x-www-form-urlencoded, ")
    grant = granted(response, deserializer=from_form)
    assert ("abc", 60) == (grant.access_token, grant.expires_in)


def test_c15() -> None:
    """C15: without a Content-Type the body is read as JSON, and told to have no type if it is not."""
    assert TOKEN == granted(answer()).access_token
    assert malformed(answer(b"?")).reason.startswith("not JSON: 1 bytes of no type, ")


@pytest.mark.parametrize("status", [0, 100, 101, 103, 199, 300, 304, 399])
def test_c16(status: int) -> None:
    """C16: 304 and 1xx bring no token."""
    assert status == malformed(answer(SOUND, status)).status


def test_c17() -> None:
    """C17: a 401 with HTML is a refusal without an error code; what kind of body it had is told."""
    failure = refused(answer(b"<html>401</html>", 401, Content_Type="text/html"))
    assert (failure.note or "").startswith("the body is 16 bytes of text/html; ")
    assert (401, None, None, False) == (failure.status, failure.error, failure.error_description, failure.retryable)


def test_c18() -> None:
    """C18: 407 comes from a proxy, so the endpoint was not reached."""
    failure = unreachable(answer(b"<html>407</html>", 407))
    assert "the proxy asks for authentication (status 407)" == failure.reason


@pytest.mark.parametrize("body", [b"<html>500</html>", b"", b"upstream connect error", b"{", SOUND])
def test_c20(body: object) -> None:
    """C20: a server that fails may have recovered by the next attempt, whatever it says."""
    failure = refused(answer(body, 500))
    assert (500, None, True) == (failure.status, failure.error, failure.retryable)


@pytest.mark.parametrize("status", [408, 421, 425, 429, 500, 503, 599, 600, 999])
def test_c21(status: int) -> None:
    """C21, RFC9110-15: a timeout, misdirected (421), too early, and every failure of the server's are retryable."""
    assert refused(answer(b"", status)).retryable


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 499])
def test_c21_no_other(status: int) -> None:
    """C21: no other refusal is."""
    assert not refused(answer(b"", status)).retryable


def test_only_success_passes() -> None:
    """There is no status but 200 and 201 with which nothing is wrong."""
    assert [200, 201] == [status for status in range(1000) if status_failure(answer(SOUND, status)) is None]
    assert isinstance(judged(answer()), Granted)


@pytest.mark.parametrize("name", ["access_token", "expires_in", "token_type", "scope", "error", "x"])
def test_d1(name: str) -> None:
    """D1: a member that stands twice is refused, at any depth, and whether the values agree or not."""
    reason = "duplicate member"
    assert reason == malformed(answer(f'{BODY}, "{name}": 1, "{name}": 1}}'.encode())).reason
    assert reason == malformed(answer(f'{BODY}, "deep": [{{"{name}": 1, "{name}": 2}}]}}'.encode())).reason


def test_d1_spelled_differently() -> None:
    """D1: an escape in a name does not hide that it is the same."""
    assert "duplicate member" == malformed(answer(f'{BODY}, "access\\u005ftoken": "x"}}'.encode())).reason


@pytest.mark.parametrize("depth", [5_000, 50_000, 500_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_d2(brackets: str, depth: int) -> None:
    """D2: nesting without end is not JSON to us, and no RecursionError."""
    opening = brackets[0] if brackets == "[]" else '{"a":'
    body = f'{BODY}, "deep": {opening * depth}'.encode()
    assert malformed(answer(body)).reason.startswith(("not JSON: ", "more than 10000 members or objects"))


@pytest.mark.parametrize(
    ("count", "reason"), [(10_000, None), (10_001, "more than 10000 members or objects in one document")]
)
def test_d2_too_many(count: int, reason: str | None) -> None:
    """D2, R1: so many members of one object, or objects side by side, are too many."""
    members = "".join(f', "m{number}": {number}' for number in range(count - len(SOUND)))
    objects = f', "wide": [{", ".join(["{}"] * (count - 1))}]'
    for more in (members, objects):
        outcome = read(answer(f"{BODY}{more}}}".encode()))
        assert reason == (outcome.reason if isinstance(outcome, Malformed) else None)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_d4(literal: str) -> None:
    """D4: JSON has no such number, whatever Python's reader says."""
    assert "NaN and Infinity are not JSON" == malformed(answer(f'{BODY}, "x": {literal}}}'.encode())).reason


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "1" + "0" * 400 + ".5"])
def test_d5(literal: str) -> None:
    """D5: neither has it one that is infinite once it is read."""
    assert "NaN and Infinity are not JSON" == malformed(answer(f'{BODY}, "x": {literal}}}'.encode())).reason


def test_an_integer_of_any_length() -> None:
    """D5: an integer of more digits than Python converts is not JSON to us; one of fewer is just a number."""
    digits = sys.get_int_max_str_digits()
    assert malformed(answer(f'{BODY}, "x": {"9" * (digits + 1)}}}'.encode())).reason.startswith("not JSON")
    assert 10**digits - 1 == granted(answer(f'{BODY}, "x": {"9" * digits}}}'.encode())).extra["x"]


def test_d6() -> None:
    """D6: a UTF-8 byte order mark is harmless."""
    assert SOUND["access_token"] == granted(answer(b"\xef\xbb\xbf" + BODY.encode() + b"}")).access_token


def test_d8() -> None:
    """D8: Latin-1 is not UTF-8; the message holds none of the bytes."""
    failure = malformed(answer(BODY.encode() + b', "x": "caf\xe9"}'))
    assert failure.reason.startswith("not JSON: ")
    assert "caf" not in failure.reason


def test_d9() -> None:
    """D9: a charset in the header changes nothing: JSON is UTF-8."""
    kind = "application/json; charset=utf-16"
    assert SOUND["access_token"] == granted(answer(SOUND, Content_Type=kind)).access_token
    assert "of application/json," in malformed(answer(json.dumps(SOUND).encode("utf-16"), Content_Type=kind)).reason


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"3", b"true", b"[{}]", b"0.5"])
def test_d10(body: bytes) -> None:
    """D10: a document that is not an object is refused."""
    assert "the body is not a JSON object" == malformed(answer(body)).reason


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t ", b"\n" * 1000])
def test_d11(body: bytes) -> None:
    """D11: an empty body is told as such."""
    assert "the body is empty" == malformed(answer(body)).reason


def test_d11_after_a_byte_order_mark() -> None:
    """D11: a byte order mark alone is no document either."""
    assert malformed(answer(b"\xef\xbb\xbf")).reason.startswith("not JSON: 3 bytes")


@pytest.mark.parametrize("tail", ["}", "{}", "x", ",", "\0", "//", '"'])
def test_d12(tail: str) -> None:
    """D12: nothing may follow the object but white space; nor may its end be missing."""
    assert malformed(answer(f"{BODY}}}{tail}".encode())).reason.startswith("not JSON: ")
    assert malformed(answer(BODY.encode())).reason.startswith("not JSON: ")
    assert SOUND["access_token"] == granted(answer(f"{BODY}}}\r\n ".encode())).access_token


def test_d13() -> None:
    """D13: the end of a line within a string is refused."""
    assert malformed(answer(f'{BODY}, "x": "a\nb"}}'.encode())).reason.startswith("not JSON: ")


@pytest.mark.parametrize("body", [b"\0", b"\0" * 100, BODY.encode() + b"\0}", b"\0" + BODY.encode() + b"}"])
def test_d16(body: bytes) -> None:
    """D16: NUL bytes are no JSON."""
    assert malformed(answer(body)).reason.startswith("not JSON: ")


@pytest.mark.parametrize("kind", ["text/html\r\nX: y", "\x1b[31m", "a" * 100 + "/b", "text", "é/é"])
def test_a_strange_media_type_is_not_repeated(kind: str) -> None:
    """D8: of a Content-Type only what looks like one is told."""
    reason = malformed(answer(b"?", Content_Type=kind)).reason
    assert reason.startswith(("not JSON: 1 bytes of no type, ", "not JSON: 1 bytes of text/html, "))

"""FAULTS, group D: bodies that are not one JSON object, or only to a careless reader."""

from __future__ import annotations

import json
import sys

import pytest

from tests.core.kit import SOUND, answer, granted, malformed, members

BODY = json.dumps(SOUND)[:-1]  # to be continued


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
    assert malformed(answer(body)).reason.startswith(("not JSON: ", "more than 10000 objects"))


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
    """D12: nothing may follow the object but white space."""
    assert malformed(answer(f"{BODY}}}{tail}".encode())).reason.startswith("not JSON: ")
    assert SOUND["access_token"] == granted(answer(f"{BODY}}}\r\n ".encode())).access_token


def test_d13() -> None:
    """D13: the end of a line within a string is refused."""
    assert malformed(answer(f'{BODY}, "x": "a\nb"}}'.encode())).reason.startswith("not JSON: ")


def test_d15() -> None:
    """D15: members that nobody knows are kept, and do not enter a repr."""
    grant = granted(answer(members(**{"x-tenant": {"name": "acme-inc"}, "expires": 7})))
    assert {"x-tenant": {"name": "acme-inc"}, "expires": 7} == grant.extra
    assert "acme" not in repr(grant)


@pytest.mark.parametrize("body", [b"\0", b"\0" * 100, BODY.encode() + b"\0}", b"\0" + BODY.encode() + b"}"])
def test_d16(body: bytes) -> None:
    """D16: NUL bytes are no JSON."""
    assert malformed(answer(body)).reason.startswith("not JSON: ")


@pytest.mark.parametrize("kind", ["text/html\r\nX: y", "\x1b[31m", "a" * 100 + "/b", "text", "é/é"])
def test_a_strange_media_type_is_not_repeated(kind: str) -> None:
    """D8: of a Content-Type only what looks like one is told."""
    reason = malformed(answer(b"?", Content_Type=kind)).reason
    assert reason.startswith(("not JSON: 1 bytes of no type, ", "not JSON: 1 bytes of text/html, "))

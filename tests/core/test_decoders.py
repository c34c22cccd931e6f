"""How many odd credentials servers read right, by what they do to HTTP Basic: form-decode, percent-decode, or nothing.

RFC 6749 section 2.3.1 asks for form-encoding. Real servers are of all three kinds, and few say which.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_plus, unquote, unquote_plus

import pytest

from client_credentials import ClientAuthentication
from client_credentials._core.request import token_request
from tests.core.kit import make

DECODERS: Final[Mapping[str, Callable[[str], str]]] = {"form": unquote_plus, "percent": unquote, "none": str}
ODD: Final = f"{string.punctuation} é€😀"
CREDENTIALS: Final = [
    (f"id{ODD[at]}4b", f"{ODD[(at + step) % len(ODD)]}2fse{ODD[(at + 3 * step) % len(ODD)]}cret")
    for step in (1, 5, 11)
    for at in range(len(ODD))
]


def read(authorization: str, decode: Callable[[str], str]) -> tuple[str, str]:
    """The id and the secret, as such a server reads them."""
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return decode(user), decode(password)


def read_right(way: ClientAuthentication) -> int:
    """How many of the credentials are read right, over all decoders."""
    count = 0
    for client_id, secret in CREDENTIALS:
        if way is ClientAuthentication.BASIC_RAW and ":" in client_id:
            continue  # which no header can carry
        header = token_request(make(client_id=client_id, authentication=way), secret, 1.0).headers["Authorization"]
        count += sum((client_id, secret) == read(header, decode) for decode in DECODERS.values())
    return count


def fully_encoded() -> int:
    """How many are if everything is form-encoded, to the letter of the RFC."""
    return sum(
        all(decode(quote_plus(text)) == text for text in pair) for pair in CREDENTIALS for decode in DECODERS.values()
    )


def test_odd_credentials() -> None:
    """There are 324 of them, with every odd character in the id and in the secret."""
    assert 324 == len(CREDENTIALS) * len(DECODERS)
    assert set(ODD) == {c for client_id, _ in CREDENTIALS for c in client_id} - set("id4b")


def test_basic() -> None:
    """P5: BASIC is read right at least 235 times of 324, much more often than the letter of the RFC."""
    assert (True, True) == (read_right(ClientAuthentication.BASIC) >= 235, fully_encoded() < 235)


def test_basic_raw() -> None:
    """P5: BASIC_RAW at least 261 times."""
    assert read_right(ClientAuthentication.BASIC_RAW) >= 261


@pytest.mark.parametrize("decoder", ["form", "percent"])
def test_a_server_that_decodes(decoder: str) -> None:
    """P5: whichever way a server decodes, it reads every odd credential right by BASIC."""
    for client_id, secret in CREDENTIALS:
        header = token_request(make(client_id=client_id), secret, 1.0).headers["Authorization"]
        assert (client_id, secret) == read(header, DECODERS[decoder])

"""How values compare."""

from __future__ import annotations

import math

import attrs

from client_credentials import AccessToken, TokenRequest
from client_credentials._core.acquisition import Unlock, Wake
from client_credentials._core.state import Instant


def test_equal() -> None:
    """Values are equal by class and by every field, as attrs compares them; so are moments that no clock gave."""
    one = AccessToken("a", "Bearer", 1, 2, extra={"b": 1})
    same, other = attrs.evolve(one), attrs.evolve(one, extra={"b": 2})
    assert (one == same, one == other, one == "a", Wake() == Unlock()) == (True, False, False, False)
    assert Instant(math.nan, 1.0) == Instant(math.nan, 1.0)


def test_hashes() -> None:
    """What is equal has one hash, though a field may be a mapping, which has none."""
    request = TokenRequest("POST", "https://login.example/token", {"A": "b"}, b"", 1.0)
    assert 1 == len({request, attrs.evolve(request)})
    assert 2 == len({Wake(), Unlock(), Wake()}) == len({hash(Wake()), hash(Unlock())})

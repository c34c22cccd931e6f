"""The values: frozen, hashable, and none of them shows a secret."""

from __future__ import annotations

import copy
import json
import math
import pickle
from datetime import UTC, datetime
from typing import Any, Final, cast

import attrs
import cattrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import AccessToken, CacheEntry, ClientAuthentication, RenewalPolicy, TokenRequest, TokenResponse
from client_credentials._core.client import make_client
from client_credentials._core.model import Client, Granted, without_query
from client_credentials._core.secret import REDACTED
from client_credentials.testing.strategies import access_tokens, token_requests
from tests.strategies import clients, policies, token_texts

CANARY: Final = "c4nary-t0ken"

TOKEN: Final = AccessToken(CANARY, "Bearer", 60, 1, refresh_token=CANARY, extra={"id": CANARY})


class TestAccessToken:
    """AccessToken(access_token, token_type, expires_in, expires, scope=None, refresh_token=None, extra={})."""

    @given(access_tokens())
    def test_frozen(self, token: AccessToken) -> None:
        """No attribute can be changed, added or removed."""
        for name in ("access_token", "expires", "extra", "another"):
            with pytest.raises(AttributeError):
                setattr(token, name, "x")
            with pytest.raises(AttributeError):
                delattr(token, name)

    @given(access_tokens())
    def test_extra_is_read_only(self, token: AccessToken) -> None:
        """Neither can a member of `extra`, nor do changes to the mapping that it was made of show."""
        mapping: dict[str, object] = {"a": 1}
        made = attrs.evolve(token, extra=mapping)
        mapping["a"] = 2
        extra: Any = made.extra
        with pytest.raises(TypeError):
            extra["a"] = 3
        with pytest.raises(TypeError):
            del extra["a"]
        assert {"a": 1} == dict(made.extra)

    def test_so_is_what_is_in_it(self) -> None:
        """All the way down."""
        inner: Any = AccessToken("a", "Bearer", 1, 2, extra={"b": [{"c": 1}]}).extra["b"]
        with pytest.raises(TypeError):
            inner[0]["c"] = 2

    @given(access_tokens(), st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
    def test_travels(self, token: AccessToken, protocol: int) -> None:
        """It pickles and copies to an equal one, whose `extra` is read-only too."""
        for again in (pickle.loads(pickle.dumps(token, protocol)), copy.copy(token), copy.deepcopy(token)):
            assert (token, type(token.extra)) == (again, type(again.extra))

    @given(access_tokens(), access_tokens())
    def test_equality(self, one: AccessToken, other: AccessToken) -> None:
        """Equal tokens have equal hashes, whatever is in `extra`, and a difference in any field counts."""
        again = attrs.evolve(one)
        assert (one, hash(one)) == (again, hash(again))
        assert (one == other) is (attrs.asdict(one) == attrs.asdict(other))
        assert one != attrs.evolve(one, extra={**one.extra, "one": "more"})

    @given(token_texts())
    def test_authorization(self, text: str) -> None:
        """RFC6750-2.1-1: it is the canonical `Bearer` and the token, whatever the case of token_type was."""
        assert f"Bearer {text}" == AccessToken(text, "bearer", 60, 1).authorization

    def test_expires_at(self) -> None:
        """The end as a datetime is aware, and the same moment to the millisecond."""
        assert (
            datetime(2001, 9, 9, 1, 46, 40, 5000, UTC) == AccessToken("a", "Bearer", 60, 1_000_000_000_005).expires_at
        )

    def test_shows_nothing(self) -> None:
        """O1: neither token nor refresh token nor what came with them is in a repr."""
        assert (
            f"AccessToken(access_token='{REDACTED}', token_type='Bearer', expires_in=60, expires=1, scope=None,"
            f" refresh_token='{REDACTED}')"
        ) == repr(TOKEN)
        assert CANARY not in f"{TOKEN} {TOKEN!r} {[TOKEN]}" + json.dumps({"token": TOKEN}, default=str)

    def test_shows_what_is_missing(self) -> None:
        """A token that is not there is not starred."""
        assert "refresh_token=None" in repr(AccessToken("a", "Bearer", 60, 1))
        assert "access_token=''" in repr(AccessToken("", "Bearer", 60, 1))

    def test_given_on_purpose(self) -> None:
        """O2: asdict and unstructure are the places that give the token, for whoever wants to keep it."""
        assert CANARY == attrs.asdict(TOKEN)["access_token"] == cattrs.unstructure(TOKEN)["access_token"]

    def test_matches_by_position(self) -> None:
        """The fields come in the SDK's order."""
        match TOKEN:
            case AccessToken(token, kind, lifetime, end, scope):
                assert (CANARY, "Bearer", 60, 1, None) == (token, kind, lifetime, end, scope)


class TestMessages:
    """TokenRequest and TokenResponse: frozen both, reprs redacted."""

    @given(token_requests(), st.sampled_from([field.name for field in attrs.fields(TokenRequest)]))
    def test_request(self, request: TokenRequest, name: str) -> None:
        """A request shows where it goes, its headers' names, and how long its body is."""
        expected = (
            f"TokenRequest(method='POST', url={without_query(request.url)!r}, headers=<{', '.join(request.headers)}>,"
            f" body=<{len(request.body)} bytes>, timeout={request.timeout!r})"
        )
        assert expected == repr(request)
        with pytest.raises(AttributeError):
            setattr(request, name, None)

    @pytest.mark.parametrize("name", [field.name for field in attrs.fields(TokenResponse)])
    @given(st.integers(), st.dictionaries(st.text(), st.text(), max_size=2), st.binary())
    def test_response(self, name: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """A response shows how many headers it has: even their names are a stranger's words."""
        response = TokenResponse(status, headers, body)
        expected = f"TokenResponse(status={status}, headers=<{len(headers)} headers>, body=<{len(body)} bytes>)"
        assert expected == repr(response)
        with pytest.raises(AttributeError):
            setattr(response, name, None)

    @given(token_requests(), st.binary())
    def test_hashable(self, request: TokenRequest, body: bytes) -> None:
        """Both are hashable, with the mapping that their headers are."""
        response = TokenResponse(200, dict(request.headers), body)
        again = (attrs.evolve(request), attrs.evolve(response))
        assert ((request, response), hash((request, response))) == (again, hash(again))

    @given(token_requests(), st.binary(), st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
    def test_headers_are_read_only(self, request: TokenRequest, body: bytes, protocol: int) -> None:
        """No hook can change a header, nor can whoever made the mapping; it pickles and copies as it is."""
        given = {"X-Tenant": "blue"}
        for message in (attrs.evolve(request, headers=given), TokenResponse(200, given, body)):
            headers: Any = message.headers
            with pytest.raises(TypeError):
                headers["X-Tenant"] = "red"
            given["X-Tenant"] = "red"
            assert {"X-Tenant": "blue"} == dict(message.headers)
            given["X-Tenant"] = "blue"
            for again in (pickle.loads(pickle.dumps(message, protocol)), copy.deepcopy(message)):
                assert (message, type(message.headers)) == (again, type(again.headers))

    def test_the_query_is_not_shown(self) -> None:
        """O13: gateways put keys into the query, so neither a request nor a client shows it."""
        url = f"https://issuer.example/token?key={CANARY}"
        request = TokenRequest("POST", url, {}, b"", 1.0)
        client = make_client(
            "a",
            token_url=url,
            scopes=(),
            audience=None,
            resources=(),
            extra_params={"p": CANARY},
            headers={"X-Key": CANARY},
            authentication=ClientAuthentication.BASIC,
        )
        assert "https://issuer.example/token" == without_query(url)
        assert CANARY not in f"{request!r} {client!r}"
        assert "url='https://issuer.example/token'" in repr(request)

    @given(st.text("abc-XYZ", min_size=1), st.text())
    def test_headers_in_any_case(self, name: str, value: str) -> None:
        """The name of a header is found in any case (RFC 9110 section 5.1)."""
        response = TokenResponse(200, {"other": "x", name.upper(): value}, b"")
        assert [value] * 3 == [response.header(each) for each in (name, name.lower(), name.swapcase())]
        assert None is response.header(name + "!")


class TestRedactedValues:
    """No other value shows a secret either."""

    def test_reprs(self) -> None:
        """O1: a grant, an entry of a cache and the extra parameters of a client are starred or left out."""
        values = (
            Granted(access_token=CANARY, expires_in=60, scope=None, extra={"id": CANARY}),
            CacheEntry(CANARY, 60.0),
            TokenRequest("POST", "https://issuer.example/", {"Authorization": CANARY}, CANARY.encode(), 1.0),
            TokenResponse(200, {"Set-Cookie": CANARY}, CANARY.encode()),
        )
        assert not [value for value in values if CANARY in repr(value) or CANARY in f"{value}"]

    @given(clients())
    def test_client(self, client: Client) -> None:
        """The extra parameters of a client, among which there may be a password, are not shown."""
        shown = repr(client)
        assert "extra_params" not in shown
        assert repr(client.client_id) in shown


class TestPolicy:
    """A policy that contradicts itself is a ValueError that names the argument."""

    @given(policies())
    def test_sound(self, policy: RenewalPolicy) -> None:
        """One that does not is kept as it is."""
        assert policy == RenewalPolicy(**attrs.asdict(policy))

    @pytest.mark.parametrize("name", [field.name for field in attrs.fields(RenewalPolicy)])
    @pytest.mark.parametrize(
        "value", [-1, -1e-9, math.nan, math.inf, -math.inf, 1e9 + 1, 10**20, "10", None, True, False, [], 1j]
    )
    def test_no_number(self, name: str, value: Any) -> None:
        """A value that is negative, without end or no number is refused."""
        if value is None and name == "renew_ahead":  # by the lifetime
            return
        with pytest.raises(ValueError, match=f"^{name} must be a number from 0 to 1e"):
            RenewalPolicy(**cast("dict[str, Any]", {name: value}))

    @pytest.mark.parametrize("name", ["assumed_lifetime", "max_lifetime", "deadline"])
    @pytest.mark.parametrize("value", [0, 0.0, -0.0])
    def test_no_time(self, name: str, value: float) -> None:
        """A lifetime or a deadline of nothing leaves no time for anything."""
        with pytest.raises(ValueError, match=f"^{name} must be more than 0 seconds$"):
            RenewalPolicy(**{name: value})

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("jitter", {"jitter": 1.001}),
            ("leeway", {"leeway": 120.5, "renew_ahead": 120}),
            ("leeway", {"renew_ahead": 9}),
            ("assumed_lifetime", {"assumed_lifetime": 86401}),
            ("assumed_lifetime", {"max_lifetime": 299}),
        ],
    )
    def test_contradictions(self, name: str, values: dict[str, float]) -> None:
        """So are two values that cannot both be meant."""
        with pytest.raises(ValueError, match=f"^{name} must "):
            RenewalPolicy(**values)

    def test_the_edges(self) -> None:
        """Values at the edge are fine: whole numbers, all of the window, no window at all."""
        for values in (
            {"jitter": 1},
            {"jitter": 0},
            {"renew_ahead": 0, "leeway": 0},
            {"renew_ahead": 10, "leeway": 10},
            {"max_lifetime": 300},
            {"max_lifetime": 1e9, "assumed_lifetime": 1e9, "deadline": 1e9, "renew_ahead": 1e9, "leeway": 1e9},
        ):
            assert values.items() <= attrs.asdict(RenewalPolicy(**values)).items()

    def test_usual_values(self) -> None:
        """The usual policy is the one that the design names."""
        assert (None, 10, 300, 86400, 0.2, 10) == attrs.astuple(RenewalPolicy())

    def test_keywords_alone(self) -> None:
        """A policy is made by keyword: six numbers in a row tell nobody anything."""
        policy: Any = RenewalPolicy
        with pytest.raises(TypeError):
            policy(120)

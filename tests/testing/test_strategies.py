"""The strategies for a user's tests: what each draws is what its docstring says, judged by the library itself."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from client_credentials import (
    AccessToken,
    CacheEntry,
    ClientAuthentication,
    ClientCredentialsStrategy,
    HookError,
    InvalidTokenResponse,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
)
from client_credentials._core.entry import load
from client_credentials._core.state import Instant
from client_credentials.testing import FakeClock
from client_credentials.testing.strategies import (
    Member,
    access_tokens,
    cache_entries,
    invalid_token_responses,
    renewal_policies,
    token_errors,
    token_refusals,
    token_requests,
    token_responses,
    unreachable_endpoints,
)

MEMBERS: tuple[Member, ...] = ("access_token", "token_type", "expires_in", "scope")
FLAWS = {
    "access_token": "access_token ",
    "token_type": "token_type must be Bearer",
    "expires_in": "expires_in must be a number of seconds",
    "scope": "scope ",
}


def obtained(response: TokenResponse) -> AccessToken:
    """What a caller of the public strategy gets where this is the answer."""
    strategy = ClientCredentialsStrategy("kit-client-id", "kit-client-secret-1f0c")
    strategy.set_configuration(SdkConfiguration(fetch=lambda _: response, clock=FakeClock()))
    return strategy.get_or_create_access_token()


def first(strategy: st.SearchStrategy[Any], count: int = 80) -> list[Any]:
    """So many of what a strategy draws."""
    drawn: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def draw(value: object) -> None:
        drawn.append(value)

    draw()
    return drawn


class TestTokens:
    """A token's parts belong together."""

    @given(access_tokens())
    def test_members(self, token: AccessToken) -> None:
        """It ends in this century, its lifetime after a whole second; what no grant has, it has not."""
        granted = token.expires - token.expires_in * 1000
        assert (0, "Bearer", None) == (granted % 1000, token.token_type, token.refresh_token)
        assert 946_684_800_000 <= granted < 4_102_444_800_000
        assert 1 <= token.expires_in <= 86_400
        assert token.scope is None or "".join(token.scope.split()).isascii()
        assert token == pickle.loads(pickle.dumps(token))

    def test_variety(self) -> None:
        """There are those with and without a scope, and with members that no RFC names."""
        drawn = first(access_tokens())
        assert {True, False} == {token.scope is None for token in drawn} == {bool(token.extra) for token in drawn}


class TestRequests:
    """A request is one that the library would send."""

    @given(token_requests())
    def test_members(self, request: TokenRequest) -> None:
        """Method, media type, grant and time limit are there, and the client authenticates in one way."""
        form = parse_qs(request.body.decode("ascii"), keep_blank_values=True)
        assert ("POST", "application/x-www-form-urlencoded") == (request.method, request.headers["Content-Type"])
        assert ["client_credentials"] == form["grant_type"]
        ways = ["Authorization" in request.headers, "client_secret" in form, "client_assertion" in form]
        assert sum(ways) <= 1  # none: the certificate is the proof (RFC 8705)
        assert 0 < request.timeout <= 60

    def test_variety(self) -> None:
        """Clients of every kind of authentication send them, some with a colon in an encoded id."""
        drawn = first(token_requests())
        basic = [each.headers["Authorization"].split()[1] for each in drawn if "Authorization" in each.headers]
        pairs = [base64.b64decode(each).decode() for each in basic]
        assert 0 < len(basic) < len(drawn)
        assert any(pair != unquote_plus(pair) for pair in pairs)
        assert any(not pair.isascii() for pair in pairs)  # which is how BASIC_RAW sends it
        assert 5 == len(ClientAuthentication)


class TestResponses:
    """The well-formed ones are accepted, the spoiled ones refused for the member that is spoiled."""

    @given(token_responses())
    def test_well_formed(self, response: TokenResponse) -> None:
        """The default configuration makes a token of it, with the members that it has."""
        document = json.loads(response.body)
        token = obtained(response)
        assert document["access_token"] == token.access_token
        assert (document.get("scope") or None) == token.scope
        assert {name for name in document if name.startswith("x-")} == set(token.extra)

    @pytest.mark.parametrize("member", MEMBERS)
    def test_spoiled(self, member: Member) -> None:
        """The one that is named is what is wrong with it; all others are as they should be."""

        @given(token_responses(spoiled=member))
        def refused(response: TokenResponse) -> None:
            with pytest.raises(InvalidTokenResponse) as caught:
                obtained(response)
            assert caught.value.reason.startswith(FLAWS[member])
            document = json.loads(response.body)
            sound = {"access_token": "sound", "token_type": "Bearer", "expires_in": 3600, "scope": "sound"}
            mended = json.dumps({**document, member: sound[member]}).encode()
            assert obtained(TokenResponse(200, response.headers, mended)).access_token

        refused()

    def test_any(self) -> None:
        """Without a name, each of them is the spoiled one at times."""
        blamed: set[str] = set()
        for response in first(token_responses(spoiled="any")):
            with pytest.raises(InvalidTokenResponse) as caught:
                obtained(response)
            blamed.update(member for member in MEMBERS if caught.value.reason.startswith(FLAWS[member]))
        assert set(MEMBERS) == blamed

    def test_variety(self) -> None:
        """A lifetime comes as every type that is accepted, or not at all; a token may be left out."""
        lifetimes: list[object] = [json.loads(each.body).get("expires_in") for each in first(token_responses(), 200)]
        assert {"NoneType", "int", "str", "float"} == {type(each).__name__ for each in lifetimes}
        absent = [
            "access_token" not in json.loads(each.body) for each in first(token_responses(spoiled="access_token"))
        ]
        assert {True, False} == set(absent)


class TestErrors:
    """The errors are those that a caller gets."""

    @given(token_errors())
    def test_travel(self, error: TokenError) -> None:
        """Each pickles: it comes back of the same class, with the same words and values."""
        again = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))

    @given(token_errors())
    def test_consistent(self, error: TokenError) -> None:
        """A wait is one that a server may order, and is named only where asking again may help."""
        assert error.retry_after is None or (error.retryable and 1 <= error.retry_after <= 3600)

    @given(token_refusals())
    def test_refusals(self, error: TokenRefused) -> None:
        """A refusal is retryable if it is the server's own failure, or names a wait, as too many requests always do."""
        transient = error.status >= 500 or error.error in ("temporarily_unavailable", "server_error")
        assert (transient or error.status == 429 or error.retry_after is not None) is error.retryable

    @given(invalid_token_responses())
    def test_invalid(self, error: InvalidTokenResponse) -> None:
        """Asking again does not mend an answer that makes no sense."""
        assert (False, None) == (error.retryable, error.retry_after)
        assert error.status in (200, 204, 302)

    @given(unreachable_endpoints())
    def test_unreachable(self, error: TokenEndpointUnreachable) -> None:
        """Only a certificate that fails is not worth another try."""
        assert ("certificate" in error.reason) is not error.retryable

    def test_variety(self) -> None:
        """All kinds come, those that may pass and those that will not."""
        drawn = first(token_errors())
        assert {TokenRefused, InvalidTokenResponse, TokenEndpointUnreachable, HookError} == {
            type(error) for error in drawn
        }
        assert {True, False} == {error.retryable for error in drawn}
        assert {200, 204, 302} == {error.status for error in first(invalid_token_responses())}


class TestPolicies:
    """A policy that contradicts itself raises, so that drawing it is the proof."""

    def test_variety(self) -> None:
        """The default one is among them, and so are windows and leeways of any length."""
        drawn = first(renewal_policies())
        assert RenewalPolicy() in drawn
        assert {True, False} == {policy.leeway < (policy.renew_ahead or 0.0) for policy in drawn}
        assert len(set(drawn)) > 20


class TestEntries:
    """An entry is one that the library wrote."""

    @given(cache_entries())
    def test_read_back(self, entry: CacheEntry) -> None:
        """The library takes it for its own, and finds in it something that is worth knowing."""
        state = load(entry, "my-key", Instant(5e9, 0.0), RenewalPolicy(), 0.5)
        assert state is not None
        assert state.held or state.gates
        assert entry.ttl is None or entry.ttl > 0

    def test_variety(self) -> None:
        """Some hold a token, some a failure, some both; some know their time to live."""
        kept: set[tuple[Any, ...]] = set()
        for entry in first(cache_entries(), 200):
            document = json.loads(entry.value)
            kept.add((bool(document["held"]), bool(document["gates"]), entry.ttl is None))
        kinds = [(True, False), (False, True), (True, True)]
        assert {(*kind, unknown) for kind in kinds for unknown in (True, False)} == kept

"""Authorization server metadata: from the issuer to its URLs, and from any answer to the token endpoint."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials._core.client import check_endpoint
from client_credentials._core.metadata import (
    ServerMetadata,
    Undiscovered,
    check_issuer,
    metadata_request,
    search,
    well_known_urls,
)
from client_credentials._core.model import Failure, HookFailed, Malformed, Refused, TokenResponse, Unreachable
from client_credentials._shell.driver import run_sync
from tests.core.kit import NOON, answer
from tests.strategies import failures, json_values

ISSUER: Final = "https://login.example/tenant"
FIRST: Final = "https://login.example/.well-known/oauth-authorization-server/tenant"
SECOND: Final = "https://login.example/tenant/.well-known/openid-configuration"
SOUND: Final = {"issuer": ISSUER, "token_endpoint": "https://login.example/tenant/token"}
LONG: Final = "d" * 256
ADVICE: Final = "check the issuer, or give token_url yourself"
MISSING: Final = answer({"error": "not_found"}, 404)


def found(*answers: TokenResponse | Failure, issuer: str = ISSUER) -> tuple[list[str], ServerMetadata | Undiscovered]:
    """Answer a search; give the URLs that it asked, and its outcome."""
    asked: list[str] = []

    async def ask(url: str) -> tuple[TokenResponse | Failure, float]:
        asked.append(url)
        return answers[len(asked) - 1], NOON

    return asked, run_sync(search(issuer, ask))


def failed(*answers: TokenResponse | Failure) -> tuple[Failure, str]:
    """Give the failure of a search, and its text."""
    _, outcome = found(*answers)
    assert isinstance(outcome, Undiscovered)
    return outcome.failure, outcome.text


def reason(**changed: object) -> str:
    """Say why a document with these members is refused."""
    failure, _ = failed(answer({**SOUND, **changed}))
    assert isinstance(failure, Malformed)
    assert 200 == failure.status
    return failure.reason


class TestIssuer:
    """The argument, and where its metadata may be."""

    @pytest.mark.parametrize(
        ("issuer", "words"),
        [
            ("https://login.example/?tenant=a", "issuer must not have a query (RFC 8414 section 2)"),
            ("https://login.example/?", "issuer must not have a query (RFC 8414 section 2)"),
            ("https://login.example/#a", "issuer must not have a fragment (RFC 8414 section 2)"),
            ("http://login.example/", "issuer must be https, except for a loopback host (RFC 8414 section 2)"),
            ("https://ada@login.example/", "issuer must not contain a user name or a password"),
            ("login.example", "issuer must be of the form https://host[:port]/path"),
            ("", "issuer must be a non-empty string"),
            (None, "issuer must be a non-empty string"),
        ],
    )
    def test_what_is_no_issuer(self, issuer: object, words: str) -> None:
        """RFC8414-2-1: an https URL without query and fragment; http is for loopback."""
        with pytest.raises(ValueError) as raised:  # noqa: PT011  # the text is compared
            check_issuer(issuer)
        assert words == str(raised.value)

    @pytest.mark.parametrize(
        "issuer", [ISSUER, "https://login.example/", "http://127.0.0.1:8080", "http://localhost/a"]
    )
    def test_what_is_one(self, issuer: str) -> None:
        """It is kept as it is, to be compared."""
        assert issuer == check_issuer(issuer)

    @pytest.mark.parametrize(
        ("issuer", "first", "second"),
        [
            (ISSUER, FIRST, SECOND),
            (f"{ISSUER}/", FIRST, SECOND),
            (f"{ISSUER}X/", f"{FIRST}X", SECOND.replace("tenant", "tenantX")),
            (
                "https://login.example",
                "https://login.example/.well-known/oauth-authorization-server",
                "https://login.example/.well-known/openid-configuration",
            ),
            (
                "http://[::1]:8080/",
                "http://[::1]:8080/.well-known/oauth-authorization-server",
                "http://[::1]:8080/.well-known/openid-configuration",
            ),
        ],
    )
    def test_where_its_metadata_may_be(self, issuer: str, first: str, second: str) -> None:
        """RFC8414-3-1, RFC8414-3.1: between the host and the path; OpenID's form behind the path."""
        assert (first, second) == well_known_urls(issuer)

    def test_the_request(self) -> None:
        """RFC8414-3.1: a GET that asks for JSON, and holds nothing that was given for tokens."""
        request = metadata_request(FIRST, 7.0)
        assert ("GET", FIRST, b"", 7.0) == (request.method, request.url, request.body, request.timeout)
        assert ["Accept", "User-Agent"] == sorted(request.headers)
        assert "application/json" == request.headers["Accept"]
        assert request.headers["User-Agent"].startswith("client-credentials/")


class TestSearch:
    """Which URL is asked, and what comes of it."""

    def test_the_first_form_suffices(self) -> None:
        """One request, where the server has RFC 8414's form."""
        metadata = ServerMetadata(SOUND["token_endpoint"], ("client_secret_basic",), ISSUER)
        assert ([FIRST], metadata) == found(answer(SOUND))

    def test_the_second_form_is_for_servers_without_the_first(self) -> None:
        """After a 404, OpenID's form is asked."""
        asked, outcome = found(MISSING, answer(SOUND))
        assert ([FIRST, SECOND], True) == (asked, isinstance(outcome, ServerMetadata))

    def test_no_metadata_at_all(self) -> None:
        """RFC8414-3.2: the error names both URLs, and what to do."""
        asked, outcome = found(MISSING, MISSING)
        expected = Undiscovered(Refused(status=404, error="not_found"), f"{FIRST} or {SECOND}")
        assert ([FIRST, SECOND], expected) == (asked, outcome)
        assert f"no server metadata at {FIRST} or {SECOND}: status 404 (not_found); {ADVICE}" == expected.text

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            (answer(b"", 500), "no server metadata at {}: status 500"),
            (answer({"code": "e", "msg": f"{LONG}dd"}, 401), f"no server metadata at {{}}: status 401 (e: {LONG})"),
            (
                answer(b"", 301, Location="/a?b"),
                "no server metadata at {}: status 301, a redirect to /a; redirects are not followed",
            ),
            (answer(b"[]"), "no server metadata at {}: the body is not a JSON object"),
            (answer(b'{"issuer": "a", "issuer": "b"}'), "no server metadata at {}: duplicate member"),
            (Unreachable(reason="lookup of a: timed out"), "no answer from {}: lookup of a: timed out"),
        ],
    )  # fmt: skip
    def test_any_other_answer_is_the_last(self, given: TokenResponse | Failure, text: str) -> None:
        """RFC8414-3.2: anything but a 404 ends the search; the error says what came, where, and what to do."""
        asked, outcome = found(given)
        assert isinstance(outcome, Undiscovered)
        expected = f"{text.format(FIRST)}; {ADVICE}"
        assert ([FIRST], expected) == (asked, outcome.text)

    def test_created_is_no_answer(self) -> None:
        """RFC8414-3.2: a document comes with 200, and with no other status."""
        failure, text = failed(answer(SOUND, 201))
        assert Malformed(status=201, reason="status 201, expected 200") == failure
        assert f"no server metadata at {FIRST}: status 201, expected 200; {ADVICE}" == text

    def test_what_the_program_did_is_said_as_it_is(self) -> None:
        """An error of a fetch is no reason to doubt the issuer."""
        failure = HookFailed(hook="fetch", kind="raised KeyError")
        assert (failure, "fetch raised KeyError") == failed(failure)

    @pytest.mark.parametrize("wait", ["7", "Wed, 21 Oct 2015 07:28:07 GMT"])
    def test_a_wait_that_the_server_orders(self, wait: str) -> None:
        """A 429 with Retry-After can be tried again then."""
        failure, _ = failed(answer(b"", 429, Retry_After=wait))
        assert (True, 7.0) == (failure.retryable, failure.retry_after)

    @given(
        failures()
        | st.builds(TokenResponse, st.integers(100, 599).filter(lambda s: s != 404), st.just({}), st.binary())
    )
    def test_it_is_total(self, given: TokenResponse | Failure) -> None:
        """Any answer has an outcome, whose text is one line of printable ASCII."""
        _, text = failed(given)
        assert text.isascii()
        assert text.isprintable()


class TestDocument:
    """What a document must say to be used."""

    @given(json_values().filter(lambda value: value != ISSUER))
    def test_another_issuer(self, other: object) -> None:
        """RFC8414-3.3: a document that names another issuer is not used."""
        assert "issuer" in reason(issuer=other)

    @pytest.mark.parametrize(
        "other", [f"{ISSUER}/", ISSUER.upper(), "https://login.example:443/tenant", "https://login.example/%74enant"]
    )
    def test_the_issuer_is_compared_as_it_is(self, other: str) -> None:
        """RFC8414-4: code point by code point, without any normalisation; the error shows how the server spells it."""
        words = f"the document names another issuer, {other}; the issuer must be given exactly as the server spells it"
        assert words == reason(issuer=other)

    def test_an_issuer_is_shown_without_its_query(self) -> None:
        """What the server says is cut, and has no control characters."""
        assert "another issuer, https://a.example/x;" in reason(issuer="https://a.example/\nx?key=1")
        assert 256 == len(reason(issuer="x" * 1000))

    def test_no_issuer(self) -> None:
        """RFC8414-3.3: a document without an issuer is not used either."""
        words = "the document names no issuer; the issuer must be given exactly as the server spells it"
        assert words == reason(issuer=None)

    @pytest.mark.parametrize(
        ("endpoint", "words"),
        [
            (None, "token_endpoint must be a non-empty string"),
            (["https://login.example/token"], "token_endpoint must be a non-empty string"),
            ("http://a.example/", "token_endpoint must be https, except for a loopback host (RFC 6749 section 3.2)"),
            ("ftp://a.example/", "token_endpoint must be https, except for a loopback host (RFC 6749 section 3.2)"),
            ("http://127.0.0.1/token", "token_endpoint must be https, as the issuer is"),
            ("https://a:b@login.example/token", "token_endpoint must not contain a user name or a password"),
            ("https://login.example/token#a", "token_endpoint must not have a fragment (RFC 6749 section 3.2)"),
            ("/token", "token_endpoint must be of the form https://host[:port]/path"),
            ("https://login.example/t?a=1&a=2", "token_endpoint must not contain a twice in its query"),
            ("https://login.example/t?a%0a=1&a%0a=2", "token_endpoint must not contain a twice in its query"),
        ],
    )  # fmt: skip
    def test_an_endpoint_that_could_not_be_given(self, endpoint: object, words: str) -> None:
        """The token endpoint is held to what the argument `token_url` is held to."""
        assert words == reason(token_endpoint=endpoint)

    @given(json_values() | st.from_regex(r"https?://[a-z.:@0-9]{1,12}(/[a-z?#%]{0,9})?", fullmatch=True))
    def test_an_endpoint_passes_the_checks_of_token_url(self, endpoint: Any) -> None:
        """Whatever a document says, what comes of it can be given as `token_url`, and nothing else comes of it."""
        _, outcome = found(answer({**SOUND, "token_endpoint": endpoint}))
        if isinstance(outcome, ServerMetadata):
            assert endpoint == outcome.token_url == check_endpoint(outcome.token_url)
            assert endpoint.startswith("https://")

    def test_http_is_for_an_issuer_on_loopback(self) -> None:
        """In development both are http; and any issuer may have an endpoint elsewhere."""
        for issuer, endpoint in (
            ("http://localhost:8080", "http://127.0.0.1:9090/token"),
            ("http://localhost:8080", "https://login.example/token"),
            (ISSUER, "https://token.example/token"),
        ):
            _, outcome = found(answer({"issuer": issuer, "token_endpoint": endpoint}), issuer=issuer)
            assert isinstance(outcome, ServerMetadata)
            assert endpoint == outcome.token_url

    @pytest.mark.parametrize(
        ("told", "methods"),
        [
            (None, ("client_secret_basic",)),
            (["client_secret_post", "private_key_jwt"], ("client_secret_post", "private_key_jwt")),
            ([], ()),
            (["a"] * 256, ("a",) * 256),
        ],
    )
    def test_the_ways_to_authenticate(self, told: object, methods: tuple[str, ...]) -> None:
        """RFC8414-2-2: without a list it is client_secret_basic."""
        _, outcome = found(answer({**SOUND, "token_endpoint_auth_methods_supported": told}))
        assert isinstance(outcome, ServerMetadata)
        assert methods == outcome.token_endpoint_auth_methods
        _, bare = found(answer(SOUND))
        assert ServerMetadata(SOUND["token_endpoint"], ("client_secret_basic",), ISSUER) == bare

    @pytest.mark.parametrize(
        "told", ["client_secret_post", {}, 7, [7], [None], ["a b"], [""], ["a\n"], ["é"], ["a"] * 257, ["a" * 257]]
    )
    def test_ways_that_are_none(self, told: object) -> None:
        """Only a list of words is taken; nothing is converted, and there is an end to it."""
        words = "token_endpoint_auth_methods_supported must be a list of words"
        assert words == reason(token_endpoint_auth_methods_supported=told)

    def test_what_is_not_needed_is_not_looked_at(self) -> None:
        """Other members may be whatever they like."""
        _, outcome = found(
            TokenResponse(200, {}, json.dumps({**SOUND, "jwks_uri": 7, "scopes_supported": None}).encode())
        )
        assert isinstance(outcome, ServerMetadata)

    def test_a_key_in_the_query_is_not_shown(self) -> None:
        """The endpoint's own query is kept for the request, and left out of the repr."""
        _, outcome = found(answer({**SOUND, "token_endpoint": "https://login.example/token?key=k3y"}))
        assert isinstance(outcome, ServerMetadata)
        assert "https://login.example/token?key=k3y" == outcome.token_url
        assert "k3y" not in repr(outcome)

"""FAULTS, group C: statuses, redirects and content that are not what a token endpoint should send."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

import pytest

from client_credentials import TokenResponse
from client_credentials._core.model import Granted
from client_credentials._core.response import status_failure
from tests.core.kit import SECRET, SOUND, accept, answer, granted, judged, malformed, refused, unreachable

TOKEN = SOUND["access_token"]
REDIRECTS = (301, 302, 303, 307, 308)


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
    """C11: 200 with an error is a refusal."""
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

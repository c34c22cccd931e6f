"""FAULTS, group O: no answer, whatever it repeats, makes an error or a token of ours show a secret."""

from __future__ import annotations

import base64
import json
import time
import traceback
import warnings
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import quote, quote_plus

import pytest

from client_credentials import (
    ClientAuthentication,
    TokenError,
    TokenRequest,
    TokenResponse,
    accept_success,
    json_object,
)
from client_credentials._core.model import Failure, Malformed, Refused, Unreachable
from client_credentials._core.refusal import redacted_failure
from client_credentials._core.request import token_request
from client_credentials._core.response import parse_document, status_failure
from client_credentials._core.secret import Secret
from client_credentials._shell.request import Attempted, read_secret
from client_credentials.errors import error_of, failure_of
from tests.core.kit import (
    SOUND,
    answer,
    granted,
    hidden,
    judged,
    make,
    malformed,
    refused,
)

SECRET: Final = 'c4nary "pä55/wrd+%\\'

TOKEN: Final = "c4nary-t0ken.of_69+bits/="


def forms(secret: str) -> list[str]:
    """The forms in which a secret would be recognised."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return [secret, quote(secret, safe=""), quote_plus(secret), encoded, json.dumps(secret)[1:-1]]


def shows(text: str, *secrets: str) -> list[str]:
    """The forms of these secrets that a text shows."""
    return [form for secret in secrets for form in forms(secret) if form in text]


def told(error: BaseException) -> str:
    """All that a traceback tells of an error, the locals of its frames included, but for those of this file."""
    shown = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    shown.stack = traceback.StackSummary.from_list(frames)
    return "".join(shown.format())


def echoes(secret: str) -> Iterator[Failure]:
    """Failures in which a server repeats a secret in every form and in every place."""
    for form in forms(secret):
        said = {"error": form, "error_description": f"bad: {form}", "error_uri": f"https://x/?{form}"}
        refusal = status_failure(answer(said, 400, WWW_Authenticate=f"Basic {form}"))
        assert refusal is not None
        redirect = status_failure(answer(b"", 302, Location=f"https://{form}/"))
        assert redirect is not None
        yield from (refusal, redirect, Malformed(status=None, reason=form), Unreachable(reason=form))


@pytest.mark.parametrize("secret", [SECRET, TOKEN, "x" * 300, "aaaaaaaa"])
def test_o6(secret: str) -> None:
    """O6: no error holds it in its text, arguments, notes, cause, context or traceback, whoever repeats it."""
    for failure in echoes(secret):
        error = error_of(redacted_failure(failure, hidden(secret)))
        seen = f"{error} {error!r} {error.args} {vars(error)} {told(error)}"
        assert [] == shows(seen, secret)
        assert (None, None) == (error.__cause__, error.__context__)


def test_o6_a_token_that_is_refused() -> None:
    """O6: a token beside an error is not repeated, though the server repeats it in what it says."""
    said = {"error": TOKEN, "error_description": TOKEN, "error_uri": TOKEN, "access_token": TOKEN}
    for outcome in (parse_document(answer(said), said), status_failure(answer(said, 500, WWW_Authenticate=TOKEN))):
        assert isinstance(outcome, Refused)
        assert [] == shows(f"{outcome} {error_of(outcome)}", TOKEN)


def test_o6_a_secret_that_cannot_be_sent() -> None:
    """O6: a secret with the end of a line, the commonest mistake, is refused without being shown."""

    class Vault(TokenError):
        """A user's own, raised by the callable that reads the secret."""

    def locked() -> str:
        raise Vault(f"no {SECRET}")

    for source in (Secret(lambda: SECRET + "\n"), Secret(locked), Secret(lambda: "")):
        attempted = read_secret(source)
        assert isinstance(attempted, Attempted)
        assert [] == shows(f"{attempted} {attempted.outcome} {attempted.cause}", SECRET)


def test_o11() -> None:
    """O11: no warning is given at all, so none shows anything."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        for failure in echoes(SECRET):
            failure_of(error_of(redacted_failure(failure, hidden(SECRET))))
        token_request(make(), SECRET, 1.0)
    assert [] == given


def choosy(response: TokenResponse) -> None:
    """Accept 202 as well, as a user's validator may."""
    if response.status != 202:
        accept_success(response)


def unwrapped(response: TokenResponse) -> Mapping[str, object]:
    """Read what is in the envelope, if there is one."""
    document: Any = json_object(response)
    return cast("Mapping[str, object]", document.get("data", document))


@pytest.mark.parametrize("secret", ["bearer", "redirect", "status", "e", "not JSON", "client", "followed"])
@pytest.mark.parametrize("hooks", [{}, {"response_validator": choosy, "deserializer": unwrapped}])
@pytest.mark.parametrize(
    "response", [answer(b"", 302), answer(b"?"), answer({**SOUND, "token_type": "mac"}), answer([])]
)
def test_our_own_words_are_never_redacted(response: TokenResponse, hooks: dict[str, Any], secret: str) -> None:
    """O6: a secret that is a word leaves no hole in our sentences, which would tell what it is."""
    failure = malformed(response, secret=secret, **hooks)
    assert "**********" not in failure.reason.replace("not **********;", "")
    assert failure.reason.replace("not **********;", "not mac;") == malformed(response).reason


def test_an_error_code_is_never_redacted() -> None:
    """O6: nor in a code of the RFC's, unless the secret is that code."""
    response = answer({"error": "invalid_client", "error_description": "client unknown"}, 401)
    failure = refused(response, secret="client")
    assert ("invalid_client", "**********") == (failure.error, failure.error_description)
    assert "**********" == refused(response, secret="invalid_client").error


@pytest.mark.parametrize(
    "arguments",
    [
        {"extra_params": {"vault": "vault-password-abcdef"}},
        {"headers": {"X-Vault": "vault-password-abcdef"}},
        {"token_url": "https://issuer.example/token?vault=vault-password-abcdef"},
        {"token_url": "https://issuer.example/token?vault-password-abcdef"},
    ],
)
def test_other_credentials(arguments: dict[str, Any]) -> None:
    """O6: what else is sent to be let in is hidden as well: extra parameters, headers, the URL's query."""
    said = {"error": "invalid_request", "error_description": "what is vault-password-abcdef?"}
    assert "**********" == refused(answer(said, 400), client=make(**arguments)).error_description
    assert {"a": 1} == granted(answer({**SOUND, "a": 1, "b": "vault-password-abcdef"}), client=make(**arguments)).extra


@pytest.mark.parametrize(
    "arguments", [{"extra_params": {"resource": "some-resource"}}, {"headers": {"accept": "some-resource"}}]
)
def test_what_is_no_credential(arguments: dict[str, Any]) -> None:
    """A resource is an address, and is what an error may be about; so is what is accepted."""
    said = {"error": "invalid_target", "error_description": "some-resource is unknown"}
    assert "some-resource is unknown" == refused(answer(said, 400), client=make(**arguments)).error_description


def test_other_credentials_without_a_secret() -> None:
    """O6: so is what a client sends that has a certificate in place of a secret."""
    client = make(authentication=ClientAuthentication.TLS, has_secret=False, extra_params={"vault": "vault-password"})
    said = {"error": "invalid_request", "error_description": "vault-password"}
    assert "**********" == refused(answer(said, 400), client=client, secret="").error_description


@pytest.mark.parametrize("way", [ClientAuthentication.ASSERTION, ClientAuthentication.POST])
def test_a_body_that_is_repeated(way: ClientAuthentication) -> None:
    """O6: an assertion is a secret like any other, in the body that a server dumps as well."""
    sent: list[TokenRequest] = []
    client = make(authentication=way)
    judged(answer(), client=client, secret="an.assertion-of.ours", before_request=sent.append)
    said = {"error": "x", "error_description": f"dump: {b64encode(sent[0].body).decode()}"}
    assert "**********" == refused(answer(said, 400), client=client, secret="an.assertion-of.ours").error_description


@pytest.mark.parametrize(
    ("secret", "document"),
    [
        *((each, {"error": "x", "error_description": each * (1 << 20 >> 4)}) for each in ("*", "e", SECRET)),
        ("e", {"error": "e" * (1 << 20)}),
        ("e", {**SOUND, "scope": "e " * (1 << 19)}),
        (SECRET, {**SOUND, **{f"member-{number}": "eee" for number in range(100_000)}}),
        (SECRET, {**SOUND, **{f"member-{number}": "e" * 10_000 for number in range(100)}}),
    ],
    ids=["asterisks", "letters", "secrets", "error", "scope", "members", "long members"],
)
def test_the_work_is_linear(document: dict[str, object], secret: str) -> None:
    """R1: a mebibyte that is made to be searched for secrets, of one character too, is judged within a second."""
    response = answer(document, 400 if "error" in document else 200)
    began = time.process_time()
    judged(response, secret=secret)
    assert time.process_time() - began < 1

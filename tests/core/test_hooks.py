"""What users' hooks make of an answer: the defaults can be called, and nothing that they would have read is lost."""

from __future__ import annotations

import json
import traceback
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

import pytest

from client_credentials import (
    ClientAuthentication,
    HookError,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    accept_success,
    json_object,
)
from client_credentials._core.model import Granted, HookFailed, Refused
from client_credentials._core.secret import Secret
from client_credentials._shell.driver import run
from client_credentials._shell.request import attempt
from tests.core.kit import SECRET, SOUND, accept, answer, failed_by, granted, judged, make, malformed, refused

ANSWERS = [
    answer({"error": "invalid_client", "error_description": "no"}, 401),
    answer(b"<html>down</html>", 503, Content_Type="text/html"),
    answer(b"", 308, Location="/api/token/"),
    answer(b"", 204),
    answer(b"", 429, Retry_After="7"),
    answer(b"<html>", 400, Content_Type=f"text/{SECRET[:9]}"),
    answer({"error": "x", "error_description": f"no {SECRET}"}, 400),
    answer(b"", 302, Location=f"https://issuer.example/{SECRET}"),
    answer(b"<html>"),
    answer([1]),
]


def choosy(response: TokenResponse) -> None:
    """Accept 202 as well, as a user's validator may."""
    if response.status != 202:
        accept_success(response)


def unwrapped(response: TokenResponse) -> Mapping[str, object]:
    """Read what is in the envelope, if there is one."""
    document: Any = json_object(response)
    return cast("Mapping[str, object]", document.get("data", document))


@pytest.mark.parametrize("response", ANSWERS)
@pytest.mark.parametrize("hooks", [{"response_validator": choosy}, {"deserializer": unwrapped}])
def test_hooks_that_call_the_defaults(response: TokenResponse, hooks: dict[str, Any]) -> None:
    """Where they leave it to the defaults, the failure is the default one, redacted alike."""
    assert judged(response) == judged(response, **hooks)


def test_what_they_are_for() -> None:
    """What they read themselves is read."""
    plain = granted(answer())
    assert plain == granted(answer(SOUND, 202), response_validator=choosy)
    assert plain == granted(answer({"data": dict(SOUND)}), deserializer=unwrapped)


@pytest.mark.parametrize("response", [each for each in ANSWERS if each.status >= 400])
def test_a_validator_that_accepts_everything(response: TokenResponse) -> None:
    """An answer of 400 or more that it lets through, without a token in it, is what its status says."""
    assert judged(response) == judged(response, response_validator=accept)


@pytest.mark.parametrize("response", [each for each in ANSWERS if each.status >= 400])
def test_a_deserializer_that_raises(response: TokenResponse) -> None:
    """So is one that the user's deserializer cannot read."""

    def read(response: TokenResponse) -> Mapping[str, object]:
        raise ValueError(response.body)

    assert judged(response) == judged(response, response_validator=accept, deserializer=read)


def test_a_hook_that_is_wrong() -> None:
    """Any other exception is the hook's own, told by its class alone."""

    def read(_: TokenResponse) -> NoReturn:
        raise LookupError(SECRET)

    assert HookFailed(hook="deserializer", kind="raised LookupError") == failed_by(answer(), deserializer=read)


@pytest.mark.parametrize(
    "error",
    [
        TokenRefused(400, SECRET, f"not {SECRET}", f"https://x/?{SECRET}", www_authenticate=SECRET, note=SECRET),
        TokenEndpointUnreachable(f"no way with {SECRET}"),
        InvalidTokenResponse(200, f"not this: {SECRET}"),
        HookError("vault", f"raised {SECRET}"),
    ],
)
@pytest.mark.parametrize("hook", ["fetch", "response_validator", "deserializer"])
def test_what_hooks_say_is_redacted(error: Exception, hook: str) -> None:
    """O6: whatever a hook of the user's puts into an error is looked through."""

    def fail(*_: object) -> NoReturn:
        raise error

    assert SECRET not in repr(failed_by(answer(), **{hook: fail}))
    assert "**********" in repr(failed_by(answer(), **{hook: fail}))


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


WORDS: Final[list[tuple[object, str | None, str | None]]] = [
    ({"errorCode": "invalid_client", "errorSummary": "No such client"}, "invalid_client", "No such client"),
    ({"status": 403, "message": "wrong secret"}, None, "wrong secret"),
    ({"errors": [{"code": 99, "message": "Unable to verify"}, {"message": "x"}]}, None, "Unable to verify"),
    ({"errors": ["first", "second"]}, None, "first"),
    ({"errors": [], "message": ""}, None, None),
    ({"fault": {"faultstring": "Failed to resolve", "detail": {"errorcode": "x"}}}, None, "Failed to resolve"),
    ({"ErrorCode": "invalid_client", "Error": "Id is Invalid"}, "invalid_client", "Id is Invalid"),
    ({"error": "Unauthorized", "message": "Bad credentials"}, "Unauthorized", "Bad credentials"),
    ({"type": "about:blank", "title": "Unknown client", "detail": "Not in tenant blue"}, None, "Not in tenant blue"),
    ({"error": {"code": "invalid_client", "message": "no"}}, "invalid_client", "no"),
    ({"detail": "Client is disabled"}, None, "Client is disabled"),
    ({"error": "a", "description": "b", "message": "c", "error_description": "d"}, "a", "d"),
    ({"a": {"b": {"message": "too deep"}}}, None, None),
    ({"error": 401}, None, None),
]


@pytest.mark.parametrize(("said", "code", "words"), WORDS)
def test_words_wherever_they_stand(said: object, code: str | None, words: str | None) -> None:
    """C17, H6: a refusal keeps the server's words, whatever it calls them; without any, the body's type and size."""
    failure = refused(answer(said, 403, Content_Type="application/problem+json"), secret="plain-and-long")
    assert (code, words) == (failure.error, failure.error_description)
    size = len(json.dumps(said))
    bare = code is None and words is None
    assert (f"the body is {size} bytes of application/problem+json" if bare else None) == failure.note


def test_a_challenge_stays_readable() -> None:
    """RFC9110-11.6.1: quotes and backslashes are part of a challenge, which a program may want to parse."""
    challenge = 'Newauth realm="apps", title="Login to \\"apps\\"", DPoP algs="ES256 PS256"'
    assert challenge == refused(answer({"error": "x"}, 401, WWW_Authenticate=challenge)).www_authenticate
    assert "**********" == refused(answer(b"", 401, WWW_Authenticate=f'Basic realm="{SECRET}"')).www_authenticate


def test_an_outcome_with_a_note() -> None:
    """The body's type and what to change stand side by side."""
    outcome = judged(answer(b"", 401), secret="a+b")
    assert isinstance(outcome, Refused)
    assert (outcome.note or "").startswith("the body is 0 bytes of no type; client_id or client_secret holds ")
    assert isinstance(judged(answer()), Granted)


def test_no_frame_holds_a_token() -> None:
    """O6: a traceback through a hook, with the locals of our frames, shows neither the secret nor a token of before."""
    seen: list[str] = []

    def fetch(_: TokenRequest) -> NoReturn:
        frames = traceback.StackSummary.extract(traceback.walk_stack(None), capture_locals=True)
        seen.extend(str(frame.locals) for frame in frames if frame.filename.endswith("_shell/request.py"))
        raise LookupError

    run(attempt(make(), Secret(SECRET), SdkConfiguration(fetch=fetch), fetch, 1.0, lambda: ["t0ken-" + "in-hand"]))
    assert [] == [text for text in seen if "t0ken-in" in text or SECRET in text]
    assert seen

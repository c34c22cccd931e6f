"""FAULTS, group O: no answer, whatever it repeats, makes an error or a token of ours show a secret."""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

import pytest

from client_credentials import ClientAuthentication, TokenRequest, TokenResponse
from tests.core.kit import SECRET, SOUND, answer, choosy, granted, judged, make, malformed, refused, unwrapped


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
    """R1: a mebibyte that is made to be searched for secrets, of one character too, is judged within seconds."""
    response = answer(document, 400 if "error" in document else 200)
    began = time.process_time()
    judged(response, secret=secret)
    assert time.process_time() - began < 5

"""A client, what came back to it, and what it makes of that: a token request without a wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from client_credentials import (
    ClientAuthentication,
    SdkConfiguration,
    TokenRequest,
    TokenResponse,
    accept_success,
    json_object,
)
from client_credentials._core.client import make_client
from client_credentials._core.model import Client, Failure, Granted, Malformed, Outcome, Refused, Unreachable
from client_credentials._core.redaction import Hidden
from client_credentials._core.request import hidden_of
from client_credentials._core.response import decode, parse_document, status_failure
from client_credentials._core.secret import Secret
from client_credentials._shell.driver import run_sync
from client_credentials._shell.request import attempt
from client_credentials.testing import FakeClock

SECRET: Final = "s3cret+canary/7f"  # nobody's
SOUND: Final[Mapping[str, Any]] = {"access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "Bearer", "expires_in": 3600}
NOON: Final = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT
FIT: Final = set(map(chr, range(0x20, 0x7F))) - set('"\\')
"""The characters of an error's text (RFC 6749 section 5.2)."""
TEXTS: Final = ("error", "error_description", "error_uri", "www_authenticate", "note")
"""What a refusal says."""


def make(**changed: Any) -> Client:
    """A client like any other, except for what is changed."""
    sound: dict[str, Any] = {
        "client_id": "my-client",
        "token_url": "https://issuer.example/token",
        "scopes": (),
        "audience": None,
        "resources": (),
        "extra_params": {},
        "authentication": ClientAuthentication.BASIC,
    }
    return make_client(**{**sound, **changed})


def answer(body: object = SOUND, status: int = 200, **headers: str) -> TokenResponse:
    """A response; what is not bytes is sent as JSON, and an underscore in a header's name stands for a hyphen."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return TokenResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, sent)


def members(**changed: object) -> dict[str, object]:
    """The members of a sound response, but for what is changed; None of them is left out for being None."""
    return {**SOUND, **changed}


def without(*names: str) -> dict[str, object]:
    """The members of a sound response, less these."""
    return {name: value for name, value in SOUND.items() if name not in names}


def hidden(*secrets: str, client: Client | None = None) -> Hidden:
    """Hide what a client with the first of these secrets has to hide, and the others."""
    return hidden_of(client or make(), Secret(secrets[0]), lambda: secrets[1:])


def accept(_: TokenResponse) -> None:
    """Accept anything, as a user's validator may."""


def choosy(response: TokenResponse) -> None:
    """Accept 202 as well, as a user's validator may."""
    if response.status != 202:
        accept_success(response)


def unwrapped(response: TokenResponse) -> Mapping[str, object]:
    """Read what is in the envelope, if there is one."""
    document: Any = json_object(response)
    return cast("Mapping[str, object]", document.get("data", document))


def reading(document: Mapping[str, object]) -> Callable[[TokenResponse], Mapping[str, object]]:
    """A user's deserializer that reads this, whatever came."""
    return lambda _: document


def read(response: TokenResponse, document: object = None) -> Outcome:
    """What a response comes to, with the hooks that are there by default."""
    failure = status_failure(response)
    if failure is not None:
        return failure
    found = decode(response) if document is None else document
    return found if isinstance(found, Malformed) else parse_document(response, found)


def judged(response: TokenResponse, *, client: Client | None = None, secret: str = SECRET, **hooks: Any) -> Outcome:
    """What one token request comes to, when this is what comes back."""

    def fetch(_: TokenRequest) -> TokenResponse:
        return response

    collaborators: dict[str, Any] = {"fetch": fetch, "clock": FakeClock(wall=NOON), **hooks}
    configuration = SdkConfiguration(**collaborators)
    made = attempt(client or make(), Secret(secret), configuration, configuration.fetch, 1.0, lambda: ())
    return run_sync(made).outcome


def texts(failure: Failure) -> list[str]:
    """All that a failure says."""
    said = [getattr(failure, name, None) for name in (*TEXTS, "reason")]
    return [text for text in said if text is not None]


def granted(response: TokenResponse, **how: Any) -> Granted:
    """The grant that this response is."""
    outcome = judged(response, **how)
    assert isinstance(outcome, Granted), outcome
    return outcome


def failed_by(response: TokenResponse, **how: Any) -> Failure:
    """The failure, of whatever kind, that this response is."""
    outcome = judged(response, **how)
    assert not isinstance(outcome, Granted)
    return outcome


def refused(response: TokenResponse, **how: Any) -> Refused:
    """The refusal that this response is."""
    outcome = judged(response, **how)
    assert isinstance(outcome, Refused), outcome
    return outcome


def malformed(response: TokenResponse, **how: Any) -> Malformed:
    """What is wrong with this response."""
    outcome = judged(response, **how)
    assert isinstance(outcome, Malformed), outcome
    assert response.status == outcome.status
    return outcome


def unreachable(response: TokenResponse, **how: Any) -> Unreachable:
    """Why this response is none of the server's."""
    outcome = judged(response, **how)
    assert isinstance(outcome, Unreachable), outcome
    return outcome

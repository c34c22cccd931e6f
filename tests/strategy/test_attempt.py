"""One token request with a program's own hooks: the defaults can be called, and what hooks raise is told redacted."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

from client_credentials import (
    HookError,
    InvalidTokenResponse,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
    TokenResponse,
)
from client_credentials._core.model import HookFailed
from client_credentials._core.secret import Secret
from client_credentials._shell.driver import run
from client_credentials._shell.request import attempt
from tests.core.kit import SECRET, SOUND, accept, answer, choosy, failed_by, granted, judged, make, unwrapped

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

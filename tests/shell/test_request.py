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
    Urllib3Fetch,
    accept_success,
)
from client_credentials._core import response as core_response
from client_credentials._core.model import HookFailed, Refused, Unreachable
from client_credentials._core.secret import Secret
from client_credentials._shell.driver import run_sync
from client_credentials._shell.request import Attempted, attempt, read_secret
from client_credentials.configuration import READING
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
    """So is one that the user's deserializer cannot read; what it raised may hold the answer, and is no cause then."""

    def read(response: TokenResponse) -> Mapping[str, object]:
        raise ValueError(response.body)

    assert judged(response) == judged(response, response_validator=accept, deserializer=read)
    configuration = SdkConfiguration(fetch=lambda _: response, response_validator=accept, deserializer=read)
    made = run_sync(attempt(make(), Secret(SECRET), configuration, configuration.fetch, 1.0, lambda: ()))
    assert made.cause is None


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

    class Derived(Urllib3Fetch):
        def __call__(self, _: object) -> NoReturn:
            raise error

    def fail(*_: object) -> NoReturn:
        raise error

    for failing in (fail, Derived()):
        assert SECRET not in repr(failed_by(answer(), **{hook: failing}))
        assert "**********" in repr(failed_by(answer(), **{hook: failing}))


def test_no_frame_holds_a_token() -> None:
    """O6: a traceback through a hook, with the locals of our frames, shows neither the secret nor a token of before."""
    seen: list[str] = []

    def fetch(_: TokenRequest) -> NoReturn:
        frames = traceback.StackSummary.extract(traceback.walk_stack(None), capture_locals=True)
        seen.extend(str(frame.locals) for frame in frames if frame.filename.endswith("_shell/request.py"))
        raise LookupError

    run_sync(attempt(make(), Secret(SECRET), SdkConfiguration(fetch=fetch), fetch, 1.0, lambda: ["t0ken-" + "in-hand"]))
    assert [] == [text for text in seen if "t0ken-in" in text or SECRET in text]
    assert seen


def test_a_hook_that_is_wrong_about_a_refusal() -> None:
    """Its exception is told even where the server refused: it was raised before anybody read the answer."""

    def fail(*_: object) -> NoReturn:
        raise LookupError

    refused = answer({"error": "invalid_scope"}, 400)
    assert HookFailed(hook="after_request", kind="raised LookupError") == failed_by(refused, after_request=fail)


def test_what_a_hook_sees_is_redacted_already() -> None:
    """O6: the error that a default raises within a hook of the program's repeats no secret to that hook either."""
    seen: list[str] = []

    def validate(response: TokenResponse) -> None:
        try:
            accept_success(response)
        except TokenRefused as error:
            seen.append(str(error))
            raise

    failed_by(answer({"error": "x", "error_description": f"no {SECRET}"}, 400), response_validator=validate)
    assert 1 == len(seen)
    assert SECRET not in seen[0]


def test_our_own_words_are_kept() -> None:
    """What our own fetch and validator say is constant, and shown even where a secret is one of its words."""
    configuration = SdkConfiguration()
    client = make(token_url="http://127.0.0.1:9/token")
    words = Secret("127.0.0.1")
    unreachable = run_sync(attempt(client, words, configuration, configuration.fetch, 5.0, lambda: ())).outcome
    assert Unreachable(reason="connect to 127.0.0.1:9: ECONNREFUSED") == unreachable
    moved = answer(b"", 308, Location="https://issuer.example/api/token/")
    assert "; redirects are not followed" in repr(judged(moved, secret="redirects"))


NO_WAY = TokenEndpointUnreachable(f"no way with {SECRET}")


def test_an_error_that_a_hook_raises_beside_our_own_fetch() -> None:
    """O6: it is looked through like any other, though the fetch is ours."""

    def fail(*_: object) -> NoReturn:
        raise NO_WAY

    configuration = SdkConfiguration(before_request=fail)
    failure = run_sync(attempt(make(), Secret(SECRET), configuration, configuration.fetch, 5.0, lambda: ())).outcome
    assert SECRET not in repr(failure)


def test_nothing_is_left_in_the_context() -> None:
    """What is hidden in one request is no matter of whoever asked for it."""
    before = READING.get()
    granted(answer())
    assert before is READING.get()


@pytest.mark.parametrize(
    "response", [answer(), answer({"error": "invalid_client"}, 401), answer(b"<html>"), answer(b"<html>", 503)]
)
def test_a_response_is_decoded_once(response: TokenResponse, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it ends: a refusal may be as long, and cost as much to decode, as a grant."""
    decoded: list[bytes] = []

    def decode(body: bytes) -> object:
        decoded.append(body)
        return real(body)

    real = core_response._decoded  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(core_response, "_decoded", decode)
    judged(response)
    assert [response.body] == decoded


def test_odd_credentials() -> None:
    """At invalid_client a secret with odd characters is pointed out, with the ways to send it otherwise."""
    failure = failed_by(answer({"error": "invalid_client"}, 401), secret="a+secret%71")
    assert isinstance(failure, Refused)
    assert "BASIC_RAW" in str(failure.note)


def test_a_note_of_the_answer_stays() -> None:
    """What is said of the credentials comes after what is said of the answer."""
    page, refusal = answer(b"<html>", 401, Content_Type="text/html"), answer({"error": "invalid_client"}, 401)
    given = ((page, "plain-71"), (refusal, "a+secret%71"), (page, "a+secret%71"))
    of_page, of_secret, both = (getattr(failed_by(each, secret=secret), "note", None) for each, secret in given)
    assert of_page
    assert f"{of_page}; {of_secret}" == both


def test_a_wait_until_a_date() -> None:
    """Without a Date in the answer it counts from the clock of the configuration."""
    failure = failed_by(answer(b"", 429, Retry_After="Wed, 21 Oct 2015 07:28:07 GMT"))
    assert 7.0 == getattr(failure, "retry_after", None)


def test_other_scopes() -> None:
    """RFC6749-5.1-4: what was granted is compared with the scopes that were asked for."""
    client = make(scopes=("mine",))
    mine, other = (granted(answer({**SOUND, "scope": each}), client=client).remarks for each in ("mine", "other"))
    assert (0, 1) == (len(mine), len(other))


class Hollow(TokenEndpointUnreachable):
    """An exception that has nothing of what its class promises."""

    def __init__(self) -> None:
        Exception.__init__(self, "no reason")


ODD: Any = OSError("x")


@pytest.mark.parametrize("error", [Hollow(), TokenEndpointUnreachable(ODD), InvalidTokenResponse(200, ODD)])
@pytest.mark.parametrize("hook", ["fetch", "deserializer"])
def test_a_broken_token_error(error: Exception, hook: str) -> None:
    """A TokenError that describes no failure is told by its class, as any other exception is."""

    def fail(*_: object) -> NoReturn:
        raise error

    assert HookFailed(hook=hook, kind=f"raised {type(error).__name__}") == failed_by(answer(), **{hook: fail})
    unread = Attempted(HookFailed(hook="client_secret", kind=f"raised {type(error).__name__}"))
    assert unread == read_secret(Secret(fail))


@pytest.mark.parametrize("broken", [("200", {}, b""), (429, {"Retry-After": 5}, b""), (200, {}, "text")])
def test_a_response_of_other_types(broken: tuple[Any, ...]) -> None:
    """A response that a fetch makes of odd parts is refused where it is made, so the error names the fetch."""

    def fetch(_: TokenRequest) -> TokenResponse:
        return TokenResponse(*broken)

    assert HookFailed(hook="fetch", kind="raised ValueError") == failed_by(answer(), fetch=fetch)


def test_a_token_with_a_status_of_a_refusal() -> None:
    """Where the program's validator lets it pass, a token counts, whatever the status."""
    assert granted(answer(status=400), response_validator=accept).access_token


@pytest.mark.parametrize("hook", ["response_validator", "deserializer"])
def test_a_hook_that_reads_a_refusal_its_own_way(hook: str) -> None:
    """What a hook says of a refusal is the failure, not what the defaults would have made of it."""

    def fail(*_: object) -> NoReturn:
        raise TokenRefused(400, "mine")

    hooks = {"response_validator": accept, hook: fail}
    failure = failed_by(answer({"error": "invalid_scope"}, 400), **hooks)
    assert "mine" == getattr(failure, "error", None)

"""One token request with its hooks, as an outcome: what hooks raise and servers do becomes a value."""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable, Collection, Iterable
from inspect import isawaitable
from typing import TypeAlias, cast

import attrs

from .._core.client import check_secret
from .._core.model import (
    Client,
    Failure,
    HookFailed,
    Malformed,
    Outcome,
    Refused,
    TokenRequest,
    TokenResponse,
    Unreachable,
)
from .._core.redaction import NOTHING, Hidden
from .._core.refusal import redacted_failure, with_retry_after
from .._core.request import credentials_note, hidden_of, token_request
from .._core.response import parse_document, status_failure
from .._core.secret import NO_SECRET, Secret
from .._http.fetch import Urllib3Fetch
from ..configuration import READING, Reading, SdkConfiguration
from ..errors import TokenError, failure_of
from .clock import read
from .threads import catchable

codecs.lookup("utf-8-sig")  # imported on its first use, which must not be within a request

Fetch: TypeAlias = Callable[[TokenRequest], object | Awaitable[object]]


@attrs.frozen(repr=False)
class Attempted:
    """The outcome of a request, and the exception of the program's code that caused it."""

    outcome: Outcome
    cause: BaseException | None = None


def read_secret(source: Secret) -> Secret | Attempted:
    """Read the current secret; a callable that fails, or gives what cannot be sent, makes a failed attempt."""
    if source is NO_SECRET:
        return source
    try:
        value = source.reveal()
    except TokenError as error:
        return Attempted(described(error, "client_secret"))
    except catchable() as error:  # the program's code
        return Attempted(HookFailed(hook="client_secret", kind=f"raised {type(error).__name__}"), error)
    try:
        return Secret(check_secret(value))
    except ValueError as error:
        return Attempted(HookFailed(hook="client_secret", kind=str(error).removeprefix("client_secret ")))


async def attempt(
    client: Client,
    secret: Secret,
    configuration: SdkConfiguration,
    fetch: Fetch,
    seconds: float,
    tokens: Callable[[], Iterable[str]],
) -> Attempted:
    """Make one token request within `seconds`; an error repeats neither the secret nor one of these tokens.

    `fetch` is the configuration's, or what brings it into the event loop that it needs.
    """
    # No frame that calls the program's code has a bare secret among its locals: tracebacks may show them.
    request = token_request(client, secret.reveal(), seconds)
    hidden = hidden_of(client, secret, tokens)
    response: TokenResponse | None = None
    outcome: Outcome
    cause: BaseException | None = None
    stage = "before_request"
    reading = Reading(hidden)
    context = READING.set(reading)
    try:
        configuration.before_request(request)
        stage = "fetch"
        fetched = fetch(request)
        fetched = await cast("Awaitable[object]", fetched) if isawaitable(fetched) else fetched
        if not isinstance(fetched, TokenResponse):
            return Attempted(
                HookFailed(hook="fetch", kind=f"returned {type(fetched).__name__}, expected TokenResponse")
            )
        response = fetched
        stage = "after_request"
        configuration.after_request(request, response)
        stage = "response_validator"
        configuration.response_validator(response)
        stage = "deserializer"
        outcome = parse_document(response, configuration.deserializer(response), client.scopes, hidden)
    except TokenError as error:
        # What our own fetch says is made of constants, and what one of the defaults says is redacted already.
        constant = stage == "fetch" and type(configuration.fetch) is Urllib3Fetch
        outcome = failure_of(error) if constant else described(error, stage, hidden, reading.found)
    except catchable() as error:  # the program's code
        outcome = HookFailed(hook=stage, kind=f"raised {type(error).__name__}")
        cause = error
    finally:
        READING.reset(context)
    if response is None:
        return Attempted(outcome, cause)
    if response.status >= 400 and stage == "deserializer" and isinstance(outcome, Malformed | HookFailed):
        # The program's validator let it pass, and there was no token in it, or none that its deserializer could read.
        refused = status_failure(response, hidden)
        outcome, cause = (refused, None) if refused else (outcome, cause)
    if isinstance(outcome, Refused) and (note := credentials_note(client, outcome, secret.reveal())):
        outcome = attrs.evolve(outcome, note="; ".join(filter(None, (outcome.note, note))))
    if isinstance(outcome, Refused | Malformed | Unreachable):
        outcome = with_retry_after(outcome, response, read(configuration.clock).wall)
    return Attempted(outcome, cause)


def described(error: TokenError, hook: str, hidden: Hidden = NOTHING, known: Collection[object] = ()) -> Failure:
    """Return the failure that a hook's exception describes; one of the defaults' own is known, and redacted already."""
    try:
        failure = failure_of(error)
        return failure if failure in known else redacted_failure(failure, hidden)
    except Exception:  # it has not what its class promises
        return HookFailed(hook=hook, kind=f"raised {type(error).__name__}")

"""One token request, hooks and all, as an outcome: nothing that a user's code or a server does comes out as raised."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import attrs

from .._core.lifecycle import EMPTY, State
from .._core.model import Client, Failure, Granted, Malformed, Outcome, TokenRequest, TokenResponse, Unreachable
from .._core.request import check_secret, credential, token_request
from .._core.response import decode, discreet, hushed, interpret, objection, ordered
from .._core.secret import Secret, needles
from ..configuration import SdkConfiguration, json_object, only_200
from ..errors import TokenEndpointUnreachable, TokenError, failure_of


@attrs.frozen
class Attempted:
    """What an attempt came to, and the exception of a user's code that it came to it by."""

    outcome: Outcome
    cause: Exception | None = None


def read_secret(source: Secret) -> Secret | Attempted:
    """Read the present secret; a callable that fails, or gives what cannot be sent, makes a failed attempt."""
    try:
        value = source.reveal()
    except TokenError as error:
        return Attempted(hushed(failure_of(error), frozenset()))
    except Exception as error:  # a user's code
        return Attempted(Unreachable(reason=f"client_secret raised {type(error).__name__}"), error)
    try:
        return Secret(check_secret(value))
    except ValueError as error:
        return Attempted(Unreachable(reason=str(error)))


def attempt(
    client: Client, secret: Secret, configuration: SdkConfiguration, timeout: float, state: State = EMPTY
) -> Attempted:
    """Make one token request, in `timeout` seconds; an error repeats neither secret nor a token of the state."""
    # No frame that calls a user's code has a bare secret among its locals: tracebacks may show them.
    request = token_request(client, secret.reveal(), timeout)
    response: TokenResponse | None = None
    outcome: Outcome
    cause: Exception | None = None
    stage = "before_request"
    try:
        configuration.before_request(request)
        stage = "fetch"
        response = _fetched(configuration, request)
        stage = "after_request"
        configuration.after_request(request, response)
        stage = "response_validator"
        failure = _objection(response, configuration)
        stage = "deserializer"
        outcome = failure or _reading(response, configuration, client.scopes)
    except TokenError as error:
        outcome = failure_of(error)
    except Exception as error:  # a user's code
        reason = f"{stage} raised {type(error).__name__}"
        outcome = Malformed(status=response.status, reason=reason) if response else Unreachable(reason=reason)
        cause = error
    if isinstance(outcome, Granted):
        said_more = outcome.scope or outcome.extra
        return Attempted(discreet(outcome, _hidden(client, secret)) if said_more else outcome)
    outcome = hushed(outcome, _hidden(client, secret, state))
    return Attempted(outcome if response is None else ordered(outcome, response, configuration.clock.wall()), cause)


def _hidden(client: Client, secret: Secret, state: State = EMPTY) -> frozenset[str]:
    held = (state.held.token.access_token,) if state.held else ()
    return needles(*credential(client, secret.reveal()), *held, *state.removed)


def _fetched(configuration: SdkConfiguration, request: TokenRequest) -> TokenResponse:
    response = cast("object", configuration.fetch(request))
    if isinstance(response, TokenResponse):
        return response
    raise TokenEndpointUnreachable(f"fetch gave {type(response).__name__}, no TokenResponse", retryable=False)


# What the default collaborators find wrong is taken as a value: their exceptions hold words that nobody has hushed yet.


def _objection(response: TokenResponse, configuration: SdkConfiguration) -> Failure | None:
    if configuration.response_validator is only_200:
        return objection(response)
    configuration.response_validator(response)
    return None


def _reading(response: TokenResponse, configuration: SdkConfiguration, asked: Collection[str]) -> Outcome:
    if configuration.deserializer is not json_object:
        return interpret(response, configuration.deserializer(response), asked)
    document = decode(response)
    return document if isinstance(document, Malformed) else interpret(response, document, asked)

"""One token request, hooks and all, as an outcome: nothing that a user's code or a server does comes out as raised."""

from __future__ import annotations

import attrs

from ._core.model import Client, Failure, Granted, Malformed, Outcome, TokenResponse, Unreachable
from ._core.request import check_secret, credential, token_request
from ._core.response import hushed, interpret, ordered
from ._core.secret import Secret, needles
from .configuration import SdkConfiguration
from .errors import TokenError, failure_of


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


def attempt(client: Client, secret: Secret, configuration: SdkConfiguration, timeout: float) -> Attempted:
    """Make one token request, in `timeout` seconds."""
    # No frame that calls a user's code has a bare secret among its locals: tracebacks may show them.
    request = token_request(client, secret.reveal(), timeout)
    response: TokenResponse | None = None
    outcome: Outcome
    cause: Exception | None = None
    stage = "before_request"
    try:
        configuration.before_request(request)
        stage = "fetch"
        response = configuration.fetch(request)
        stage = "after_request"
        configuration.after_request(request, response)
        stage = "response_validator"
        configuration.response_validator(response)
        stage = "deserializer"
        outcome = interpret(response, configuration.deserializer(response))
    except TokenError as error:
        outcome = failure_of(error)
    except Exception as error:  # a user's code
        reason = f"{stage} raised {type(error).__name__}"
        outcome = Malformed(status=response.status, reason=reason) if response else Unreachable(reason=reason)
        cause = error
    if isinstance(outcome, Granted):
        return Attempted(outcome)
    return Attempted(_settled(outcome, response, client, secret, configuration), cause)


def _settled(
    failure: Failure, response: TokenResponse | None, client: Client, secret: Secret, configuration: SdkConfiguration
) -> Failure:
    failure = hushed(failure, needles(*credential(client, secret.reveal())))
    return failure if response is None else ordered(failure, response, configuration.clock.wall())

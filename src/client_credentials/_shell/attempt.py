"""One token request, hooks and all, as an outcome: never raises what a user's code or a server does."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import attrs

from .._core.client import check_secret
from .._core.lifecycle import EMPTY, State
from .._core.model import Client, Failure, Malformed, Outcome, Refused, TokenRequest, TokenResponse, Unreachable
from .._core.redaction import NOTHING, Hidden
from .._core.refusal import redacted_failure, with_retry_after
from .._core.request import credentials_note, hidden_of, token_request
from .._core.response import decode, parse_document, status_failure
from .._core.secret import NO_SECRET, Secret
from .._http.fetch import Urllib3Fetch
from ..configuration import HIDDEN, SdkConfiguration, accept_success, json_object
from ..errors import TokenEndpointUnreachable, TokenError, failure_of


@attrs.frozen
class Attempted:
    """What an attempt came to, and the user's exception that caused it."""

    outcome: Outcome
    cause: Exception | None = None


def read_secret(source: Secret) -> Secret | Attempted:
    """Read the current secret; a callable that fails, or gives what cannot be sent, makes a failed attempt."""
    if source is NO_SECRET:
        return source
    try:
        value = source.reveal()
    except TokenError as error:
        return Attempted(redacted_failure(failure_of(error), NOTHING))
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
    held = (state.held.token.access_token,) if state.held else ()
    hidden = hidden_of(client, secret, (*held, *state.removed))
    response: TokenResponse | None = None
    outcome: Outcome
    cause: Exception | None = None
    stage = "before_request"
    context = HIDDEN.set(hidden)
    try:
        configuration.before_request(request)
        stage = "fetch"
        response = _fetched(configuration, request)
        stage = "after_request"
        configuration.after_request(request, response)
        stage = "response_validator"
        failure = _validated(response, configuration, hidden)
        stage = "deserializer"
        outcome = failure or _read(response, configuration, client.scopes, hidden)
    except TokenError as error:
        # What our own fetch says is made of constants.
        constant = stage == "fetch" and isinstance(configuration.fetch, Urllib3Fetch)
        outcome = failure_of(error) if constant else _described(error, response, hidden)
    except Exception as error:  # a user's code
        reason = f"{stage} raised {type(error).__name__}"
        outcome = Malformed(status=response.status, reason=reason) if response else Unreachable(reason=reason)
        cause = error
    finally:
        HIDDEN.reset(context)
    if response is None:
        return Attempted(outcome, cause)
    if isinstance(outcome, Malformed) and response.status >= 400:
        # A validator of the user's let it pass, and there was no token in it.
        outcome = status_failure(response, hidden) or outcome
    if isinstance(outcome, Refused) and (note := credentials_note(client, outcome, secret.reveal())):
        outcome = attrs.evolve(outcome, note="; ".join(filter(None, (outcome.note, note))))
    if isinstance(outcome, Refused | Malformed | Unreachable):
        outcome = with_retry_after(outcome, response, configuration.clock.wall())
    return Attempted(outcome, cause)


def _fetched(configuration: SdkConfiguration, request: TokenRequest) -> TokenResponse:
    response = cast("object", configuration.fetch(request))
    if isinstance(response, TokenResponse):
        return response
    raise TokenEndpointUnreachable(f"fetch returned {type(response).__name__}, expected TokenResponse", retryable=False)


# What the default collaborators find wrong is taken as a value, since their exceptions quote the server as it is.


def _validated(response: TokenResponse, configuration: SdkConfiguration, hidden: Hidden) -> Failure | None:
    if configuration.response_validator is accept_success:
        return status_failure(response, hidden)
    configuration.response_validator(response)
    return None


def _read(response: TokenResponse, configuration: SdkConfiguration, asked: Collection[str], hidden: Hidden) -> Outcome:
    if configuration.deserializer is not json_object:
        return parse_document(response, configuration.deserializer(response), asked, hidden)
    document = decode(response, hidden)
    return document if isinstance(document, Malformed) else parse_document(response, document, asked, hidden)


def _described(error: TokenError, response: TokenResponse | None, hidden: Hidden) -> Failure:
    """The failure that a hook's exception describes; our own words stay, where one of the defaults raised it."""
    failure = failure_of(error)
    ours = response is not None and failure in (status_failure(response, hidden), decode(response, hidden))
    return failure if ours else redacted_failure(failure, hidden)

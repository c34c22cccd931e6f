"""The errors: who failed, why, and whether to ask again.

The server's text in them is redacted already, by `_core/redaction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from ._core.model import Client, Failure, HookFailed, Malformed, Refused, Unreachable, without_query

_LONGEST_IN_MESSAGE: Final = 256


class TokenError(Exception):
    """There is no token to hand out.

    `retryable` says whether asking again may help, `retry_after` in how many seconds from now that is worth it.
    `token_url` (without its query) and `client_id` say whose token it is; both are None where a hook raised the error
    itself. Each caller gets a fresh exception. It pickles, and holds no secret and no token.
    """

    # On the class too, for a subclass whose constructor does not call this one.
    retryable: bool = False
    retry_after: float | None = None
    token_url: str | None = None
    client_id: str | None = None

    def __init__(
        self,
        message: str = "",
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        token_url: str | None = None,
        client_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = None if retry_after is None else max(retry_after, 0.0)
        self.token_url = token_url
        self.client_id = client_id

    def __str__(self) -> str:
        text = super().__str__()
        if self.token_url is None:
            return text
        return f"{self.token_url.split('/')[2]} (client {self.client_id!r}): {text}"

    def __reduce__(self) -> tuple[object, ...]:
        # Not by the constructor: that of a subclass takes other arguments.
        return Exception.__new__, (type(self), *self.args), self.__dict__


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_MESSAGE else f"{text[:_LONGEST_IN_MESSAGE]}..."


class TokenRefused(TokenError):
    """The server said no: an error of RFC 6749 section 5.2, too many requests (429), or its own failure (5xx).

    `error`, `error_description`, `error_uri` and `www_authenticate` are the server's words, without control characters
    and secrets: the description is cut at 4096 characters, and at 256 in the text of the exception. `note` is what we
    add: what kind of body came where there were no words, and what to change.
    """

    def __init__(
        self,
        status: int,
        error: str | None = None,
        error_description: str | None = None,
        error_uri: str | None = None,
        *,
        www_authenticate: str | None = None,
        note: str | None = None,
        **common: Any,  # noqa: ANN401  # what TokenError takes
    ) -> None:
        said = ": ".join(_cut(text) for text in (error, error_description) if text)
        super().__init__(
            f"the token endpoint refused the request with status {status}"
            + (f" ({said})" if said else "")
            + (f"; {note}" if note else ""),
            **common,
        )
        self.status = status
        self.error = error
        self.error_description = error_description
        self.error_uri = error_uri
        self.www_authenticate = www_authenticate
        self.note = note


class InvalidTokenResponse(TokenError):
    """The answer is not a token response (RFC 6749 section 5.1); `status` is None if there was none."""

    def __init__(self, status: int | None, reason: str, **common: Any) -> None:  # noqa: ANN401  # what TokenError takes
        super().__init__(f"not a token response: {reason}", **common)
        self.status = status
        self.reason = reason


class TokenEndpointUnreachable(TokenError):
    """No complete answer came back in time; `reason` says what happened."""

    def __init__(self, reason: str, *, retryable: bool = True, **common: Any) -> None:  # noqa: ANN401  # as above
        super().__init__(f"no answer from the token endpoint: {reason}", retryable=retryable, **common)
        self.reason = reason


class HookError(TokenError):
    """The program's own code raised an exception, or returned something unusable.

    The exception is the `__cause__`, for all who waited for that request; without one there is no cause. `hook` names
    the code: `fetch`, `before_request`, `after_request`, `response_validator`, `deserializer`, `client_secret`.
    """

    def __init__(self, hook: str, kind: str, **common: Any) -> None:  # noqa: ANN401  # what TokenError takes
        super().__init__(f"{hook} {kind}", **common)
        self.hook = hook
        self.kind = kind


_ERRORS: Final[Mapping[type[Any], type[Any]]] = {
    Refused: TokenRefused,
    Malformed: InvalidTokenResponse,
    Unreachable: TokenEndpointUnreachable,
    HookFailed: HookError,
}
"""Each failure with its exception, which has the attributes of the failure."""


def error_of(failure: Failure, retry_after: float | None = None, client: Client | None = None) -> TokenError:
    """Make a fresh exception of a failure; `retry_after` is the wait that is left now, in seconds."""
    values: dict[str, Any] = attrs.asdict(failure, recurse=False)
    values["retry_after"] = retry_after if failure.retryable else None
    if client is not None:
        values |= {"token_url": without_query(client.token_url), "client_id": client.client_id}
    error: TokenError = _ERRORS[type(failure)](**values)
    return error


def failure_of(error: TokenError) -> Failure:
    """Return the failure that a hook's exception describes; one of the program's own classes by its name."""
    for failed, raised in _ERRORS.items():
        if isinstance(error, raised):
            failure: Failure = failed(**{field.name: getattr(error, field.name) for field in attrs.fields(failed)})
            return failure
    return Unreachable(reason=type(error).__name__, retryable=error.retryable, retry_after=error.retry_after)

"""What a caller is told when there is no token: who failed, and whether to ask again."""

from __future__ import annotations

from typing import Final, assert_never

import attrs

from ._core.model import Failure, Malformed, Refused, Unreachable

_LONGEST_TEXT: Final = 256


class TokenError(Exception):
    """There is no token to hand out.

    `retryable` says whether asking again may help, `retry_after` in how many seconds from now that is worth it.
    Each caller gets an exception of its own; it pickles, and holds no secret and no token.
    """

    # On the class too, for a subclass whose constructor does not call this one.
    retryable: bool = False
    retry_after: float | None = None

    def __init__(self, message: str = "", *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, self.__dict__.copy())


def _revive(kind: type[TokenError], args: tuple[object, ...], fields: dict[str, object]) -> TokenError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


class TokenRefused(TokenError):
    """The server said no: an error of RFC 6749 section 5.2, too many requests (429), or its own failure (5xx).

    `error`, `error_description`, `error_uri` and `www_authenticate` are the server's words, made fit to print: the
    description is cut at 4096 characters, and at 256 in the text of the exception. `note` is what we add: how the
    body can be told where there were no words, and what to change.
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
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        said = ": ".join(_cut(text) for text in (error, error_description) if text)
        super().__init__(
            f"the token endpoint refused with status {status}"
            + (f" ({said})" if said else "")
            + (f"; {note}" if note else ""),
            retryable=retryable,
            retry_after=retry_after,
        )
        self.status = status
        self.error = error
        self.error_description = error_description
        self.error_uri = error_uri
        self.www_authenticate = www_authenticate
        self.note = note


class InvalidTokenResponse(TokenError):
    """What came back is not a token response (RFC 6749 section 5.1); `status` is None where there was none."""

    def __init__(
        self, status: int | None, reason: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"not a token response: {reason}", retryable=retryable, retry_after=retry_after)
        self.status = status
        self.reason = reason


class TokenEndpointUnreachable(TokenError):
    """Nothing, or nothing whole, came back in time."""

    def __init__(self, reason: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(f"no answer from the token endpoint: {reason}", retryable=retryable, retry_after=retry_after)
        self.reason = reason


def error_of(failure: Failure, retry_after: float | None = None) -> TokenError:
    """Make a fresh exception of a failure; `retry_after` is the wait that is left now."""
    pause = retry_after if failure.retryable else None
    match failure:
        case Refused():
            return TokenRefused(
                failure.status,
                failure.error,
                failure.error_description,
                failure.error_uri,
                www_authenticate=failure.www_authenticate,
                note=failure.note,
                retryable=failure.retryable,
                retry_after=pause,
            )
        case Malformed(status=status, reason=reason):
            return InvalidTokenResponse(status, reason, retryable=failure.retryable, retry_after=pause)
        case Unreachable(reason=reason):
            return TokenEndpointUnreachable(reason, retryable=failure.retryable, retry_after=pause)
        case _:
            assert_never(failure)


def failure_of(error: TokenError) -> Failure:
    """Take the exception of a hook as the failure that it describes."""
    match error:
        case TokenRefused():
            names = [field.name for field in attrs.fields(Refused)]
            return Refused(**{name: getattr(error, name) for name in names})
        case InvalidTokenResponse():
            return Malformed(
                status=error.status, reason=error.reason, retryable=error.retryable, retry_after=error.retry_after
            )
        case _:
            reason = error.reason if isinstance(error, TokenEndpointUnreachable) else type(error).__name__
            return Unreachable(reason=reason, retryable=error.retryable, retry_after=error.retry_after)

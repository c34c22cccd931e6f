"""What a bearer token's use demands whatever the HTTP library: when it is to be renewed, where it may go (RFC 6750)."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from .._core.model import AccessToken

Origin: TypeAlias = tuple[str, str | None, int | None]
"""Scheme, host and port (RFC 6454 section 4)."""

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# Quoted strings are taken whole, so that nothing inside one passes for a parameter; a name begins where a word does,
# so that the longest header is read in one pass.
_PARAMETER: Final = re.compile(rf'(?<!{_WORD})({_WORD}+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}*))')
_PORTS: Final = {"http": 80, "https": 443}


class Renewing(Protocol):
    """The half of an AuthStrategy that a bearer needs, with a removal that is told which token is dead.

    The SDK's interface removes whatever is in hand. A hundred callers who come back with one dead token would then
    throw away each other's new ones; so a strategy whose removal takes no token is refused by the type checkers, and
    when the bearer is made.
    """

    def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now; raises TokenError."""
        ...

    def remove_access_token(self, token: AccessToken, /) -> object:
        """Forget this token, if it is still the one in hand."""
        ...


class AsyncRenewing(Protocol):
    """The same for an event loop."""

    async def get_or_create_access_token(self) -> AccessToken:
        """Give a token that is good now; raises TokenError."""
        ...

    async def remove_access_token(self, token: AccessToken, /) -> object:
        """Forget this token, if it is still the one in hand."""
        ...


S = TypeVar("S", bound=Renewing | AsyncRenewing)


def checked(strategy: S) -> S:
    """Give the strategy back if it can be used; raises ValueError."""
    try:
        inspect.signature(strategy.get_or_create_access_token).bind()
        inspect.signature(strategy.remove_access_token).bind("token")
    except (AttributeError, TypeError):
        raise ValueError("strategy: an auth strategy is needed whose remove_access_token takes the token") from None
    return strategy


def is_asynchronous(strategy: Renewing | AsyncRenewing) -> bool:
    """Tell which of the two a strategy is: its methods are coroutine functions, or they are not."""
    return inspect.iscoroutinefunction(strategy.get_or_create_access_token)


def asks_for_new_token(status: int, challenge: str | None) -> bool:
    """Tell whether a resource server refused because of the token itself (RFC 6750 section 3.1).

    So it did with a 401 whose WWW-Authenticate (`challenge`) says `invalid_token`, or names no error, or is missing.
    """
    if status != 401:
        return False
    found = _PARAMETER.findall(challenge or "")
    errors = {quoted or bare for name, quoted, bare in found if name.lower() == "error"} - {""}
    return not errors or "invalid_token" in errors


def origin_of(url: str) -> Origin:
    """Read the origin of an http or https URL."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)

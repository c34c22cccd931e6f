"""What to do about an error, in terms of the command line's options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from .._core.model import TokenResponse
from ..errors import InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused

_CREDENTIALS: Final = "check the client id and the secret, or try another --auth"
_NO_ENDPOINT: Final = "check --token-url: is it the token endpoint?"

# By the error codes of RFC 6749 section 5.2 and RFC 8707 section 2.
_BY_CODE: Final[Mapping[str | None, str]] = {
    "invalid_client": _CREDENTIALS,
    "unauthorized_client": "have the server allow this client the client_credentials grant",
    "unsupported_grant_type": "check --token-url: the server does not offer this grant there",
    "invalid_scope": "check --scope",
    "invalid_target": "check --resource and --audience",
}
_BY_STATUS: Final = {401: _CREDENTIALS, 403: _CREDENTIALS, 404: _NO_ENDPOINT, 405: _NO_ENDPOINT, 410: _NO_ENDPOINT}


UNSEEN: Final = TokenResponse(200, {}, b"{}")
"""In place of a response that fetch refused."""


def advice(error: TokenError, response: TokenResponse) -> str:
    """Say what to do about an error; `response` is what came last."""
    # A body may be a token endpoint's, even if it is no token response by RFC 6749.
    is_dialect = response.body.lstrip().startswith((b"{", b"[")) or b"access_token" in response.body
    match error:
        case TokenEndpointUnreachable(retryable=False):
            return "check --token-url, its certificate, the proxy, and the clock of this machine"
        case TokenEndpointUnreachable():
            return "check --token-url, the network and the proxy, or allow more --timeout"
        case TokenRefused(error=code) if code in _BY_CODE:
            return _BY_CODE[code]
        case TokenError(retryable=True):
            return f"try again in {math.ceil(error.retry_after or 1)} s"
        case TokenRefused(status=status) if status in _BY_STATUS:
            return _BY_STATUS[status]
        case InvalidTokenResponse(status=int(status)) if 300 <= status < 400:
            return "set --token-url to the endpoint itself: redirects are not followed"
        case InvalidTokenResponse() if is_dialect:
            return "the endpoint answers in its own way: use the library with a deserializer or a fetch for it"
        case InvalidTokenResponse():
            return _NO_ENDPOINT
        case _:
            return "check what is asked for: --scope, --audience, --resource, --param"

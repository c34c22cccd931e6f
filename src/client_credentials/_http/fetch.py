"""The default fetch: one token request over urllib3, bounded in time and in size, and every failure typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._core.model import Failure, TokenRequest, TokenResponse
from ..errors import error_of

if TYPE_CHECKING:
    import urllib3


class Urllib3Fetch:
    """Sends a token request and gives whatever came back; follows no redirect, retries nothing, decodes nothing.

    Without a pool each exchange has a connection of its own, which is closed after it, and `request.timeout` bounds
    the whole of it, name lookup to last byte. A `pool` is used as given (its trust store, proxy and sockets), where
    urllib3's timeouts are all there is. `max_body` is in bytes. `trust_env` lets HTTPS_PROXY, ALL_PROXY and NO_PROXY
    count; plain http is for loopback alone and never goes through a proxy. SSL_CERT_FILE is honoured either way.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, without a cause or a context of their own making.
    """

    def __init__(
        self, *, pool: urllib3.PoolManager | None = None, max_body: int = 1048576, trust_env: bool = True
    ) -> None:
        if type(max_body) is not int or max_body < 1:
            raise ValueError("max_body: a positive whole number of bytes is needed")
        abilities = ("request", "urlopen", "connection_from_url")
        if pool is not None and not all(callable(getattr(pool, name, None)) for name in abilities):
            raise ValueError("pool: a urllib3.PoolManager is needed")
        self._pool = pool
        self._max_body = max_body
        self._trust_env = trust_env
        self._send: Callable[[TokenRequest], TokenResponse | Failure] | None = None

    @property
    def bounded(self) -> bool:
        """Whether an exchange ends at its deadline by itself, so that it may run in the thread of who waits for it."""
        return self._pool is None

    def __call__(self, request: TokenRequest) -> TokenResponse:
        if self._send is None:
            self._send = self._sender()
        outcome = self._send(request)
        if isinstance(outcome, TokenResponse):
            return outcome
        raise error_of(outcome)

    def _sender(self) -> Callable[[TokenRequest], TokenResponse | Failure]:
        # Imported with the first request: whoever only imports the package pays for no TLS.
        from .transport import OwnConnection, UsersPool

        if self._pool is None:
            return OwnConnection(self._max_body, trust_env=self._trust_env)
        return UsersPool(self._pool, self._max_body)

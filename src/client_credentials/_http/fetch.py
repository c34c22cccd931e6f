"""The default fetch: one token request over urllib3, bounded in time and in size, with every failure typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.model import TokenRequest, TokenResponse
from ..errors import error_of

if TYPE_CHECKING:
    import ssl

    import urllib3


class Urllib3Fetch:
    """Sends a token request and returns what came back; follows no redirect, retries nothing, decodes nothing.

    Without a pool each exchange has its own connection, closed afterwards, and `request.timeout` bounds all of it but
    the name lookup, which no timeout can interrupt. `ssl_context` replaces the default trust store: a private CA, a
    client certificate (RFC 8705), a pin. It must verify. SSL_CERT_FILE and SSL_CERT_DIR work without it;
    the store is read once for all strategies of a process, and anew when it has changed.
    A `pool` is used as it is (its trust store, proxy and sockets), with urllib3's timeouts, and emptied after a fork.
    At most `max_body` bytes of a body are read. With `trust_env`, HTTPS_PROXY, ALL_PROXY and NO_PROXY apply.
    Plain http is for loopback only and never goes through a proxy.

    Raises TokenEndpointUnreachable or InvalidTokenResponse, without cause or context; ValueError for bad arguments.
    """

    def __init__(
        self,
        *,
        pool: urllib3.PoolManager | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_body: int = 1048576,
        trust_env: bool = True,
    ) -> None:
        if type(max_body) is not int or max_body < 1:
            raise ValueError("max_body must be a positive whole number of bytes")
        if type(trust_env) is not bool:
            raise ValueError("trust_env must be True or False")
        if pool is not None and not _has(pool, "urlopen", "connection_from_url", "clear"):
            raise ValueError("pool must be a urllib3.PoolManager")
        if ssl_context is not None and not _has(ssl_context, "wrap_socket"):
            raise ValueError("ssl_context must be an ssl.SSLContext")
        if pool is not None and ssl_context is not None:
            raise ValueError("ssl_context must not be combined with pool, which has its own")
        # Imported here and not in a request, where a fork, a chroot or a lack of descriptors may get in the way;
        # and not with the package, which is then cheap to import.
        from ssl import CERT_REQUIRED

        from .transport import OwnConnection, UsersPool

        # RFC 6749 section 10.9
        verifies = ssl_context is None or (ssl_context.verify_mode == CERT_REQUIRED and ssl_context.check_hostname)
        if not verifies:
            raise ValueError("ssl_context must verify certificates (verify_mode CERT_REQUIRED) and host names")
        self._send = (
            OwnConnection(max_body, ssl_context, trust_env=trust_env) if pool is None else UsersPool(pool, max_body)
        )

    def __call__(self, request: TokenRequest) -> TokenResponse:
        try:
            outcome = self._send(request)
        except BaseException as interrupt:
            # The frames below hold the request and the answer, and a traceback may be shown with its locals.
            raise interrupt.with_traceback(None) from None
        if isinstance(outcome, TokenResponse):
            return outcome
        raise error_of(outcome)


def _has(value: object, *methods: str) -> bool:
    return all(callable(getattr(value, name, None)) for name in methods)

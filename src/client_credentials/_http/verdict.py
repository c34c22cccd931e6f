"""What went wrong in an exchange, as a value: one event has one verdict and one text, whatever carried the request."""

from __future__ import annotations

import errno
import re
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead
from socket import gaierror
from typing import Final

from urllib3.exceptions import ConnectTimeoutError, EmptyPoolError, InvalidHeader, NewConnectionError, ProxyError
from urllib3.exceptions import SSLError as PoolSSLError

from .._core.model import Malformed, Unreachable
from .wire import Exchange, ExchangeFailed, ExchangeFailure, Host

_YEAR_2025: Final = 1_735_689_600.0
_UNKNOWN_CA: Final = (18, 19, 20, 21)
"""OpenSSL's numbers for a certificate that no trusted CA issued, with and without a chain."""
_TRANSIENT: Final = frozenset((408, 421, 425, 429, *range(500, 600)))
_TUNNEL_FAILED: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")
_SOCKS_CODE: Final = re.compile(r"0x[0-9a-f]{2}\b", re.IGNORECASE)
_SOCKS_FORBIDDEN: Final = ("0x02", "SOCKS5AuthError")


def verdict_of(error: Exception, exchange: Exchange, *, peer: Host | None = None) -> ExchangeFailure:
    """Say what an exception means, in our own words: libraries quote what they were given."""
    stage, status, root = exchange.stage, exchange.status, root_of(error)
    match root:
        case ExchangeFailed(failure=failure):
            return failure
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError() | ssl.SSLEOFError():
            return Unreachable(reason=f"{stage}: {'truncated' if status else 'closed without an answer'}")
        case ssl.SSLError() | PoolSSLError():
            reason = f"TLS with {peer or exchange.host}: {_tls_reason(root, store_is_empty=exchange.store_is_empty)}"
            return Unreachable(reason=reason, retryable=False)
        case NewConnectionError():
            return Unreachable(reason=f"{stage}: failed")
        case TimeoutError() | ConnectTimeoutError() | EmptyPoolError():
            return Unreachable(reason=f"{stage}: timed out")
        case gaierror():
            return Unreachable(reason=f"{stage}: {root.strerror}")
        case IncompleteRead() if not _is_bad_chunk(root):
            return Unreachable(reason=f"{stage}: truncated")
        case HTTPException() | InvalidHeader():
            return Malformed(status=status, reason=f"{stage}: not HTTP ({type(root).__name__})")
        case OSError():
            name = errno.errorcode.get(root.errno or 0, type(root).__name__)
            return Unreachable(reason=f"{stage}: {f'truncated ({name})' if status else name}")
        case _:
            return Unreachable(reason=f"{stage}: {type(root).__name__}", retryable=False)


def pool_verdict_of(error: Exception, exchange: Exchange) -> ExchangeFailure:
    """Say what an exception of a pool means; only the wrapping tells how far the exchange had got."""
    layers, proxy = tuple(_layers(error)), exchange.proxy
    root = layers[-1]
    peer = exchange.host
    if proxy is not None:
        tunnel = _TUNNEL_FAILED.match(str(root))
        if tunnel is not None:
            return tunnel_refused(proxy, int(tunnel[1]))
        if hasattr(root, "socket_err"):  # PySocks reports an answer of the proxy
            code = _SOCKS_CODE.match(str(root))
            said = code[0] if code else type(root).__name__
            return Unreachable(reason=f"{proxy} refused to connect ({said})", retryable=said not in _SOCKS_FORBIDDEN)
        if any(isinstance(each, ProxyError | ConnectTimeoutError) for each in layers):
            peer = proxy
    if isinstance(root, gaierror):
        exchange.stage = f"lookup of {peer.role}{peer.name}"
    elif any(isinstance(each, ConnectTimeoutError) for each in layers):
        exchange.stage = f"connect to {peer}"
    return verdict_of(error, exchange, peer=peer)


def tunnel_refused(proxy: Host, status: int) -> Unreachable:
    """Say that a proxy answered CONNECT with a status that opens no tunnel (RFC 9110 section 9.3.6)."""
    return Unreachable(reason=f"{proxy} refused to connect, with status {status}", retryable=status in _TRANSIENT)


def root_of(error: BaseException) -> BaseException:
    """Unwrap what urllib3 and PySocks wrap."""
    *_, root = _layers(error)
    return root


def _layers(error: BaseException | None) -> Iterator[BaseException]:
    # Not by `__context__`, which leads out to what our caller is handling, except for the one error that urllib3
    # raises without a cause, from within the handling of PySocks'.
    while error is not None:
        yield error
        hidden = error.__context__ if isinstance(error, NewConnectionError) else error
        inner = (error.__cause__, *error.args, getattr(hidden, "socket_err", None))
        error = next((each for each in inner if isinstance(each, BaseException)), None)


def _is_bad_chunk(error: IncompleteRead) -> bool:
    # http.client hides a chunk size that is not a number behind the error for one that is missing, and reading chunks
    # another way has no limit. Any other context, raised elsewhere, is what our caller is handling.
    hidden = error.__context__
    trace = None if hidden is None else hidden.__traceback__
    if trace is None or trace.tb_frame.f_globals.get("__name__") != IncompleteRead.__module__:
        return False
    return not str(hidden).endswith("b''")


def _tls_reason(error: BaseException, *, store_is_empty: bool) -> str:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or type(error).__name__
    if getattr(error, "verify_code", None) in _UNKNOWN_CA:
        store = "the trust store is empty" if store_is_empty else "the trust store does not hold its CA"
        reason += f"; {store}: set SSL_CERT_FILE, or pass ssl_context or a pool that trusts it"
    if time.time() < _YEAR_2025:
        reason += "; the clock of this machine shows a time before 2025, check it"
    return str(reason)

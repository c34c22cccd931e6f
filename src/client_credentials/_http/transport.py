"""A token request becomes a response or the value of a failure, over a connection of our own or a user's pool."""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from contextlib import closing
from http.client import HTTPConnection as StandardConnection
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import EmptyPoolError, InvalidHeader, ProtocolError

from .._core.model import Failure, Malformed, TokenRequest, TokenResponse, Unreachable
from .proxy import Proxy, proxy_from_environment, tunnel
from .wire import Exchange, Fault, dial, secure, tls_context

HEAD_BYTES: Final = 65536 + io.DEFAULT_BUFFER_SIZE
"""The most that may come up to the end of the headers, proxy's answer and interim responses included.

The buffer that the headers are read through may hold the beginning of the body.
"""

_STEP: Final = 16384
_DIED_IDLE: Final = (RemoteDisconnected, ConnectionResetError, BrokenPipeError)
_YEAR_2025: Final = 1_735_689_600.0


class OwnConnection:
    """Sends each request over a connection of its own, which keeps the deadline by itself and is closed after it."""

    def __init__(self, max_body: int, *, trust_env: bool) -> None:
        self._max_body = max_body
        self._trust_env = trust_env
        self._context: ssl.SSLContext | None = None

    def __call__(self, request: TokenRequest) -> TokenResponse | Failure:
        exchange = Exchange(time.monotonic() + request.timeout, HEAD_BYTES)
        try:
            return self._exchange(request, exchange)
        except Exception as error:
            return _diagnosed(error, exchange)

    def _exchange(self, request: TokenRequest, exchange: Exchange) -> TokenResponse:
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._connection(parts, exchange)
        try:
            connection.connect()
            exchange.stage = f"request to {parts.hostname}"
            connection.request(request.method, target, request.body, {**request.headers, "Connection": "close"})
            connection.flush()
            with closing(connection.response()) as response:
                exchange.allowance = 8 * self._max_body + HEAD_BYTES  # chunks of one byte are six times as long
                return _received(response, exchange, self._max_body)
        finally:
            connection.close()

    def _connection(self, parts: SplitResult, exchange: Exchange) -> _Connection:
        host = parts.hostname or ""
        if parts.scheme == "http":
            return _Connection(host, parts.port or 80, exchange)
        # Made once, as it reads the whole trust store.
        self._context = self._context or tls_context()
        exchange.stage = "proxy settings of the environment"
        proxy = proxy_from_environment(parts) if self._trust_env else None
        return _SecureConnection(host, parts.port or 443, exchange, self._context, proxy)


class UsersPool:
    """Sends each request through a user's pool, which decides on trust, proxies, sockets and their timeouts."""

    def __init__(self, pool: urllib3.PoolManager, max_body: int) -> None:
        self._pool = pool
        self._max_body = max_body

    def __call__(self, request: TokenRequest) -> TokenResponse | Failure:
        stage = f"exchange with {urlsplit(request.url).hostname} through the pool"
        exchange = Exchange(time.monotonic() + request.timeout, 0, stage)
        try:
            response = self._sent(request, exchange)
            try:
                return _received(response, exchange, self._max_body)
            finally:
                # What was read to its end is back in the pool by now; the rest is closed, and its place given back.
                response.close()
                response.release_conn()
        except Exception as error:
            return _diagnosed(error, exchange)

    def _sent(self, request: TokenRequest, exchange: Exchange) -> urllib3.BaseHTTPResponse:
        before = self._dialled(request)
        try:
            return self._post(request, exchange)
        except ProtocolError as error:
            # A connection that was kept alive, and whose death shows only now, deserves another; a new one does not.
            if not isinstance(_root(error), _DIED_IDLE) or self._dialled(request) != before:
                raise
        return self._post(request, exchange)

    def _post(self, request: TokenRequest, exchange: Exchange) -> urllib3.BaseHTTPResponse:
        left = exchange.left()
        return self._pool.urlopen(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(total=left),
            pool_timeout=left,
        )

    def _dialled(self, request: TokenRequest) -> int:
        return self._pool.connection_from_url(request.url).num_connections


class _Connection(HTTPConnection):
    def __init__(self, host: str, port: int, exchange: Exchange) -> None:
        super().__init__(host, port)
        self._exchange = exchange
        self._outgoing = bytearray()

    def connect(self) -> None:
        self.sock = dial(self._dns_host, self.port, self._exchange)

    def send(self, data: object) -> None:
        # http.client hands over head and body apart: kept, so that they go out as one packet.
        self._outgoing += cast("bytes", data)

    def flush(self) -> None:
        self.sock.sendall(self._outgoing)

    def response(self) -> urllib3.HTTPResponse:
        self._exchange.stage = f"response headers from {self.host}"
        # urllib3's getresponse logs what it cannot parse: a stranger's text, and who knows what is in it.
        raw = StandardConnection.getresponse(self)
        response = urllib3.HTTPResponse(
            raw,
            urllib3.HTTPHeaderDict(raw.headers.items()),
            raw.status,
            preload_content=False,
            decode_content=False,
            original_response=raw,
            request_method="POST",
        )
        if self._exchange.ended:  # http.client takes an early end for the end of the headers
            response.close()
            raise IncompleteRead(b"")
        return response


class _SecureConnection(_Connection, HTTPSConnection):
    def __init__(self, host: str, port: int, exchange: Exchange, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        super().__init__(host, port, exchange)
        self._context = context
        self._proxy = proxy

    def connect(self) -> None:
        if self._proxy is None:
            sock = dial(self._dns_host, self.port, self._exchange)
        else:
            sock = dial(self._proxy.host, self._proxy.port, self._exchange, peer="proxy ")
        self.sock = sock
        if self._proxy is not None:
            tunnel(sock, self._proxy, self.host, self.port)
        self.sock = secure(sock, self._context, self.host)


def _received(response: urllib3.BaseHTTPResponse, exchange: Exchange, max_body: int) -> TokenResponse:
    status = exchange.status = response.status
    exchange.stage = f"body of the response with status {status}"
    if response.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise Fault(Malformed(status=status, reason="content-encoding refused: nothing but identity was asked for"))
    body = bytearray()
    while piece := _piece(response, exchange):
        body += piece
        if len(body) > max_body:
            raise Fault(Malformed(status=status, reason=f"larger than {max_body} bytes"))
    return TokenResponse(status, dict(response.headers), bytes(body))


def _piece(response: urllib3.BaseHTTPResponse, exchange: Exchange) -> bytes:
    left = exchange.left()
    sock: socket.socket | None = getattr(response.connection, "sock", None)
    if sock is not None:  # a pool's, which would begin its timeout anew
        sock.settimeout(left)
    return response.read1(_STEP)


def _diagnosed(error: BaseException, exchange: Exchange) -> Failure:
    """Say what an exception means, in words of our own: libraries quote what they were given."""
    stage, status = exchange.stage, exchange.status
    match root := _root(error):
        case Fault(failure=failure):
            return failure
        case ssl.SSLError():
            return Unreachable(reason=f"{stage}: {_tls_reason(root)}", retryable=False)
        case TimeoutError() | EmptyPoolError():
            return Unreachable(reason=f"{stage}: timed out")
        case socket.gaierror():
            return Unreachable(reason=f"{stage}: {root.strerror}")
        case RemoteDisconnected():
            return Unreachable(reason=f"{stage}: closed without an answer")
        case IncompleteRead() if not _is_bad_chunk(root):
            return Unreachable(reason=f"{stage}: truncated")
        case HTTPException() | InvalidHeader():
            return Malformed(status=status, reason=f"{stage}: not HTTP ({type(root).__name__})")
        case OSError():
            name = errno.errorcode.get(root.errno or 0, type(error).__name__)
            return Unreachable(reason=f"{stage}: {name if status is None else f'truncated ({name})'}")
        case _:
            return Unreachable(reason=f"{stage}: {type(root).__name__}", retryable=False)


def _root(error: BaseException) -> BaseException:
    """Unwrap what urllib3 wraps. Not by `__context__`: that leads out to whatever our caller is handling."""
    inner = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
    return error if inner is None else _root(inner)


def _is_bad_chunk(error: IncompleteRead) -> bool:
    # http.client hides a chunk size that is no number behind the error for one that is missing. Any other context,
    # raised elsewhere, is what our caller is handling.
    hidden = error.__context__
    trace = None if hidden is None else hidden.__traceback__
    if trace is None or trace.tb_frame.f_globals.get("__name__") != IncompleteRead.__module__:
        return False
    return not str(hidden).endswith("b''")


def _tls_reason(error: BaseException) -> str:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or type(error).__name__
    if time.time() < _YEAR_2025:
        return f"{reason}; the clock of this machine shows a time before 2025, check it"
    return str(reason)

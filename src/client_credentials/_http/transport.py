"""A token request becomes a response or the value of a failure, over our own connection or a user's pool."""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
from contextlib import closing
from typing import Final, cast

import urllib3
import urllib3.connection
from urllib3.exceptions import ProtocolError
from urllib3.util import Url, parse_url

from .._core.model import TokenRequest, TokenResponse
from .proxy import Proxy, open_tunnel, proxy_from_environment
from .response import FinalResponse, token_response
from .trust import doubt, new_context, shared_context, store_is_empty
from .verdict import pool_verdict_of, root_of, verdict_of
from .wire import Exchange, ExchangeFailure, Host, Wire, addresses, connect, forbidden

HEAD_BYTES: Final = 65536 + io.DEFAULT_BUFFER_SIZE
"""The most bytes that may be received up to the end of the headers, with interim responses and the proxy's answer.

The buffer that the headers are read through may hold the beginning of the body.
"""

_DIED_IDLE: Final = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class OwnConnection:
    """Sends each request over its own connection, which keeps the deadline and is closed after it."""

    def __init__(self, max_body: int, context: ssl.SSLContext | None, *, trust_env: bool) -> None:
        self._max_body = max_body
        self._given = context
        self._trust_env = trust_env

    def __call__(self, request: TokenRequest) -> TokenResponse | ExchangeFailure:
        exchange = Exchange.begin(request.url, request.timeout, HEAD_BYTES)
        try:
            return self._send(request, exchange)
        except Exception as error:
            return verdict_of(error, exchange)

    def _send(self, request: TokenRequest, exchange: Exchange) -> TokenResponse | ExchangeFailure:
        proxy = proxy_from_environment(exchange.host) if self._trust_env and not exchange.is_plain else None
        kind = urllib3.connection.HTTPConnection if exchange.is_plain else urllib3.connection.HTTPSConnection
        if not _is_genuine(kind):
            return self._send_through_pool(request, proxy)
        exchange.proxy = proxy.host if proxy else None
        wire = connect(exchange.proxy or exchange.host, exchange)
        try:
            exchange.note_connected()
            if proxy is not None:
                open_tunnel(wire, proxy, exchange)
            if not exchange.is_plain:
                self._secure(wire, exchange)
            connection = kind(exchange.host.name, exchange.host.port)
            connection.response_class = FinalResponse
            connection.sock = cast("socket.socket", wire)
            headers = {**request.headers, "Connection": "close"}
            connection.request(request.method, exchange.target, request.body, headers)
            with closing(_response(connection)) as response:
                exchange.allowance = 8 * self._max_body + HEAD_BYTES  # chunks of one byte are six times as long
                return token_response(response, exchange, self._max_body)
        finally:
            wire.hang_up()

    def _secure(self, wire: Wire, exchange: Exchange) -> None:
        context = self._given or shared_context()
        try:
            wire.start_tls(context)
        except ssl.SSLCertVerificationError:
            exchange.store_is_empty = store_is_empty(context, is_default=self._given is None)
            doubt(context)
            raise

    def _send_through_pool(self, request: TokenRequest, proxy: Proxy | None) -> TokenResponse | ExchangeFailure:
        """Send where urllib3's connections are not urllib3's (vcrpy, urllib3-future): its pools work with them."""
        context = self._given or new_context()  # a stand-in may change it
        if proxy is None:
            pool = urllib3.PoolManager(ssl_context=context)
        else:
            address = f"http://{proxy.host.authority}"
            pool = urllib3.ProxyManager(address, proxy_headers=proxy.headers, ssl_context=context)
        try:
            return UsersPool(pool, self._max_body)(request)
        finally:
            pool.clear()


class UsersPool:
    """Sends each request through a user's pool, which decides on trust, proxies, sockets and their timeouts."""

    def __init__(self, pool: urllib3.PoolManager, max_body: int) -> None:
        self._pool = pool
        self._max_body = max_body
        self._pid = os.getpid()

    def __call__(self, request: TokenRequest) -> TokenResponse | ExchangeFailure:
        exchange = Exchange.begin(request.url, request.timeout)
        exchange.proxy = _proxy_of(self._pool)
        try:
            # In a forked child the pooled connections are shared with the parent, whose answers could arrive here.
            if self._pid != os.getpid():
                self._pool.clear()
                self._pid = os.getpid()
            if exchange.is_plain:
                _stay_on_loopback(exchange)
            exchange.note_connected()
            response = self._sent(request, exchange)
            try:
                return token_response(response, exchange, self._max_body)
            finally:
                # What was read to its end is back in the pool by now; the rest is closed, and its place given back.
                response.close()
                response.release_conn()
        except Exception as error:
            return pool_verdict_of(error, exchange)

    def _sent(self, request: TokenRequest, exchange: Exchange) -> urllib3.BaseHTTPResponse:
        before = self._opened(request)
        try:
            return self._post(request, exchange)
        except ProtocolError as error:
            # A kept-alive connection whose death shows only now deserves another try; a new one does not.
            if not isinstance(root_of(error), _DIED_IDLE) or self._opened(request) != before:
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

    def _opened(self, request: TokenRequest) -> int:
        return self._pool.connection_from_url(request.url).num_connections


def _is_genuine(kind: type[object]) -> bool:
    """Tell whether this is the real urllib3: test doubles and urllib3-future replace it."""
    sends = urllib3.HTTPConnectionPool.urlopen
    modules = kind.__module__, sends.__module__
    return modules == ("urllib3.connection", "urllib3.connectionpool") and http.client.HTTPConnection in kind.__mro__


def _response(connection: http.client.HTTPConnection) -> urllib3.HTTPResponse:
    # urllib3's getresponse logs what it cannot parse: the server's text, which may repeat a secret.
    raw = http.client.HTTPConnection.getresponse(connection)
    headers = urllib3.HTTPHeaderDict(raw.headers.items())
    return urllib3.HTTPResponse(raw, headers, raw.status, preload_content=False, decode_content=False)


def _proxy_of(pool: urllib3.PoolManager) -> Host | None:
    # A ProxyManager has it parsed, a SOCKSProxyManager as text.
    proxy: Url = getattr(pool, "proxy", None) or parse_url(getattr(pool, "proxy_url", ""))
    return Host(proxy.host, proxy.port or 1080, "proxy ") if proxy.host else None


def _stay_on_loopback(exchange: Exchange) -> None:
    if exchange.proxy is not None:
        raise forbidden(f"plain http never goes through a proxy, and the pool has {exchange.proxy}")
    addresses(exchange.host, exchange)

"""The connection to a token endpoint, on the transport's own stages: proxy, name, connection, tunnel, TLS."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from typing import Final, cast

from .._http.proxy import open_tunnel, proxy_from_environment
from .._http.transport import HEAD_BYTES
from .._http.trust import new_context, store_is_empty
from .._http.verdict import verdict_of
from .._http.wire import Exchange, Wire, addresses, connect
from .._shell.threads import in_thread
from .checks import Finding, bad, ok, warn

STEP_SECONDS: Final = 2.0
_DAYS_LEFT: Final = 14
_DAY: Final = 86400

_RENEW: Final = "have the server's certificate renewed, and check the clock of this machine"
_NAME: Final = "use the name in --token-url that the certificate has"
_TRUST: Final = "set SSL_CERT_FILE to a file with its authority, or have the server send its intermediate certificates"
_ADVICE_BY_CODE: Final = {9: _RENEW, 10: _RENEW, 62: _NAME, 64: _NAME}
"""What to do about a certificate, by OpenSSL's X509_V_ERR_*; else its authority is not trusted."""
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_NO_TLS: Final = ", so this port does not speak TLS"
_ADVICE: Final = {
    "proxy": "set HTTPS_PROXY to http://host:port, or NO_PROXY to this host",
    "name": "check the host in --token-url (or the proxy's), and the name server",
    "connect": "check host and port, firewalls, and whether the server runs",
    "tunnel": "have the proxy allow this host; status 407: give user and password in HTTPS_PROXY",
    "tls": "check the port of --token-url, whether TLS 1.2 or later is spoken there, and firewalls on the way",
}


def connection_steps(token_url: str, context: ssl.SSLContext) -> Generator[Finding]:
    """Connect as a token request does, TLS handshake included, each step in bounded time; ends after one that fails."""
    exchange = Exchange.begin(token_url, STEP_SECONDS, HEAD_BYTES)
    host, step = exchange.host, "proxy"
    wire: Wire | None = None
    try:
        proxy = None if exchange.is_plain else proxy_from_environment(host)
        exchange.proxy = proxy.host if proxy else None
        peer = exchange.proxy or host
        yield ok(step, f"through the {peer} of the environment" if proxy else "direct")

        step = "name"  # a lookup knows no timeout
        found = asyncio.run(asyncio.wait_for(in_thread(partial(addresses, peer, exchange)), STEP_SECONDS))
        yield ok(step, f"{peer.name} is {', '.join(dict.fromkeys(str(where[0]) for *_, where in found))}")

        step, exchange.deadline = "connect", time.monotonic() + STEP_SECONDS
        wire = connect(peer, exchange)
        yield ok(step, f"{peer} answers")

        if proxy:
            step, exchange.deadline = "tunnel", time.monotonic() + STEP_SECONDS
            exchange.stage = f"tunnel through {peer}"
            open_tunnel(wire, proxy, exchange)
            yield ok(step, f"the proxy leads to {host}")
        if not exchange.is_plain:
            step, exchange.deadline = "tls", time.monotonic() + STEP_SECONDS
            exchange.stage = f"TLS with {host}"
            yield _trusted(wire.start_tls(context))
    except Exception as error:
        root = TimeoutError() if isinstance(error, TimeoutError) else error  # asyncio's has another cause
        reason = verdict_of(root, exchange).reason
        if isinstance(error, ssl.SSLCertVerificationError):
            yield _untrusted(error.verify_code, reason, context, None if exchange.proxy else exchange)
        else:
            yield bad(step, f"{reason}{_NO_TLS if getattr(error, 'reason', '') in _NOT_TLS else ''}", _ADVICE[step])
    finally:
        if wire:
            wire.hang_up()


def _trusted(secured: ssl.SSLSocket) -> Finding:
    shown = cast("dict[str, object]", secured.getpeercert())
    issuer = dict(pair for part in cast("tuple[tuple[tuple[str, str], ...], ...]", shown["issuer"]) for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    days = math.floor((ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) / _DAY)
    certificate = f"certificate for {_names(secured)} by {by}, {days} days left"
    seen = f"{secured.version()}; {certificate}; trusted by {_store_name()}"
    return ok("tls", seen) if days >= _DAYS_LEFT else warn("tls", seen, "have the server's certificate renewed")


def _untrusted(code: int, reason: str, context: ssl.SSLContext, exchange: Exchange | None) -> Finding:
    seen = reason.partition(";")[0].rstrip(".")
    if code in _ADVICE_BY_CODE:
        names = _names_at(exchange) if exchange and _ADVICE_BY_CODE[code] == _NAME else ""
        return bad("tls", f"{seen}; it is for {names}" if names else seen, _ADVICE_BY_CODE[code])
    is_empty = "empty: " if store_is_empty(context, is_default=True) else ""
    return bad("tls", f"{seen}; the trust store is {is_empty}{_store_name()}", _TRUST)


def _names_at(exchange: Exchange) -> str:
    """Connect once more: only a certificate that verifies can be read, and here only its name is wrong.

    A context of its own, so the peer is shown no client certificate.
    """
    context = new_context()
    context.check_hostname = False
    names = ""
    with suppress(OSError):
        wire = connect(exchange.host, exchange)
        try:
            names = _names(wire.start_tls(context))
        finally:
            wire.hang_up()
    return names


def _names(secured: ssl.SSLSocket) -> str:
    shown = cast("dict[str, object]", secured.getpeercert())
    return ", ".join(name for _, name in cast("tuple[tuple[str, str], ...]", shown.get("subjectAltName", ()))[:5])


def _store_name() -> str:
    named = [f"{name} ({os.environ[name]})" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    paths = ssl.get_default_verify_paths()
    return " and ".join(named) or paths.cafile or paths.capath or "the system's trust store"

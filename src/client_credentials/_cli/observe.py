"""How the doctor looks at the way to an endpoint: name, proxy, connection, TLS; each step in bounded time."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from http.client import HTTPException, HTTPResponse
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

from .._http.proxy import Proxy, proxy_from_environment
from .._http.wire import ExchangeFailed, Host
from ..errors import error_of
from . import checks
from .checks import Certificate, Finding, Store, bad, ok

STEP_SECONDS: Final = 2.0

Address: TypeAlias = tuple[socket.AddressFamily, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def way_to(token_url: str, context: ssl.SSLContext | None) -> Generator[Finding]:
    """Go the way of a token request step by step, up to the TLS handshake; ends after the first that fails.

    `context` is for the handshake; None: the default one.
    """
    endpoint = urlsplit(token_url)
    host = endpoint.hostname or ""
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    proxy = None
    if endpoint.scheme == "https":
        try:
            proxy = proxy_from_environment(Host(host, port))
        except ExchangeFailed as failed:
            yield bad(
                "proxy", str(error_of(failed.failure)), "set HTTPS_PROXY to http://host:port, or NO_PROXY to this host"
            )
            return
    peer = (proxy.host.name, proxy.host.port) if proxy else (host, port)
    yield ok("route", f"through the proxy {peer[0]}:{peer[1]} of the environment" if proxy else "direct")
    addresses = _look_up(*peer)
    if isinstance(addresses, Finding):
        yield addresses
        return
    yield ok("name", f"{peer[0]} is {', '.join(dict.fromkeys(str(where[0]) for _, _, where in addresses))}")
    sock = _connect(addresses, *peer)
    if isinstance(sock, Finding):
        yield sock
        return
    with sock:
        yield ok("connect", f"{peer[0]}:{peer[1]} answers")
        if proxy:
            tunnel = _tunnel(sock, proxy, host, port)
            yield tunnel
            if tunnel.status is checks.Status.BAD:
                return
        if endpoint.scheme == "https":
            yield _handshake(sock, host, port, context or ssl.create_default_context(), is_direct=proxy is None)


def _look_up(host: str, port: int) -> Sequence[Address] | Finding:
    found: Future[Sequence[Address]] = Future()

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([(family, host, where) for family, _, _, _, where in infos])
        except Exception as error:
            found.set_exception(error)

    # getaddrinfo knows no timeout.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        return found.result(STEP_SECONDS)
    except TimeoutError:
        return bad("name", f"no answer about {host} in {STEP_SECONDS:g} s", "check the name server of this machine")
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or "not a host name"
        return bad("name", f"{host}: {said}", "check the host in --token-url (or the proxy's), and the name server")


def _connect(addresses: Sequence[Address], host: str, port: int) -> socket.socket | Finding:
    ends = time.monotonic() + STEP_SECONDS
    said = ""
    for nth, (family, _, where) in enumerate(addresses):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(max((ends - time.monotonic()) / (len(addresses) - nth), 0.01))
        try:
            sock.connect(where)
        except OSError as error:
            sock.close()
            said = _words(error)
        else:
            sock.settimeout(STEP_SECONDS)
            return sock
    return bad("connect", f"{host}:{port}: {said}", "check host and port, firewalls, and whether the server runs")


def _tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> Finding:
    name = f"{proxy.host.name}:{proxy.host.port}"
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    answer = HTTPResponse(sock, method="CONNECT")
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        answer.begin()
    except HTTPException:
        return bad("proxy", f"{name} does not answer as a proxy does", "check HTTPS_PROXY")
    except OSError as error:
        return bad("proxy", f"{name}: {_words(error)}", "check HTTPS_PROXY")
    finally:
        answer.close()
    if 200 <= answer.status < 300:
        return ok("proxy", f"it opens a tunnel to {target}")
    advice = "give user and password in HTTPS_PROXY" if answer.status == 407 else "have the proxy allow this host"
    return bad("proxy", f"{name} refuses with status {answer.status}", advice)


def _handshake(sock: socket.socket, host: str, port: int, context: ssl.SSLContext, *, is_direct: bool) -> Finding:
    store = Store(_store_name(), len(context.get_ca_certs()))
    try:
        with context.wrap_socket(sock, server_hostname=host) as secured:
            return checks.tls(secured.version() or "TLS", _certificate(secured), store, time.time())
    except ssl.SSLCertVerificationError as error:
        # Only a certificate that verifies can be read: here, one of which only the name is wrong.
        context.check_hostname = False
        certificate = _certificate_at(context, host, port) if is_direct else None
        return checks.untrusted(error.verify_code, error.verify_message, host, certificate, store)
    except ssl.SSLError as error:
        return checks.no_tls(error.reason or "", host, port)
    except TimeoutError:
        return bad("tls", f"{host}:{port} does not answer the handshake", "check the port of --token-url")
    except OSError:
        return checks.no_tls("", host, port)


def _certificate_at(context: ssl.SSLContext, host: str, port: int) -> Certificate | None:
    try:
        with (
            socket.create_connection((host, port), STEP_SECONDS) as sock,
            context.wrap_socket(sock, server_hostname=host) as secured,
        ):
            return _certificate(secured)
    except OSError:
        return None


def _certificate(secured: ssl.SSLSocket) -> Certificate:
    shown = cast("dict[str, object]", secured.getpeercert())
    names = [name for _, name in cast("tuple[tuple[str, str], ...]", shown.get("subjectAltName", ()))]
    issuer = dict(pair for part in cast("tuple[tuple[tuple[str, str], ...], ...]", shown["issuer"]) for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    return Certificate(names, by, ssl.cert_time_to_seconds(str(shown["notAfter"])))


def _store_name() -> str:
    named = [f"{name} ({os.environ[name]})" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    paths = ssl.get_default_verify_paths()
    return " and ".join(named) or paths.cafile or paths.capath or "the system's trust store"


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {STEP_SECONDS:g} s"
    return error.strerror or errno.errorcode.get(error.errno or 0, type(error).__name__)

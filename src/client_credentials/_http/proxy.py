"""The proxy that the environment names for an https endpoint, and the way through it (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import base64
from http.client import HTTPResponse
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from .._core.model import Unreachable
from .wire import DeadlineSocket, Fault


@attrs.frozen
class Proxy:
    """An http proxy; its credentials are in `authorization` alone."""

    host: str
    port: int
    authorization: str | None = attrs.field(repr=False)


def proxy_from_environment(endpoint: SplitResult) -> Proxy | None:
    """Read HTTPS_PROXY, ALL_PROXY and NO_PROXY as urllib does; raises Fault for a proxy that does not speak http."""
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address or proxy_bypass(endpoint.netloc):
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme != "http" or not parts.hostname:
        reason = "the environment names a proxy that is not http://host:port: pass a pool that speaks to it"
        raise Fault(Unreachable(reason=reason, retryable=False))
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    return Proxy(parts.hostname, parts.port or 80, authorization)


def tunnel(sock: DeadlineSocket, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy at the other end of a socket for a way to the endpoint; raises Fault if it refuses."""
    name = f"proxy {proxy.host}:{proxy.port}"
    sock.exchange.stage = f"CONNECT through {name}"
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    answer = HTTPResponse(sock, method="CONNECT")
    try:
        answer.begin()
    finally:
        answer.close()
    if answer.status != 200:
        reason = f"{name} refused to connect, with status {answer.status}"
        raise Fault(Unreachable(reason=reason, retryable=answer.status >= 500))

"""The proxy that the environment names for an https endpoint, read as requests and curl read it."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Final, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from .response import FinalResponse
from .verdict import tunnel_refused
from .wire import Exchange, ExchangeFailed, Host, Wire, forbidden

_HAS_SETTINGS: Final = sys.platform in ("darwin", "win32")
"""Whether the system has settings for proxies, beside the environment."""
_NAMES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_KIND: Final = "HTTPS_PROXY or ALL_PROXY must be http://host:port: for another kind of proxy, pass a pool that uses it"
# A bare IPv6 address has more than one colon, none of which begins a port.
_EXCEPTION: Final = re.compile(r"(?:\[(?P<address>.*)\]|(?P<name>[^:]*|.*:.*:.*))(?::(?P<port>[0-9]+))?")


@attrs.frozen(repr=False)
class Proxy:
    """An http proxy, and the headers that it is shown, with its credentials if it has any."""

    host: Host
    headers: Mapping[str, str]


def proxy_from_environment(endpoint: Host) -> Proxy | None:
    """Read HTTPS_PROXY, ALL_PROXY and NO_PROXY; raises ExchangeFailed for a kind of proxy that is not supported."""
    if not _HAS_SETTINGS and not any(name in os.environ for name in _NAMES):
        return None  # without reading the whole environment
    proxies = getproxies()  # of the environment, or else of the system
    address = proxies.get("https") or proxies.get("all")
    if not address or _is_excepted(endpoint, proxies.get("no", "")) or proxy_bypass(f"{endpoint.name}:{endpoint.port}"):
        return None
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host = Host(parts.hostname or "", parts.port or 80, "proxy ")
    except ValueError:
        raise forbidden(_KIND) from None
    if parts.scheme != "http" or not host.name:
        raise forbidden(_KIND)
    if parts.username is None:
        return Proxy(host, {})
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})


def open_tunnel(wire: Wire, proxy: Proxy, exchange: Exchange) -> None:
    """Have the proxy at the other end open a tunnel (RFC 9110 section 9.3.6); raises ExchangeFailed."""
    target = exchange.host.authority
    headers = [f"{name}: {value}" for name, value in proxy.headers.items()]
    wire.sendall("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode("ascii"))
    with closing(FinalResponse(cast("socket.socket", wire), method="CONNECT")) as answer:
        answer.begin()
    if not 200 <= answer.status < 300:
        raise ExchangeFailed(tunnel_refused(proxy.host, answer.status))


def _is_excepted(endpoint: Host, exceptions: str) -> bool:
    return any(_matches(endpoint, each.lower()) for each in exceptions.replace(",", " ").split())


def _matches(endpoint: Host, exception: str) -> bool:
    """Compare with one entry of NO_PROXY: *, a name with its subdomains, an address or a network, each with a port."""
    found = _EXCEPTION.fullmatch(exception)
    if found is None or int(found["port"] or endpoint.port) != endpoint.port:
        return False
    host, name = endpoint.name.lower().strip("."), found["address"] or found["name"].removeprefix("*").strip(".")
    try:
        return exception == "*" or ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return f".{host}".endswith(f".{name}")

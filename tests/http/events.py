"""What may happen to a token request, and what is made of it: `python -m tests.http.events` prints the table.

One event has one verdict and one text, whichever carrier reports it. The few cells where a carrier cannot tell are
rows of their own, with the reason. `stage` makes an event happen, with real sockets, for any HTTP client.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Final

import attrs
import pytest
import trustme
import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

from client_credentials import Urllib3Fetch
from tests.http.peers import CLOSED_PORT, GRANTED, HEAD, answers, drips, floods, holds, resets, silent
from tests.http.scenes import (
    ALL,
    OWN,
    OWN_PROXY,
    POOL,
    PROXIED,
    PROXY,
    SOCKS,
    Route,
    Scene,
    answers_socks,
    at_endpoint,
    at_peer,
    at_proxy,
    below_tls,
    garbles,
    hole,
    refuses_socks,
    resets_handshake,
    speaks_plainly,
    tunnel_with,
    unknown,
)

_SIZED: Final = HEAD + b"Content-Length: 100\r\n\r\n"
_LIMITED: Final = b"HTTP/1.1 429 No\r\nRetry-After: 60\r\nContent-Length: 100\r\n\r\nabc"


@attrs.frozen
class Verdict:
    """What is made of an event: a status that is passed on, or a class of error, retryable or not, and its reason.

    In the reason {host} stands for the endpoint's name, {endpoint} and {proxy} for host:port, {peer} for whichever of
    the two a client connects to, {response} for "response of {host}", and "through {proxy}" where there is one.
    """

    kind: str
    retryable: bool | None
    reason: str


@attrs.frozen
class Event:
    """Something that may happen to a token request, how to make it happen, and the verdict."""

    name: str
    scene: Scene
    verdict: Verdict
    carriers: tuple[str, ...] = ALL
    otherwise: Mapping[str, Verdict] = attrs.field(factory=dict[str, Verdict])
    """The carriers that cannot tell."""

    def verdict_of(self, carrier: str) -> Verdict:
        """Give the verdict where this carrier reports the event."""
        return self.otherwise.get(carrier, self.verdict)


def passed_on(status: int) -> Verdict:
    """A response, judged by its status."""
    return Verdict(f"response {status}", None, "")


def unreachable(reason: str, *, retryable: bool = True) -> Verdict:
    """Nothing whole came back."""
    return Verdict("TokenEndpointUnreachable", retryable, reason)


def invalid(reason: str) -> Verdict:
    """What came back is no token response."""
    return Verdict("InvalidTokenResponse", False, reason)


def _head_of(chunk: bytes) -> Scene:
    return at_endpoint(holds(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk))


def _refusal(status: int) -> Scene:
    return at_proxy(answers(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status))


_TRUST = "; the trust store does not hold its CA: set SSL_CERT_FILE, or pass ssl_context or a pool that trusts it"
_BODY = "body of the response with status 200: "
_INTERIM = {carrier: passed_on(103) for carrier in (POOL, PROXY, SOCKS)}

EVENTS: Final = (
    Event("a token", at_endpoint(answers(GRANTED)), passed_on(200)),
    # Name and connection: of the endpoint, or of the proxy before it.
    Event("unknown name", at_peer(unknown), unreachable("lookup of {peer_name}: Name or service not known")),
    Event(
        "connection refused",
        at_peer(lambda _: f"127.0.0.1:{CLOSED_PORT}"),
        unreachable("connect to {peer}: ECONNREFUSED"),
    ),
    Event("connection unanswered", at_peer(hole), unreachable("connect to {peer}: timed out")),
    # TLS.
    Event(
        "certificate of an unknown CA",
        at_endpoint(silent, ca=trustme.CA()),
        unreachable("TLS with {endpoint}: unable to get local issuer certificate" + _TRUST, retryable=False),
    ),
    Event(
        "certificate of another host",
        at_endpoint(silent, "other.test"),
        unreachable("TLS with {endpoint}: Hostname mismatch, certificate is not valid for '{host}'.", retryable=False),
    ),
    Event(
        "no TLS",
        below_tls(speaks_plainly),
        unreachable("TLS with {endpoint}: WRONG_VERSION_NUMBER", retryable=False),
    ),
    Event(
        "TLS broken later",
        at_endpoint(garbles),
        unreachable("TLS with {endpoint}: DECRYPTION_FAILED_OR_BAD_RECORD_MAC", retryable=False),
    ),
    Event(
        "closed in the handshake",
        below_tls(lambda sock: sock.recv(65536)),
        unreachable("{response}: closed without an answer"),
    ),
    Event(
        "reset in the handshake",
        below_tls(resets_handshake),
        unreachable("{response}: closed without an answer"),
    ),
    Event("silent in the handshake", below_tls(silent), unreachable("{response}: timed out")),
    # Response.
    Event(
        "closed without an answer",
        at_endpoint(answers()),
        unreachable("{response}: closed without an answer"),
    ),
    Event("reset without an answer", at_endpoint(resets()), unreachable("{response}: closed without an answer")),
    Event("silence", at_endpoint(silent), unreachable("{response}: timed out")),
    Event(
        "headers that drip",
        at_endpoint(drips(HEAD + b"X: ")),
        unreachable("{response}: timed out"),
        (OWN, OWN_PROXY),
    ),
    Event("not HTTP", at_endpoint(holds(b"no http\r\n\r\n")), invalid("{response}: not HTTP (BadStatusLine)")),
    Event(
        "two lengths",
        at_endpoint(holds(HEAD + b"Content-Length: 1, 2\r\n\r\n")),
        invalid("{response}: not HTTP (InvalidHeader)"),
    ),
    # The pools take 103 for the answer, as http.client does, and keep what comes after it to themselves.
    Event(
        "interim response",
        at_endpoint(answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", GRANTED)),
        passed_on(200),
        otherwise=_INTERIM,
    ),
    Event("switched protocols", at_endpoint(answers(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n")), passed_on(101)),
    Event(
        "redirect",
        at_endpoint(answers(b"HTTP/1.1 307 Go\r\nLocation: https://other.test/a?b\r\nContent-Length: 0\r\n\r\n")),
        passed_on(307),
    ),
    # Body.
    Event("body cut short", at_endpoint(answers(_SIZED + b"abc")), unreachable(_BODY + "truncated")),
    Event("body reset", at_endpoint(resets(_SIZED + b"abc")), unreachable(_BODY + "truncated")),
    Event(
        "chunk cut short",
        at_endpoint(answers(HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\nabc")),
        unreachable(_BODY + "truncated"),
    ),
    Event("chunk of no size", _head_of(b"zz\r\n"), invalid(_BODY + "not HTTP (IncompleteRead)")),
    Event("body that drips", at_endpoint(drips(_SIZED)), unreachable(_BODY + "timed out")),
    Event("body too large", at_endpoint(floods(HEAD + b"\r\n", b"x" * 65536)), invalid("larger than 1048576 bytes")),
    Event(
        "compressed body",
        at_endpoint(holds(HEAD + b"Content-Encoding: gzip\r\n\r\n")),
        invalid("content-encoding refused: none was asked for"),
    ),
    Event("refusal with a body cut short", at_endpoint(answers(_LIMITED)), passed_on(429)),
    Event("refusal with a body that stalls", at_endpoint(holds(_LIMITED)), passed_on(429)),
    # Proxy.
    Event(
        "proxy asks for credentials",
        _refusal(407),
        unreachable("{proxy} refused to connect, with status 407", retryable=False),
        PROXIED,
    ),
    Event(
        "proxy forbids",
        _refusal(403),
        unreachable("{proxy} refused to connect, with status 403", retryable=False),
        PROXIED,
    ),
    Event(
        "proxy does not get through", _refusal(502), unreachable("{proxy} refused to connect, with status 502"), PROXIED
    ),
    # http.client takes 200 alone for a tunnel.
    Event(
        "tunnel with 202",
        tunnel_with(b"HTTP/1.1 202 Opened\r\n\r\n"),
        passed_on(200),
        PROXIED,
        otherwise={PROXY: unreachable("{proxy} refused to connect, with status 202", retryable=False)},
    ),
    Event(
        "proxy closes",
        at_proxy(answers()),
        unreachable("{response}: closed without an answer"),
        PROXIED,
    ),
    Event("proxy resets", at_proxy(resets()), unreachable("{response}: closed without an answer"), PROXIED),
    Event("silent proxy", at_proxy(silent), unreachable("{response}: timed out"), PROXIED),
    Event(
        "proxy that is none",
        at_proxy(holds(b"no http\r\n\r\n")),
        invalid("{response}: not HTTP (BadStatusLine)"),
        PROXIED,
    ),
    Event(
        "proxy asks for credentials",
        at_proxy(refuses_socks),
        unreachable("{proxy} refused to connect (SOCKS5AuthError)", retryable=False),
        (SOCKS,),
    ),
    Event(
        "proxy forbids",
        at_proxy(answers_socks(2)),
        unreachable("{proxy} refused to connect (0x02)", retryable=False),
        (SOCKS,),
    ),
    Event(
        "proxy does not get through",
        at_proxy(answers_socks(4)),
        unreachable("{proxy} refused to connect (0x04)"),
        (SOCKS,),
    ),
    Event("silent proxy", at_proxy(silent), unreachable("connect to {proxy}: timed out"), (SOCKS,)),
)


@contextlib.contextmanager
def stage(event: Event, carrier: str) -> Generator[Route]:
    """Make an event wait for the request of one carrier."""
    with contextlib.ExitStack() as stack:
        yield event.scene(stack, carrier)


def fetch_of(carrier: str, proxy: str | None, patch: pytest.MonkeyPatch) -> Urllib3Fetch:
    """Make our fetch with a carrier; the proxy is named with credentials, which nothing may show."""
    match carrier:
        case "own, HTTPS_PROXY":
            patch.setenv("HTTPS_PROXY", f"http://user:p4ssword@{proxy}")
            return Urllib3Fetch()
        case "PoolManager":
            return Urllib3Fetch(pool=urllib3.PoolManager())
        case "ProxyManager":
            headers = urllib3.make_headers(proxy_basic_auth="user:p4ssword")
            return Urllib3Fetch(pool=urllib3.ProxyManager(f"http://{proxy}", proxy_headers=headers))
        case "SOCKSProxyManager":
            return Urllib3Fetch(pool=SOCKSProxyManager(f"socks5h://{proxy}"))
        case _:
            return Urllib3Fetch()


def rows() -> list[str]:
    """Give the table, a line for each event and for each carrier that reports it in another way."""
    lines: list[tuple[str, str, str, str, str]] = [("event", "carriers", "class", "retryable", "text")]
    for event in EVENTS:
        for verdict in dict.fromkeys(map(event.verdict_of, event.carriers)):
            carriers = [carrier for carrier in event.carriers if event.verdict_of(carrier) == verdict]
            retryable = {True: "yes", False: "no", None: ""}[verdict.retryable]
            named = "all" if carriers == [*ALL] else "; ".join(carriers)
            lines.append((event.name, named, verdict.kind, retryable, verdict.reason))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return ["  ".join((*map(str.ljust, line[:4], widths), line[4])).rstrip() for line in lines]


if __name__ == "__main__":
    print("\n".join(rows()))

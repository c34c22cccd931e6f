"""A response as it arrives: interim ones passed over, status and headers first, the body only where it matters."""

from __future__ import annotations

import io
import socket
import time
from contextlib import suppress
from http.client import HTTPResponse, IncompleteRead
from typing import Final

import urllib3

from .._core.model import Malformed, TokenResponse
from .wire import Exchange, ExchangeFailed

_STEP: Final = 16384
_CODINGS: Final = frozenset(
    # IANA's registry (RFC 9110 section 8.4.1) without identity; any other label says nothing about compression.
    "aes128gcm br compress dcb dcz deflate exi gzip pack200-gzip x-compress x-gzip zstd".split()
)


class FinalResponse(HTTPResponse):
    """The response after the interim ones, of which http.client passes over 100 only (RFC 9110 section 15.2)."""

    def begin(self) -> None:
        """Read status line and headers."""
        super().begin()
        while 101 < self.status < 200:
            vars(self)["headers"] = None  # begin again
            super().begin()


def token_response(response: urllib3.BaseHTTPResponse, exchange: Exchange, max_body: int) -> TokenResponse:
    """Read a response to its end.

    Of the body of a refusal, which may be cut short, compressed or too long, it keeps what can be read.
    Raises ExchangeFailed, OSError and HTTPException for a status that grants a token, 200 or 201.
    """
    status = exchange.status = response.status
    body = io.BytesIO()  # shows no bytes where locals are shown
    if status in (200, 201):
        _read(response, exchange, body, max_body)
    else:
        # Spend at most half of the remaining time on it, so that callers hear of the refusal before the deadline.
        exchange.deadline -= (exchange.deadline - time.monotonic()) / 2
        with suppress(Exception):
            _read(response, exchange, body, max_body)
    return TokenResponse(status, dict(response.headers), body.getvalue()[:max_body])


def _read(response: urllib3.BaseHTTPResponse, exchange: Exchange, body: io.BytesIO, max_body: int) -> None:
    if exchange.peer_closed:  # http.client takes an early end for the end of the headers
        raise IncompleteRead(b"")
    exchange.stage = f"body of the response with status {exchange.status}"
    labels = response.headers.get("Content-Encoding", "").lower().split(",")
    if not _CODINGS.isdisjoint(label.strip() for label in labels):
        raise ExchangeFailed(Malformed(status=exchange.status, reason="content-encoding refused: none was asked for"))
    sock: socket.socket | None = getattr(getattr(response, "connection", None), "sock", None)
    while True:
        left = exchange.left()
        if sock is not None:  # a pool's, which would begin its timeout anew
            sock.settimeout(left)
        if not body.write(response.read1(_STEP)):
            return
        if body.tell() > max_body:
            raise ExchangeFailed(Malformed(status=exchange.status, reason=f"larger than {max_body} bytes"))

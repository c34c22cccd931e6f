"""The other end of the loopback token server: a client that says exactly what a test wants said."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import attrs

from client_credentials.testing import TokenServer

CLIENT = ("my-client", "my-secret-5a7e")  # nobody's
FORM = "application/x-www-form-urlencoded"
GRANT = (("grant_type", "client_credentials"),)


@attrs.frozen
class Reply:
    """What a client got back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The members of the body."""
        members: dict[str, object] = json.loads(self.body)
        return members


def basic(client_id: str, secret: str) -> str:
    """Give the Authorization header that carries these two just as they are."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def whole_request() -> bytes:
    """Give the bytes of a token request that earns a token."""
    body = urlencode(GRANT)
    headers = f"Authorization: {basic(*CLIENT)}\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n"
    return f"POST /api/token HTTP/1.1\r\n{headers}\r\n{body}".encode()


def ask(
    url: str,
    form: tuple[tuple[str, str], ...] = GRANT,
    *,
    authorization: str | None = basic(*CLIENT),
    content_type: str | None = FORM,
    method: str = "POST",
    context: ssl.SSLContext | None = None,
) -> Reply:
    """Make one request, one that earns a token but for what is said otherwise."""
    parts = urlsplit(url)
    if context is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    else:
        connection = http.client.HTTPSConnection(parts.netloc, timeout=60, context=context)
    headers = {"Authorization": authorization, "Content-Type": content_type}
    with contextlib.closing(connection):
        present = {name: value for name, value in headers.items() if value is not None}
        connection.request(method, parts._replace(scheme="", netloc="").geturl(), urlencode(form), present)
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read())


def dial(server: TokenServer, sent: bytes = b"") -> socket.socket:
    """Open a connection by hand and send these bytes."""
    connection = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=60)
    connection.sendall(sent)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes the connection, and close it on this side."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))

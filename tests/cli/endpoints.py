"""Endpoints that are ruined in one way each, on real sockets, with real TLS."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.http.peers import abort, authority, read_request, relay

_DAY = datetime.timedelta(days=1)


def context_for(name: str, *, ends_in: float = 90.0, starts_in: float = -1.0) -> ssl.SSLContext:
    """A server's TLS with a certificate of the tests' authority for a name; the times are in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    issued = authority().issue_cert(name, not_before=now + starts_in * _DAY, not_after=now + ends_in * _DAY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with issued.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context


def self_signed(name: str, directory: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "self-signed.pem"
    pem = serialization.Encoding.PEM
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(text + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def says(text: bytes) -> Callable[[socket.socket], object]:
    """A conversation: take what comes first, a handshake too, answer with this and close."""

    def converse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(text)

    return converse


def resets(sock: socket.socket) -> None:
    """A conversation: abort after the first bytes."""
    sock.recv(65536)
    abort(sock)


def tunnels(status: int, *, to: int = 0) -> Callable[[socket.socket], object]:
    """A conversation of a proxy: answer CONNECT with this status; with 200, lead to a port on 127.0.0.1."""

    def converse(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 %d Whatever\r\n\r\n" % status)
        if status == 200:
            relay(sock, to, threading.Event())

    return converse

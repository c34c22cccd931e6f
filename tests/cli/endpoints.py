"""Endpoints that are ruined in one way each, on real sockets, with real TLS."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY = trustme.CA(organization_name="Test Authority")


def context_for(name: str, *, ends_in: float = 90.0, starts_in: float = -1.0) -> ssl.SSLContext:
    """A server's TLS with a certificate of the tests' authority for a name; the times are in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issue = AUTHORITY.issue_cert(name, not_before=now + starts_in * day, not_after=now + ends_in * day)
    install(issue, context)
    return context


def context_of_another_authority(name: str) -> ssl.SSLContext:
    """A server's TLS with a certificate of an authority that is not trusted here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    install(trustme.CA().issue_cert(name), context)
    return context


def install(certificate: trustme.LeafCert, context: ssl.SSLContext) -> None:
    """Have a server show this certificate."""
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)


def self_signed(name: str, directory: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
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


@contextlib.contextmanager
def peer(converse: Callable[[socket.socket], object]) -> Generator[int]:
    """A listener on 127.0.0.1 that has this conversation on each connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=talk, args=(sock,), daemon=True).start()

        def talk(sock: socket.socket) -> None:
            with contextlib.suppress(OSError), sock:
                converse(sock)

        threading.Thread(target=serve, daemon=True).start()
        port: int = listener.getsockname()[1]
        yield port
        listener.shutdown(socket.SHUT_RDWR)


def says(text: bytes) -> Callable[[socket.socket], object]:
    """A conversation: take what comes first, answer with this and close."""

    def converse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(text)

    return converse


def silent(sock: socket.socket) -> None:
    """A conversation: read until the other side has enough."""
    while sock.recv(65536):
        pass


def leaves(sock: socket.socket) -> None:
    """A conversation: hang up after the first bytes."""
    sock.recv(65536)


def resets(sock: socket.socket) -> None:
    """A conversation: abort after the first bytes."""
    sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drips(sock: socket.socket) -> None:
    """A conversation: an answer that never ends, a byte at a time."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    pause = threading.Event()
    while not pause.wait(0.02):
        sock.sendall(b" ")


def tunnels(status: int, *, to: int = 0) -> Callable[[socket.socket], object]:
    """A conversation of a proxy: answer CONNECT with this status; with 200, lead to a port on 127.0.0.1."""

    def converse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 %d Whatever\r\n\r\n" % status)
        if status != 200:
            return
        with socket.create_connection(("127.0.0.1", to)) as other:
            back = threading.Thread(target=_copy, args=(other, sock), daemon=True)
            back.start()
            _copy(sock, other)
            back.join(5)

    return converse


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

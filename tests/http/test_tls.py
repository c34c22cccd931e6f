"""The default fetch over TLS: whom it trusts, what it says of a failure, and that the deadline holds above TLS too."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import socket
import ssl
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from urllib3.util import create_urllib3_context

from client_credentials import TokenEndpointUnreachable, TokenError, Urllib3Fetch
from client_credentials._http.wire import Exchange, connect
from tests.http.peers import (
    BODY,
    GRANTED,
    SECRET,
    Peer,
    abort,
    answers,
    at_deadline,
    authority,
    failure,
    keeps,
    read_request,
    relay,
    server_context,
    silent,
    token_request,
)


def refused(error: TokenError, *said: str) -> None:
    """Hold an error to be a TLS failure that says these things."""
    assert (TokenEndpointUnreachable, False) == (type(error), error.retryable)
    assert [] == [each for each in said if each not in str(error)]


class TestTrust:
    """The certificate and the host name are verified, with no way to switch that off (RFC 6749 section 10.9)."""

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_a_request_over_tls(self, host: str) -> None:
        """P9: SSL_CERT_FILE names whom to trust; a name and an address are verified alike."""
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        with Peer(keeps(received), context=server_context()) as peer:
            response = Urllib3Fetch()(token_request(f"https://{host}:{peer.port}/token"))
            assert (200, BODY) == (response.status, response.body)
            request = received.get(timeout=60).decode()
        assert f"\r\nHost: {host}:{peer.port}\r\n" in request
        assert f"\r\nAuthorization: Basic {SECRET}\r\n" in request

    def test_the_trust_store_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One context serves all exchanges, whichever fetch makes them; none is made before the first over TLS."""
        made: list[ssl.SSLContext] = []
        create = ssl.create_default_context

        def keep() -> ssl.SSLContext:
            made.append(create())
            return made[-1]

        monkeypatch.setattr(ssl, "create_default_context", keep)
        with Peer(answers(GRANTED)) as plain, Peer(answers(GRANTED), context=server_context()) as secure:
            Urllib3Fetch()(token_request(plain.url))
            assert [] == made
            Urllib3Fetch()(token_request(secure.secure_url))
            Urllib3Fetch()(token_request(secure.secure_url))
        theirs = create_urllib3_context()
        names = "minimum_version verify_flags verify_mode check_hostname hostname_checks_common_name".split()
        assert [{name: getattr(theirs, name) for name in names}] == [
            {name: getattr(ours, name) for name in names} for ours in made
        ]

    def test_the_protocol_is_agreed_upon(self) -> None:
        """A server that would rather speak HTTP/2 is told that this client does not (RFC 7301)."""
        agreed: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def tell(sock: socket.socket) -> None:
            assert isinstance(sock, ssl.SSLSocket)
            agreed.put(sock.selected_alpn_protocol())
            answers(GRANTED)(sock)

        context = server_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with Peer(tell, context=context) as peer:
            Urllib3Fetch()(token_request(peer.secure_url))
            assert "http/1.1" == agreed.get(timeout=60)

    @pytest.mark.parametrize(
        ("context", "reason"),
        [
            (server_context(expired=True), "certificate has expired"),
            (server_context("other.test"), "Hostname mismatch, certificate is not valid for 'localhost'"),
            (server_context(common_name="localhost"), ""),  # in the words of each version of Python
            (server_context(ca=trustme.CA()), "unable to get local issuer certificate"),
        ],
        ids=["expired", "wrong-host", "common-name-only", "unknown-authority"],
    )
    def test_a_certificate_that_does_not_do(self, context: ssl.SSLContext, reason: str) -> None:
        """A9, RFC6750-5.2-1, RFC9525-2, RFC9700-2.6-2: not retryable, one attempt, a reason, and nothing sent."""
        read: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        with Peer(lambda sock: read.put(sock.recv(1)), context=context) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.secure_url))
            assert 1 == peer.connections
        refused(error, f"TLS with localhost:{peer.port}: {reason}")
        assert "clock" not in str(error)
        assert read.empty()

    def test_an_old_version(self) -> None:
        """A11, RFC9325-3.1.1: TLS 1.1 is not spoken."""
        context = server_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with Peer(silent, context=context) as peer:
            refused(failure(Urllib3Fetch(), token_request(peer.secure_url)), "TLSV1_ALERT_PROTOCOL_VERSION")

    def test_a_clock_that_is_far_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A12: where the machine's clock cannot be right, the error says so."""
        clock = SimpleNamespace(time=lambda: 1_700_000_000.0, monotonic=time.monotonic)
        monkeypatch.setattr("client_credentials._http.verdict.time", clock)
        with Peer(silent, context=server_context("other.test")) as peer:
            error = failure(Urllib3Fetch(), token_request(peer.secure_url))
        refused(error, "Hostname mismatch", "'.; the clock of this machine shows a time before 2025, check it")
        assert str(error).endswith("check it")

    def test_a_peer_that_is_gone_before_the_handshake(self) -> None:
        """A reset that comes between connecting and TLS leaves no socket open, and sends nothing in clear."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            exchange = Exchange.begin(f"https://127.0.0.1:{listener.getsockname()[1]}/", 5.0)
            wire = connect(exchange.host, exchange)
            with contextlib.closing(listener.accept()[0]) as accepted:
                abort(accepted)
            time.sleep(0.1)  # until the reset is there
            with pytest.raises(ConnectionResetError):
                wire.start_tls(ssl.create_default_context())
            wire.hang_up()


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where SSL_CERT_FILE says that the trusted CAs are, but for there being none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "late.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return tmp_path / "late.pem"


class TestTrustStore:
    """Whom to trust may change while a program runs; the next request sees it, and an error says what was wrong."""

    def test_it_appears_late(self, bundle: Path) -> None:
        """P9, S2: a sidecar writes the bundle after the first attempt, which says that there was none."""
        fetch = Urllib3Fetch()
        with Peer(answers(GRANTED), context=server_context()) as peer:
            error = failure(fetch, token_request(peer.secure_url))
            refused(error, "the trust store is empty: set SSL_CERT_FILE, or pass ssl_context")
            authority().cert_pem.write_to_path(str(bundle))
            assert BODY == fetch(token_request(peer.secure_url)).body

    def test_it_is_rotated(self, bundle: Path) -> None:
        """P9, S2: a store that lacks a CA is not said to be empty, and once the CA is added, it is trusted."""
        fetch, added = Urllib3Fetch(), trustme.CA()
        authority().cert_pem.write_to_path(str(bundle))
        with Peer(answers(GRANTED), context=server_context()) as peer:
            fetch(token_request(peer.secure_url))
        with Peer(answers(GRANTED), context=server_context(ca=added)) as peer:
            refused(failure(fetch, token_request(peer.secure_url)), "the trust store does not hold its CA")
            added.cert_pem.write_to_path(str(bundle), append=True)
            assert BODY == fetch(token_request(peer.secure_url)).body

    def test_an_empty_folder(self, bundle: Path) -> None:
        """P9: a folder of certificates that has none in it is an empty store."""
        (bundle.parent / "none").mkdir()
        with Peer(answers(GRANTED), context=server_context()) as peer:
            refused(failure(Urllib3Fetch(), token_request(peer.secure_url)), "the trust store is empty")

    def test_a_folder_that_cannot_be_listed(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """P9: a folder whose certificates cannot be listed gives no authority, and the TLS failure stays the error."""
        (bundle.parent / "none").mkdir()

        def refuse(folder: str) -> list[str]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

        monkeypatch.setattr(os, "listdir", refuse)  # modes do not keep root out
        with Peer(answers(GRANTED), context=server_context()) as peer:
            refused(failure(Urllib3Fetch(), token_request(peer.secure_url)), "the trust store is empty")

    def test_a_folder(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """P9: a folder of certificates (SSL_CERT_DIR) is no empty store, whatever has been read of it by then."""
        monkeypatch.setenv("SSL_CERT_DIR", str(bundle.parent))
        with Peer(answers(GRANTED), context=server_context()) as peer:
            refused(failure(Urllib3Fetch(), token_request(peer.secure_url)), "the trust store does not hold its CA")

    def test_a_store_that_knows_no_figures(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The operating system's store, as truststore uses it, cannot be counted."""

        def unknown(_: ssl.SSLContext) -> object:
            raise NotImplementedError

        monkeypatch.setattr(ssl.SSLContext, "cert_store_stats", unknown)
        with Peer(answers(GRANTED), context=server_context()) as peer:
            refused(failure(Urllib3Fetch(), token_request(peer.secure_url)), "the trust store does not hold its CA")
        assert not bundle.exists()


class TestContext:
    """`ssl_context` decides about trust and identity; the deadline stays ours."""

    def test_a_private_ca(self, bundle: Path) -> None:
        """Its CAs are trusted, and no others."""
        context = ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())
        with Peer(answers(GRANTED), context=server_context()) as peer:
            assert BODY == Urllib3Fetch(ssl_context=context)(token_request(peer.secure_url)).body
        assert not bundle.exists()

    def test_a_context_that_trusts_nobody(self) -> None:
        """S2: a context into which no CA was loaded is told of as such."""
        fetch = Urllib3Fetch(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        with Peer(answers(GRANTED), context=server_context()) as peer:
            for _ in range(2):
                refused(failure(fetch, token_request(peer.secure_url)), "the trust store is empty", "ssl_context")

    @pytest.mark.parametrize("shown", [True, False])
    def test_a_client_certificate(self, shown: bool) -> None:
        """RFC8705-2: the certificate in the context is shown to an endpoint that asks for one."""
        context = ssl.create_default_context()
        if shown:
            with authority().issue_cert("client.test").private_key_and_cert_chain_pem.tempfile() as path:
                context.load_cert_chain(path)
        asks = server_context()
        asks.verify_mode = ssl.CERT_REQUIRED
        asks.load_verify_locations(cadata=authority().cert_pem.bytes().decode())
        asks.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones tell of it only after the handshake
        with Peer(answers(GRANTED), context=asks) as peer:
            fetch = Urllib3Fetch(ssl_context=context)
            if shown:
                assert BODY == fetch(token_request(peer.secure_url)).body
            else:
                refused(failure(fetch, token_request(peer.secure_url)), "ALERT_HANDSHAKE_FAILURE")


class TestDeadline:
    """`request.timeout` bounds the exchange over TLS as well."""

    @pytest.mark.parametrize("late", [False, True])
    def test_a_slow_network(self, late: bool) -> None:
        """Bytes that drip below TLS, in the handshake or within one record, end at the deadline."""
        slow = threading.Event()

        def answer_slowly(sock: socket.socket) -> None:
            read_request(sock)
            slow.set()
            sock.sendall(GRANTED)

        if not late:
            slow.set()
        with Peer(answer_slowly, context=server_context()) as peer:
            port = peer.port
            with Peer(lambda sock: relay(sock, port, slow)) as network:
                at_deadline(Urllib3Fetch(), token_request(network.secure_url), "response of localhost: timed out", 0.5)

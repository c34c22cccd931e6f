"""The loopback token server's life: its start, its quiet end, and its start again, over TLS and in other processes."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
import trustme

from client_credentials.testing import Answer, TokenServer
from tests.http.loopback import CLIENT, ask, dial, read_all, whole_request
from tests.shell.kit import until


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of these tests' own."""
    return trustme.CA()


@pytest.fixture
def secured(authority: trustme.CA, tmp_path: Path) -> Iterator[TokenServer]:
    """Serve my-client over TLS, with a certificate for localhost."""
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with TokenServer(*CLIENT, ssl_context=context) as running:
        yield running


class TestLife:
    """How the server starts, ends and starts again."""

    def test_there_is_no_url_before_the_start(self) -> None:
        """A server that never started has no port to name."""
        with pytest.raises(RuntimeError, match="not started"):
            _ = TokenServer(*CLIENT).url

    def test_start_and_close_may_be_repeated(self) -> None:
        """Starting twice is starting once, so is closing; closing what never started is nothing."""
        server = TokenServer(*CLIENT)
        server.close()
        server.start()
        url = server.url
        server.start()
        assert (url, 200) == (server.url, ask(url).status)
        server.close()
        server.close()

    def test_an_outage_ends_where_it_began(self, server: TokenServer) -> None:
        """A closed server refuses connections; started again it has its old address, its records and its script."""
        url = server.url
        server.answer(Answer(), Answer(status=503))
        ask(url)
        server.close()
        with pytest.raises(ConnectionRefusedError):
            ask(url)
        server.start()
        assert (url, 503, 2) == (server.url, ask(url).status, len(server.requests))

    def test_the_end_may_come_while_a_client_does(self) -> None:
        """A server that accepts a connection just when it is told to end, and so ends early, ends as any other."""
        before = threading.enumerate()
        server = TokenServer(*CLIENT)
        server.start()
        (acceptor,) = set(threading.enumerate()).difference(before)

        def interrupt(frame: FrameType, event: str, _: object) -> None:
            if event == "return" and frame.f_code is threading.Event.set.__code__:
                sys.setprofile(None)
                with contextlib.suppress(OSError):
                    dial(server).close()
                acceptor.join()

        sys.setprofile(interrupt)
        try:
            server.close()
        finally:
            sys.setprofile(None)
        assert not acceptor.is_alive()

    @pytest.mark.parametrize(
        "sent", [b"", b"POST /api", whole_request()[:-1], whole_request()], ids=["silent", "head", "body", "whole"]
    )
    @pytest.mark.parametrize("answer", [Answer(delay=600), Answer(body=bytes(50_000_000))], ids=["delayed", "endless"])
    def test_the_end_is_prompt_and_quiet(self, sent: bytes, answer: Answer, capfd: pytest.CaptureFixture[str]) -> None:
        """Whatever its clients are in the middle of, the end comes at once, leaves no thread and prints nothing."""
        before = threading.enumerate()
        server = TokenServer(*CLIENT)
        server.start()
        server.always(answer)
        started = time.monotonic()
        with dial(server, sent) as connection:
            until(lambda: server.connections == 1 and (sent != whole_request() or len(server.requests) == 1))
            server.close()
            assert time.monotonic() - started < 60
            assert set() == set(threading.enumerate()).difference(before)
            connection.settimeout(60)
        assert ("", "") == capfd.readouterr()

    def test_a_stalled_tls_handshake_does_not_hold_the_end_up(self, secured: TokenServer) -> None:
        """A client that connects to the TLS port and says nothing stops neither the others nor the end."""
        with dial(secured) as connection:
            until(lambda: secured.connections == 1)
            secured.close()
            assert b"" == connection.recv(1)

    def test_tls(self, secured: TokenServer, authority: trustme.CA) -> None:
        """With a context the endpoint is at https://localhost, for those who trust its authority."""
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(secured.url, context=context)
        context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
        assert secured.url.startswith("https://localhost:")
        assert 200 == ask(secured.url, context=context).status

    def test_plain_http_to_a_tls_port(self, secured: TokenServer) -> None:
        """A client that does not speak TLS is cut off, and nothing is recorded."""
        connection = dial(secured, whole_request())
        with contextlib.suppress(ConnectionResetError):
            assert not read_all(connection).startswith(b"HTTP")
        assert [] == secured.requests


def fork(act: Callable[[], object]) -> int:
    """Do something in a forked child, which then ends with status 0, and give its process id."""
    with warnings.catch_warnings():
        # Python 3.12 warns of the very thing that is tried out here: to fork a process that has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return child


class TestProcesses:
    """The server in a process of its own, or in two at once."""

    def test_a_forked_child_can_serve(self) -> None:
        """A server that starts in a forked child serves from there."""
        server = TokenServer(*CLIENT)
        urls, stop = os.pipe(), os.pipe()

        def serve() -> None:
            os.close(stop[1])
            with server:
                os.write(urls[1], server.url.encode())
                os.read(stop[0], 1)

        child = fork(serve)
        assert 200 == ask(os.read(urls[0], 99).decode()).status
        for end in (stop[1], stop[0], *urls):
            os.close(end)
        assert (child, 0) == os.waitpid(child, 0)

    def test_a_forked_child_leaves_the_parents_server_alone(self, server: TokenServer) -> None:
        """A child that closes what it inherited cuts nobody off, and its copy of the port does not keep it open."""
        done, stop = os.pipe(), os.pipe()

        def close() -> None:
            os.close(stop[1])
            server.close()
            os.write(done[1], b".")
            os.read(stop[0], 1)

        with dial(server) as connection:
            until(lambda: server.connections == 1)
            child = fork(close)
            os.read(done[0], 1)
            connection.sendall(whole_request())
            assert connection.recv(99).startswith(b"HTTP/1.1 200 OK\r\n")
        assert 200 == ask(server.url).status
        server.close()
        with pytest.raises(ConnectionRefusedError):
            ask(server.url)
        server.start()
        assert 200 == ask(server.url).status
        for end in (stop[1], stop[0], *done):
            os.close(end)
        assert (child, 0) == os.waitpid(child, 0)

    def test_a_process_ends_without_closing(self) -> None:
        """A program that forgets to close its server ends as usual, and says nothing about it."""
        code = (
            "from client_credentials.testing import Answer, TokenServer\n"
            "server = TokenServer('my-client', 'my-secret')\n"
            "server.start()\n"
            "server.always(Answer(delay=600))\n"
            "print(server.url, flush=True)\n"
            "while not server.requests: pass\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            with pytest.raises(ConnectionError):
                ask(process.stdout.readline().strip())
            assert ("", "", 0) == (*process.communicate(timeout=60), process.returncode)

    def test_importing_it_is_cheap(self) -> None:
        """The test kit brings in neither pytest nor hypothesis nor TLS, and starts no thread."""
        code = (
            "import sys, threading, client_credentials.testing as kit\n"
            "heavy = {'hypothesis', 'pytest', 'ssl', 'urllib3'}\n"
            "print(heavy & set(sys.modules), threading.active_count(), kit.__all__)"
        )
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        names = "Answer AsyncStaticStrategy FakeClock ReceivedRequest StaticStrategy TokenServer refusal".split()
        assert f"set() 1 {names}\n" == told.stdout

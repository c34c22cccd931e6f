"""The loopback token server: how it is told to misbehave, what it remembers, and whom it bears with."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
import weakref

import pytest

from client_credentials.testing import Answer, TokenServer, refusal
from tests.http.loopback import CLIENT, FORM, GRANT, ask, basic, dial, read_all, whole_request
from tests.shell.kit import until


class TestScript:
    """What a test tells the server to answer."""

    def test_answers_go_out_in_order(self, server: TokenServer) -> None:
        """Each lined-up answer serves one request; then the default is back, until it is taken back."""
        server.always(Answer(status=500, body=b"down"))
        server.answer(Answer(status=503), refusal("slow_down", "Not so fast", 429))
        server.answer(Answer())
        assert [503, 429, 200, 500, 500] == [ask(server.url).status for _ in range(5)]
        server.always(None)
        assert 200 == ask(server.url).status

    def test_a_told_answer_is_not_judged(self, server: TokenServer) -> None:
        """What a test told is sent to a bad request too, which is still known for what it is."""
        server.answer(Answer(body={"access_token": "told"}))
        assert {"access_token": "told"} == ask(server.url, form=()).json
        assert "grant_type parameter is missing" == server.requests[0].problem

    def test_headers_are_added_to_grant_and_refusal(self, server: TokenServer) -> None:
        """An answer that leaves the judging to the server still sends its own headers."""
        server.always(Answer(headers={"Retry-After": "5"}))
        granted, refused = ask(server.url), ask(server.url, form=())
        assert [(200, "5"), (400, "5")] == [
            (reply.status, reply.headers["Retry-After"]) for reply in (granted, refused)
        ]

    def test_raw_bytes_are_no_http(self, server: TokenServer) -> None:
        """Raw bytes are all that the client gets; then the connection is closed."""
        server.answer(Answer(raw=b"SSH-2.0"), Answer(raw=b""))
        assert [b"SSH-2.0", b""] == [read_all(dial(server, whole_request())) for _ in range(2)]
        assert [] == server.issued

    def test_an_answer_takes_its_time(self, server: TokenServer) -> None:
        """A delay comes before the first byte, a drip after each one; the end of the server cuts both short."""
        server.answer(Answer(raw=b"dripped", delay=0.1, drip=0.01), Answer(drip=60))
        started = time.monotonic()
        assert b"dripped" == read_all(dial(server, whole_request()))
        assert time.monotonic() - started >= 0.16
        connection = dial(server, whole_request())
        assert b"H" == connection.recv(1)
        server.close()
        assert b"" == read_all(connection)


class TestRecords:
    """What a test can ask the server afterwards, or meanwhile."""

    def test_a_request_is_kept_as_it_came(self, server: TokenServer) -> None:
        """Method, target, headers in lower case, body and form are all there; the lists that it gives are copies."""
        ask(f"{server.url}?a=b", (*GRANT, ("scope", "x y")))
        (request,) = server.requests
        assert ("POST", "/api/token?a=b", "my-client", None) == (
            request.method,
            request.target,
            request.client_id,
            request.problem,
        )
        assert (basic(*CLIENT), FORM) == (request.headers["authorization"], request.headers["content-type"])
        assert b"grant_type=client_credentials&scope=x+y" == request.body
        assert [("grant_type", "client_credentials"), ("scope", "x y")] == request.form
        server.requests.clear()
        server.issued.clear()
        assert (1, 1) == (len(server.requests), len(server.issued))

    def test_a_repeated_header_is_joined(self, server: TokenServer) -> None:
        """Two headers of one name are one with both values (RFC 9110 section 5.3), so that none is missed."""
        read_all(dial(server, whole_request().replace(b"\r\n", b"\r\nX-A: 1\r\nx-a: 2\r\n", 1)))
        assert "1, 2" == server.requests[0].headers["x-a"]

    def test_a_request_in_pieces_is_one(self, server: TokenServer) -> None:
        """A request is whole when its last byte has come, however it was cut and however long it is."""
        scope = ("scope", "x" * 300_000)
        assert 200 == ask(server.url, (*GRANT, scope)).status
        assert [*GRANT, scope] == server.requests[0].form
        connection = dial(server)
        for byte in whole_request():
            connection.sendall(bytes([byte]))
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        assert 2 == len(server.requests)

    def test_a_request_is_there_before_its_answer(self, server: TokenServer) -> None:
        """A test can wait for a request that is still waiting for its answer; no token was issued yet."""
        server.answer(Answer(delay=60))
        with dial(server, whole_request()):
            until(lambda: len(server.requests) == 1)
            assert [] == server.issued

    def test_connections_are_counted(self, server: TokenServer) -> None:
        """A connection counts whether it carries a request or not, and nothing else counts, the end included."""
        assert 0 == server.connections
        ask(server.url)
        dial(server).close()
        until(lambda: server.connections == 2)
        server.close()
        assert (2, 1) == (server.connections, len(server.requests))

    def test_no_repr_shows_a_secret(self, server: TokenServer) -> None:
        """Requests and answers name their parts in their repr, and show no value that could be a secret."""
        form = (*GRANT, ("client_id", "my-client"), ("client_secret", "my-secret"))
        ask(f"{server.url}?key=my-secret", form, authorization=basic(*CLIENT))
        answer = Answer(headers={"Location": "my-secret"}, body=b"my-secret", raw=b"my-secret")
        shown = repr([server, server.requests, answer, Answer(body={"access_token": "my-secret"})])
        assert "my-secret" not in shown
        assert basic(*CLIENT).split()[1] not in shown
        assert "target='/api/token', headers=<host, accept-encoding, " in shown
        assert "form=<grant_type, client_id, client_secret>, client_id='my-client', problem='The client " in shown
        assert "headers=<Location>, body=<9 bytes>" in shown


class TestStrangers:
    """Clients that do not keep to the protocol harm nobody."""

    @pytest.mark.parametrize(
        "sent",
        [b"\x16\x03\x01", b"POST\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"A / B\r\nContent-Length: x\r\n\r\n"],
    )
    def test_what_is_not_http_is_told_so_at_once(self, server: TokenServer, sent: bytes) -> None:
        """Anything but HTTP, a TLS handshake above all, gets a 400 and is no request; the script waits for one."""
        server.answer(Answer(status=503))
        assert read_all(dial(server, sent)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert [] == server.requests
        assert 503 == ask(server.url).status

    @pytest.mark.parametrize("sent", [b"", b"POST /api", whole_request()[:-1]])
    def test_half_a_request_is_none(self, server: TokenServer, sent: bytes) -> None:
        """A client that leaves in the middle is not answered and not recorded."""
        connection = dial(server, sent)
        connection.shutdown(socket.SHUT_WR)
        assert (b"", []) == (read_all(connection), server.requests)

    def test_many_at_once(self, server: TokenServer) -> None:
        """Two hundred open requests are all answered, each with a token of its own."""
        connections = [dial(server, whole_request()) for _ in range(200)]
        bodies = {read_all(connection).partition(b"\r\n\r\n")[2] for connection in connections}
        assert (200, 200, 200) == (len(bodies), len(server.issued), server.connections)

    def test_a_connection_is_forgotten(self, server: TokenServer) -> None:
        """A server that lives long keeps nothing of the connections that are over."""
        before = threading.enumerate()
        with dial(server):
            until(lambda: server.connections == 1)
            serving = [weakref.ref(thread) for thread in threading.enumerate() if thread not in before]
            assert 1 == len(serving)
        ask(server.url)
        until(lambda: serving[0]() is None)

    def test_no_descriptor_left(self, server: TokenServer) -> None:
        """A server that cannot accept for want of a file descriptor does so once there is one again."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = dial(server)
        until(lambda: server.connections == 1)
        late = socket.socket()
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            late.connect(waiting.getpeername())
            late.sendall(whole_request())
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.recv(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            waiting.close()
        late.settimeout(60)
        assert read_all(late).startswith(b"HTTP/1.1 200 OK\r\n")

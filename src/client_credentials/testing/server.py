"""A token endpoint on loopback that grants as RFC 6749 asks, or answers whatever a test tells it to."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

from .endpoint import PATH, Answer, ReceivedRequest, judge, refusal

if TYPE_CHECKING:
    import ssl
    from typing import Self

_BACKLOG: Final = 4096
_POLL: Final = 0.1  # seconds; where closing the listener does not wake the thread that accepts, it notices after these


class TokenServer:
    """The token endpoint of one client, on a free port of 127.0.0.1, served by daemon threads.

    A context manager. Started again after its end it has the same `url`, as an endpoint has after an outage.
    `lifetime` is the `expires_in` of the tokens, in seconds. With an `ssl_context` the host in `url` is localhost.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        lifetime: int = 3600,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._client = (client_id, client_secret)
        self._lifetime = lifetime
        self._ssl_context = ssl_context
        self._port = 0
        self._lock = threading.Lock()  # for what takes more than one step
        self._script: deque[Answer] = deque()
        self._default = Answer()
        self._requests: list[ReceivedRequest] = []
        self._issued: list[str] = []
        self._connections = 0
        self._closing = threading.Event()
        self._acceptor: tuple[threading.Thread, socket.socket] | None = None
        self._conversations: dict[socket.socket, threading.Thread] = {}

    def start(self) -> None:
        """Start serving; does nothing if already started. Raises OSError if the earlier port is taken."""
        if self._acceptor is not None:
            return
        listener = socket.create_server(("127.0.0.1", self._port), backlog=_BACKLOG)
        self._port = listener.getsockname()[1]
        if self._ssl_context is not None:
            # Each handshake is left to its connection's thread: a client that stalls in it stops no other.
            listener = self._ssl_context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        listener.settimeout(_POLL)
        self._closing.clear()
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        thread.start()
        self._acceptor = thread, listener

    def close(self) -> None:
        """Stop serving and cut off the clients still being served; does nothing if not started.

        In a forked child, where a server that the parent started has no threads, it is left to the parent.
        """
        if self._acceptor is None or not self._acceptor[0].is_alive():
            return
        (acceptor, listener), self._acceptor = self._acceptor, None
        self._closing.set()
        with listener:
            with contextlib.suppress(OSError):
                # It wakes the acceptor; and a forked child may hold a copy, which would go on listening.
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
        for connection, thread in self._conversations.copy().items():
            # Below TLS, whose own shutdown would pull the session from under the thread that reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the endpoint is; raises RuntimeError before the first start, as there is no port yet."""
        if not self._port:
            raise RuntimeError("the token server was not started")
        origin = "http://127.0.0.1" if self._ssl_context is None else "https://localhost"
        return f"{origin}:{self._port}{PATH}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The whole requests received so far, those still waiting for their answer included."""
        return list(self._requests)

    @property
    def issued(self) -> list[str]:
        """The tokens granted so far, all different."""
        return list(self._issued)

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted so far."""
        return self._connections

    def answer(self, *answers: Answer) -> None:
        """Answer the next requests with these, one each, in order, after those already lined up."""
        self._script.extend(answers)

    def always(self, answer: Answer | None) -> None:
        """Answer like this from now on, whenever nothing is lined up; None: judge and grant again."""
        self._default = answer or Answer()

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                # The peer has gone, no file descriptor is left, or the end has come.
                self._closing.wait(0.01)
                continue
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            self._connections += 1
            self._conversations[connection] = thread
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            # An OSError is a client that went away or does not speak TLS: no concern of the server's.
            with contextlib.suppress(OSError), connection:
                connection.setblocking(True)  # some systems let it inherit the listener's mode
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._send(connection, self._answer_to(connection))
        finally:
            del self._conversations[connection]

    def _send(self, connection: socket.socket, answer: Answer) -> None:
        sent = answer.encode()
        if not answer.drip:
            connection.sendall(sent)
            return
        for byte in sent:
            connection.sendall(bytes((byte,)))
            if self._closing.wait(answer.drip):
                return

    def _answer_to(self, connection: socket.socket) -> Answer:
        try:
            request, verdict = judge(*_receive(connection), self._client)
        except ValueError:
            return Answer(status=400)
        with self._lock:
            self._requests.append(request)
            answer = self._script.popleft() if self._script else self._default
        if self._closing.wait(answer.delay):
            return Answer(raw=b"")
        if answer.raw is None and answer.body is None and answer.status == 200:
            said = self._grant(request, answer.lifetime) if verdict is None else refusal(*verdict)
            answer = attrs.evolve(answer, status=said.status, body=said.body)
        return answer

    def _grant(self, request: ReceivedRequest, lifetime: int | None) -> Answer:
        with self._lock:
            token = f"token-{len(self._issued) + 1}-{secrets.token_hex(8)}"
            self._issued.append(token)
        expires_in = self._lifetime if lifetime is None else lifetime
        scope = {name: value for name, value in request.form if name == "scope" and value}
        return Answer(body={"access_token": token, "token_type": "Bearer", "expires_in": expires_in, **scope})


def _receive(connection: socket.socket) -> tuple[str, str, dict[str, str], bytes]:
    """Read one request, whose body has a Content-Length; ValueError: not HTTP. ConnectionError: not whole."""

    def read() -> bytes:
        if not (some := connection.recv(65536)):
            raise ConnectionError
        return some

    received = read()
    # What does not begin like a method is answered at once: a client that speaks TLS waits after its first bytes.
    while received[:1].isalpha() and b"\r\n\r\n" not in received:
        received += read()
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value.strip())))
    while len(body) < int(headers.get("content-length", 0)):
        body += read()
    return method, target, headers, body

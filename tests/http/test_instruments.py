"""Under instruments and test doubles that put something else in the place of sockets, TLS or urllib3, promises hold.

Each in a process of its own, since they patch whole modules.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.http.peers import GRANTED, Peer, answers, drips, server_context
from tests.http.scenes import opens_tunnel

_HEAD = """
import logging, os, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable()
os.environ["SSL_CERT_FILE"], os.environ["SSL_CERT_DIR"] = sys.argv[1], ""
granting, dripping, strange, plain, folder = sys.argv[2:]

def ask(url, fetch=None, timeout=20.0):
    from client_credentials import TokenError, TokenRequest, Urllib3Fetch
    begun = time.monotonic()
    try:
        request = TokenRequest("POST", url, {"Authorization": "Basic eA=="}, b"a=b", timeout)
        said = (fetch or Urllib3Fetch())(request).status
    except TokenError as error:
        said = f"{error.reason} {error.retryable}"
    assert time.monotonic() - begun < timeout + 10, "late"
    return said

def late(url):
    said = ask(url, timeout=0.7)
    return said if "timed out" in said and "response" in said else ask(url, timeout=8.0)  # on a busy machine
"""


@pytest.fixture
def urls(tmp_path: Path) -> Generator[list[str]]:
    """The CA's file; endpoints that grant, drip, have a strange certificate, speak plain http; a folder."""
    drip = drips(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    with contextlib.ExitStack() as stack:
        granting, dripping = (
            stack.enter_context(Peer(script, context=server_context())) for script in (answers(GRANTED), drip)
        )
        strange = stack.enter_context(Peer(answers(GRANTED), context=server_context("other.test")))
        plain = stack.enter_context(Peer(answers(GRANTED)))
        https = [each.secure_url for each in (granting, dripping, strange)]
        yield [str(tmp_path / "ca.pem"), *https, plain.url, str(tmp_path)]


def run(code: str, urls: list[str], **environment: str) -> str:
    """Run code in a process of its own, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + code, *urls],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert "" == done.stderr
    return done.stdout


PATCHES = {
    "truststore": "import truststore; truststore.inject_into_ssl()",
    "truststore-late": "import urllib3, client_credentials, truststore; truststore.inject_into_ssl()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_the_deadline_and_the_trust_hold(patch: str, urls: list[str]) -> None:
    """B8, A9, S1/own: with other contexts, sockets or threads the deadline holds, and certificates are verified."""
    said = run(f"{patch}\nprint(ask(granting), ask(plain), late(dripping), ask(strange), sep='\\n')", urls)
    assert ["200", "200", "response of localhost: timed out True"] == said.splitlines()[:3]
    assert "Hostname mismatch" in said.splitlines()[3]
    assert said.endswith(" False\n")


def test_a_cassette_of_vcrpy(urls: list[str]) -> None:
    """S1/pool: a token request is recorded and played back without a network, also with a user's pool."""
    said = run(
        """
import urllib3, vcr
from client_credentials import Urllib3Fetch
for pool in (None, urllib3.PoolManager()):
    fetch = Urllib3Fetch(pool=pool)
    for nth in range(2):
        with vcr.use_cassette(f"{folder}/{pool is None}.yaml", record_mode="once") as cassette:
            print(ask(granting, fetch), ask(plain, fetch), cassette.play_count)
print(late(dripping))
""",
        urls,
    )
    assert ["200 200 0", "200 200 2", "200 200 0", "200 200 2"] == said.splitlines()[:4]
    assert "response of localhost: timed out True" == said.splitlines()[4]


def test_a_cassette_behind_a_proxy(urls: list[str]) -> None:
    """S1/proxy: where urllib3's pools send for us, they use the environment's proxy, and the context that was given."""
    port = int(urls[1].removesuffix("/token").rpartition(":")[2])
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def opens(sock: socket.socket) -> None:
        received.put(sock.recv(65536, socket.MSG_PEEK))
        opens_tunnel(port)(sock)

    with Peer(opens) as proxy:
        said = run(
            """
import ssl, vcr
from client_credentials import Urllib3Fetch
fetch = Urllib3Fetch(ssl_context=ssl.create_default_context())
os.environ["SSL_CERT_FILE"] = folder + "/none.pem"
for nth in range(2):
    with vcr.use_cassette(folder + "/c.yaml", record_mode="once"):
        print(ask(granting, fetch))
""",
            urls,
            HTTPS_PROXY=f"http://user:password@127.0.0.1:{proxy.port}",
        )
        assert ("200\n200\n", 1) == (said, proxy.connections)
        assert b"Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in received.get(timeout=60)


def test_a_cassette_with_a_context(urls: list[str]) -> None:
    """S1/pool: there, too, whom to trust is in the context that the program gave."""
    said = run(
        """
import ssl, vcr
from client_credentials import Urllib3Fetch
context = ssl.create_default_context()
os.environ["SSL_CERT_FILE"] = folder + "/none.pem"
for fetch in (Urllib3Fetch(ssl_context=context), Urllib3Fetch()):
    with vcr.use_cassette(folder + "/c.yaml", record_mode="all"):
        print(ask(granting, fetch))
""",
        urls,
    )
    assert "200\nTLS with localhost:" == said[: len("200\nTLS with localhost:")]


def test_a_double_of_urlopen(urls: list[str]) -> None:
    """Whatever stands in the place of urllib3's urlopen, as pook's interceptor does, answers the token request."""
    said = run(
        """
import io, unittest.mock, urllib3
def stands_in(pool, method, url, **fields):
    return urllib3.HTTPResponse(io.BytesIO(b"{}"), {"X-From": method + url}, 201, preload_content=False)
with unittest.mock.patch("urllib3.connectionpool.HTTPConnectionPool.urlopen", stands_in):
    print(ask(granting), ask("https://login.test/token"))
print(ask(granting))
""",
        urls,
    )
    assert "201 201\n200\n" == said


def test_sockets_that_are_forbidden(urls: list[str]) -> None:
    """pytest-socket: while it forbids sockets, an error says so, and once it allows them again all is well."""
    said = run(
        """
import pytest_socket, ssl
pytest_socket.disable_socket()
print(ask(plain), ask(granting), sep="\\n")
pytest_socket.enable_socket()
print(ask(plain), ask(granting))
""",
        urls,
    )
    assert ["SocketBlockedError False"] * 2 == [each.rpartition(": ")[2] for each in said.splitlines()[:2]]
    assert "200 200" == said.splitlines()[2]


def test_a_double_in_the_first_request(urls: list[str]) -> None:
    """Whatever stands in the place of socket.socket while the first request is made, nothing keeps it."""
    said = run(
        """
import socket, ssl
real = socket.socket
class Forbidden(socket.socket):
    def __init__(self, *_, **__):
        raise RuntimeError
socket.socket = Forbidden
print(ask(plain))
socket.socket = real
print(ask(plain), ask(granting))
""",
        urls,
    )
    assert "RuntimeError False" == said.splitlines()[0].rpartition(": ")[2]
    assert "200 200" == said.splitlines()[1]


def test_a_response_of_httpretty(urls: list[str]) -> None:
    """Httpretty answers in the endpoint's place, and is gone afterwards; over TLS it stands in for no real socket."""
    said = run(
        """
import httpretty
with httpretty.enabled(allow_net_connect=False):
    httpretty.register_uri(httpretty.POST, "http://127.0.0.1:8080/token", body='{"access_token":"t"}')
    print(ask("http://127.0.0.1:8080/token"), httpretty.last_request().headers["Authorization"])
print(ask(plain), ask(granting))
""",
        urls,
    )
    assert ["200 Basic eA==", "200 200"] == said.splitlines()

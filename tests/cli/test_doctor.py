"""The doctor in front of endpoints that are ruined in one way each: its first line that is not ok names the ruin."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from client_credentials._cli.main import main
from client_credentials.testing import Answer, TokenServer, refusal
from tests.cli import endpoints
from tests.cli.kit import CLIENT

pytestmark = pytest.mark.usefixtures("somebody")

TOKEN = "the-token-0123456789"
GIVEN = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
HTML = Answer(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})

Finding: TypeAlias = Mapping[str, str]


@attrs.frozen
class Ward:
    """Where an endpoint is set up: what must be closed afterwards, a directory, and the environment."""

    stack: ExitStack
    directory: Path
    environment: pytest.MonkeyPatch

    def server(self, answer: Answer | None = None, context: ssl.SSLContext | None = None, lifetime: int = 3600) -> str:
        """Start a token server with this answer; give its URL."""
        server = self.stack.enter_context(TokenServer(*CLIENT, lifetime, ssl_context=context))
        server.always(answer)
        return server.url

    def peer(self, converse: Callable[..., object]) -> str:
        """Start a peer with this conversation; give host and port."""
        return f"127.0.0.1:{self.stack.enter_context(endpoints.peer(converse))}"

    def proxy(self, address: str) -> None:
        """Name a proxy in the environment."""
        self.environment.setenv("HTTPS_PROXY", address)


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Ward]:
    """A place for endpoints, where the tests' authority is trusted."""
    endpoints.AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with ExitStack() as stack:
        yield Ward(stack, tmp_path, monkeypatch)


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Finding]]:
    """A function that runs the doctor and gives its findings; holds it to say neither secret nor token."""

    def run(url: str, *options: str) -> list[Finding]:
        begun = time.monotonic()
        status = main(["doctor", "--json", "--token-url", url, *options])
        took = time.monotonic() - begun
        out, err = capsys.readouterr()
        said = json.loads(out)
        assert ("", took < 10) == (err, True)
        assert [] == [each for each in (CLIENT[1], TOKEN, "token-1-") if each in out]
        assert (status == 0) is said["ok"] is all(each["status"] != "bad" for each in said["findings"])
        return list(said["findings"])

    return run


def first_complaint(findings: list[Finding]) -> Finding:
    """The first finding that is not ok."""
    return next(each for each in findings if each["status"] != "ok")


def jwt(**claims: object) -> str:
    """A token that is a JWT by its looks."""
    parts = (json.dumps(each).encode() for each in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


def through(ward: Ward, conversation: Callable[..., object]) -> str:
    """An endpoint behind a proxy that has this conversation."""
    ward.proxy(f"http://user:proxy-pass@{ward.peer(conversation)}")
    return "https://endpoint.example/token"


def with_proxy(ward: Ward, address: str) -> str:
    """An endpoint behind a proxy at this address."""
    ward.proxy(address)
    return "https://endpoint.example/token"


def without_authorities(ward: Ward) -> str:
    """An endpoint that is met with an empty trust store."""
    ward.environment.setenv("SSL_CERT_FILE", str(ward.directory / "missing.pem"))
    ward.environment.setenv("SSL_CERT_DIR", str(ward.directory / "missing"))
    return ward.server(context=endpoints.context_for("localhost"))


def of_another_authority(ward: Ward) -> str:
    """An endpoint whose authority is not trusted here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    endpoints.trustme.CA().issue_cert("localhost").configure_cert(context)
    return ward.server(context=context)


RUINS: dict[str, tuple[Callable[[Ward], str], str, str, str]] = {
    # name: how to set it up, then the step, the status and some words of the first complaint
    "unknown host": (lambda _: "https://nothing.invalid/token", "name", "bad", "nothing.invalid: "),
    "no host name": (lambda _: f"https://{'a' * 64}.example/token", "name", "bad", "not a host name"),
    "closed port": (lambda _: f"http://127.0.0.1:{endpoints.closed_port()}/t", "connect", "bad", "refused"),
    "black hole": (
        lambda ward: f"http://127.0.0.1:{ward.stack.enter_context(endpoints.full_backlog())}/t",
        "connect",
        "bad",
        "no answer in 2 s",
    ),
    "proxy of another kind": (lambda ward: with_proxy(ward, "socks5://127.0.0.1:1"), "proxy", "bad", "proxy"),
    "proxy not there": (
        lambda ward: with_proxy(ward, f"http://127.0.0.1:{endpoints.closed_port()}"),
        "connect",
        "bad",
        "refused",
    ),
    "proxy wants a password": (lambda ward: through(ward, endpoints.tunnels(407)), "proxy", "bad", "status 407"),
    "proxy forbids": (lambda ward: through(ward, endpoints.tunnels(403)), "proxy", "bad", "status 403"),
    "proxy hangs up": (lambda ward: through(ward, endpoints.leaves), "proxy", "bad", "does not answer as a proxy"),
    "proxy is silent": (lambda ward: through(ward, endpoints.silent), "proxy", "bad", "no answer in 2 s"),
    "no proxy at all": (lambda ward: through(ward, endpoints.says(b"SSH-2.0\r\n")), "proxy", "bad", "as a proxy"),
    "plain http on the TLS port": (
        lambda ward: ward.server().replace("http:", "https:"),
        "tls",
        "bad",
        "does not speak TLS",
    ),
    "hangs up in the handshake": (lambda ward: f"https://{ward.peer(endpoints.leaves)}/", "tls", "bad", "closed the"),
    "silent in the handshake": (lambda ward: f"https://{ward.peer(endpoints.silent)}/", "tls", "bad", "not answer"),
    "handshake refused": (
        lambda ward: f"https://{ward.peer(endpoints.says(bytes.fromhex('15030300020228')))}/",
        "tls",
        "bad",
        "broke off the handshake: ",
    ),
    "certificate of another host": (
        lambda ward: ward.server(context=endpoints.context_for("other.example")),
        "tls",
        "bad",
        "not for localhost, but for other.example",
    ),
    "expired certificate": (
        lambda ward: ward.server(context=endpoints.context_for("localhost", starts_in=-9, ends_in=-1)),
        "tls",
        "bad",
        "has expired",
    ),
    "certificate of tomorrow": (
        lambda ward: ward.server(context=endpoints.context_for("localhost", starts_in=1)),
        "tls",
        "bad",
        "is not valid yet",
    ),
    "self-signed certificate": (
        lambda ward: ward.server(context=endpoints.self_signed("localhost", ward.directory)),
        "tls",
        "bad",
        "is self-signed",
    ),
    "authority not trusted": (of_another_authority, "tls", "bad", "does not verify against SSL_CERT_FILE"),
    "empty trust store": (without_authorities, "tls", "bad", "the trust store is empty"),
    "certificate about to end": (
        lambda ward: ward.server(context=endpoints.context_for("localhost", ends_in=5.5)),
        "tls",
        "warn",
        "by Test Authority, 5 days left",
    ),
    "redirect": (
        lambda ward: ward.server(Answer(status=302, headers={"Location": "https://login.example/in?a=b"})),
        "redirect",
        "bad",
        "https://login.example",
    ),
    "wrong path": (lambda ward: ward.server() + "s", "answer", "bad", "404"),
    "method not allowed": (lambda ward: ward.server(Answer(status=405, body=b"")), "answer", "bad", "405"),
    "web page": (lambda ward: ward.server(HTML), "answer", "bad", "not JSON"),
    "empty body": (lambda ward: ward.server(Answer(body=b"")), "answer", "bad", "empty"),
    "no answer": (lambda ward: ward.server(Answer(raw=b"")), "answer", "bad", "closed without an answer"),
    "not HTTP": (lambda ward: ward.server(Answer(raw=b"220 mail ESMTP\r\n")), "answer", "bad", "not HTTP"),
    "cut short": (lambda ward: ward.server(Answer(headers={"Content-Length": "999"})), "answer", "bad", "truncated"),
    "drip": (lambda ward: f"http://{ward.peer(endpoints.drips)}/token", "answer", "bad", "no answer from"),
    "too long": (lambda ward: ward.server(Answer(body=b" " * 2_000_000)), "answer", "bad", "larger than"),
    "another dialect": (
        lambda ward: ward.server(Answer(body={"status": "approved", "data": GIVEN})),
        "answer",
        "bad",
        "access_token",
    ),
    "no Bearer": (lambda ward: ward.server(Answer(body={**GIVEN, "token_type": "mac"})), "answer", "bad", "token_type"),
    "wrong secret": (lambda ward: ward.server(refusal("invalid_client")), "answer", "bad", "invalid_client"),
    "no such grant": (lambda ward: ward.server(refusal("unauthorized_client")), "answer", "bad", "unauthorized_client"),
    "too many requests": (
        lambda ward: ward.server(Answer(status=429, headers={"Retry-After": "7"})),
        "answer",
        "bad",
        "status 429",
    ),
    "server down": (lambda ward: ward.server(Answer(status=503)), "answer", "bad", "status 503"),
    "clock behind": (
        lambda ward: ward.server(Answer(body=GIVEN, headers={"Date": formatdate(time.time() + 3600, usegmt=True)})),
        "clock",
        "bad",
        "s behind the server",
    ),
    "clock ahead": (
        lambda ward: ward.server(Answer(body=GIVEN, headers={"Date": formatdate(time.time() - 60, usegmt=True)})),
        "clock",
        "warn",
        "s ahead of the server",
    ),
}


@pytest.mark.parametrize("name", RUINS)
def test_the_first_complaint_names_the_ruin(name: str, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
    """Whatever is wrong, the step, the status and the words of the first complaint are right, and it has advice."""
    set_up, step, status, words = RUINS[name]
    found = first_complaint(examine(set_up(ward), "--timeout", "2"))
    assert (step, status) == (found["step"], found["status"])
    assert words in found["seen"]
    assert found["advice"]

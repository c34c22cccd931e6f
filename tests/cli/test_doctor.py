"""The doctor in front of endpoints that are ruined in one way each: its first line that is not ok names the ruin."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import trustme

from client_credentials._cli import connection
from client_credentials._cli.main import main
from client_credentials.testing import Answer, TokenServer, refusal
from tests.cli import endpoints
from tests.cli.endpoints import context_for, says, tunnels
from tests.http.loopback import CLIENT
from tests.http.peers import CLOSED_PORT, Peer, authority, black_hole, drips, server_context, silent, within

pytestmark = pytest.mark.usefixtures("somebody")

TOKEN = "the-token-0123456789"
GIVEN = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
REFUSAL = bytes.fromhex("15030300020228")  # a TLS alert: handshake_failure

Finding: TypeAlias = Mapping[str, str]


@attrs.frozen
class Ward:
    """Where an endpoint is set up: what must be closed afterwards, a directory, and the environment."""

    stack: ExitStack
    directory: Path
    environment: pytest.MonkeyPatch

    def server(self, answer: Answer | None = None, context: ssl.SSLContext | None = None) -> str:
        """Start a token server with this answer; give its URL."""
        server = self.stack.enter_context(TokenServer(*CLIENT, ssl_context=context))
        server.always(answer)
        return server.url

    def peer(self, converse: Callable[..., object]) -> Peer:
        """Start a peer with this conversation."""
        return self.stack.enter_context(Peer(converse))

    def behind(self, proxy: str) -> str:
        """Name a proxy in the environment; give the URL of an endpoint behind it."""
        self.environment.setenv("HTTPS_PROXY", proxy)
        return "https://endpoint.example/token"


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Ward]:
    """A place for endpoints."""
    with ExitStack() as stack:
        yield Ward(stack, tmp_path, monkeypatch)


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Finding]]:
    """A function that runs the doctor and gives its findings; holds it to say neither secret nor token."""

    def run(url: str, *options: str) -> list[Finding]:
        with within(10.0):
            status = main(["doctor", "--json", "--token-url", url, *options])
        out, err = capsys.readouterr()
        said = json.loads(out)
        assert "" == err
        assert [] == [each for each in (CLIENT[1], TOKEN, "token-1-", "proxy-pass") if each in out]
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


SetUp: TypeAlias = Callable[[Ward], str]


def answers(**answer: Any) -> SetUp:
    """An endpoint that gives this answer."""
    return lambda ward: ward.server(Answer(**answer))


def dated(seconds: float) -> SetUp:
    """An endpoint whose clock is off by so many seconds."""
    return lambda ward: ward.server(
        Answer(body=GIVEN, headers={"Date": formatdate(time.time() + seconds, usegmt=True)})
    )


def shows(name: str, **days: float) -> SetUp:
    """An endpoint whose certificate is for this name, from and to so many days from now."""
    return lambda ward: ward.server(context=context_for(name, **days))


def secure(conversation: Callable[..., object]) -> SetUp:
    """An endpoint that does not get to its TLS."""
    return lambda ward: ward.peer(conversation).secure_url


def through(conversation: Callable[..., object]) -> SetUp:
    """An endpoint behind a proxy that has this conversation."""
    return lambda ward: ward.behind(f"http://user:proxy-pass@127.0.0.1:{ward.peer(conversation).port}")


def hanging_lookup(ward: Ward) -> str:
    """An endpoint about whose name the name server says nothing."""
    ended = threading.Event()
    ward.stack.callback(ended.set)

    def hang(*_: object, **__: object) -> None:
        ended.wait(60)

    ward.environment.setattr("socket.getaddrinfo", hang)
    return "https://slow.example/token"


def without_authorities(ward: Ward) -> str:
    """An endpoint that is met with an empty trust store."""
    ward.environment.setenv("SSL_CERT_FILE", str(ward.directory / "missing.pem"))
    ward.environment.setenv("SSL_CERT_DIR", str(ward.directory / "missing"))
    return ward.server(context=server_context())


def empty_folder_of_authorities(ward: Ward) -> str:
    """An endpoint that is met with a trust store that is a folder without a certificate."""
    url = without_authorities(ward)
    (ward.directory / "missing").mkdir()
    return url


def folder_that_cannot_be_listed(ward: Ward) -> str:
    """An endpoint that is met with a trust store that is a folder that this user may not list."""
    url = empty_folder_of_authorities(ward)

    def refuse(folder: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    ward.environment.setattr(os, "listdir", refuse)  # modes do not keep root out
    return url


RUINS: dict[str, tuple[SetUp, str, str]] = {
    # name: how to set it up, then status and step, and some words, of the first complaint
    "unknown host": (lambda _: "https://nothing.invalid/token", "bad name", "lookup of nothing.invalid: "),
    "no answer about the name": (hanging_lookup, "bad name", "lookup of slow.example: timed out"),
    "no host name": (lambda _: f"https://{'a' * 64}.example/token", "bad name", "Unicode"),
    "closed port": (lambda _: f"http://127.0.0.1:{CLOSED_PORT}/t", "bad connect", "ECONNREFUSED"),
    "black hole": (
        lambda ward: f"http://127.0.0.1:{ward.stack.enter_context(black_hole())}/t",
        "bad connect",
        "timed out",
    ),
    "proxy of another kind": (lambda ward: ward.behind("socks5://127.0.0.1:1"), "bad proxy", "another kind of proxy"),
    "proxy not there": (
        lambda ward: ward.behind(f"http://127.0.0.1:{CLOSED_PORT}"),
        "bad connect",
        "connect to proxy 127.0.0.1",
    ),
    "proxy wants a password": (through(tunnels(407)), "bad tunnel", "refused to connect, with status 407"),
    "proxy forbids": (through(tunnels(403)), "bad tunnel", "refused to connect, with status 403"),
    "proxy hangs up": (through(says(b"")), "bad tunnel", "closed without an answer"),
    "proxy is silent": (through(silent), "bad tunnel", "timed out"),
    "no proxy at all": (through(says(b"SSH-2.0\r\n")), "bad tunnel", "not HTTP"),
    "plain http on the TLS port": (
        lambda ward: ward.server().replace("http:", "https:"),
        "bad tls",
        "WRONG_VERSION_NUMBER, so this port does not speak TLS",
    ),
    "hangs up in the handshake": (secure(says(b"")), "bad tls", "closed without an answer"),
    "silent in the handshake": (secure(silent), "bad tls", "timed out"),
    "resets in the handshake": (secure(endpoints.resets), "bad tls", "closed without an answer"),
    "handshake refused": (secure(says(REFUSAL)), "bad tls", "HANDSHAKE_FAILURE"),
    "certificate of another host": (shows("other.example"), "bad tls", "'localhost'; it is for other.example"),
    "certificate with a common name alone": (
        lambda ward: ward.server(context=server_context(common_name="localhost")),
        "bad tls",
        "certificate is not valid for 'localhost'",
    ),
    "expired certificate": (shows("localhost", starts_in=-9, ends_in=-1), "bad tls", "has expired"),
    "certificate of tomorrow": (shows("localhost", starts_in=1), "bad tls", "is not yet valid"),
    "self-signed certificate": (
        lambda ward: ward.server(context=endpoints.self_signed("localhost", ward.directory)),
        "bad tls",
        "self-signed certificate; the trust store is SSL_CERT_FILE",
    ),
    "authority not trusted": (
        lambda ward: ward.server(context=server_context(ca=trustme.CA())),
        "bad tls",
        "unable to get local issuer certificate; the trust store is SSL_CERT_FILE",
    ),
    "empty trust store": (without_authorities, "bad tls", "the trust store is empty: SSL_CERT_FILE"),
    "empty folder of trust": (empty_folder_of_authorities, "bad tls", "the trust store is empty: SSL_CERT_FILE"),
    "folder of trust that cannot be listed": (folder_that_cannot_be_listed, "bad tls", "the trust store is empty: "),
    "certificate about to end": (shows("localhost", ends_in=5.5), "warn tls", ", 5 days left"),
    "redirect": (
        answers(status=302, headers={"Location": "https://login.example/in?a=b"}),
        "bad redirect",
        "https://login.example",
    ),
    "wrong path": (lambda ward: ward.server() + "s", "bad answer", "404"),
    "method not allowed": (answers(status=405, body=b""), "bad answer", "405"),
    "web page": (answers(body=b"<html>", headers={"Content-Type": "text/html"}), "bad answer", "not JSON"),
    "empty body": (answers(body=b""), "bad answer", "empty"),
    "no answer": (answers(raw=b""), "bad answer", "closed without an answer"),
    "not HTTP": (answers(raw=b"220 mail ESMTP\r\n"), "bad answer", "not HTTP"),
    "cut short": (answers(headers={"Content-Length": "999"}), "bad answer", "truncated"),
    "drip": (
        lambda ward: ward.peer(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")).url,
        "bad answer",
        "no answer from",
    ),
    "too long": (answers(body=b" " * 2_000_000), "bad answer", "larger than"),
    "another dialect": (answers(body={"status": "approved", "data": GIVEN}), "bad answer", "access_token"),
    "no Bearer": (answers(body={**GIVEN, "token_type": "mac"}), "bad answer", "token_type"),
    "wrong secret": (lambda ward: ward.server(refusal("invalid_client")), "bad answer", "invalid_client"),
    "no such grant": (lambda ward: ward.server(refusal("unauthorized_client")), "bad answer", "unauthorized_client"),
    "too many requests": (answers(status=429, headers={"Retry-After": "7"}), "bad answer", "status 429"),
    "server down": (answers(status=503), "bad answer", "status 503"),
    "clock behind": (dated(3600), "bad clock", "s behind the server"),
    "clock ahead": (dated(-60), "warn clock", "s ahead of the server"),
}


ENDLESS = ("no answer about the name", "black hole", "proxy is silent", "silent in the handshake", "drip")


@pytest.mark.parametrize("name", RUINS)
def test_the_first_complaint_names_the_ruin(name: str, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
    """Whatever is wrong, the step, the status and the words of the first complaint are right, and it has advice."""
    seconds = 0.7 if name in ENDLESS else 10.0
    ward.environment.setattr(connection, "STEP_SECONDS", seconds)
    ward.environment.setattr("client_credentials._shell.driver.dice", lambda: 0.0)
    set_up, kind, words = RUINS[name]
    found = first_complaint(examine(set_up(ward), "--timeout", str(seconds)))
    assert kind == f"{found['status']} {found['step']}"
    assert words in found["seen"]
    assert found["advice"]


class TestHealth:
    """What is said of endpoints that grant, and of what is odd about what they grant."""

    def test_a_healthy_endpoint(self, ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
        """Over TLS, each step has its line, and every one is ok."""
        answer = Answer(headers={"Date": formatdate(usegmt=True)})
        url = ward.server(answer, context_for("localhost"))
        assert 0 == main(["doctor", "--token-url", url, "--scope", "a"])
        lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        steps = ["proxy", "name", "connect", "tls", "clock", "token", "scope", "members", "lifetime"]
        assert [["ok", step] for step in steps] == [line[:2] for line in lines]
        said = {step: text for _, step, text in lines}
        assert re.match(
            r"TLSv1\.3; certificate for localhost by trustme .*, 89 days left; trusted by SSL_", said["tls"]
        )
        assert "Bearer, 24 characters, opaque" == said["token"]
        assert "access_token, token_type, expires_in, scope" == said["members"]

    def test_a_healthy_endpoint_behind_a_proxy(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """The proxy's name is looked up, the tunnel is opened, and TLS goes through it."""
        url = ward.server(context=server_context())
        through(tunnels(200, to=int(url.split(":")[2].partition("/")[0])))(ward)
        ward.environment.setenv("NO_PROXY", "elsewhere.example")
        found = examine(url)
        assert ["proxy", "name", "connect", "tunnel", "tls"] == [each["step"] for each in found[:5]]
        assert {"ok"} == {each["status"] for each in found}
        assert "through the proxy 127.0.0.1" in found[0]["seen"]

    def test_behind_a_proxy_nothing_goes_direct(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """What a certificate of another host is for is not looked up past the proxy."""
        with TokenServer(*CLIENT, ssl_context=context_for("other.example")) as server:
            through(tunnels(200, to=int(server.url.split(":")[2].partition("/")[0])))(ward)
            found = first_complaint(examine(server.url))
            assert ("tls", 1) == (found["step"], server.connections)
            assert found["seen"].endswith("certificate is not valid for 'localhost'")

    def test_the_client_certificate_is_not_for_another_host(
        self, ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """The connection that reads what its certificate is for shows none of the client's (RFC 8705)."""
        shown: list[object] = []
        context = context_for("other.example")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=authority().cert_pem.bytes().decode())
        context.set_alpn_protocols(["h2", "http/1.1"])

        def look(sock: Any) -> None:
            sock.settimeout(60)
            shown.append((sock.getpeercert(), sock.selected_alpn_protocol()))

        pem = ward.directory / "client.pem"
        authority().issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(str(pem))
        peer = ward.stack.enter_context(Peer(look, context=context))
        found = first_complaint(examine(peer.secure_url, "--auth", "tls", "--client-cert", str(pem)))
        assert found["seen"].endswith("it is for other.example")
        ward.stack.close()
        assert [(None, "http/1.1")] == shown

    @pytest.mark.parametrize(
        ("answer", "step", "words"),
        [
            ({"expires_in": None}, "lifetime", "not stated; 300 s are assumed"),
            ({"expires_in": 30}, "lifetime", "30 s"),
            ({"expires_in": "30"}, "lifetime", "30 s"),
            ({"scope": "b"}, "scope", "b; asked for was a"),
            ({"refresh_token": "the-token-0123456789x"}, "members", "refresh_token"),
            ({"access_token": jwt(exp=time.time() + 60)}, "jwt", "its exp is "),
        ],
    )
    def test_an_oddity_is_a_warning(
        self, answer: Mapping[str, object], step: str, words: str, ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """A token that is good but odd: the line says how, and the exit status is 0."""
        found = examine(ward.server(Answer(body={**GIVEN, **answer})), "--scope", "a")
        complaint = next(each for each in found if (step, "warn") == (each["step"], each["status"]))
        assert words in complaint["seen"]

    def test_what_the_library_remarks_is_a_warning(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """An answer without a token_type is taken, and the doctor passes on that it was odd."""
        found = examine(ward.server(Answer(body={"access_token": TOKEN, "expires_in": 60})))
        assert "token_type" in first_complaint(found)["seen"]

    def test_a_date_that_is_none_is_passed_over(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """Without a readable Date there is nothing to compare the clock with, and nothing is wrong."""
        found = examine(ward.server(Answer(headers={"Date": "yesterday"})))
        assert ("ok", []) == (found[-1]["status"], [each for each in found if each["step"] == "clock"])

    def test_a_longer_life_than_is_kept_is_said(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """A lifetime above a day is cut to a day."""
        found = examine(ward.server(Answer(body={**GIVEN, "expires_in": 1_000_000})))
        assert ("ok", "lifetime") == (found[-1]["status"], found[-1]["step"])
        assert "86400 s: the server states more" in found[-1]["seen"]

    def test_a_jwt_whose_exp_agrees_is_fine(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """A JWT is recognised, and its exp compared with the lifetime."""
        token = jwt(exp=int(time.time()) + 3600)
        found = {each["step"]: each for each in examine(ward.server(Answer(body={**GIVEN, "access_token": token})))}
        assert ("ok", True) == (found["jwt"]["status"], found["token"]["seen"].endswith("a JWT"))

    def test_no_member_is_named_in_the_words_of_the_server(
        self, ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """A name may repeat the secret or the token in any reading, and hold what a terminal obeys."""
        encoded = base64.b64encode(CLIENT[1].encode()).decode()
        hostile = dict.fromkeys((CLIENT[1], encoded, f"of-{TOKEN[4:]}", "\x1b[2J\nok  x", "tenant"), 1)
        found = examine(ward.server(Answer(body={**GIVEN, "scope": f"a {TOKEN}", **hostile})), "--scope", "a")
        said = {each["step"]: each["seen"] for each in found}
        hidden = "*" * 10
        assert (
            f"access_token, token_type, expires_in, scope, {', '.join([hidden] * 3)}, [2Jok  x, tenant"
            == said["members"]
        )
        assert f"{hidden}; asked for was a" == said["scope"]

    @pytest.mark.parametrize("exp", ["1" + "0" * 400, "1e300", "NaN", "true", '"5"'])
    def test_an_exp_that_is_no_date_is_passed_over(
        self, exp: str, ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """There is nothing to compare the lifetime with, and nothing is wrong."""
        payload = base64.urlsafe_b64encode(f'{{"exp": {exp}}}'.encode()).decode().rstrip("=")
        found = examine(ward.server(Answer(body={**GIVEN, "access_token": f"e30.{payload}.c2ln"})))
        assert ("ok", "lifetime") == (found[-1]["status"], found[-1]["step"])


class TestOtherWays:
    """--try-all, which alone sends more than one token request."""

    def test_each_way_with_a_secret_is_tried_once(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """The cost is said first; a way that is refused is a warning, one that works says so."""
        server = ward.stack.enter_context(TokenServer(*CLIENT))
        server.answer(refusal("invalid_client"), refusal("invalid_client"), Answer())
        found = {each["step"]: each for each in examine(server.url, "--try-all")}
        assert "2 more requests, each of which may count as a failed login" == found["try-all"]["seen"]
        assert ("bad", "warn", "ok") == tuple(found[step]["status"] for step in ("answer", "basic-raw", "post"))
        assert 3 == len(server.requests)

    def test_an_assertion_has_no_other_way(
        self, ward: Ward, examine: Callable[..., list[Finding]], tmp_path: Path
    ) -> None:
        """An assertion is no secret that could be sent in another way."""
        (tmp_path / "assertion").write_text("a.b.c")
        found = examine(ward.server(Answer(body=GIVEN)), "--try-all", "--assertion-file", str(tmp_path / "assertion"))
        assert "without a secret there is no other --auth to try" == found[-1]["seen"]

    def test_one_request_is_sent_otherwise(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """Without it there is one request, even to a server that is down for a moment."""
        server = ward.stack.enter_context(TokenServer(*CLIENT))
        server.always(Answer(status=503))
        examine(server.url)
        assert 1 == len(server.requests)


class TestMetadata:
    """--issuer: what is used is compared with the issuer's own document (RFC 8414)."""

    def run(
        self, ward: Ward, examine: Callable[..., list[Finding]], *answers: Answer | Mapping[str, object]
    ) -> list[Finding]:
        """Examine an endpoint whose issuer gives these answers, or a document so changed; give what is found of it."""
        server = ward.stack.enter_context(TokenServer(*CLIENT, ssl_context=server_context()))
        issuer = server.url.removesuffix("/api/token")
        document = {"issuer": issuer, "token_endpoint": server.url}
        server.answer(*(each if isinstance(each, Answer) else Answer(body={**document, **each}) for each in answers))
        found = examine(server.url, "--issuer", issuer)
        assert ["GET"] * len(answers) + ["POST"] == [each.method for each in server.requests]
        return [each for each in found if each["step"] == "metadata"]

    @pytest.mark.parametrize("answers", [({},), (Answer(status=404, body=b""), {})], ids=["RFC 8414", "OpenID"])
    def test_what_agrees_is_fine(
        self, answers: tuple[Any, ...], ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """RFC8414-3-1, RFC8414-3.1: the document is looked for at both of its places."""
        assert ["ok"] == [each["status"] for each in self.run(ward, examine, *answers)]

    @pytest.mark.parametrize(
        ("status", "words", "changes"),
        [
            ("bad", "another issuer", {"issuer": "https://localhost/"}),
            ("bad", "no issuer", {"issuer": None}),
            ("bad", "is https://other.example/t", {"token_endpoint": "https://other.example/t?a"}),
            ("bad", "token_endpoint must be", {"token_endpoint": None}),
            (
                "warn",
                "does not name client_secret_basic",
                {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
            ),
        ],
    )
    def test_what_differs_is_said(
        self,
        status: str,
        words: str,
        changes: dict[str, object],
        ward: Ward,
        examine: Callable[..., list[Finding]],
    ) -> None:
        """RFC8414-3.3: the issuer code point by code point; and the endpoint and the authentication."""
        found = self.run(ward, examine, changes)[-1]
        assert (status, True) == (found["status"], words in found["seen"])

    def test_no_metadata_is_a_warning(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """RFC8414-3.2: many servers publish none, and grant tokens all the same."""
        missing = Answer(status=404, body=b"")
        [found] = self.run(ward, examine, missing, missing)
        assert ("warn", "check --issuer, or give --token-url") == (found["status"], found["advice"])

    def test_the_way_to_authenticate_is_compared_without_an_endpoint(
        self, ward: Ward, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With --issuer alone, too; a server that names none takes client_secret_basic (RFC 8414 section 2)."""
        server = ward.stack.enter_context(TokenServer(*CLIENT))
        issuer = server.url.removesuffix("/api/token")
        server.answer(Answer(body={"issuer": issuer, "token_endpoint": server.url}))
        assert 0 == main(["doctor", "--issuer", issuer, "--auth", "post"])
        assert "warn  metadata  token_endpoint_auth_methods_supported does not name" in capsys.readouterr().out


def test_advice_is_below_its_line(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, what to change is below what was seen; the exit status is 1."""
    assert 1 == main(["doctor", "--token-url", ward.server(refusal("invalid_client"))])
    last, advice = capsys.readouterr().out.splitlines()[-2:]
    assert last.startswith("bad   answer    ")
    assert "      -> check the client id and the secret, or try another --auth" == advice


def test_a_wait_that_the_server_orders_is_passed_on(ward: Ward, examine: Callable[..., list[Finding]]) -> None:
    """After a 429 the advice is to wait for as long as it says."""
    found = examine(ward.server(Answer(status=429, headers={"Retry-After": "7"})))
    assert "try again in 7 s" == first_complaint(found)["advice"]

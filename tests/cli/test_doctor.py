"""The doctor in front of endpoints that are ruined in one way each: its first line that is not ok names the ruin."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from client_credentials._cli import observe
from client_credentials._cli.main import main
from client_credentials.testing import Answer, TokenServer, refusal
from tests.cli import endpoints
from tests.cli.kit import CLIENT
from tests.http.peers import black_hole, closed_port

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


def through(ward: Ward, conversation: Callable[..., object]) -> str:
    """An endpoint behind a proxy that has this conversation."""
    ward.proxy(f"http://user:proxy-pass@{ward.peer(conversation)}")
    return "https://endpoint.example/token"


def with_proxy(ward: Ward, address: str) -> str:
    """An endpoint behind a proxy at this address."""
    ward.proxy(address)
    return "https://endpoint.example/token"


def hanging_lookup(ward: Ward) -> str:
    """An endpoint about whose name the name server says nothing."""

    def hang(*_: object, **__: object) -> None:
        threading.Event().wait(10)

    ward.environment.setattr("socket.getaddrinfo", hang)
    return "https://slow.example/token"


def without_authorities(ward: Ward) -> str:
    """An endpoint that is met with an empty trust store."""
    ward.environment.setenv("SSL_CERT_FILE", str(ward.directory / "missing.pem"))
    ward.environment.setenv("SSL_CERT_DIR", str(ward.directory / "missing"))
    return ward.server(context=endpoints.context_for("localhost"))


RUINS: dict[str, tuple[Callable[[Ward], str], str, str, str]] = {
    # name: how to set it up, then the step, the status and some words of the first complaint
    "unknown host": (lambda _: "https://nothing.invalid/token", "name", "bad", "nothing.invalid: "),
    "no answer about the name": (
        hanging_lookup,
        "name",
        "bad",
        "no answer about slow.example in 1 s",
    ),
    "no host name": (lambda _: f"https://{'a' * 64}.example/token", "name", "bad", "not a host name"),
    "closed port": (lambda _: f"http://127.0.0.1:{closed_port()}/t", "connect", "bad", "refused"),
    "black hole": (
        lambda ward: f"http://127.0.0.1:{ward.stack.enter_context(black_hole())}/t",
        "connect",
        "bad",
        "no answer in 1 s",
    ),
    "proxy of another kind": (lambda ward: with_proxy(ward, "socks5://127.0.0.1:1"), "proxy", "bad", "proxy"),
    "proxy not there": (
        lambda ward: with_proxy(ward, f"http://127.0.0.1:{closed_port()}"),
        "connect",
        "bad",
        "refused",
    ),
    "proxy wants a password": (lambda ward: through(ward, endpoints.tunnels(407)), "proxy", "bad", "status 407"),
    "proxy forbids": (lambda ward: through(ward, endpoints.tunnels(403)), "proxy", "bad", "status 403"),
    "proxy hangs up": (lambda ward: through(ward, endpoints.leaves), "proxy", "bad", "does not answer as a proxy"),
    "proxy is silent": (lambda ward: through(ward, endpoints.silent), "proxy", "bad", "no answer in 1 s"),
    "no proxy at all": (lambda ward: through(ward, endpoints.says(b"SSH-2.0\r\n")), "proxy", "bad", "as a proxy"),
    "plain http on the TLS port": (
        lambda ward: ward.server().replace("http:", "https:"),
        "tls",
        "bad",
        "does not speak TLS",
    ),
    "hangs up in the handshake": (lambda ward: f"https://{ward.peer(endpoints.leaves)}/", "tls", "bad", "closed the"),
    "silent in the handshake": (lambda ward: f"https://{ward.peer(endpoints.silent)}/", "tls", "bad", "not answer"),
    "resets in the handshake": (lambda ward: f"https://{ward.peer(endpoints.resets)}/", "tls", "bad", "closed the"),
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
    "authority not trusted": (
        lambda ward: ward.server(context=endpoints.context_of_another_authority("localhost")),
        "tls",
        "bad",
        "does not verify against SSL_CERT_FILE",
    ),
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
    ward.environment.setattr(observe, "STEP_SECONDS", 1.0)
    set_up, step, status, words = RUINS[name]
    found = first_complaint(examine(set_up(ward), "--timeout", "1.5"))
    assert (step, status) == (found["step"], found["status"])
    assert words in found["seen"]
    assert found["advice"]


class TestHealth:
    """What is said of endpoints that grant, and of what is odd about what they grant."""

    def test_a_healthy_endpoint(self, ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
        """Over TLS, each step has its line, and every one is ok."""
        answer = Answer(headers={"Date": formatdate(usegmt=True)})
        url = ward.server(answer, endpoints.context_for("localhost"))
        assert 0 == main(["doctor", "--token-url", url, "--scope", "a"])
        lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        steps = ["route", "name", "connect", "tls", "clock", "token", "scope", "members", "lifetime"]
        assert [["ok", step] for step in steps] == [line[:2] for line in lines]
        said = {step: text for _, step, text in lines}
        assert said["tls"].startswith(
            "TLSv1.3; certificate for localhost by Test Authority, 89 days left; trusted by SSL"
        )
        assert "Bearer, 24 characters, opaque" == said["token"]
        assert "access_token, token_type, expires_in, scope" == said["members"]

    def test_a_healthy_endpoint_behind_a_proxy(
        self, ward: Ward, examine: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The proxy's name is looked up, the tunnel is opened, and TLS goes through it."""
        url = ward.server(context=endpoints.context_for("localhost"))
        port = int(url.split(":")[2].partition("/")[0])
        ward.proxy(f"http://{ward.peer(endpoints.tunnels(200, to=port))}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
        found = examine(url)
        assert ["route", "name", "connect", "proxy", "tls"] == [each["step"] for each in found[:5]]
        assert {"ok"} == {each["status"] for each in found}
        assert "through the proxy 127.0.0.1" in found[0]["seen"]

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

    def test_a_member_whose_name_is_a_secret_is_left_out(
        self, ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """The server's words may repeat the secret or the token anywhere, in a name too."""
        found = examine(ward.server(Answer(body={**GIVEN, CLIENT[1]: 1, f"of-{TOKEN}": 1, "tenant": 1})))
        said = {each["step"]: each["seen"] for each in found}
        assert "access_token, token_type, expires_in, tenant" == said["members"]


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
        assert "there is one way without a secret" == found[-1]["seen"]

    def test_one_request_is_sent_otherwise(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """Without it there is one request, even to a server that is down for a moment."""
        server = ward.stack.enter_context(TokenServer(*CLIENT))
        server.always(Answer(status=503))
        examine(server.url)
        assert 1 == len(server.requests)


class TestMetadata:
    """--issuer: what is used is compared with the issuer's own document (RFC 8414)."""

    def run(
        self, ward: Ward, examine: Callable[..., list[Finding]], changes: Mapping[str, object], path: str = ""
    ) -> Finding:
        """Examine an endpoint whose issuer says this; give the finding about the metadata."""
        context = endpoints.context_for("localhost")
        server = ward.stack.enter_context(TokenServer(*CLIENT, ssl_context=context))
        issuer = server.url.removesuffix("/api/token") + path
        document = {"issuer": issuer, "token_endpoint": server.url, **changes}
        server.answer(Answer(body=document))
        found = examine(server.url, "--issuer", issuer)
        assert ("GET", f"/.well-known/oauth-authorization-server{path}") == (
            server.requests[0].method,
            server.requests[0].target,
        )
        return next(each for each in found if each["step"] == "metadata")

    @pytest.mark.parametrize("path", ["", "/tenant"])
    def test_what_agrees_is_fine(self, path: str, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """RFC8414-3-1, RFC8414-3.1: the well-known part goes between the host and the issuer's path."""
        grants = {"grant_types_supported": ["client_credentials"]}
        methods = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        assert "ok" == self.run(ward, examine, {**grants, **methods}, path)["status"]

    @pytest.mark.parametrize(
        ("status", "words", "changes"),
        [
            ("bad", "another issuer", {"issuer": "https://localhost/"}),
            ("bad", "another issuer", {"issuer": None}),
            (
                "bad",
                "its token_endpoint is https://other.example/t",
                {"token_endpoint": "https://other.example/t?a"},
            ),
            ("bad", "its token_endpoint is another, which cannot be shown", {"token_endpoint": None}),
            ("warn", "grant_types_supported does not name client_credentials", {"grant_types_supported": ["implicit"]}),
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
        """RFC8414-3.3: the issuer code point by code point; and the endpoint, the grant and the authentication."""
        found = self.run(ward, examine, changes)
        assert (status, True) == (found["status"], words in found["seen"])

    @pytest.mark.parametrize("change", ["{}/".format, str.upper], ids=["slash", "case"])
    def test_the_issuer_is_compared_as_it_is(
        self, change: Callable[[str], str], ward: Ward, examine: Callable[..., list[Finding]]
    ) -> None:
        """RFC8414-4: code point by code point, without any normalisation."""
        server = ward.stack.enter_context(TokenServer(*CLIENT, ssl_context=endpoints.context_for("localhost")))
        issuer = server.url.removesuffix("/api/token")
        server.answer(Answer(body={"issuer": change(issuer), "token_endpoint": server.url}))
        found = first_complaint(examine(server.url, "--issuer", issuer))
        assert ("metadata", "the document names another issuer") == (found["step"], found["seen"])

    def test_no_metadata_is_a_warning(self, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """RFC8414-3.2: many servers publish none, and grant tokens all the same."""
        server = ward.stack.enter_context(TokenServer(*CLIENT, ssl_context=endpoints.context_for("localhost")))
        server.answer(Answer(status=404, body=b""))
        found = first_complaint(examine(server.url, "--issuer", server.url))
        assert ("metadata", "warn") == (found["step"], found["status"])

    @pytest.mark.parametrize("issuer", ["http://localhost/", "https://localhost/?a", "https://localhost/#a", "x"])
    def test_what_is_no_issuer_is_said(self, issuer: str, ward: Ward, examine: Callable[..., list[Finding]]) -> None:
        """RFC8414-2-1: an https URL without query and fragment."""
        found = first_complaint(examine(ward.server(), "--issuer", issuer))
        assert ("metadata", "bad") == (found["step"], found["status"])


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


def test_a_proxy_that_wants_a_password_is_told_from_one_that_forbids(
    ward: Ward, examine: Callable[..., list[Finding]]
) -> None:
    """The first is a matter of HTTPS_PROXY, the second of the proxy's operator."""
    advice = [first_complaint(examine(through(ward, endpoints.tunnels(status))))["advice"] for status in (407, 403)]
    assert ["give user and password in HTTPS_PROXY", "have the proxy allow this host"] == advice


def test_no_client_is_a_usage_error(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a client the doctor does nothing."""
    monkeypatch.delenv("SPOTIFY_CLIENT_ID")
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", "--token-url", ward.server()])
    assert 2 == exit_.value.code

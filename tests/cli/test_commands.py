"""What the commands print, what they ask the server for, and what they say where there is no token."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import ssl
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from client_credentials import (
    AccessToken,
    ClientCredentialsStrategy,
    FileCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
)
from client_credentials._cli.commands import is_ending
from client_credentials._cli.main import main
from client_credentials._core.request import VERSION
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.cli.kit import UsageErrorOf
from tests.http.loopback import CLIENT
from tests.http.peers import CLOSED_PORT, authority, server_context, within

Captured: TypeAlias = pytest.CaptureFixture[str]
TOKEN = "the-token-0123456789"
GIVEN = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 1800, "scope": "a b"}
GET = ("token", "header", "inspect")


@pytest.mark.usefixtures("somebody")
class TestOutput:
    """What comes when there is a token."""

    @pytest.fixture(autouse=True)
    def given(self, server: TokenServer) -> None:
        """Let the server give always the same."""
        server.always(Answer(body=GIVEN))

    @pytest.mark.parametrize(("command", "line"), [("token", TOKEN), ("header", f"Authorization: Bearer {TOKEN}")])
    def test_a_line_and_not_another_word(self, command: str, line: str, server: TokenServer, capsys: Captured) -> None:
        """The token, or the line as curl's -H takes it."""
        assert 0 == main([command, "--token-url", server.url])
        assert (f"{line}\n", "") == capsys.readouterr()

    @pytest.mark.parametrize(("answer", "scope"), [(Answer(body=GIVEN), "a b"), (None, "not stated")])
    def test_inspect_tells_everything_but_the_token(
        self, answer: Answer | None, scope: str, server: TokenServer, capsys: Captured
    ) -> None:
        """Type, lifetime, scope and source, without the query of the URL; of the token no more than its length."""
        server.always(answer)
        assert 0 == main(["inspect", "--token-url", f"{server.url}?key=hunter-2"])
        out, err = capsys.readouterr()
        rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines())
        assert re.fullmatch(r"\d+ s, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", rows.pop("lifetime"))
        assert re.fullmatch(r"\*{10} \(2[04] characters\)", rows.pop("token"))
        assert ({"type": "Bearer", "scope": scope, "source": server.url}, "") == (rows, err)

    @pytest.mark.parametrize("command", GET)
    def test_json_prints_one_object(self, command: str, server: TokenServer, capsys: Captured) -> None:
        """The same as data, under the names of RFC 6749; `expires` in milliseconds since the epoch."""
        assert 0 == main([command, "--json", "--token-url", server.url])
        document = json.loads(capsys.readouterr().out)
        token = {**GIVEN, "expires": document.get("expires")}
        shown = {"access_token": "********** (20 characters)", "source": server.url}
        expected = {"token": token, "header": {"Authorization": f"Bearer {TOKEN}"}, "inspect": {**token, **shown}}
        assert expected[command] == document

    def test_a_cache_spares_the_next_call_its_request(
        self, server: TokenServer, tmp_path: Path, capsys: Captured
    ) -> None:
        """With --cache the second call asks nobody, and says so."""
        for source in (server.url, "the cache"):
            assert 0 == main(["inspect", "--json", "--cache", str(tmp_path), "--token-url", server.url])
            assert source == json.loads(capsys.readouterr().out)["source"]
        assert 1 == len(server.requests)

    def test_remarks_go_to_stderr(self, server: TokenServer, tmp_path: Path, capsys: Captured) -> None:
        """What is odd but no error is said beside the token, once: about the answer, or a cache that is of no use."""
        tmp_path.chmod(0o777)
        server.always(Answer(body={"access_token": TOKEN}))
        for options, words in (([], "token_type"), (["--cache", str(tmp_path)], "failed with UnsafeDirectory")):
            assert 0 == main(["token", "--token-url", server.url, *options])
            out, err = capsys.readouterr()
            assert (f"{TOKEN}\n", [1]) == (out, [line.count(words) for line in err.splitlines() if words in line])

    def test_a_host_program_is_left_as_it_was(self, server: TokenServer) -> None:
        """Called as a function it leaves the logger as it was."""
        before = list(logging.getLogger("client_credentials").handlers)
        assert 0 == main(["token", "--token-url", server.url])
        assert before == logging.getLogger("client_credentials").handlers


@pytest.mark.usefixtures("somebody")
class TestIssuer:
    """--issuer in place of --token-url."""

    def test_its_endpoint_is_asked(self, server: TokenServer, capsys: Captured) -> None:
        """The metadata name the endpoint; the doctor says which one."""
        issuer = server.url.removesuffix("/api/token")
        for command in ("token", "doctor"):
            server.answer(Answer(body={"issuer": issuer, "token_endpoint": server.url}))
            assert 0 == main([command, "--issuer", issuer])
        assert f"the token endpoint is {server.url}" in capsys.readouterr().out
        assert ["GET", "POST"] * 2 == [request.method for request in server.requests]

    @pytest.mark.parametrize("command", ["token", "doctor"])
    def test_without_metadata(self, command: str, server: TokenServer, capsys: Captured) -> None:
        """The error names the options."""
        server.always(Answer(status=404, body=b""))
        assert 1 == main([command, "--issuer", server.url])
        said = "".join(capsys.readouterr())
        assert re.search(r"no server metadata at .*: status 404(; |\s+-> )check --issuer, or give --token-url\n$", said)
        assert {"GET"} == {request.method for request in server.requests}

    def test_what_is_no_usage(self, usage_error: UsageErrorOf) -> None:
        """RFC8414-2-1: a wrong issuer is a usage error, and so are two places to ask, except for the doctor."""
        url = "https://a.example"
        for command in ("token", "doctor"):
            for issuer in ("http://login.example", f"{url}/?a", f"{url}/#a", "x"):
                assert "error: argument --issuer: must " in usage_error(command, "--issuer", issuer)
        assert "combined with --token-url" in usage_error("token", "--issuer", url, "--token-url", f"{url}/t")


@pytest.mark.usefixtures("somebody")
class TestRequest:
    """What the options make of the token request."""

    def test_everything_asked_for_is_asked_for(self, server: TokenServer) -> None:
        """Scopes may come in one word or several; audience and resources go along; the client is in the body."""
        options = "--scope|a|--scope|b c|--audience|me|--resource|urn:x|--resource|urn:y|--param|x=1=2|--param|y=z"
        words = [*options.split("|"), "--header", "X-Tenant=a=b", "--auth", "post"]
        assert 0 == main(["token", "--token-url", server.url, *words])
        assert {
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT[0]),
            ("client_secret", CLIENT[1]),
            ("scope", "a b c"),
            ("audience", "me"),
            ("resource", "urn:x"),
            ("resource", "urn:y"),
            ("x", "1=2"),
            ("y", "z"),
        } == set(server.requests[0].form)
        assert "a=b" == server.requests[0].headers["x-tenant"]

    @pytest.mark.parametrize("auth", ["basic", "basic-raw"])
    def test_basic_is_in_the_header(self, auth: str, server: TokenServer) -> None:
        """Both kinds of Basic leave the body to the grant."""
        assert 0 == main(["token", "--token-url", server.url, "--auth", auth])
        request = server.requests[0]
        assert ([("grant_type", "client_credentials")], True) == (request.form, "authorization" in request.headers)

    def test_an_assertion_comes_from_a_file(self, server: TokenServer, tmp_path: Path) -> None:
        """RFC 7523 section 2.2: the assertion goes in place of the secret; --assertion-file says both."""
        server.always(Answer(body=GIVEN))
        (tmp_path / "assertion").write_text("header.claims.signature\n")
        file = str(tmp_path / "assertion")
        for options in (["--assertion-file", file], ["--auth", "assertion", "--secret-file", file]):
            assert 0 == main(["token", "--token-url", server.url, *options])
            form = dict(server.requests[-1].form)
            assert ("header.claims.signature", None) == (form["client_assertion"], form.get("client_secret"))

    def test_a_certificate_takes_the_place_of_a_secret(self, nobody: Path, tmp_path: Path, capsys: Captured) -> None:
        """RFC 8705 section 2: with --auth tls the client shows its certificate, and no secret is asked for."""
        mine = authority().issue_cert("my-client").private_key_and_cert_chain_pem
        mine.write_to_path(str(tmp_path / "client.pem"))
        context = server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(nobody / "ca.pem")
        with TokenServer(*CLIENT, ssl_context=context) as server:
            server.always(Answer(body=GIVEN))
            options = ["--client-id", CLIENT[0], "--auth", "tls", "--client-cert", str(tmp_path / "client.pem")]
            for command in ("token", "doctor"):
                assert 0 == main([command, "--token-url", server.url, *options])
                assert [("grant_type", "client_credentials"), ("client_id", CLIENT[0])] == server.requests[-1].form
            assert 1 == main(["doctor", "--token-url", server.url, *options[:4]])
        assert "\nbad   answer    " in capsys.readouterr().out

    def test_any_client_may_be_in_the_environment(self, server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The generic names name client and endpoint, before Spotify's; an option outranks them."""
        monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "another")
        for name, value in (("ID", CLIENT[0]), ("SECRET", CLIENT[1]), ("TOKEN_URL", server.url)):
            monkeypatch.setenv(f"CLIENT_CREDENTIALS_{name}", value)
        assert 0 == main(["token"])
        assert 1 == main(["token", "--client-id", "other"])
        assert [CLIENT[0], "other"] == [request.client_id for request in server.requests]

    def test_two_clients_of_the_environment_are_never_mixed(
        self, monkeypatch: pytest.MonkeyPatch, usage_error: UsageErrorOf
    ) -> None:
        """Half a client under the generic names is not completed by Spotify's secret, which is for Spotify."""
        monkeypatch.setenv("CLIENT_CREDENTIALS_ID", CLIENT[0])
        assert "the client secret: set CLIENT_CREDENTIALS_SECRET" in usage_error("token")

    @pytest.mark.parametrize(("start", "end"), [("", ""), ("", "\n"), ("\ufeff", "\r\n")])
    def test_a_secret_file_outranks_the_environment(
        self, start: str, end: str, server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The secret of the file counts, less the end of its line and what Windows may put before it."""
        monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "another")
        (tmp_path / "secret").write_text(start + CLIENT[1] + end, "utf-8", newline="")
        assert 0 == main(["token", "--token-url", server.url, "--secret-file", str(tmp_path / "secret")])


class TestUsage:
    """What is refused before anything is sent."""

    @pytest.mark.parametrize(
        ("complaint", "options"),
        [
            ("--client-id must not contain control characters", ["--client-id", "\n"]),
            ("--client-id must not contain a colon", ["--client-id", "a:b", "--auth", "basic-raw"]),
            ("--token-url must be https", ["--token-url", "http://example.com/token"]),
            ("--scope must be words", ["--scope", 'a"b']),
            ("--param must not contain scope: use --scope", ["--param", "scope=a"]),
            ("--param must not contain client_assertion: use --assertion-file", ["--param", "client_assertion=a"]),
            ("--header must not contain Authorization: use --auth", ["--header", "Authorization=hunter-2"]),
            ("--param must not contain client_secret: use --secret-file or", ["--param", "client_secret=hunter-2"]),
            (
                "--token-url must not contain client_id in its query: use --client-id",
                ["--token-url", "https://a.example/?client_id=a"],
            ),
            (
                "--param must not contain resources: it is in the query of --token-url already",
                ["--param", "resources=a", "--token-url", "https://a.example/?resources=a"],
            ),
            ("--resource must be absolute URIs", ["--resource", "here"]),
            ("--audience must not contain control characters", ["--audience", "\x07"]),
            ("argument --timeout: must be more than 0 seconds", ["--timeout", "0"]),
            ("argument --timeout: must be a number from 0 to", ["--timeout", "nan"]),
            ("argument --timeout: must be a number from 0 to", ["--timeout", "soon"]),
            ("--auth: invalid choice: must be one of basic, basic-raw, post, assertion, tls", ["--auth", "none"]),
            ("argument --cache: must be a path", ["--cache", ""]),
            ("argument --min-lifetime: must be a number from 0 to", ["--min-lifetime", "-1"]),
            ("argument --min-lifetime: must be a number from 0 to", ["--min-lifetime", "2e9"]),
            ("argument --cache: Could not determine home directory", ["--cache=~no-such-user/x"]),
            ("--param must be NAME=VALUE", ["--param", "name"]),
            ("--param must be NAME=VALUE", ["--param", "=value"]),
            ("--param must give each name once", ["--param", "a=b", "--param", "a=c"]),
            ("--header must be NAME=VALUE", ["--header", "name"]),
            ("--client-cert: No such file", ["--auth", "tls", "--client-cert", "none.pem"]),
            ("--client-cert: must be a PEM file", ["--auth", "tls", "--client-cert", os.devnull]),
            ("not allowed with", ["--secret-file", "x", "--secret-stdin"]),
            ("--auth tls: must not be combined with --secret-file", ["--auth", "tls", "--secret-file", "x"]),
            ("--auth tls: must not be combined with --secret-file", ["--auth", "tls", "--secret-stdin"]),
            ("--assertion-file: must not be combined", ["--auth", "post", "--assertion-file", "x"]),
            ("--assertion-file: No such file", ["--assertion-file", "/x: y"]),
            ("unknown option -v", ["-v"]),
            ("unknown option --verbose", ["--verbose"]),
            ("unknown option --client-secret; a secret is never an argument", ["--client-secret", "x"]),
            ("unknown option --secret-fi; a secret is never an argument", ["--secret-fi", "x"]),
        ],
    )
    @pytest.mark.usefixtures("somebody")
    def test_a_bad_option_is_named(self, complaint: str, options: list[str], usage_error: UsageErrorOf) -> None:
        """Exit status 2, and the option that is to be changed."""
        line = usage_error("token", *options)
        assert "error: " in line
        assert complaint in line

    def test_a_missing_client_names_the_options(
        self, monkeypatch: pytest.MonkeyPatch, usage_error: UsageErrorOf
    ) -> None:
        """Without a client, and then without its secret, the ways to give them are named; the doctor says the same."""
        names = "CLIENT_CREDENTIALS_SECRET or SPOTIFY_CLIENT_SECRET"
        assert f"the client secret: set {names}, or use --secret-file or --secret-stdin" in usage_error("token")
        monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", CLIENT[1])
        for command in ("token", "doctor"):
            line = usage_error(command)
            assert "--client-id must be given, or CLIENT_CREDENTIALS_ID or SPOTIFY_CLIENT_ID set" in line

    @pytest.mark.parametrize(
        "words",
        [
            "token --client-secret=hunter-2",
            "token --client-secret hunter-2",
            "token --secret=hunter-2",
            "token hunter-2",
            "token -shunter-2",
            "token --hunter-2",
            "token -hunter-2",
            "token --secret-stdin=hunter-2",
            "token --json='hunter-2",
            "token --auth hunter-2",
            "token --timeout hunter-2",
            "token --secret-file hunter-2",
            "token --param hunter-2",
            "token --param client_secret=hunter-2",
            "token --header hunter-2",
            "token --header Authorization=hunter-2",
            "token --client-cert hunter-2",
            "token --cache=~hunter-2/x",
            "token --token-url https://user:hunter-2@host.example/",
            "--client-secret hunter-2 token",
            "--client-secret=hunter-2 token",
            "hunter-2",
            "demo hunter-2",
            "doctor --client-secret hunter-2",
            "drill hunter-2",
            "drill hunter:2",
        ],
    )
    @pytest.mark.usefixtures("somebody")
    def test_a_value_is_never_repeated(self, words: str, usage_error: UsageErrorOf) -> None:
        """A secret that was passed as an argument by mistake does not get into a log by way of the error."""
        assert "hunter" not in usage_error(*words.split()).partition("error: ")[2]

    @pytest.mark.usefixtures("somebody")
    def test_the_usage_is_that_of_the_command(self, capsys: Captured) -> None:
        """What is wrong with the options of a command is told below that command's usage."""
        for options in (["--nope"], ["--scope", 'a"b'], ["--timeout", "soon"], ["--secret-file", ""]):
            with pytest.raises(SystemExit):
                main(["header", *options])
            err = capsys.readouterr().err
            assert err.startswith("usage: client-credentials header [-h]")
            assert "\nclient-credentials header: error: " in err

    def test_a_command_comes_first(self, usage_error: UsageErrorOf) -> None:
        """Whoever puts options before it is told so, and which commands there are; nothing is done by default."""
        line = usage_error("--token-url", "https://issuer.example/", "token")
        assert "must be one of token, header, inspect, doctor, drill, simulate, demo; options come after it" in line
        assert "COMMAND" in usage_error()

    @pytest.mark.parametrize("content", [None, b"secret-\xff", b"", b"a\nb"], ids=["none", "latin", "empty", "two"])
    def test_an_unfit_secret_file_is_refused(
        self, content: bytes | None, tmp_path: Path, usage_error: UsageErrorOf
    ) -> None:
        """A file that is not there, not text, empty, or more than one line; what is in it is not quoted."""
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        line = usage_error("token", "--client-id", CLIENT[0], "--secret-file", str(path))
        assert "error: the client secret" in line
        assert "xff" not in line

    def test_an_unfit_assertion_file_is_refused(self, tmp_path: Path, usage_error: UsageErrorOf) -> None:
        """As the library refuses it; neither the path nor what is in it is quoted."""
        (tmp_path / "hunter").write_text("hunter 2")
        line = usage_error("token", "--client-id", CLIENT[0], "--assertion-file", str(tmp_path / "hunter"))
        assert line.endswith("error: --assertion-file: the assertion in it is not one word of visible ASCII")

    @pytest.mark.parametrize("command", ["token", "doctor"])
    @pytest.mark.parametrize("options", [["--timeout", "-5"], ["--scope", 'a"b'], ["--param", "x"]])
    @pytest.mark.usefixtures("somebody")
    def test_nothing_is_sent_before(
        self, command: str, options: list[str], server: TokenServer, usage_error: UsageErrorOf
    ) -> None:
        """An issuer is not asked either."""
        usage_error(command, "--issuer", server.url, *options)
        assert [] == server.requests

    @pytest.mark.parametrize("command", [*GET, "doctor", "drill", "simulate", "demo", ""])
    def test_help_is_a_success(self, command: str, capsys: Captured) -> None:
        """Asked for, help goes to the standard output, and so does the version."""
        for option, words in (
            ("--help", "usage: client-credentials"),
            ("--version", f"client-credentials {VERSION}\n"),
        ):
            with pytest.raises(SystemExit) as exit_:
                main([*command.split(), option] if option == "--help" else [option])
            out, err = capsys.readouterr()
            assert (0, "", True) == (exit_.value.code, err, out.startswith(words))

    def test_the_script_is_this_function(self) -> None:
        """What is installed, and what `python -m client_credentials` runs, is what is tested here."""
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
        module, _, name = project["scripts"]["client-credentials"].partition(":")
        assert main is getattr(importlib.import_module(module), name)
        assert main is importlib.import_module("client_credentials.__main__").main


CREDENTIALS = "check the client id and the secret, or try another --auth"
NO_ENDPOINT = "check --token-url: is it the token endpoint?"
DIALECT = "the endpoint answers in its own way: use the library with a deserializer or a fetch for it"
NETWORK = "check --token-url, the network and the proxy, or allow more --timeout"


@pytest.mark.usefixtures("somebody")
class TestErrors:
    """What is said where there is no token."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Retry without much of a pause."""
        monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)

    @pytest.mark.parametrize(
        ("advice", "answer"),
        [
            (CREDENTIALS, refusal("invalid_client", "No\nsuch client")),
            (CREDENTIALS, Answer(status=401, body=b"<html>")),
            ("have the server allow this client the client_credentials grant", refusal("unauthorized_client")),
            ("check --token-url: the server does not offer this grant there", refusal("unsupported_grant_type")),
            ("check --scope", refusal("invalid_scope")),
            ("check --resource and --audience", refusal("invalid_target")),
            ("check what is asked for: --scope, --audience, --resource, --param", refusal("invalid_request")),
            (NO_ENDPOINT, Answer(status=404, body=b"")),
            (NO_ENDPOINT, Answer(body=b"<html>hello</html>")),
            (DIALECT, Answer(body={"access_token": "a", "token_type": "mac"})),
            (DIALECT, Answer(body={"data": {"access_token": "a"}})),
            (DIALECT, Answer(body=b"access_token=a&token_type=bearer")),
            (DIALECT, Answer(headers={"Content-Encoding": "gzip"}, body=b"x")),
            ("set --token-url to the endpoint itself: redirects are not followed", Answer(status=302)),
            ("try again in 7 s", Answer(status=429, headers={"Retry-After": "7"})),
            ("try again in 7 s", Answer(status=503, headers={"Retry-After": "7"})),
            ("try again in [1-4] s", Answer(status=503)),  # which says no when
            (NETWORK, Answer(raw=b"")),
            (NETWORK, Answer(delay=30)),
        ],
    )
    def test_what_to_change(self, advice: str, answer: Answer, server: TokenServer, capsys: Captured) -> None:
        """Exit status 1, nothing on the standard output, and one line with what happened and what to do."""
        server.always(answer)
        assert 1 == main(["token", "--token-url", server.url, "--timeout", "0.3" if answer.delay else "10"])
        out, err = capsys.readouterr()
        assert ("", 1) == (out, err.count("\n"))
        assert re.fullmatch(rf"client-credentials: .+; {advice.replace('?', '[?]')}\n", err)

    @pytest.mark.parametrize("command", ["header", "inspect", "header --json", "inspect --json"])
    def test_every_command_says_it_alike(self, command: str, server: TokenServer, capsys: Captured) -> None:
        """An error is a line of text on the standard error, whatever was to be printed."""
        server.always(refusal("invalid_scope"))
        assert 1 == main([*command.split(), "--token-url", server.url])
        out, err = capsys.readouterr()
        assert "" == out
        assert re.fullmatch(r"client-credentials: .*\(invalid_scope\); check --scope\n", err)

    def test_nobody_there(self, server: TokenServer, capsys: Captured) -> None:
        """Waiting gives no TLS: the URL or the certificate is wrong; a connection that is refused is the network."""
        tls = "check --token-url, its certificate, the proxy, and the clock of this machine"
        urls = {server.url.replace("http:", "https:"): tls, f"http://127.0.0.1:{CLOSED_PORT}/": NETWORK}
        for url, advice in urls.items():
            assert 1 == main(["token", "--token-url", url])
            assert capsys.readouterr().err.endswith(f"; {advice}\n")


@pytest.mark.usefixtures("somebody")
class TestRenewal:
    """A cached token that is about to expire: this process ends with its command, so it waits for the renewal."""

    @pytest.fixture
    def held(self, server: TokenServer, tmp_path: Path) -> str:
        """A token with a hundred seconds left, which an earlier call has put into the cache."""

        class OldCache(FileCachingStrategy):
            """A cache in which everything has been for a while."""

            def set(self, key: str, value: str, ttl: float) -> None:
                super().set(key, value, ttl - 3500)

        strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
        clock = FakeClock(time.time() - 3500)
        strategy.set_configuration(SdkConfiguration(clock=clock, caching_strategy=OldCache(tmp_path / "cache")))
        return strategy.get_or_create_access_token().access_token

    @pytest.fixture
    def run(self, server: TokenServer, tmp_path: Path, capsys: Captured) -> Callable[..., tuple[str, int]]:
        """A function that prints a token with that cache; gives the token, and how many lines were said beside it."""
        words = ["token", "--cache", str(tmp_path / "cache"), "--token-url", server.url]

        def run(*options: str) -> tuple[str, int]:
            assert 0 == main([*words, *options])
            out, err = capsys.readouterr()
            return out.strip(), err.count("\n")

        return run

    def test_the_new_token_is_printed_and_kept(
        self, held: str, server: TokenServer, run: Callable[..., tuple[str, int]]
    ) -> None:
        """One request, whose token is the one that is printed, now and by the next call."""
        printed = [run(), run()]
        assert [(server.issued[1], 0)] * 2 == printed
        assert held != server.issued[1]
        assert 2 == len(server.requests)

    @pytest.mark.parametrize(("least", "requests"), [("0", 1), ("50", 1), ("150", 2)])
    @pytest.mark.usefixtures("held")
    def test_the_least_that_is_left_may_be_asked_for(
        self, least: str, requests: int, server: TokenServer, run: Callable[..., tuple[str, int]]
    ) -> None:
        """--min-lifetime: the token with a hundred seconds left is printed if that suffices, else renewed first."""
        printed, _ = run("--min-lifetime", least)
        assert (requests, server.issued[-1]) == (len(server.requests), printed)

    def test_a_renewal_that_fails_leaves_the_held_token(
        self, held: str, server: TokenServer, run: Callable[..., tuple[str, int]]
    ) -> None:
        """The token is good, so it is printed, and the failure beside it; the next call respects the backoff."""
        server.always(refusal("invalid_client"))
        assert [(held, 1), (held, 0)] == [run(), run()]
        assert 2 == len(server.requests)

    def test_an_endpoint_that_hangs_leaves_the_held_token(
        self, held: str, server: TokenServer, run: Callable[..., tuple[str, int]]
    ) -> None:
        """The wait ends with --timeout."""
        server.always(Answer(delay=60))
        with within(1.0):
            assert held == run("--timeout", "0.5")[0]


@pytest.mark.parametrize(
    ("window", "lifetime", "extra"),
    [
        (300, 3600, {}),
        (10, 20, {}),
        (1800, 3600, {"refresh_in": 1800}),
        (1800, 3600, {"refresh_in": "1800"}),
        (300, 3600, {"refresh_in": 3600}),
        (300, 3600, {"refresh_in": "soon"}),
    ],
)
def test_the_renewal_window(window: int, lifetime: int, extra: dict[str, object]) -> None:
    """Five minutes or half of the life before the end; or where the server's refresh_in says, within the life."""
    token = AccessToken("a", "Bearer", lifetime, lifetime * 1000, extra=extra)
    at = [lifetime - window - 1, lifetime - window, lifetime]
    policy = RenewalPolicy(renew_ahead=300, jitter=0)
    assert [False, True, True] == [is_ending(token, now, policy) for now in at]

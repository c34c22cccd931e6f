"""What the commands print, what they ask the server for, and what they say where there is no token."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from client_credentials import ClientCredentialsStrategy
from client_credentials._cli import demo
from client_credentials._cli.main import main
from client_credentials.testing import Answer, TokenServer, refusal
from tests.cli.kit import CLIENT

Captured: TypeAlias = pytest.CaptureFixture[str]
GIVEN = {"access_token": "the-token-0123456789", "token_type": "Bearer", "expires_in": 1800, "scope": "a b"}
GET = ("token", "header", "inspect")


@pytest.fixture
def usage_error(capsys: Captured) -> Callable[..., str]:
    """Give a function that runs a command that must be refused, and gives the last line of what it is told."""

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            main(argv)
        out, err = capsys.readouterr()
        assert (2, "") == (exit_.value.code, out)
        return err.splitlines()[-1]

    return run


class TestOutput:
    """What comes when there is a token."""

    @pytest.fixture(autouse=True)
    def given(self, server: TokenServer, somebody: None) -> None:
        """Let the server give always the same."""
        server.always(Answer(body=GIVEN))

    def test_token_prints_the_token(self, server: TokenServer, capsys: Captured) -> None:
        """The token on a line, and not another word."""
        assert 0 == main(["token", "--token-url", server.url])
        assert ("the-token-0123456789\n", "") == capsys.readouterr()

    def test_header_prints_the_header(self, server: TokenServer, capsys: Captured) -> None:
        """The line as curl's -H takes it."""
        assert 0 == main(["header", "--token-url", server.url])
        assert ("Authorization: Bearer the-token-0123456789\n", "") == capsys.readouterr()

    def test_inspect_tells_everything_but_the_token(self, server: TokenServer, capsys: Captured) -> None:
        """Type, lifetime, scope and source; of the token no more than its length."""
        assert 0 == main(["inspect", "--token-url", server.url])
        out, err = capsys.readouterr()
        rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines())
        assert re.fullmatch(r"1800 s, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", rows.pop("lifetime"))
        expected = {"token": "********** (20 characters)", "type": "Bearer", "scope": "a b", "source": server.url}
        assert (expected, "") == (rows, err)

    def test_inspect_says_when_no_scope_was_told(self, server: TokenServer, capsys: Captured) -> None:
        """A token whose scope nobody named has one all the same: it is only not known."""
        server.always(None)
        assert 0 == main(["inspect", "--token-url", server.url])
        assert re.search("^scope +not told$", capsys.readouterr().out, re.MULTILINE)

    @pytest.mark.parametrize("command", GET)
    def test_json_prints_one_object(self, command: str, server: TokenServer, capsys: Captured) -> None:
        """The same as data, under the names of RFC 6749; `expires` in milliseconds since the epoch."""
        assert 0 == main([command, "--json", "--token-url", server.url])
        document = json.loads(capsys.readouterr().out)
        token = {**GIVEN, "expires": document.get("expires")}
        shown = {"access_token": "********** (20 characters)", "source": server.url}
        expected = {
            "token": token,
            "header": {"Authorization": "Bearer the-token-0123456789"},
            "inspect": {**token, **shown},
        }
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
        """What is odd but no error is said beside the token: a cache that cannot be used, say."""
        tmp_path.chmod(0o777)
        assert 0 == main(["token", "--cache", str(tmp_path), "--token-url", server.url])
        out, err = capsys.readouterr()
        assert ("the-token-0123456789\n", 1) == (out, err.count("\n"))
        assert "FileCachingStrategy failed" in err

    def test_a_host_program_is_left_as_it_was(self, server: TokenServer, tmp_path: Path, capsys: Captured) -> None:
        """Called as a function it closes no standard input that it read, and leaves no handler at the logger."""
        (tmp_path / "secret").write_text(CLIENT[1])
        kept = os.dup(0)
        try:
            with (tmp_path / "secret").open("rb") as secret:
                os.dup2(secret.fileno(), 0)
            assert 0 == main(["token", "--secret-stdin", "--token-url", server.url])
            assert len(CLIENT[1]) == os.lseek(0, 0, os.SEEK_CUR)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
        assert [] == logging.getLogger("client_credentials").handlers


class TestRequest:
    """What the options make of the token request."""

    def test_everything_asked_for_is_asked_for(self, server: TokenServer, somebody: None) -> None:
        """Scopes may come in one word or several; audience and resources go along; the client is in the body."""
        options = "--scope a|--scope|b c|--audience|me|--resource|urn:x|--resource|urn:y|--auth|post".replace(
            " a", "|a"
        )
        assert 0 == main(["token", "--token-url", server.url, *options.split("|")])
        assert {
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT[0]),
            ("client_secret", CLIENT[1]),
            ("scope", "a b c"),
            ("audience", "me"),
            ("resource", "urn:x"),
            ("resource", "urn:y"),
        } == set(server.requests[0].form)

    @pytest.mark.parametrize("auth", ["basic", "basic-raw"])
    def test_basic_is_in_the_header(self, auth: str, server: TokenServer, somebody: None) -> None:
        """Both kinds of Basic leave the body to the grant."""
        assert 0 == main(["token", "--token-url", server.url, "--auth", auth])
        request = server.requests[0]
        assert ([("grant_type", "client_credentials")], True) == (request.form, "authorization" in request.headers)

    def test_a_client_id_by_option_outranks_the_environment(self, server: TokenServer, somebody: None) -> None:
        """What is typed counts."""
        assert 1 == main(["token", "--token-url", server.url, "--client-id", "other"])
        assert "other" == server.requests[0].client_id

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_secret_file_outranks_the_environment(
        self, end: str, server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The secret of the file counts, less the end of its line."""
        monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "another")
        (tmp_path / "secret").write_text(CLIENT[1] + end, newline="")
        arguments = ["--client-id", CLIENT[0], "--secret-file", str(tmp_path / "secret")]
        assert 0 == main(["token", "--token-url", server.url, *arguments])


class TestUsage:
    """What is refused before anything is sent."""

    @pytest.mark.parametrize(
        ("complaint", "options"),
        [
            ("--client-id must not hold control characters", ["--client-id", "\n"]),
            ("--client-id must not hold a colon", ["--client-id", "a:b", "--auth", "basic-raw"]),
            ("--token-url must be https", ["--token-url", "http://example.com/token"]),
            ("--scope must be words", ["--scope", 'a"b']),
            ("--resource must be absolute URIs", ["--resource", "here"]),
            ("--audience must not hold control characters", ["--audience", "\x07"]),
            ("--timeout: must be more than 0 seconds", ["--timeout", "0"]),
            ("--timeout: a number", ["--timeout", "nan"]),
            ("argument --timeout: invalid float value: 'soon'", ["--timeout", "soon"]),
            ("argument --auth: invalid choice: 'none'", ["--auth", "none"]),
            ("--cache: a path is needed", ["--cache", ""]),
            ("--client-secret; a secret is never an argument", ["--client-secret", "x"]),
            ("--secret-fi; a secret is never an argument", ["--secret-fi", "x"]),
        ],
    )
    def test_a_bad_option_is_named(
        self, complaint: str, options: list[str], somebody: None, usage_error: Callable[..., str]
    ) -> None:
        """Exit status 2, and the option that is to be mended."""
        line = usage_error("token", *options)
        assert "error: " in line
        assert complaint in line

    def test_nobody_is_told_how_to_be_somebody(
        self, monkeypatch: pytest.MonkeyPatch, usage_error: Callable[..., str]
    ) -> None:
        """Without a client, and then without its secret, the ways to give them are named."""
        line = usage_error("token")
        assert "--client-id: give it, or set SPOTIFY_CLIENT_ID" in line
        monkeypatch.setenv("SPOTIFY_CLIENT_ID", CLIENT[0])
        line = usage_error("token")
        assert "the client secret: set SPOTIFY_CLIENT_SECRET, or use --secret-file, --secret-stdin" in line

    @pytest.mark.parametrize("word", ["--client-secret=hunter-2", "--secret=hunter-2", "hunter-2", "-shunter-2"])
    def test_a_secret_by_argument_is_not_repeated(
        self, word: str, somebody: None, usage_error: Callable[..., str]
    ) -> None:
        """A secret that somebody tried to pass as an argument does not get into a log by way of the error."""
        assert "hunter" not in usage_error("token", word)

    @pytest.mark.parametrize("content", [None, b"secret-\xff", b"", b"a\nb"], ids=["none", "latin", "empty", "two"])
    def test_an_unfit_secret_file_is_refused(
        self, content: bytes | None, tmp_path: Path, usage_error: Callable[..., str]
    ) -> None:
        """A file that is not there, not text, empty, or more than one line; what is in it is not quoted."""
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        line = usage_error("token", "--client-id", CLIENT[0], "--secret-file", str(path))
        assert "error: the client secret" in line
        assert "xff" not in line

    def test_two_secrets_are_one_too_many(self, usage_error: Callable[..., str]) -> None:
        """A file and the standard input exclude each other."""
        assert "not allowed with" in usage_error("token", "--secret-file", "x", "--secret-stdin")

    def test_a_command_is_needed(self, usage_error: Callable[..., str]) -> None:
        """Nothing is done by default."""
        assert "COMMAND" in usage_error()

    @pytest.mark.parametrize("command", [*GET, "demo", None])
    def test_help_is_a_success(self, command: str | None, capsys: Captured) -> None:
        """Asked for, help goes to the standard output."""
        with pytest.raises(SystemExit) as exit_:
            main(["--help"] if command is None else [command, "--help"])
        out, err = capsys.readouterr()
        assert (0, "", "usage: client-credentials") == (exit_.value.code, err, out[:25])

    def test_the_script_is_this_function(self) -> None:
        """What is installed as `client-credentials` is what is tested here."""
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
        module, _, name = project["scripts"]["client-credentials"].partition(":")
        assert main is getattr(importlib.import_module(module), name)


class TestErrors:
    """What is said where there is no token."""

    @pytest.mark.parametrize(
        ("mend", "answer"),
        [
            ("check the client id and the secret, or try another --auth", refusal("invalid_client", "No\nsuch client")),
            ("check the client id and the secret, or try another --auth", Answer(status=401, body=b"<html>")),
            ("have the server allow this client the client_credentials grant", refusal("unauthorized_client")),
            ("check --token-url: what is there does not know this grant", refusal("unsupported_grant_type")),
            ("check --scope", refusal("invalid_scope")),
            ("check --resource and --audience", refusal("invalid_target")),
            ("check --token-url and what is asked for", refusal("invalid_request")),
            ("check --token-url and what is asked for", Answer(status=404, body=b"")),
            ("check --token-url: is it the token endpoint?", Answer(body=b"<html>hello</html>")),
            ("check --token-url: is it the token endpoint?", Answer(status=302, headers={"Location": "/login"})),
            ("try again in 7 s", Answer(status=429, headers={"Retry-After": "7"})),
            ("try again in 7 s", Answer(status=503, headers={"Retry-After": "7"})),
            ("check --token-url, the network and the proxy, or allow more --timeout", Answer(raw=b"")),
            ("check --token-url, the network and the proxy, or allow more --timeout", Answer(delay=30)),
        ],
    )
    def test_one_line_says_what_to_mend(
        self, mend: str, answer: Answer, server: TokenServer, somebody: None, capsys: Captured
    ) -> None:
        """Exit status 1, nothing on the standard output, and one line with what happened and what to do."""
        server.always(answer)
        assert 1 == main(["token", "--token-url", server.url, "--timeout", "0.3"])
        out, err = capsys.readouterr()
        assert ("", 1) == (out, err.count("\n"))
        assert re.fullmatch(rf"client-credentials: .+; {re.escape(mend)}\n", err)

    @pytest.mark.parametrize("command", ["header", "inspect"])
    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_every_command_says_it_alike(
        self, command: str, options: list[str], server: TokenServer, somebody: None, capsys: Captured
    ) -> None:
        """An error is a line of text on the standard error, whatever was to be printed."""
        server.always(refusal("invalid_scope"))
        assert 1 == main([command, "--token-url", server.url, *options])
        said = "client-credentials: the token endpoint refused with status 400 (invalid_scope); check --scope\n"
        assert ("", said) == capsys.readouterr()

    def test_a_retryable_failure_without_a_wait_is_for_soon(
        self, server: TokenServer, somebody: None, capsys: Captured
    ) -> None:
        """A server that is down says no when; trying again takes at least a second."""
        server.always(Answer(status=503))
        assert 1 == main(["token", "--token-url", server.url, "--timeout", "0.3"])
        assert re.search(r"; try again in [1-4] s\n$", capsys.readouterr().err)

    def test_no_tls_is_not_mended_by_waiting(self, server: TokenServer, somebody: None, capsys: Captured) -> None:
        """A server that does not speak TLS: the URL or the certificate is wrong."""
        assert 1 == main(["token", "--token-url", server.url.replace("http:", "https:")])
        assert capsys.readouterr().err.endswith("; check --token-url, its certificate, and the clock of this machine\n")

    def test_nobody_there_is_a_matter_of_the_network(self, somebody: None, capsys: Captured) -> None:
        """A refused connection: address, network, proxy."""
        with socket.socket() as unbound:
            unbound.bind(("127.0.0.1", 0))
            port = unbound.getsockname()[1]
            assert 1 == main(["token", "--token-url", f"http://127.0.0.1:{port}/", "--timeout", "0.3"])
        assert "check --token-url, the network and the proxy" in capsys.readouterr().err


class TestDemo:
    """The main job, shown."""

    def test_every_step_costs_what_it_must(self, capsys: Captured) -> None:
        """Each line says what was asked, what came, and how many requests it cost: one, but for the outage."""
        assert 0 == main(["demo"])
        out, err = capsys.readouterr()
        head, *rows = [re.split(r"\s{2,}", line) for line in out.splitlines()]
        assert (["asked", "came", "requests"], "") == (head, err)
        expected = [
            ("a token, where there is none", r"Bearer, 3600 s, \*{10} \(24 characters\), \d+ ms with imports", 1),
            ("a token, 100,000 times", r"1 token for all, \d+ ns a read", 1),
            ("a token, for 1,000 threads at once", r"1 token for 1,000, the last after \d+ ms; the server.*", 1),
            ("a token in its last minute, for 20 threads", r"the old one until the new was there; [\d,]+ calls,.*", 1),
            (
                "a token in its last minute, the server down",
                r"the old one through 2 failed renewals, then a new one",
                3,
            ),
            ("a token, with a wrong secret", r"TokenRefused: status 400, invalid_client, Invalid client secret", 1),
            ("a token, after 100 removals of the same one", r"1 new token for all", 1),
        ]
        assert [(asked, requests) for asked, _, requests in expected] == [(row[0], int(row[2])) for row in rows]
        assert [True] * 7 == [
            bool(re.fullmatch(came, row[1])) for (_, came, _), row in zip(expected, rows, strict=True)
        ]

    def test_a_real_client_gets_a_real_token(self, server: TokenServer, capsys: Captured) -> None:
        """With a client of one's own there is one request, and the token is not shown."""
        demo.show(ClientCredentialsStrategy(*CLIENT, token_url=server.url))
        out = capsys.readouterr().out
        assert re.search(r"Bearer, 3600 s, \*{10} \(24 characters\) +1$", out, re.MULTILINE)
        assert (1, False) == (len(server.requests), server.issued[0] in out)

    def test_a_real_client_asks_spotify(
        self, somebody: None, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        """With both variables set it is Spotify that is asked; here behind a proxy that is not there."""
        with socket.socket() as unbound:
            unbound.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unbound.getsockname()[1]}")
            assert 1 == main(["demo"])
        assert re.fullmatch(r"client-credentials: no answer .* the proxy, .*\n", capsys.readouterr().err)

    def test_a_client_that_cannot_be_is_a_usage_error(
        self, monkeypatch: pytest.MonkeyPatch, usage_error: Callable[..., str]
    ) -> None:
        """What stands in the environment is checked like what is typed."""
        monkeypatch.setenv("SPOTIFY_CLIENT_ID", "a")
        monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "a\x07b")
        assert "the client secret must not hold control characters" in usage_error("demo")

    def test_half_a_client_is_none(self, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
        """With one of the variables alone nobody is asked but the server in this process."""
        monkeypatch.setattr(demo, "STEPS", demo.STEPS[:1])
        monkeypatch.setenv("SPOTIFY_CLIENT_ID", CLIENT[0])
        assert 0 == main(["demo"])
        assert 2 == capsys.readouterr().out.count("\n")

"""The demo: the first thing that anybody sees."""

from __future__ import annotations

import re
from functools import partial

import pytest

from client_credentials import ClientCredentialsStrategy
from client_credentials._cli import demo
from client_credentials._cli.main import main
from client_credentials.testing import TokenServer
from tests.cli.kit import UsageErrorOf
from tests.http.peers import CLOSED_PORT

Captured = pytest.CaptureFixture[str]


def test_every_step_costs_what_it_must(capsys: Captured) -> None:
    """A title, a row for each step with the requests that it cost, and where to go on; all in 80 columns."""
    assert 0 == main(["demo"])
    out, err = capsys.readouterr()
    assert ("", []) == (err, [line for line in out.splitlines() if len(line) > 80])
    title, _, head, *rows, _, last = out.splitlines()
    assert title.startswith("client-credentials ")
    assert last.startswith("Next: ")
    assert ["it asks for", "it gets", "requests"] == re.split(r"\s{2,}", head.strip())
    expected = [
        ("its first token", r"Bearer, 3600 s, in \d+ ms", "1"),
        ("a token, 100,000 times", r"1 token, \d+ ns a call", "1"),
        ("a token, in 1,000 threads at once", r"1 token for 1,000, in \d+ ms", "1"),
        ("a token, as the old one expires", r"old, then new; slowest \d+\.\d ms", "1"),
        ("the same, with the server down", "old; new once it is back", "3"),
    ]
    cells = [re.split(r"\s{2,}", row.strip()) for row in rows]
    assert [(asked, requests) for asked, _, requests in expected] == [(row[0], row[2]) for row in cells]
    assert [] == [row[1] for row, (_, got, _) in zip(cells, expected, strict=True) if not re.fullmatch(got, row[1])]


def test_a_client_in_the_environment_gets_a_real_token(
    server: TokenServer, somebody: None, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """With a client in the environment there is one request, and the token is not shown."""
    monkeypatch.setattr(demo, "ClientCredentialsStrategy", partial(ClientCredentialsStrategy, token_url=server.url))
    assert 0 == main(["demo"])
    assert "A token from Spotify: Bearer, 3600 s, ********** (24 characters)\n" == capsys.readouterr().out
    assert 1 == len(server.requests)


def test_a_client_in_the_environment_asks_spotify(
    somebody: None, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It is Spotify that is asked, here behind a proxy that is not there; no option is advised that demo has not."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{CLOSED_PORT}")
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.0)
    assert 1 == main(["demo"])
    advice = "`client-credentials doctor` says more"
    assert re.fullmatch(
        rf"client-credentials: accounts.spotify.com .*no answer .*; {advice}\n", capsys.readouterr().err
    )


def test_a_client_that_cannot_be_is_a_usage_error(
    somebody: None, monkeypatch: pytest.MonkeyPatch, usage_error: UsageErrorOf
) -> None:
    """What stands in the environment is checked like what is typed."""
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "a\x07b")
    assert "client-credentials demo: error: the client secret must " in usage_error("demo")


@pytest.mark.usefixtures("somebody")
def test_half_a_client_is_none(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """With one of the variables alone the server in this process is asked."""
    monkeypatch.setattr(demo, "show", lambda: print("shown"))
    monkeypatch.delenv("SPOTIFY_CLIENT_SECRET")
    assert 0 == main(["demo"])
    assert "shown\n" == capsys.readouterr().out

"""The demo: the first thing that anybody sees."""

from __future__ import annotations

import re
import socket

import pytest

from client_credentials import ClientCredentialsStrategy
from client_credentials._cli import demo
from client_credentials._cli.main import main
from client_credentials.testing import TokenServer
from tests.cli.kit import CLIENT

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
    server: TokenServer, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """With a client in the environment there is one request, and the token is not shown."""
    strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
    monkeypatch.setattr(demo, "client_of_environment", lambda: strategy)
    assert 0 == main(["demo"])
    assert "A token from Spotify: Bearer, 3600 s, ********** (24 characters)\n" == capsys.readouterr().out
    assert 1 == len(server.requests)


def test_a_client_in_the_environment_asks_spotify(
    somebody: None, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """It is Spotify that is asked, here behind a proxy that is not there; no option is advised that demo has not."""
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unbound.getsockname()[1]}")
        assert 1 == main(["demo"])
    assert re.fullmatch(
        r"client-credentials: .*no answer .*; `client-credentials doctor` says more\n", capsys.readouterr().err
    )


def test_a_client_that_cannot_be_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """What stands in the environment is checked like what is typed."""
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", "a")
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", "a\x07b")
    with pytest.raises(SystemExit) as exit_:
        main(["demo"])
    assert 2 == exit_.value.code
    assert "client-credentials demo: error: the client secret must " in capsys.readouterr().err


def test_half_a_client_is_none(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """With one of the variables alone the server in this process is asked."""
    monkeypatch.setattr(demo, "show", lambda: print("shown"))
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", CLIENT[0])
    assert 0 == main(["demo"])
    assert "shown\n" == capsys.readouterr().out

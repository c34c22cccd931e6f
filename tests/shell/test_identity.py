"""The secrets of a client, and what was learnt on earlier flights."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import base64
import threading
from collections import UserList
from typing import Any

import pytest

from client_credentials import TokenRefused, TokenRequest, TokenResponse
from client_credentials.errors import HookError
from client_credentials.testing import TokenServer, refusal
from tests.shell.kit import (
    CLIENT_SECRET,
    HASTY,
    Endpoint,
    Maker,
    Shelf,
    grant,
    outcome,
    refuse,
    settled,
    strategy_of,
    until,
)


def test_the_secret_is_read_for_each_request(server: TokenServer, make: Maker) -> None:
    """RFC6749-3.2.1-1: a callable gives the secret anew for each token request, and again once that is refused."""
    secrets = ["my-secret-3f9c", "another"]
    reads: list[str] = []

    def read() -> str:
        reads.append(secrets[0])
        return secrets[0]

    strategy = make(server, secret=read)
    strategy.get_or_create_access_token()
    strategy.get_or_create_access_token()
    assert 1 == len(reads)
    secrets.pop(0)
    strategy.remove_access_token()
    with pytest.raises(TokenRefused):
        strategy.get_or_create_access_token()
    assert ["my-secret-3f9c", "another", "another"] == reads


@pytest.mark.parametrize("answer", ["", "line\nbreak", None, 7])
def test_a_secret_that_cannot_be_sent(server: TokenServer, make: Maker, answer: Any) -> None:
    """A callable that gives no usable secret makes an error that says so, and nothing is sent."""
    strategy = make(server, secret=lambda: answer)
    with pytest.raises(HookError, match=r": client_secret must") as caught:
        strategy.get_or_create_access_token()
    assert "client_secret" == caught.value.hook
    assert strategy.get_access_token() is None
    strategy.remove_access_token()
    assert 0 == server.connections


@pytest.mark.parametrize("wrong", [asyncio.sleep, [], 7, ["a", str], b"a"])
def test_what_is_no_secret(make: Maker, server: TokenServer, wrong: Any) -> None:
    """A secret is a text, several of them, or a callable that gives one without being awaited."""
    with pytest.raises(
        ValueError, match=r"^client_secret must be a string, a non-empty sequence of strings, or a synchronous callable"
    ):
        make(server, secret=wrong)


def test_a_sequence_of_secrets(make: Maker, server: TokenServer) -> None:
    """Several secrets may come in whatever sequence the program has."""
    make(server, secret=UserList(["former", CLIENT_SECRET])).get_or_create_access_token()


def test_a_secret_that_could_not_be_read(server: TokenServer, make: Maker) -> None:
    """While that is the failure, neither method reads it again, though it is there and another host has a token."""
    cache = Shelf()
    make(server, hooks={"caching_strategy": cache}).get_or_create_access_token()
    until(lambda: cache.entries)
    reads: list[None] = []

    def read() -> str:
        reads.append(None)
        if len(reads) == 1:
            raise OSError
        return CLIENT_SECRET

    strategy = make(server, secret=read, hooks={"caching_strategy": cache})
    with pytest.raises(HookError):
        strategy.get_or_create_access_token()
    assert strategy.get_access_token() is None
    with pytest.raises(HookError):
        strategy.get_or_create_access_token()
    assert [None] == reads


def test_a_secret_that_hangs(server: TokenServer, make: Maker) -> None:
    """Whoever looks or removes is back at the deadline, too, though reading the secret takes longer."""
    go = threading.Event()
    is_read: list[bool] = []

    def read() -> str:
        is_read.append(go.wait(60))
        return CLIENT_SECRET

    strategy = make(server, secret=read, policy=HASTY)
    assert strategy.get_access_token() is None
    strategy.remove_access_token()
    assert [] == is_read
    go.set()
    until(lambda: is_read)


class TestSeveralSecrets:
    """At invalid_client the next secret is tried once, in the same flight."""

    def test_a_rotation(self, server: TokenServer, make: Maker, caplog: pytest.LogCaptureFixture) -> None:
        """Q14: the secret that works is tried first from then on, and the log says once that it is not the first."""
        strategy = make(server, secret=["not-the-secret-9", "my-secret-3f9c"])
        for expected in (2, 3, 4):
            strategy.remove_access_token(strategy.get_or_create_access_token())
            assert expected == len(server.requests)
        told = [record.getMessage() for record in caplog.records if "another of them is in use" in record.getMessage()]
        assert 1 == len(told)

    def test_the_other_works_again(self) -> None:
        """The one that was preferred is not the only one from then on."""
        works = list[str]()

        def fetch(request: TokenRequest) -> TokenResponse:
            sent = base64.b64decode(request.headers["Authorization"].partition(" ")[2]).decode()
            return grant() if works[0] in sent else refuse("invalid_client", 401)

        strategy = strategy_of(fetch, secret=["a-secret-71", "b-secret-72"])
        for secret in ("b-secret-72", "a-secret-71"):
            works[:] = [secret]
            assert "a-token" == outcome(strategy.get_or_create_access_token)
            settled(strategy)
            strategy.remove_access_token()

    def test_none_works(self, server: TokenServer, make: Maker) -> None:
        """Each is tried once; then the gate is shut, and the error is that of the last."""
        strategy = make(server, secret=["not-the-secret-9", "nor-this-one-7"])
        for _ in range(2):
            with pytest.raises(TokenRefused, match="invalid_client"):
                strategy.get_or_create_access_token()
        assert 2 == len(server.requests)

    def test_another_failure(self, server: TokenServer, make: Maker) -> None:
        """Any other refusal says nothing of the secret, so the next one is not tried."""
        server.always(refusal("invalid_scope"))
        with pytest.raises(TokenRefused, match="invalid_scope"):
            make(server, secret=["my-secret-3f9c", "another-one-5"]).get_or_create_access_token()
        assert 1 == len(server.requests)

    def test_the_first_comes_back(self, server: TokenServer) -> None:
        """A token in the cache under a later secret is found without a request."""
        shelf = Shelf()
        from tests.shell.kit import make_sync

        first = make_sync(server, secret=["not-the-secret-9", "my-secret-3f9c"], hooks={"caching_strategy": shelf})
        first.get_or_create_access_token()
        settled(first)
        second = make_sync(server, secret="my-secret-3f9c", hooks={"caching_strategy": shelf})
        assert second.get_access_token() is not None


def test_a_remark_is_made_once(caplog: pytest.LogCaptureFixture) -> None:
    """F1: an odd answer is remarked on when it is first seen, by the URL of the endpoint."""
    strategy = strategy_of(Endpoint(TokenResponse(200, {}, b'{"access_token": "a", "expires_in": 3600}')))
    for _ in range(2):
        assert "a" == outcome(strategy.get_or_create_access_token)
        settled(strategy)
        strategy.remove_access_token()
    said = "https://accounts.spotify.com/api/token (client 'my-client'): token_type is missing; taken as Bearer"
    assert [said] == caplog.messages


def test_each_remark_is_made_once() -> None:
    """Whatever was remarked on in between."""
    identity = strategy_of(Endpoint(grant()))._active.identity
    assert [["a"], ["b"], []] == [identity.news((remark,)) for remark in "aba"]


def test_the_secret_at_a_shut_gate() -> None:
    """After a refusal the cache is looked in for another host's token, but the secret is not read again."""
    reads: list[str] = []

    def read() -> str:
        reads.append("a-secret-71")
        return reads[0]

    strategy = strategy_of(Endpoint(refuse("invalid_scope")), secret=read, caching_strategy=Shelf())
    for _ in range(3):
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
        settled(strategy)
    assert 1 == len(reads)

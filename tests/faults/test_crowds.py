"""FAULTS, group J: crowds of threads, of which nobody waits for what is not his."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client_credentials import (
    AccessToken,
    CachingStrategy,
    ClientCredentialsStrategy,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    SdkConfiguration,
    TokenRequest,
    TokenResponse,
)
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, EXACT, Maker, configuration, make_sync, together, until

SHARED: dict[str, Callable[[Path], CachingStrategy]] = {
    "memory": lambda _: InMemoryCachingStrategy(),
    "file": FileCachingStrategy,
}


def test_a_crowd_at_the_end(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """J3: at the hard end of a token two hundred threads wait for one request, and all get its token."""
    strategy = make(server, clock)
    strategy.get_or_create_access_token()
    clock.advance(3600)
    server.always(Answer(delay=0.2))
    tokens = together(200, strategy.get_or_create_access_token)
    assert [server.issued[1]] * 200 == [token.access_token for token in tokens if isinstance(token, AccessToken)]
    assert 2 == len(server.requests)


@pytest.mark.parametrize("cache", SHARED.values(), ids=SHARED)
def test_keys_do_not_wait_for_each_other(
    server: TokenServer, tmp_path: Path, cache: Callable[[Path], CachingStrategy]
) -> None:
    """J11: a client whose endpoint hangs holds up no other client, though they share a cache and its locks."""
    shared = cache(tmp_path)
    with TokenServer("another", "another-secret") as slow:
        slow.always(Answer(delay=20))
        hanging = ClientCredentialsStrategy("another", "another-secret", token_url=slow.url, policy=EXACT)
        hanging.set_configuration(SdkConfiguration(caching_strategy=shared))
        threading.Thread(target=together, args=(3, hanging.get_or_create_access_token), daemon=True).start()
        until(lambda: slow.requests)
        began = time.monotonic()
        strategy = make_sync(server, hooks={"caching_strategy": shared})
        strategy.get_or_create_access_token()
        strategy.remove_access_token()
        assert time.monotonic() - began < 15
        assert 1 == len(slow.requests)


def test_no_torn_pair(clock: FakeClock) -> None:
    """J13: whoever reads while tokens are replaced gets a token with its own lifetime and scope, never another's."""
    grants = 0

    def grant(_: TokenRequest) -> TokenResponse:
        nonlocal grants
        grants += 1
        body = f'{{"access_token":"t-{grants}","token_type":"bearer","expires_in":{1000 + grants},"scope":"s{grants}"}}'
        return TokenResponse(200, {}, body.encode())

    strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, policy=EXACT)
    strategy.set_configuration(configuration(clock, fetch=grant))

    def crowd() -> list[set[AccessToken] | BaseException]:
        done = threading.Event()

        def read() -> set[AccessToken]:
            tokens: set[AccessToken] = set()
            while not done.is_set():
                tokens.add(strategy.get_or_create_access_token())
            return tokens

        def move() -> set[AccessToken]:
            for _ in range(4):  # whoever is too late for nine tokens in a row is told so
                clock.advance(1100)
                strategy.remove_access_token()
                strategy.get_or_create_access_token()
            done.set()
            return set()

        jobs = iter([move, read, read, read])
        return together(4, lambda: next(jobs)())

    found = [each for _ in range(5) for each in crowd()]
    tokens = set[AccessToken]().union(*(each for each in found if isinstance(each, set)))
    for token in tokens:
        number = int(token.access_token.removeprefix("t-"))
        assert (1000 + number, f"s{number}") == (token.expires_in, token.scope)
    assert grants >= 20
    assert [] == [each for each in found if isinstance(each, BaseException)]


@pytest.mark.parametrize("cache", SHARED.values(), ids=SHARED)
def test_who_gets_the_lock_looks_again(
    server: TokenServer, tmp_path: Path, cache: Callable[[Path], CachingStrategy]
) -> None:
    """J16: eight strategies of one client convoy at the lock of their cache; behind the first there is a token."""
    server.always(Answer(delay=0.2))
    shared = cache(tmp_path)
    strategies = iter([make_sync(server, hooks={"caching_strategy": shared}) for _ in range(8)])
    tokens = together(8, lambda: next(strategies).get_or_create_access_token())
    assert server.issued * 8 == [token.access_token for token in tokens if isinstance(token, AccessToken)]
    assert 1 == len(server.requests)

"""The laws about the order of events, over each cache that hosts may share: whatever happens to one host alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import Any

import pytest

from client_credentials import (
    AccessToken,
    CacheEntry,
    ClientCredentialsStrategy,
    TokenEndpointUnreachable,
    TokenError,
    TokenRequest,
    TokenResponse,
)
from client_credentials._core.lifecycle import LOCKS
from client_credentials.testing import FakeClock
from tests.caching.fleet import key_of, obtain
from tests.shell.kit import Endpoint, Held, grant, outcome, refuse, settled, strategy_of, until

HOUR = refuse("slow_down", 429, Retry_After="3600")
STALE = 3500  # of a token's 3600 seconds


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a pause, so that no flight runs on for seconds."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.0)


def stale_token(sharing: Callable[[], Any]) -> AccessToken:
    """Put a token in its renewal window into the place, as a host that was there before would have left it."""
    clock = FakeClock(wall=time.time() - STALE)
    before = strategy_of(Endpoint(grant("stale")), clock, caching_strategy=sharing())
    token = obtain(before)
    entry: CacheEntry = sharing().get(key_of(before))
    sharing().set(key_of(before), entry.value, (entry.ttl or 0) - STALE)
    return token


def lockless(cache: Any) -> Any:
    """Hide the lock of a cache, so that two hosts can ask at the same time."""
    return type("Lockless", (), {name: staticmethod(getattr(cache, name)) for name in ("get", "set", "remove")})()


def _raises(_: TokenRequest) -> Any:
    raise LookupError


@pytest.mark.parametrize("answer", [refuse(), refuse(status=503), None], ids=["refuses", "is-down", "hangs"])
@pytest.mark.parametrize("is_locked", [False, True], ids=["free", "locked"])
def test_a_token_in_its_window(sharing: Callable[[], Any], answer: TokenResponse | None, is_locked: bool) -> None:
    """Q1/memory/file/redis/user: a host that has it in the shared cache only serves it at once, whatever else is."""
    stale_token(sharing)
    held = Held(grant())
    cold = strategy_of(Endpoint(answer or held), caching_strategy=sharing())
    with ExitStack() as locks:
        if is_locked and hasattr(sharing(), "lock"):
            for suffix, _ in LOCKS:
                locks.enter_context(sharing().lock(key_of(cold) + suffix, 60))
        assert ["stale"] * 3 == [outcome(cold.get_or_create_access_token) for _ in range(3)]
        assert not held.is_over
    held.go.set()
    settled(cold)


def ask_aside(host: ClientCredentialsStrategy, endpoint: Endpoint) -> Thread:
    """Let a host ask in a thread; its request is under way when this returns."""
    asking = Thread(target=outcome, args=(host.get_or_create_access_token,))
    asking.start()
    until(lambda: endpoint.requests)
    return asking


@pytest.mark.parametrize("failure", [HOUR, refuse(), _raises], ids=["throttled", "refused", "hook"])
def test_a_token_despite_a_backoff(sharing: Callable[[], Any], failure: Any) -> None:
    """Q2/memory/file/redis/user: the backoff of one host hides no good token that another has published."""
    late = Held(grant("theirs"))
    theirs, ours = Endpoint(late), Endpoint(failure)
    lucky, unlucky = (strategy_of(each, caching_strategy=lockless(sharing())) for each in (theirs, ours))
    asking = ask_aside(lucky, theirs)
    assert isinstance(outcome(unlucky.get_or_create_access_token), TokenError)
    settled(unlucky)
    late.go.set()
    asking.join()
    settled(lucky)
    assert "theirs" == outcome(unlucky.get_or_create_access_token)
    assert 1 == len(ours.requests)


@pytest.mark.parametrize(
    ("answer", "renews"),
    [(HOUR, False), (refuse(), False), (grant("old"), False), (refuse(status=503), True)],
    ids=["throttled", "refused", "granted", "down"],
)
def test_a_late_answer(sharing: Callable[[], Any], answer: TokenResponse, renews: bool) -> None:
    """M14, Q3/memory/file/redis/user: what an older request comes to undoes no newer grant, and backs nothing off.

    A retryable failure is one of a renewal, for which nobody waits: else it would be retried at once.
    """
    late = Held(answer)
    endpoint = Endpoint(late, grant("third"))
    clock = FakeClock(wall=time.time())
    slow = strategy_of(endpoint, clock, caching_strategy=lockless(sharing()))
    if renews:
        assert stale_token(sharing).access_token == outcome(slow.get_access_token)
    quick, cold = (strategy_of(Endpoint(grant("new")), clock, caching_strategy=lockless(sharing())) for _ in range(2))
    asking = ask_aside(slow, endpoint)
    clock.advance(0.8)  # a cache may tell an entry half a second older, and as much more as writing it took
    obtain(quick)
    late.go.set()
    asking.join()
    settled(slow)
    assert ["new"] * 2 == [outcome(each.get_or_create_access_token) for each in (quick, cold)]
    assert outcome(slow.get_or_create_access_token) in ("new", "old", "stale")  # all are good
    assert 1 == len(endpoint.requests)
    for each in (quick, cold, slow):
        each.remove_access_token()
    assert "third" == outcome(slow.get_or_create_access_token)
    settled(slow)  # lest it be published into the next test's Redis


def test_a_removal_while_a_renewal_fails(sharing: Callable[[], Any]) -> None:
    """Q4/memory/file/redis/user: a token that is removed while its renewal fails comes back nowhere."""
    token = stale_token(sharing)
    late = Held(refuse())
    endpoint = Endpoint(late)
    host = strategy_of(endpoint, caching_strategy=sharing())
    assert token.access_token == outcome(host.get_or_create_access_token)
    until(lambda: endpoint.requests)
    host.remove_access_token()
    late.go.set()
    settled(host)
    assert [None, None] == [
        outcome(each.get_access_token) for each in (host, strategy_of(endpoint, caching_strategy=sharing()))
    ]


def _fails(reason: str, *, retryable: bool) -> Callable[[TokenRequest], Any]:
    def fetch(_: TokenRequest) -> Any:
        raise TokenEndpointUnreachable(reason=reason, retryable=retryable)

    return fetch


@pytest.mark.parametrize(
    "hooks",
    [
        {"fetch": _raises},
        {"before_request": _raises},
        {"fetch": _fails("proxy refused to connect, with status 407", retryable=False)},
        {"fetch": _fails("the trust store is empty", retryable=False)},
    ],
    ids=["fetch", "hook", "proxy", "trust"],
)
def test_a_failure_of_one_host(sharing: Callable[[], Any], hooks: dict[str, Any]) -> None:
    """Q6/memory/file/redis/user: what fails at one host alone, and says nothing of the server, stops no other host."""

    def host(**ours: Any) -> ClientCredentialsStrategy:
        return strategy_of(ours.pop("fetch", Endpoint(grant())), caching_strategy=sharing(), **ours)

    unlucky, lucky = host(**hooks), host()
    assert isinstance(outcome(unlucky.get_or_create_access_token), TokenError)
    settled(unlucky)
    assert "a-token" == outcome(lucky.get_or_create_access_token)
    settled(lucky)
    assert "a-token" == outcome(unlucky.get_or_create_access_token)

"""The rules of a bearer: when a token is to blame, when it is replaced, where it may go, and what gives it."""

from __future__ import annotations

import asyncio
import gc
import string
import threading
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Any
from unittest.mock import create_autospec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import AccessToken, AsyncClientCredentialsStrategy, ClientCredentialsStrategy
from client_credentials._shell.driver import run_sync
from client_credentials.integrations._bearer import Bearer, asks_for_new_token, at_once, may_replace, origin_of

TOKEN = AccessToken("a-token", "Bearer", 3600, 0)
STRATEGY = ClientCredentialsStrategy("an-id", "a-secret")

NAMES = st.text(string.ascii_letters + "_-", min_size=1).filter(lambda name: name.lower() != "error")
QUOTED = st.text(string.printable.translate({ord(c): None for c in '"\\\r\n\x0b\x0c'})).map(lambda text: f'"{text}"')
CODES = st.sampled_from(["invalid_request", "insufficient_scope", "invalid_tokens", "Invalid_Token"])


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "",
        "Bearer",
        'Bearer realm="api"',
        'Bearer error="invalid_token"',
        "Bearer error=invalid_token",
        'bearer realm="a", ERROR = "invalid_token", error_description="expired"',
        'Basic realm="old", Bearer realm="new", error="invalid_token"',
        'Bearer realm="say error=\\"insufficient_scope\\""',
        'Bearer x_error="insufficient_scope"',
        'Bearer error=""',
        "Negotiate YWJj==",
        'DPoP error="use_dpop_nonce", Bearer error="invalid_token"',
    ],
)
def test_a_401_for_the_token_asks_for_another(challenge: str | None) -> None:
    """RFC6750-3.1-1: `invalid_token`, no error code, or no challenge at all: another token may help."""
    assert asks_for_new_token(401, challenge)


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer error="insufficient_scope"',
        'Bearer realm="x", error=invalid_request',
        'Bearer realm="invalid_token", error="insufficient_scope", scope="a"',
        'Bearer error_description="error=invalid_token", error="invalid_request"',
    ],
)
def test_a_401_for_another_reason_does_not(challenge: str) -> None:
    """RFC6750-3.1-2: any other error code is not mended by another token."""
    assert not asks_for_new_token(401, challenge)


@given(
    st.lists(st.tuples(NAMES, QUOTED)), st.sampled_from(["error", "Error", "ERROR"]), CODES | st.just("invalid_token")
)
def test_only_the_error_parameter_counts(around: list[tuple[str, str]], name: str, code: str) -> None:
    """Whatever stands in quotes around it, the decision is that of the error parameter."""
    parameters = [f"{key}={text}" for key, text in around]
    middle = len(parameters) // 2
    challenge = "Bearer " + ", ".join([*parameters[:middle], f'{name}="{code}"', *parameters[middle:]])
    assert (code == "invalid_token") == asks_for_new_token(401, challenge)


@given(st.integers(100, 599).filter(lambda status: status != 401), st.none() | st.just('Bearer error="invalid_token"'))
def test_no_other_status_asks(status: int, challenge: str | None) -> None:
    """RFC6750-3.1-2: a 403 above all, but no other status either, has to do with the token."""
    assert not asks_for_new_token(status, challenge)


@given(st.text())
def test_any_header_is_read(challenge: str) -> None:
    """A header is a stranger's text: whatever it is, there is a decision."""
    assert asks_for_new_token(401, challenge) in {True, False}


@pytest.mark.parametrize("piece", ["a", "a ", "a=", 'a="', 'a="\\"', "=", '"', " ", "\\", "error"])
def test_a_hostile_header_costs_no_time(piece: str) -> None:
    """A megabyte made to confuse the parser is read in one pass; it would take hours in two nested ones."""
    assert asks_for_new_token(401, piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.example/a", "https://API.example:443/b?c#d", True),
        ("http://api.example/a", "http://api.example:80/", True),
        ("https://api.example/", "http://api.example/", False),
        ("https://api.example:8443/", "http://api.example:8443/", False),
        ("https://api.example/", "https://api.example:8443/", False),
        ("https://api.example/", "https://api.example.evil/", False),
        ("https://api.example/", "https://api.example@evil/", False),
        ("https://[::1]:8443/", "https://[0:0::0001]:8443/x", True),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, *, same: bool) -> None:
    """RFC9700-4.9: origins are told apart by all three, and by nothing else (RFC 6454 section 4)."""
    assert same == (origin_of(one) == origin_of(other))


@given(st.floats(allow_nan=False), st.none() | st.floats(min_value=0, allow_nan=False))
def test_what_is_new_is_not_replaced(age: float, since_last: float | None) -> None:
    """Neither a token of the last ten seconds, nor a second one within ten seconds; one that ends in time is old."""
    replaced = may_replace(age, since_last)
    assert replaced == (not 0 <= age < 10 and (since_last is None or since_last >= 10))
    assert not (replaced and since_last is not None and since_last < 10)


def bearer(strategy: Any = STRATEGY, origin: str | None = None, *, allow_http: bool = False) -> Bearer:
    """Make a bearer."""
    return Bearer(strategy, origin, allow_http=allow_http)


@pytest.mark.parametrize(
    ("url", "admitted"),
    [
        ("https://api.example/x", True),
        ("http://localhost:8080/", True),
        ("http://127.8.9.1/", True),
        ("http://[::1]:80/", True),
        ("http://api.example/", False),
        ("http://localhost.example/", False),
        ("http://localhost@api.example/", False),
        ("http://127.0.0.1.example/", False),
        ("http://0.0.0.0/", False),
        ("ftp://api.example/", False),
    ],
)
def test_a_token_goes_over_tls_or_to_loopback(url: str, *, admitted: bool) -> None:
    """RFC6750-5.3-1: the host is parsed, not searched for a name."""
    if admitted:
        assert bearer().admits(url)
    else:
        with pytest.raises(ValueError, match="over https or to a loopback host only"):
            bearer().admits(url)
    assert bearer(allow_http=True).admits(url)


def test_a_named_origin_is_held_to_the_same() -> None:
    """A bearer for plain http is found out when it is made."""
    with pytest.raises(ValueError, match="over https or to a loopback host only"):
        bearer(origin="http://api.example")
    assert not bearer(origin="https://a.example").admits("http://b.example/")


@pytest.mark.parametrize(
    "origin",
    [
        *"api.example ftp://a https:// https://a/v1 https://a/ https://a? https://a# https://a:b@a https://a:x".split(),
        *"https://a:0 https://a:65536 https://[::1 https://[::1]x https://[1:2] https://b\u00fccher.example".split(),
        *(" https://a", "https://a\n", "https://a b", 443, b"https://a"),
    ],
)
def test_an_origin_is_checked(origin: Any) -> None:
    """A bad origin is found out when the bearer is made."""
    with pytest.raises(ValueError, match=r"^origin must be"):
        bearer(origin=origin)


class Mine:
    """The SDK's interface to the letter: a removal that is not told what to remove."""

    def __init__(self) -> None:
        self.token: AccessToken | None = TOKEN

    def get_or_create_access_token(self) -> AccessToken:
        """Give the token."""
        assert self.token is not None
        return self.token

    def get_access_token(self) -> AccessToken | None:
        """Give the token, if it is still here."""
        return self.token

    def remove_access_token(self) -> None:
        """Remove whatever there is."""
        self.token = None


class Delegate:
    """A strategy without a coroutine function, all of whose answers are to be awaited."""

    def __init__(self, inner: Mine) -> None:
        self.inner = inner

    async def _later(self, method: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        return method()

    def get_or_create_access_token(self) -> Coroutine[Any, Any, AccessToken]:
        """Give the token later."""
        return self._later(self.inner.get_or_create_access_token)

    def get_access_token(self) -> Coroutine[Any, Any, AccessToken | None]:
        """Give it later, if it is still here."""
        return self._later(self.inner.get_access_token)

    def remove_access_token(self) -> Coroutine[Any, Any, None]:
        """Remove it later."""
        return self._later(self.inner.remove_access_token)


@pytest.mark.parametrize(("refused", "left"), [(TOKEN, None), (AccessToken("another", "Bearer", 3600, 0), TOKEN)])
def test_a_removal_without_argument_is_given_the_right_token_only(
    refused: AccessToken, left: AccessToken | None
) -> None:
    """H22: a strategy that cannot be told which token is dead is asked first which one it holds."""
    threads, tasks, awaited = Mine(), Mine(), Mine()
    assert run_sync(bearer(threads).replacement(at_once, refused, can_send=False)) is None
    for strategy in (tasks, Delegate(awaited)):
        asyncio.run((held := bearer(strategy)).replacement(held.in_loop, refused, can_send=False))
    assert [left] * 3 == [threads.token, tasks.token, awaited.token]


class Awaitable:
    """What can be awaited and is no coroutine."""

    def __await__(self) -> Generator[None, None, AccessToken]:
        yield
        return TOKEN


@pytest.mark.parametrize("method", [Delegate(Mine()).get_or_create_access_token, Awaitable])
def test_what_is_to_be_awaited_is_awaited(method: Callable[[], object]) -> None:
    """A strategy is asynchronous by what its methods give, coroutines or not, however they are defined."""
    mine: Any = Mine()
    mine.get_or_create_access_token = method
    assert TOKEN == asyncio.run((held := bearer(mine)).get(held.in_loop))
    with pytest.raises(ValueError, match="must be a synchronous one for a synchronous client"):
        run_sync(bearer(mine).get(at_once))


@pytest.mark.parametrize("kind", [ClientCredentialsStrategy, AsyncClientCredentialsStrategy])
def test_a_mock_is_what_it_mocks(kind: type[Any]) -> None:
    """`create_autospec` of a strategy works as that strategy does, though its methods look like coroutine functions."""
    mock = create_autospec(kind, instance=True)
    mock.get_or_create_access_token.return_value = TOKEN
    held = bearer(mock)
    assert TOKEN == asyncio.run(held.get(held.in_loop))
    asyncio.run(held.replacement(held.in_loop, TOKEN, can_send=False))
    mock.remove_access_token.assert_called_once_with(TOKEN)
    if kind is ClientCredentialsStrategy:
        assert TOKEN == run_sync(held.get(at_once))
        run_sync(held.replacement(at_once, TOKEN, can_send=False))
        assert 2 == mock.remove_access_token.call_count


@pytest.mark.parametrize("strategy", [object(), None, "token"])
def test_an_unfit_strategy_is_refused(strategy: Any) -> None:
    """What is no strategy is found out when the bearer is made, not at the first 401."""
    with pytest.raises(ValueError, match=r"^strategy must be an auth strategy"):
        bearer(strategy)


def test_a_crowd_of_tasks_is_forty_threads() -> None:
    """One bearer serves loops one after the other, and keeps none that is closed; each has forty calls under way."""
    gate = threading.Barrier(40)
    here: list[None] = []
    counts: list[int] = []
    loops: list[weakref.ref[object]] = []

    def wait() -> AccessToken:
        here.append(None)
        counts.append(len(here))
        gate.wait(60)
        here.pop()
        return TOKEN

    mine: Any = Mine()
    mine.get_or_create_access_token = wait
    held = bearer(mine)

    async def crowd() -> list[AccessToken]:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return await asyncio.gather(*(held.get(held.in_loop) for _ in range(80)))

    assert [TOKEN] * 160 == [*asyncio.run(crowd()), *asyncio.run(crowd())]
    assert 40 == max(counts)
    gc.collect()
    assert loops[0]() is None

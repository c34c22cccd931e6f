"""One suite over every pair of a strategy and a fetch, and over every bearer: `pytest -v` prints the matrix.

Real clients, real servers. What only one library does is in the file of its name.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from itertools import repeat
from typing import Final

import attrs
import pytest

from client_credentials import (
    ClientCredentialsStrategy,
    SdkConfiguration,
    SystemClock,
    TokenError,
    TokenRefused,
)
from client_credentials._shell import driver
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.http.events import EVENTS, Event, Verdict, invalid, passed_on, stage, unreachable
from tests.http.peers import CLOSED_PORT, Peer, answers, floods, server_context
from tests.http.scenes import OWN, POOL
from tests.integrations.fetches import ASYNC, PAIRS, opened, paired
from tests.integrations.kit import CLIENT, INVALID, Api, Caller, Dial, Hit, Reply
from tests.shell.kit import Strategy, together, until

UNANSWERED: Final = unreachable("timed out after 1 s")
OTHERWISE: Final[Mapping[tuple[str, str], Verdict]] = {
    # aiohttp does not tell when it has connected, and reads the beginning of the body with the headers.
    ("connection unanswered", "async aiohttp"): unreachable("{response}: timed out"),
    ("chunk of no size", "async aiohttp"): invalid("{response}: not HTTP (BadStatusLine)"),
    # urllib3's pools take an interim response for the last one.
    **{("interim response", pair): passed_on(103) for pair in PAIRS if "requests" in pair},
    # Our own passes it on, to be found invalid by its status.
    **{
        ("switched protocols", pair): invalid("{response}: not HTTP (BadStatusLine)")
        for pair in PAIRS
        if "httpx" in pair
    },
    # A synchronous library's timeout begins anew with each read, but the caller is back at the deadline.
    **{
        ("headers that drip", pair): UNANSWERED
        for pair in ("sync requests", "sync httpx", "sync httpx2", "async requests")
    },
}
"""The pairs whose library cannot tell."""


@cache
def seen(name: str, ca: str) -> tuple[str, Mapping[str, Verdict]]:
    """Let an event happen to all pairs at once, since many last until a deadline; gives its URL and each verdict.

    Only one deadline is near: the fetch's, or where its library keeps none, the strategy's.
    """
    if name != EVENTS[0].name:
        seen(EVENTS[0].name, ca)  # imports take their time
    event = next(each for each in EVENTS if each.name == name)
    lasts = "timed out" in event.verdict.reason or "stalls" in name
    url, verdicts = happen(event, ca, 1.0 if lasts else None)
    if lasts and any(expected(event, pair, url) != verdicts[pair] for pair in PAIRS):  # a busy machine was too slow
        return happen(event, ca, 5.0)
    return url, verdicts


def happen(event: Event, ca: str, timeout: float | None) -> tuple[str, Mapping[str, Verdict]]:
    """Let an event happen to all pairs at once; gives its URL and what each makes of it."""
    with ExitStack() as stack, ThreadPoolExecutor(len(PAIRS)) as pool:
        route = stack.enter_context(stage(event, OWN))
        # So long a wait before a second attempt fits into no deadline.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(driver, "dice", lambda: 60.0)
        strategies: list[Strategy] = []
        for pair in PAIRS:
            deadline = 1.0 if OTHERWISE.get((event.name, pair)) == UNANSWERED else 10.0
            opening = paired(pair, route.url, ca, deadline=deadline, timeout=timeout)
            strategies.append(stack.enter_context(opening))
        return route.url, dict(zip(PAIRS, pool.map(verdict_of, strategies), strict=True))


def verdict_of(strategy: Strategy) -> Verdict:
    """Ask for a token; gives what came of it, in the terms of the table of events."""
    try:
        strategy.get_or_create_access_token()
    except TokenError as error:
        status, reason = getattr(error, "status", None), getattr(error, "reason", "")
        return Verdict(type(error).__name__, error.retryable, reason) if status in (None, 200) else passed_on(status)
    return passed_on(200)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    "event", [each for each in EVENTS if {OWN, POOL} & {*each.carriers}], ids=lambda event: event.name
)
def test_one_event_one_verdict(event: Event, pair: str, ca: str) -> None:
    """The class of the error, whether to ask again and the text depend on neither the strategy nor the HTTP library."""
    url, verdicts = seen(event.name, ca)
    assert expected(event, pair, url) == verdicts[pair]


def expected(event: Event, pair: str, url: str) -> Verdict:
    """Give what a pair is to make of an event at a URL."""
    peer = url.removeprefix("https://").removesuffix("/token")
    host = peer.rpartition(":")[0]
    verdict = OTHERWISE.get((event.name, pair), event.verdict)
    reason = verdict.reason.format(host=host, endpoint=peer, peer=peer, peer_name=host, response=f"response of {host}")
    return attrs.evolve(verdict, reason=reason)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_token_is_shared_renewed_and_removed(pair: str, ca: str) -> None:
    """One request for all who wait, one behind their backs in the renewal window, one more after a removal."""
    clock = FakeClock()
    with TokenServer(*CLIENT) as server, paired(pair, server.url, ca, clock) as strategy:
        tokens = together(20, lambda: strategy.get_or_create_access_token().access_token)
        assert server.issued * 20 == tokens
        clock.advance(3500)
        assert server.issued[0] == strategy.get_or_create_access_token().access_token
        until(lambda: len(server.issued) == 2)
        until(lambda: strategy.get_or_create_access_token().access_token == server.issued[1])
        strategy.remove_access_token()
        assert strategy.get_or_create_access_token().access_token not in server.issued[:2]
        assert 3 == len(server.requests)


@pytest.mark.parametrize("name", [*ASYNC, "coroutine"])
def test_a_thread_awaits_nothing(name: str, ca: str) -> None:
    """The threads' strategy refuses a coroutine function when it is configured."""
    with opened(name, ca) as fetch, pytest.raises(ValueError, match=r"^fetch must be synchronous"):
        ClientCredentialsStrategy(*CLIENT).set_configuration(SdkConfiguration(fetch=fetch))


@pytest.fixture
def secure_api(server: TokenServer) -> Generator[Api]:
    """Give the resource server over TLS."""
    with Api(lambda: server.issued, context=server_context()) as running:
        yield running


def take_back(ask: Caller, api: Api, server: TokenServer) -> None:
    """Ask once, and then let the token of that be refused."""
    ask("GET", api.url())
    api.revoked.update(server.issued)


def story(api: Api, server: TokenServer) -> list[str]:
    """Tell of each request method, path, which token it carried (1: the first one), and body."""
    number = {token: str(nth) for nth, token in enumerate(server.issued, 1)}
    return [f"{hit.method} {hit.path} {number[hit.token or '']} {hit.body.decode()}".strip() for hit in api.hits]


def test_every_request_carries_the_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """RFC6750-2-1, RFC6750-2.1-1, RFC6750-2.3-1: the token is in the header alone; one serves all calls."""
    assert [Reply(200, b"", [])] * 3 == [ask("GET", api.url()) for _ in range(3)]
    assert server.issued * 3 == api.tokens
    assert {("/me", b"")} == {(hit.path, hit.body) for hit in api.hits}
    assert 1 == len(server.requests)


@pytest.mark.parametrize("challenge", [INVALID, None], ids=["code", "none"])
def test_a_dead_token_is_replaced_and_the_request_repeated(
    ask: Caller, api: Api, server: TokenServer, challenge: str | None
) -> None:
    """H22, RFC6750-3.1-1: the token is removed, the same request goes out with another; the 401 is history."""
    api.challenge = challenge
    take_back(ask, api, server)
    assert Reply(200, b"the body", [401]) == ask("POST", api.url("/things"), b"the body")
    assert ["GET /me 1", "POST /things 1 the body", "POST /things 2 the body"] == story(api, server)


def test_a_401_for_another_reason_is_passed_through(ask: Caller, api: Api, server: TokenServer) -> None:
    """RFC6750-3.1-2: where the token is not to blame it is neither removed nor the request repeated."""
    api.challenge, api.refuses_all = 'Bearer error="insufficient_scope"', True
    assert [Reply(401, b"", [])] * 2 == [ask("GET", api.url()) for _ in range(2)]
    assert (2, 1) == (len(api.hits), len(server.requests))


def test_a_403_is_passed_through(ask: Caller, api: Api, server: TokenServer) -> None:
    """RFC6750-3.1-2: a 403 never costs a token, whatever its challenge says."""
    api.forbidden = "/secret"
    assert [Reply(403, b"", [])] * 2 == [ask("GET", api.url("/secret")) for _ in range(2)]
    assert (2, 1) == (len(api.hits), len(server.requests))


def test_a_second_401_is_passed_through(ask: Caller, api: Api, server: TokenServer) -> None:
    """S5, H22: one repetition in ten seconds, by whatever clock the tokens are dated: the new token is not replaced."""
    api.refuses_all = True
    assert [Reply(401, b"", before) for before in ([401], [], [])] == [ask("GET", api.url()) for _ in range(3)]
    assert ["GET /me 1", *["GET /me 2"] * 3] == story(api, server)
    assert 2 == len(server.requests)


def test_a_hundred_refusals_cost_one_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """H22: callers who come back with the same dead token remove that one alone, never the next caller's new one."""
    take_back(ask, api, server)
    together = threading.Barrier(8)

    def wait_for_all(hit: Hit) -> None:
        if hit.token in api.revoked:
            together.wait(60)

    api.watcher = wait_for_all

    bodies = [b"%d" % number for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(ask, repeat("POST"), repeat(api.url()), bodies))
    assert [Reply(200, body, [401]) for body in bodies] == replies
    assert 2 == len(server.requests)


def test_a_body_that_is_gone_is_not_sent_again(ask: Caller, api: Api, server: TokenServer) -> None:
    """A generator can be had once: its 401 is passed through, but the dead token is removed all the same."""
    take_back(ask, api, server)
    assert Reply(401, b"streamed", []) == ask("POST", api.url(), b"streamed", one_shot=True)
    assert (2, 1) == (len(api.hits), len(server.requests))
    assert Reply(200, b"streamed", []) == ask("POST", api.url(), b"streamed", one_shot=True)
    assert (3, 2) == (len(api.hits), len(server.requests))


def test_the_same_token_is_not_tried_twice(ask: Caller, api: Api, server: TokenServer) -> None:
    """A token server that hands out the same token again gives no reason to repeat the request."""
    server.always(Answer(body={"access_token": "evergreen", "token_type": "Bearer", "expires_in": 3600}))
    assert Reply(401, b"", []) == ask("GET", api.url())
    assert (["evergreen"], 2) == (api.tokens, len(server.requests))


def test_no_new_token_is_an_error(ask: Caller, api: Api, server: TokenServer) -> None:
    """Where the repetition finds no token, the caller is told why there is none."""
    take_back(ask, api, server)
    server.always(refusal("invalid_client", "The client was closed"))
    with pytest.raises(TokenRefused, match="The client was closed"):
        ask("GET", api.url())
    assert 2 == len(api.hits)


def test_no_first_token_is_an_error(ask: Caller, api: Api, server: TokenServer) -> None:
    """Without a token nothing is sent at all."""
    server.always(refusal("invalid_client"))
    with pytest.raises(TokenRefused):
        ask("GET", api.url())
    assert [] == api.hits


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_redirect_takes_the_token_elsewhere(
    ask: Caller, api: Api, elsewhere: Api, server: TokenServer, host: str
) -> None:
    """RFC6750-5.3-2, RFC9700-4.9: another port or host gets no token, nor does its 401 earn it one, or cost us ours."""
    for status in (301, 302, 303, 307, 308):
        api.moved["/me"] = status, elsewhere.url(host=host)
        assert Reply(401, b"", [status]) == ask("GET", api.url())
    api.moved.clear()
    assert Reply(200, b"", []) == ask("GET", api.url())
    assert (server.issued * 6, [None] * 5, 1) == (api.tokens, elsewhere.tokens, len(server.requests))


def test_no_redirect_takes_the_token_off_tls(
    ask: Caller, secure_api: Api, elsewhere: Api, server: TokenServer, ca: str
) -> None:
    """RFC6749-10.8-1, RFC6750-5.3-2: from https to http the token does not go."""
    secure_api.moved["/me"] = 302, elsewhere.url(host="localhost")
    assert Reply(401, b"", [302]) == ask("GET", secure_api.url(host="localhost"), ca=ca)
    assert (server.issued, [None]) == (secure_api.tokens, elsewhere.tokens)


def test_a_redirect_back_does_not_bring_the_token_back(
    ask: Caller, api: Api, elsewhere: Api, server: TokenServer
) -> None:
    """RFC9700-4.10: whoever was asked in between chose the URL, and does not choose where our token is used."""
    api.moved["/me"] = 302, elsewhere.url("/between")
    elsewhere.moved_for_all["/between"] = 302, api.url("/delete-everything")
    assert Reply(401, b"", [302, 302]) == ask("GET", api.url())
    assert [*server.issued, None] == api.tokens


def test_a_redirect_at_home_keeps_the_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """Within the origin the token goes along, and a 401 at the end has that request repeated, not the first."""
    api.moved["/old"] = 303, api.url("/new")
    api.watcher = lambda hit: api.revoked.update(server.issued[:1]) if hit.path == "/new" else None
    assert 200 == ask("POST", api.url("/old"), b"buy").status
    assert ["POST /old 1 buy", "GET /new 1", "GET /new 2"] == story(api, server)


def test_a_redirect_after_a_repetition_costs_no_third_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """H22: one renewal for one dead token, however many hops the call takes."""
    take_back(ask, api, server)
    api.moved["/old"] = 307, api.url("/new")
    assert 200 == ask("POST", api.url("/old"), b"buy").status
    assert "POST /new 2 buy" == story(api, server)[-1]
    assert 2 == len(server.requests)


def test_a_new_token_is_not_replaced(dial: Dial, api: Api, server: TokenServer) -> None:
    """An API that refuses a token just granted would refuse the next one: the 401 is passed through, at no cost."""
    api.refuses_all = True
    ask = dial(server, SystemClock())
    assert [Reply(401, b"", [])] * 5 == [ask("GET", api.url()) for _ in range(5)]
    assert (5, 1) == (len(api.hits), len(server.requests))


def test_plain_http_is_refused(dial: Dial, server: TokenServer) -> None:
    """RFC6750-5.3-1, S5: a token goes over TLS or to loopback; the error names the host and the way out."""
    with pytest.raises(ValueError, match=r"^http://api\.example: .*allow_http=True"):
        dial(server)("GET", "http://api.example/me")
    assert [] == server.requests


def test_plain_http_may_be_allowed(dial: Dial, server: TokenServer) -> None:
    """In a service mesh that encrypts, plain http is as good; here the request gets as far as a closed port."""
    host = "0.0.0.0"  # itself, but not by a loopback address
    with pytest.raises(Exception) as raised:  # noqa: PT011  # each library has its own
        dial(server, allow_http=True)("GET", f"http://{host}:{CLOSED_PORT}/me")
    assert not isinstance(raised.value, ValueError)
    assert 1 == len(server.requests)


def test_one_origin_may_be_named(dial: Dial, api: Api, elsewhere: Api, server: TokenServer) -> None:
    """With `origin`, requests to any other go without a token, and are free to go over plain http."""
    ask = dial(server, origin=api.url(""))
    assert (200, 401) == (ask("GET", api.url()).status, ask("GET", elsewhere.url()).status)
    assert (server.issued, [None]) == (api.tokens, elsewhere.tokens)


def test_a_redirect_to_the_named_origin_brings_no_token(
    dial: Dial, api: Api, elsewhere: Api, server: TokenServer
) -> None:
    """RFC9700-4.10: another origin does not choose where the token is used, even at home."""
    elsewhere.moved_for_all["/between"] = 302, api.url("/delete-everything")
    assert 401 == dial(server, origin=api.url(""))("GET", elsewhere.url("/between")).status
    assert ([None], 0) == (api.tokens, len(server.requests))


def test_an_endless_refusal_is_cut_short(dial: Dial, server: TokenServer) -> None:
    """S5: before the replay, a bounded part of the refused body is read, however much there is."""
    endless = floods(b"HTTP/1.1 401 No\r\nContent-Type: text/plain\r\n\r\n", b"x" * 16384)
    with Peer(endless, answers(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")) as peer:
        reply = dial(server)("GET", peer.url)
    assert Reply(200, b"fine", [401]) == reply

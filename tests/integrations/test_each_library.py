"""What a bearer does, whichever library it serves: real clients, a real token server and a real resource server."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client_credentials import SystemClock, TokenRefused
from client_credentials.testing import Answer, TokenServer, refusal
from tests.http.peers import Peer, answers, authority, closed_port, floods, server_context
from tests.integrations.kit import Api, Caller, Dial, Hit, Reply


@pytest.fixture
def ca(tmp_path: Path) -> str:
    """Give the file by which clients trust the tests' authority."""
    authority().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def secure_api(server: TokenServer) -> Generator[Api]:
    """Give the resource server over TLS."""
    with Api(lambda: server.issued, context=server_context()) as running:
        yield running


def test_every_request_carries_the_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """6750-2.1-1: the token goes into the Authorization header; one token request serves any number of calls."""
    assert [Reply(200, b"", [])] * 3 == [ask("GET", api.url()) for _ in range(3)]
    assert server.issued * 3 == api.tokens
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "challenge", ['Bearer realm="api", error="invalid_token"', 'Bearer realm="api"', None], ids=["code", "bare", "none"]
)
def test_a_dead_token_is_replaced_and_the_request_repeated(
    ask: Caller, api: Api, server: TokenServer, challenge: str | None
) -> None:
    """H22, 6750-3.1-1: the token is removed, the same request goes out once more with another; the 401 is history."""
    api.challenge = challenge
    ask("GET", api.url())
    api.revoked.update(server.issued)
    assert Reply(200, b"the body", [401]) == ask("POST", api.url("/things"), b"the body")
    first, second = server.issued
    assert [
        Hit("GET", "/me", first, b""),
        Hit("POST", "/things", first, b"the body"),
        Hit("POST", "/things", second, b"the body"),
    ] == api.hits


@pytest.mark.parametrize("code", ["insufficient_scope", "invalid_request"])
def test_a_401_for_another_reason_is_passed_through(ask: Caller, api: Api, server: TokenServer, code: str) -> None:
    """6750-3.1-2: where the token is not to blame it is neither removed nor the request repeated."""
    api.challenge, api.refuses_all = f'Bearer error="{code}"', True
    assert [Reply(401, b"", [])] * 2 == [ask("GET", api.url()) for _ in range(2)]
    assert (2, 1) == (len(api.hits), len(server.requests))


def test_a_403_is_passed_through(ask: Caller, api: Api, server: TokenServer) -> None:
    """6750-3.1-2: a 403 never costs a token, whatever its challenge says."""
    api.forbidden = "/secret"
    assert [Reply(403, b"", [])] * 2 == [ask("GET", api.url("/secret")) for _ in range(2)]
    assert (2, 1) == (len(api.hits), len(server.requests))


def test_a_second_401_is_passed_through(ask: Caller, api: Api, server: TokenServer) -> None:
    """H22: one repetition; the server that refuses the new token too has the last word."""
    api.refuses_all = True
    assert Reply(401, b"", [401]) == ask("GET", api.url())
    assert server.issued == api.tokens
    assert 2 == len(server.requests)


def test_a_hundred_refusals_cost_one_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """H22: callers who come back with the same dead token remove that one alone, never the next caller's new one."""
    ask("GET", api.url())
    api.revoked.update(server.issued)
    together = threading.Barrier(8)

    def wait_for_all(hit: Hit) -> None:
        if hit.token in api.revoked:
            together.wait(10)

    api.watcher = wait_for_all

    def ask_at_once(number: int) -> Reply:
        return ask("POST", api.url(), b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(ask_at_once, range(8)))
    assert [Reply(200, b"%d" % number, [401]) for number in range(8)] == replies
    assert 2 == len(server.requests)


def test_a_body_that_is_gone_is_not_sent_again(ask: Caller, api: Api, server: TokenServer) -> None:
    """A generator can be had once: its 401 is passed through, but the dead token is removed all the same."""
    ask("GET", api.url())
    api.revoked.update(server.issued)
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
    ask("GET", api.url())
    api.revoked.update(server.issued)
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_redirect_takes_the_token_elsewhere(
    ask: Caller, api: Api, elsewhere: Api, server: TokenServer, host: str, status: int
) -> None:
    """6750-5.3-2, 9700-4.9: another port or host gets no token, nor does its 401 earn it one, or cost us ours."""
    api.moved["/me"] = status, elsewhere.url(host=host)
    assert Reply(401, b"", [status]) == ask("GET", api.url())
    api.moved.clear()
    assert Reply(200, b"", []) == ask("GET", api.url())
    assert (server.issued * 2, [None], 1) == (api.tokens, elsewhere.tokens, len(server.requests))


def test_no_redirect_takes_the_token_off_tls(
    ask: Caller, secure_api: Api, elsewhere: Api, server: TokenServer, ca: str
) -> None:
    """10.8-1, 6750-5.3-2: from https to http the token does not go."""
    secure_api.moved["/me"] = 302, elsewhere.url(host="localhost")
    assert Reply(401, b"", [302]) == ask("GET", secure_api.url(host="localhost"), ca=ca)
    assert (server.issued, [None]) == (secure_api.tokens, elsewhere.tokens)


def test_a_redirect_back_does_not_bring_the_token_back(
    ask: Caller, api: Api, elsewhere: Api, server: TokenServer
) -> None:
    """9700-4.10: whoever was asked in between chose the URL, and does not choose where our token is used."""
    api.moved["/me"] = 302, elsewhere.url("/between")
    elsewhere.moved_for_all["/between"] = 302, api.url("/delete-everything")
    assert Reply(401, b"", [302, 302]) == ask("GET", api.url())
    assert [*server.issued, None] == api.tokens


def test_a_redirect_at_home_keeps_the_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """Within the origin the token goes along, and a 401 at the end has that request repeated, not the first."""
    api.moved["/old"] = 303, api.url("/new")
    api.watcher = lambda hit: api.revoked.update(server.issued[:1]) if hit.path == "/new" else None
    assert 200 == ask("POST", api.url("/old"), b"buy").status
    first, second = server.issued
    assert [
        Hit("POST", "/old", first, b"buy"),
        Hit("GET", "/new", first, b""),
        Hit("GET", "/new", second, b""),
    ] == api.hits


def test_a_redirect_after_a_repetition_costs_no_third_token(ask: Caller, api: Api, server: TokenServer) -> None:
    """H22: one renewal for one dead token, however many hops the call takes."""
    ask("GET", api.url())
    api.revoked.update(server.issued)
    api.moved["/old"] = 307, api.url("/new")
    assert 200 == ask("POST", api.url("/old"), b"buy").status
    assert ("/new", server.issued[1], b"buy") == (api.hits[-1].path, api.hits[-1].token, api.hits[-1].body)
    assert 2 == len(server.requests)


def test_a_new_token_is_not_replaced(dial: Dial, api: Api, server: TokenServer) -> None:
    """An API that refuses a token just granted would refuse the next one: the 401 is passed through, at no cost."""
    api.refuses_all = True
    ask = dial(server, SystemClock())
    assert [Reply(401, b"", [])] * 20 == [ask("GET", api.url()) for _ in range(20)]
    assert (20, 1) == (len(api.hits), len(server.requests))


def test_an_api_that_refuses_all_costs_one_token_in_ten_seconds(ask: Caller, api: Api, server: TokenServer) -> None:
    """S5: by whatever clock the tokens are dated: one is replaced, its successor is not."""
    api.refuses_all = True
    assert [[401], *[[]] * 20] == [ask("GET", api.url()).before for _ in range(21)]
    assert 2 == len(server.requests)


def test_plain_http_is_refused(dial: Dial, server: TokenServer) -> None:
    """RFC6750-5.3-1, S5: a token goes over TLS or to loopback; the error names the host and the way out."""
    with pytest.raises(ValueError, match=r"^http://api\.example: .*allow_http=True"):
        dial(server)("GET", "http://api.example/me")
    assert [] == server.requests


def test_plain_http_may_be_allowed(dial: Dial, server: TokenServer) -> None:
    """In a service mesh that encrypts, plain http is as good; here the request gets as far as a closed port."""
    host = "0.0.0.0"  # itself, but not by a loopback address
    with pytest.raises(Exception) as raised:  # noqa: PT011  # each library has its own
        dial(server, allow_http=True)("GET", f"http://{host}:{closed_port()}/me")
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
    """9700-4.10: another origin does not choose where the token is used, even at home."""
    elsewhere.moved_for_all["/between"] = 302, api.url("/delete-everything")
    assert 401 == dial(server, origin=api.url(""))("GET", elsewhere.url("/between")).status
    assert ([None], 0) == (api.tokens, len(server.requests))


@pytest.mark.parametrize(
    "origin",
    [
        "api.example",
        "ftp://api.example",
        "https://",
        "https://api.example/v1",
        "https://a:b@api.example",
        "https://a:x",
    ],
)
def test_an_origin_is_checked(dial: Dial, server: TokenServer, origin: str) -> None:
    """A bad origin is found out when the bearer is made."""
    with pytest.raises(ValueError, match=r"^origin must"):
        dial(server, origin=origin)


def test_an_endless_refusal_is_cut_short(dial: Dial, server: TokenServer) -> None:
    """S5: before the replay, a bounded part of the refused body is read, however much there is."""
    endless = floods(b"HTTP/1.1 401 No\r\nContent-Type: text/plain\r\n\r\n", b"x" * 16384)
    with Peer(endless, answers(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")) as peer:
        reply = dial(server)("GET", peer.url)
    assert Reply(200, b"fine", [401]) == reply

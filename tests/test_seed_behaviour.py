"""The port beside the TypeScript strategy, row by row: what it keeps is equal, what it mends is shown to differ.

The `seed` of a row is what the SDK did when it was run against a stub. The rows are in three tables: the interface
(I1 to I8), the behaviour (1 to 35) and what Spotify's endpoint answers (E1 to E8).
"""

from __future__ import annotations

import base64
import inspect
import json
import re
import string
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    CacheEntry,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    InvalidTokenResponse,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal

CLIENT_ID, CLIENT_SECRET = "my-client", "my-secret-71d0"
EXACT = RenewalPolicy(jitter=0, renew_ahead=120.0)  # as the SDK has it
WINDOW = 3600 - 120  # seconds until the renewal window of a token of an hour opens
ALPHANUMERIC = string.ascii_letters + string.digits
TEN_YEARS = 10 * 365 * 86400.0

KEPT, MENDED = {"KEEP"}, {"FIX"}
VERDICTS: Mapping[str, set[str]] = {
    **{f"I{number}": KEPT for number in range(1, 9)},
    "I7": MENDED,
    **{str(number): MENDED for number in range(1, 36)},
    **{str(number): KEPT for number in (2, 5, 6, 10, 12, 13, 14, 16, 22, 24, 25)},
    **{str(number): KEPT | MENDED for number in (11, 26)},
    **{f"E{number}": MENDED for number in range(1, 9)},
    "E1": KEPT,
}


def keeps(*, seed: object, port: object) -> None:
    """Hold the port to what the SDK does."""
    assert seed == port


def mends(*, seed: object, want: object, port: object) -> None:
    """Hold the port to what the SDK should have done, and did not."""
    assert want == port
    assert seed != port


class Shelf:
    """A cache as a user might write it: text by key, for as long as it likes."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.ttls: list[float] = []

    def get(self, key: str) -> CacheEntry | None:
        """Give what was set."""
        return CacheEntry(self.entries[key], None) if key in self.entries else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep it."""
        self.entries[key] = value
        self.ttls.append(ttl)

    def remove(self, key: str) -> None:
        """Forget it."""
        self.entries.pop(key, None)


@attrs.frozen
class Held:
    """A fetch that is under way until it is let go; not for so long that whoever waits for it would give up."""

    under_way: threading.Event = attrs.field(factory=threading.Event)
    let_go: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self, request: TokenRequest) -> TokenResponse:
        self.under_way.set()
        self.let_go.wait(5)
        return Urllib3Fetch()(request)


@attrs.frozen
class Bench:
    """A token server, a clock that obeys, and what was running before there was a strategy."""

    server: TokenServer
    clock: FakeClock = attrs.field(factory=FakeClock)
    before: set[threading.Thread] = attrs.field(factory=lambda: set(threading.enumerate()))
    made: list[Any] = attrs.field(factory=list[Any])

    @property
    def posts(self) -> int:
        """How many token requests there were."""
        return len(self.server.requests)

    def strategy(
        self, client_id: str = CLIENT_ID, secret: str = CLIENT_SECRET, policy: RenewalPolicy = EXACT, **hooks: Any
    ) -> ClientCredentialsStrategy:
        """Make a strategy on the clock and, unless told otherwise, a cache on the same one."""
        hooks = {"clock": self.clock, "caching_strategy": InMemoryCachingStrategy(clock=self.clock), **hooks}
        strategy = ClientCredentialsStrategy(client_id, secret, token_url=self.server.url, policy=policy)
        strategy.set_configuration(SdkConfiguration(**hooks))
        self.made.append(strategy)
        return strategy

    def settle(self) -> set[threading.Thread]:
        """Wait for whatever goes on in the background; gives the threads that would not end."""
        end = time.monotonic() + 10
        while any(not strategy._active.flight.latest().is_over for strategy in self.made) and time.monotonic() < end:
            time.sleep(0.001)
        while (begun := set(threading.enumerate()) - self.before) and time.monotonic() < end:
            time.sleep(0.001)
        return begun

    def failed_renewal(self, answer: Answer) -> TokenError:
        """Have a renewal answered like this; gives what the error handler was told, once."""
        errors: list[TokenError] = []
        strategy = self.strategy(error_handler=errors.append)
        held = strategy.get_or_create_access_token()
        self.clock.advance(WINDOW + 1)
        self.server.answer(answer)
        assert held == strategy.get_or_create_access_token()
        self.settle()
        [error] = errors
        return error


@pytest.fixture
def bench() -> Generator[Bench]:
    """Give a running token server and a clock that stands still."""
    with TokenServer(CLIENT_ID, CLIENT_SECRET) as server:
        yield Bench(server)


def outcome(call: Callable[[], AccessToken | None]) -> str | None:
    """Tell what a call came to: the text of a token, none, or the name of the TokenError."""
    try:
        token = call()
    except TokenError as error:
        return type(error).__name__
    return None if token is None else token.access_token


def body(**members: object) -> Answer:
    """Answer 200 with these members, over those of a good answer."""
    return Answer(body={"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600, **members})


def test_every_row_is_here() -> None:
    """Each row of the three tables has its tests, and each test the verdict of its row."""
    found: dict[str, set[str]] = {}
    for name, test in globals().items():
        if name.startswith("test_row_"):
            told = re.match(r"Row ([IE]?\d+), (KEEP|FIX): \S", inspect.getdoc(test) or "")
            assert told, name
            found.setdefault(told[1], set()).add(told[2])
    assert VERDICTS == found


def test_row_i1_the_constructor() -> None:
    """Row I1, KEEP: a client id and a secret are enough, in this order; the scopes are none unless given, by name."""
    parameters = inspect.signature(ClientCredentialsStrategy).parameters.values()
    keeps(
        seed=["client_id", "client_secret"],
        port=[each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD],
    )
    keeps(seed=(), port=next(each.default for each in parameters if each.name == "scopes"))


def test_row_i2_set_configuration(bench: Bench) -> None:
    """Row I2, KEEP: set_configuration takes one configuration and gives nothing."""
    call: Callable[[SdkConfiguration], object] = bench.strategy().set_configuration
    keeps(seed=None, port=call(SdkConfiguration(clock=bench.clock)))


def test_row_i3_get_or_create(bench: Bench) -> None:
    """Row I3, KEEP: get_or_create_access_token gives an access token; the async twin, as the SDK, a promise of one."""
    keeps(seed=AccessToken, port=type(bench.strategy().get_or_create_access_token()))
    keeps(seed=True, port=inspect.iscoroutinefunction(AsyncClientCredentialsStrategy.get_or_create_access_token))


def test_row_i4_get(bench: Bench) -> None:
    """Row I4, KEEP: get_access_token gives an access token or nothing."""
    strategy = bench.strategy()
    nothing = strategy.get_access_token()
    strategy.get_or_create_access_token()
    keeps(seed=[type(None), AccessToken], port=[type(nothing), type(strategy.get_access_token())])


def test_row_i5_remove(bench: Bench) -> None:
    """Row I5, KEEP: remove_access_token needs no argument and gives nothing."""
    call: Callable[[], object] = bench.strategy().remove_access_token
    keeps(seed=None, port=call())


def test_row_i6_the_access_token(bench: Bench) -> None:
    """Row I6, KEEP: the same names and units; a refresh token is never there, though the server may send one."""
    seed = {"access_token", "token_type", "expires_in", "refresh_token", "expires"}
    keeps(seed=seed, port={field.name for field in attrs.fields(AccessToken)} - {"scope", "extra"})
    bench.server.answer(body(refresh_token="unasked"))
    token = bench.strategy().get_or_create_access_token()
    keeps(seed=(3600, (bench.clock.wall() + 3600) * 1000), port=(token.expires_in, token.expires))
    assert token.refresh_token is None


def test_row_i7_the_configuration() -> None:
    """Row I7, FIX: seven of the eight, and a clock; this grant never redirects, so nothing could honour the eighth."""
    sdk = "fetch beforeRequest afterRequest deserializer responseValidator errorHandler redirectionStrategy"
    seed = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name) for name in (*sdk.split(), "cachingStrategy")}
    port = {field.name for field in attrs.fields(SdkConfiguration)}
    mends(seed=seed, want=seed - {"redirection_strategy"} | {"clock"}, port=port)


def test_row_i8_the_cache(bench: Bench) -> None:
    """Row I8, KEEP: a cache has get, set and remove and keeps JSON text; a time to live, in seconds, comes with it."""
    shelf = Shelf()
    strategy = bench.strategy(caching_strategy=shelf)
    token = strategy.get_or_create_access_token().access_token
    bench.settle()
    [text] = shelf.entries.values()
    keeps(seed=("{", True), port=(json.dumps(json.loads(text))[0], token in text))
    assert 3580 < shelf.ttls[0] <= 3600
    strategy.remove_access_token()
    keeps(seed=False, port=token in str(shelf.entries))


@pytest.mark.parametrize(("client_id", "secret"), [("", CLIENT_SECRET), (CLIENT_ID, "")])
def test_row_1_empty_credentials(bench: Bench, client_id: str, secret: str) -> None:
    """Row 1, FIX: empty credentials are refused by name where they are given, not sent to be refused there."""
    with pytest.raises(ValueError, match="client_secret" if client_id else "client_id"):
        bench.strategy(client_id, secret)
    mends(seed=1, want=0, port=bench.posts)


def test_row_2_another_configuration(bench: Bench) -> None:
    """Row 2, KEEP: the configuration may be set again; the token in the cache of the earlier one is out of sight."""
    shelves = Shelf(), Shelf()
    strategy = bench.strategy(caching_strategy=shelves[0])
    first = strategy.get_or_create_access_token()
    bench.settle()
    seen: list[AccessToken | None] = []
    for shelf in (shelves[1], shelves[0]):
        strategy.set_configuration(SdkConfiguration(clock=bench.clock, caching_strategy=shelf))
        seen.append(strategy.get_access_token())
    keeps(seed=([None, first], 1), port=(seen, bench.posts))


def test_row_3_no_configuration(bench: Bench) -> None:
    """Row 3, FIX: every method works before set_configuration, with defaults that are fit for use."""
    strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=bench.server.url)
    strategy.remove_access_token()
    got = [outcome(strategy.get_access_token), outcome(strategy.get_or_create_access_token)]
    mends(seed=["TypeError"] * 2, want=[None, *bench.server.issued], port=got)


def test_row_4_all_of_the_configuration(bench: Bench) -> None:
    """Row 4, FIX: all of the configuration is used, for the tokens of a client are asked for as its owner wishes."""
    heard: list[str] = []

    def hear(name: str, then: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
        def hook(*given: object) -> Any:
            heard.append(name)
            return then(*given)

        return hook

    class Clock(FakeClock):
        wall = hear("clock", FakeClock.wall)

    class Cache(Shelf):
        get = hear("caching_strategy", Shelf.get)

    usual = SdkConfiguration()
    hooks: dict[str, Any] = {
        "fetch": hear("fetch", Urllib3Fetch()),
        "before_request": hear("before_request"),
        "after_request": hear("after_request"),
        "deserializer": hear("deserializer", usual.deserializer),
        "response_validator": hear("response_validator", usual.response_validator),
        "error_handler": hear("error_handler"),
        "caching_strategy": Cache(),
        "clock": Clock(),
    }
    bench.server.answer(Answer(), refusal("invalid_scope"))
    strategy = bench.strategy(**hooks)
    strategy.get_or_create_access_token()
    strategy.remove_access_token()
    assert "TokenRefused" == outcome(strategy.get_or_create_access_token)
    bench.settle()
    mends(seed={"caching_strategy"}, want=set(hooks), port=set(heard))


def test_row_5_the_request(bench: Bench) -> None:
    """Row 5, KEEP: one POST, form-encoded, with Basic authentication; to Spotify unless told otherwise."""
    bench.strategy().get_or_create_access_token()
    [post] = bench.server.requests
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    keeps(
        seed=("POST", "/api/token", "application/x-www-form-urlencoded", f"Basic {basic}"),
        port=(post.method, post.target, post.headers["content-type"], post.headers["authorization"]),
    )
    keeps(seed="https://accounts.spotify.com/api/token", port=request_of("id", "secret").url)


def request_of(client_id: str, secret: str) -> TokenRequest:
    """Give the request that a client makes of Spotify; it goes nowhere."""
    sent: list[TokenRequest] = []

    def fetch(request: TokenRequest) -> TokenResponse:
        sent.append(request)
        raise TokenEndpointUnreachable("not meant to arrive", retryable=False)

    strategy = ClientCredentialsStrategy(client_id, secret)
    strategy.set_configuration(SdkConfiguration(fetch=fetch))
    assert "TokenEndpointUnreachable" == outcome(strategy.get_or_create_access_token)
    return sent[0]


@given(st.text(ALPHANUMERIC, min_size=1), st.text(ALPHANUMERIC, min_size=1))
def test_row_5_the_same_bytes(client_id: str, secret: str) -> None:
    """Row 5, KEEP: the form-encoding of RFC 6749 changes no byte of an alphanumeric id and secret, as Spotify's are."""
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    keeps(seed=f"Basic {basic}", port=request_of(client_id, secret).headers["Authorization"])


def test_row_6_the_body(bench: Bench) -> None:
    """Row 6, KEEP: the grant type and nothing else, as in the fork; scopes only when given, and then encoded."""
    bench.strategy().get_or_create_access_token()
    ClientCredentialsStrategy(
        CLIENT_ID, CLIENT_SECRET, token_url=bench.server.url, scopes=["a", "b&c"]
    ).get_or_create_access_token()
    plain, scoped = bench.server.requests
    keeps(seed=b"grant_type=client_credentials", port=plain.body)
    assert b"grant_type=client_credentials&scope=a+b%26c" == scoped.body


def test_row_7_success_is_200(bench: Bench) -> None:
    """Row 7, FIX: status 201 brings a token as 200 does, which some servers say; no other, whatever its body says."""
    accepted: list[int] = []
    # No 5xx here: whoever waits tries it again, and row E7 has it.
    for status in (200, 201, 202, 203, 206, 300, 400, 401, 404, 418):
        bench.server.answer(attrs.evolve(body(), status=status))
        if outcome(bench.strategy().get_or_create_access_token) == "a-token":
            accepted.append(status)
    mends(seed=[200], want=[200, 201], port=accepted)


@pytest.mark.parametrize(
    ("answer", "seed", "want"),
    [
        (refusal("invalid_scope", "no such scope"), "Error", ("TokenRefused", 400, "invalid_scope", "no such scope")),
        (Answer(status=404, body=b"nobody here"), "Error", ("TokenRefused", 404, None, None)),
        (Answer(body=b"<html>"), "SyntaxError", ("InvalidTokenResponse", 200, None, None)),
        (Answer(body=b"null"), "TypeError", ("InvalidTokenResponse", 200, None, None)),
        (None, "TypeError", ("TokenEndpointUnreachable", None, None, None)),
    ],
)
def test_row_8_errors(bench: Bench, answer: Answer | None, seed: str, want: tuple[object, ...]) -> None:
    """Row 8, FIX: every failure is a TokenError that holds what is known; it was one text, or any of three classes."""
    if answer is None:
        bench.server.close()
    else:
        bench.server.answer(answer)
    with pytest.raises(TokenError) as caught:
        bench.strategy(policy=attrs.evolve(EXACT, deadline=0.5)).get_or_create_access_token()
    told = [getattr(caught.value, name, None) for name in ("status", "error", "error_description")]
    mends(seed=(seed, None, None, None), want=want, port=(type(caught.value).__name__, *told))


def test_row_9_a_timeout(bench: Bench) -> None:
    """Row 9, FIX: a server that does not answer costs the deadline of the policy, and not the rest of the day."""
    bench.server.answer(Answer(delay=60))
    strategy = bench.strategy(policy=attrs.evolve(EXACT, deadline=0.3))
    mends(
        seed="no answer",
        want="TokenEndpointUnreachable",
        port=outcome(strategy.get_or_create_access_token),
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_9_no_redirect(bench: Bench, status: int) -> None:
    """Row 9, FIX: no redirect is followed, for it would take the client's secret to whoever it names."""
    with TokenServer(CLIENT_ID, CLIENT_SECRET) as other:
        bench.server.answer(Answer(status=status, headers={"Location": other.url}))
        got = outcome(bench.strategy().get_or_create_access_token)
        mends(seed=("a-token", 1), want=("InvalidTokenResponse", 0), port=(got, other.connections))


def test_row_10_unknown_members(bench: Bench) -> None:
    """Row 10, KEEP: what the server says beyond the standard is kept, in `extra`."""
    bench.server.answer(body(ext={"region": "eu"}, tier=3))
    token = bench.strategy().get_or_create_access_token()
    keeps(seed={"ext": {"region": "eu"}, "tier": 3}, port=dict(token.extra))


def test_row_11_expires_is_ours(bench: Bench) -> None:
    """Row 11, KEEP: `expires` is in milliseconds since the epoch, and ours, whatever the server sends by that name."""
    bench.server.answer(body(expires=12345))
    token = bench.strategy().get_or_create_access_token()
    keeps(seed=(bench.clock.wall() + 3600) * 1000, port=token.expires)


def test_row_11_counted_from_before(bench: Bench) -> None:
    """Row 11, FIX: a lifetime counts from before the request, as the server's may; a slow answer made it too long."""

    def slow(request: TokenRequest) -> TokenResponse:
        response = Urllib3Fetch()(request)
        bench.clock.advance(20)
        return response

    before = bench.clock.wall()
    token = bench.strategy(fetch=slow).get_or_create_access_token()
    mends(seed=(before + 20 + 3600) * 1000, want=(before + 3600) * 1000, port=token.expires)


def test_row_12_a_cold_start(bench: Bench) -> None:
    """Row 12, KEEP: with nothing cached there is one POST, and its token is given and kept."""
    shelf = Shelf()
    first = bench.strategy(caching_strategy=shelf).get_or_create_access_token()
    bench.settle()
    again = bench.strategy(caching_strategy=shelf).get_or_create_access_token()
    keeps(seed=(1, first), port=(bench.posts, again))


def test_row_13_a_fresh_token(bench: Bench) -> None:
    """Row 13, KEEP: a fresh token costs no request, and no caller can change it for another."""
    bench.server.answer(body(tier=3))
    strategy = bench.strategy()
    token = strategy.get_or_create_access_token()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        token.access_token = "another"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        token.extra["tier"] = 4  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    again = strategy.get_or_create_access_token()
    keeps(seed=("a-token", {"tier": 3}, 1), port=(again.access_token, dict(again.extra), bench.posts))


@pytest.mark.parametrize(("left", "posts"), [(120.001, 1), (120.0, 1), (119.999, 2)])
def test_row_14_the_edge_of_the_window(bench: Bench, left: float, posts: int) -> None:
    """Row 14, KEEP: exactly 120 s before its end a token is not renewed yet, a millisecond later it is."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(3600 - left)
    strategy.get_or_create_access_token()
    bench.settle()
    keeps(seed=posts, port=bench.posts)


def test_row_15_nobody_waits(bench: Bench) -> None:
    """Row 15, FIX: in the window the caller has the held token at once, and does not wait for the next."""
    held = Held()
    strategy = bench.strategy(fetch=held)
    held.let_go.set()
    old = strategy.get_or_create_access_token()
    held.let_go.clear()
    bench.clock.advance(WINDOW + 1)
    got = strategy.get_or_create_access_token()
    held.let_go.set()
    bench.settle()
    mends(seed=bench.server.issued[1], want=old.access_token, port=got.access_token)


def test_row_16_a_failed_renewal(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Row 16, KEEP: if a renewal fails the held token is served on, and the failure is told once, not raised."""
    error = bench.failed_renewal(Answer(status=503))
    assert isinstance(error, TokenRefused)
    keeps(seed=1, port=len([record for record in caplog.records if record.name == "client_credentials"]))


def test_row_17_the_gate(bench: Bench) -> None:
    """Row 17, FIX: after a failure nobody asks again for a while; every call did, which keeps a server down."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(WINDOW + 1)
    bench.server.always(Answer(status=503))
    for _ in range(10):
        strategy.get_or_create_access_token()
        bench.settle()
    mends(seed=10, want=1, port=bench.posts - 1)


def test_row_18_an_expired_token(bench: Bench) -> None:
    """Row 18, FIX: with an expired token there is one flight; a renewal and a creation are the same request."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(3600)
    bench.server.always(refusal("invalid_client"))
    assert "TokenRefused" == outcome(strategy.get_or_create_access_token)
    mends(seed=2, want=1, port=bench.posts - 1)


@pytest.mark.parametrize(
    ("said", "want"),
    [
        ({}, "eternal"),
        ({"expires_in": 0}, "eternal"),
        ({"expires_in": None}, "eternal"),
        ({"expires_in": "soon"}, "InvalidTokenResponse"),
    ],
)
def test_row_19_no_token_is_for_ever(bench: Bench, said: Mapping[str, object], want: str) -> None:
    """Row 19, FIX: a token whose lifetime is not told lasts a short while; if it is no number there is no token."""
    bench.server.answer(Answer(body={"access_token": "eternal", "token_type": "Bearer", **said}))
    strategy = bench.strategy()
    assert want == outcome(strategy.get_or_create_access_token)
    bench.clock.advance(TEN_YEARS)
    later = outcome(strategy.get_or_create_access_token)
    mends(seed="eternal", want=bench.server.issued[0], port=later)


@pytest.mark.parametrize(
    ("document", "want"),
    [
        (b"{}", "InvalidTokenResponse"),
        (b'{"error":"invalid_client"}', "TokenRefused"),
        (b"[1]", "InvalidTokenResponse"),
    ],
)
def test_row_20_no_token_in_it(bench: Bench, document: bytes, want: str) -> None:
    """Row 20, FIX: a 200 without a token is an error, and never a header that says `Bearer undefined`."""
    bench.server.answer(Answer(body=document))
    strategy = bench.strategy()
    got = [outcome(strategy.get_or_create_access_token), outcome(strategy.get_access_token)]
    mends(seed=["undefined", "undefined"], want=[want, None], port=got)


def test_row_21_a_stampede(bench: Bench) -> None:
    """Row 21, FIX: whoever asks while a request is under way waits for its token; there was a request for each."""
    bench.server.always(Answer(delay=0.2))
    # A cache without a lock, so that nothing but the flight keeps them together.
    strategy, start = bench.strategy(caching_strategy=Shelf()), threading.Barrier(50)

    def ask(_: int) -> str | None:
        start.wait()
        return outcome(strategy.get_or_create_access_token)

    with ThreadPoolExecutor(50) as pool:
        tokens = set(pool.map(ask, range(50)))
    mends(seed=(50, 50), want=(1, 1), port=(bench.posts, len(tokens)))


def test_row_22_looking(bench: Bench) -> None:
    """Row 22, KEEP: get_access_token with nothing cached gives nothing, and touches no network."""
    keeps(seed=(None, 0), port=(bench.strategy().get_access_token(), bench.server.connections))


def test_row_23_looking_in_the_window(bench: Bench) -> None:
    """Row 23, FIX: get_access_token never makes a request; it did if its cache had once seen how."""
    strategy = bench.strategy()
    token = strategy.get_or_create_access_token()
    bench.clock.advance(WINDOW + 1)
    assert token == strategy.get_access_token()
    bench.settle()
    mends(seed=2, want=1, port=bench.posts)


def test_row_24_looking_too_late(bench: Bench) -> None:
    """Row 24, KEEP: get_access_token gives nothing once the token has expired, and raises nothing."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(3600)
    keeps(seed=(None, 1), port=(strategy.get_access_token(), bench.posts))


def test_row_25_removal(bench: Bench) -> None:
    """Row 25, KEEP: removal is local and idempotent, nothing is revoked; the next call asks for a new token."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    strategy.remove_access_token()
    strategy.remove_access_token()
    keeps(seed=(None, 1), port=(strategy.get_access_token(), bench.server.connections))
    second = strategy.get_or_create_access_token()
    keeps(seed=(bench.server.issued[1], 2), port=(second.access_token, bench.posts))


def test_row_26_removal_in_flight(bench: Bench) -> None:
    """Row 26, KEEP: a token that was under way when another was removed is newer, and stays."""
    held = Held()
    strategy = bench.strategy(fetch=held)
    held.let_go.set()
    strategy.get_or_create_access_token()
    held.let_go.clear()
    held.under_way.clear()
    bench.clock.advance(WINDOW + 1)
    strategy.get_or_create_access_token()
    assert held.under_way.wait(10)
    strategy.remove_access_token()
    assert strategy.get_access_token() is None
    held.let_go.set()
    bench.settle()
    keeps(seed=bench.server.issued[1], port=outcome(strategy.get_access_token))


def test_row_26_the_removed_one_stays_away(bench: Bench) -> None:
    """Row 26, FIX: the removed token never comes back, though a late writer puts it into the cache again."""
    shelf = Shelf()
    strategy = bench.strategy(caching_strategy=shelf)
    strategy.get_or_create_access_token()
    bench.settle()
    written = dict(shelf.entries)
    strategy.remove_access_token()
    shelf.entries.update(written)
    got = [outcome(strategy.get_access_token), outcome(strategy.get_or_create_access_token)]
    removed, following = bench.server.issued
    mends(seed=[removed, removed], want=[None, following], port=got)


def test_row_27_two_clients(bench: Bench) -> None:
    """Row 27, FIX: clients that share a cache share no token, and each renews its own with its own credentials."""
    bench.server.answer(body(access_token="of-a"), body(access_token="of-b"), body(access_token="of-a-2"))
    cache = InMemoryCachingStrategy(clock=bench.clock)
    a, b = (bench.strategy(client_id, caching_strategy=cache) for client_id in ("client-a", "client-b"))
    got = [outcome(each.get_or_create_access_token) for each in (a, b)]
    mends(seed=["of-a", "of-a"], want=["of-a", "of-b"], port=got)
    bench.clock.advance(WINDOW + 1)
    a.get_or_create_access_token()
    bench.settle()
    mends(seed="client-b", want="client-a", port=bench.server.requests[-1].client_id)


def test_row_28_a_corrupt_cache(bench: Bench) -> None:
    """Row 28, FIX: an entry that cannot be read is a miss, and is overwritten; it was an error for ever."""
    shelf = Shelf()
    bench.strategy(caching_strategy=shelf).get_or_create_access_token()
    bench.settle()
    shelf.entries.update(dict.fromkeys(shelf.entries, "{garbage"))
    got: list[str | None] = []
    for _ in range(2):
        got.append(outcome(bench.strategy(caching_strategy=shelf).get_or_create_access_token))
        bench.settle()
    mends(seed=["SyntaxError"] * 2, want=[bench.server.issued[1]] * 2, port=got)


@pytest.mark.parametrize("broken", ["get", "set"])
def test_row_29_a_broken_cache(bench: Bench, broken: str) -> None:
    """Row 29, FIX: a cache that fails is no error and costs no token; reading raised, and writing lost it."""

    def fail(*_: object) -> Any:
        raise OSError("no space left")

    strategy = bench.strategy(caching_strategy=type("Broken", (Shelf,), {broken: fail})())
    got = [outcome(strategy.get_or_create_access_token) for _ in range(3)]
    mends(seed=["OSError"] * 3, want=bench.server.issued * 3, port=got)
    assert 1 == bench.posts


def test_row_30_a_short_life(bench: Bench) -> None:
    """Row 30, FIX: the window of a short-lived token is half of its life at most; it was all, so each call asked."""
    bench.server.always(Answer(lifetime=60))
    strategy = bench.strategy()
    for _ in range(30):
        strategy.get_or_create_access_token()
        bench.settle()
        bench.clock.advance(1)
    mends(seed=30, want=1, port=bench.posts)


def test_row_31_the_clock_set_back(bench: Bench) -> None:
    """Row 31, FIX: a wall clock that is set back a day brings no dead token to life."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.step_wall(-86400)
    bench.clock.advance(3600)
    got = outcome(strategy.get_or_create_access_token)
    dead, live = bench.server.issued
    mends(seed=dead, want=live, port=got)


def test_row_32_the_secret_is_not_shown(bench: Bench) -> None:
    """Row 32, FIX: printing a strategy, or making JSON of it, does not show the secret."""
    strategy = bench.strategy()
    shown = [repr(strategy), str(vars(strategy)), json.dumps(strategy, default=repr)]
    mends(seed=[True] * 3, want=[False] * 3, port=[CLIENT_SECRET in text for text in shown])
    assert CLIENT_ID in shown[0]


def test_row_33_a_token_that_the_api_refuses(bench: Bench) -> None:
    """Row 33, FIX: a token that the API refuses can be dropped by name, and costs one request, however often it is."""
    strategy = bench.strategy()
    refused = strategy.get_or_create_access_token()
    got: list[str | None] = []
    for _ in range(3):
        strategy.remove_access_token(refused)
        got.append(outcome(strategy.get_or_create_access_token))
    mends(seed=[refused.access_token] * 3, want=[bench.server.issued[1]] * 3, port=got)


def test_row_34_expires_in_is_a_number(bench: Bench) -> None:
    """Row 34, FIX: `expires_in` is a number or the digits of one; whatever else JavaScript makes a number of is not."""
    told: list[object] = [60, "60", " 60", "6e1", True]
    lives: list[int | None] = []
    for value in told:
        bench.server.answer(body(expires_in=value))
        try:
            lives.append(bench.strategy().get_or_create_access_token().expires_in)
        except InvalidTokenResponse:
            lives.append(None)
    mends(seed=[60, 60, 60, 60, 1], want=[60, 60, None, None, None], port=lives)


def test_row_35_no_timer(bench: Bench) -> None:
    """Row 35, FIX: the timer, which never stopped, is left out: the window needs none, and no thread outlives it."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(WINDOW + 1)
    mends(seed=(1, 2), want=(0, 1), port=(len(bench.settle()), bench.posts))


def test_row_e1_success(bench: Bench) -> None:
    """Row E1, KEEP: what Spotify grants is taken, with token_type in either case, and a scope or none."""
    for members in ({}, {"token_type": "bearer"}, {"scope": "a b"}):
        bench.server.answer(body(**members))
        token = bench.strategy().get_or_create_access_token()
        keeps(seed=("a-token", 3600, None), port=(token.access_token, token.expires_in, token.refresh_token))
        assert ("Bearer", members.get("scope")) == (token.token_type, token.scope)


def refused(strategy: ClientCredentialsStrategy) -> tuple[int, str | None, str | None]:
    """Give what the refusal of a client tells."""
    with pytest.raises(TokenRefused) as caught:
        strategy.get_or_create_access_token()
    assert not caught.value.retryable
    return caught.value.status, caught.value.error, caught.value.error_description


LOST = (None, None, "Failed to get access token.")  # all that the SDK tells of any refusal


def test_row_e2_wrong_secret(bench: Bench) -> None:
    """Row E2, FIX: a wrong secret is told as such; nothing was told."""
    told = refused(bench.strategy(secret="not-the-secret"))
    mends(seed=LOST, want=(400, "invalid_client", "Invalid client secret"), port=told)


def test_row_e3_unknown_client(bench: Bench) -> None:
    """Row E3, FIX: an unknown client is told as such, whether or not the server describes it; nothing was told."""
    told = refused(bench.strategy("nobody"))
    mends(seed=LOST, want=(400, "invalid_client", "Failed to get client"), port=told)
    bench.server.answer(refusal("invalid_client"))
    mends(seed=LOST, want=(400, "invalid_client", None), port=refused(bench.strategy("nobody")))


def test_row_e4_body_not_form_encoded(bench: Bench) -> None:
    """Row E4, FIX: if a user's fetch spoils the body, the server's objection to it is told; nothing was told."""

    def spoil(request: TokenRequest) -> TokenResponse:
        return Urllib3Fetch()(attrs.evolve(request, body=b'{"grant_type":"client_credentials"}'))

    told = refused(bench.strategy(fetch=spoil))
    mends(seed=LOST, want=(400, "unsupported_grant_type", "grant_type parameter is missing"), port=told)


def test_row_e5_wrong_content_type(bench: Bench) -> None:
    """Row E5, FIX: a 415 is told as such, and by its error code counts as worth another attempt; nothing was told."""
    error = bench.failed_renewal(refusal("server_error", "Unexpected status: 415", 415))
    assert isinstance(error, TokenRefused)
    told = (error.status, error.error, error.error_description)
    mends(seed=LOST, want=(415, "server_error", "Unexpected status: 415"), port=told)


@pytest.mark.parametrize("pause", [None, "1", "30", "86400"])
@pytest.mark.parametrize("said", [b"", b"Too many requests", b'{"error":{"status":429,"message":"slow down"}}'])
def test_row_e6_throttled(bench: Bench, pause: str | None, said: bytes) -> None:
    """Row E6, FIX: the wait that a 429 orders is told and kept, at most an hour, 5 s if it names none; it was lost."""
    headers = {} if pause is None else {"Retry-After": pause}
    error = bench.failed_renewal(Answer(status=429, headers=headers, body=said))
    assert isinstance(error, TokenRefused)
    want = min(float(pause or 5), 3600.0)
    mends(seed=(None, None), want=(429, want), port=(error.status, error.retry_after))
    assert ("slow down" if b"slow" in said else None) == error.error_description


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize(
    "said", [b"", b"<html><h1>Bad gateway", b"upstream connect error or disconnect/reset before headers"]
)
def test_row_e7_down(bench: Bench, status: int, said: bytes) -> None:
    """Row E7, FIX: a server that is down is told by its status, as worth another attempt; nothing was told."""
    error = bench.failed_renewal(Answer(status=status, body=said))
    assert isinstance(error, TokenRefused)
    mends(seed=(None, None, None), want=(status, None, True), port=(error.status, error.error, error.retryable))


@pytest.mark.parametrize(
    ("said", "want"),
    [
        ({"error": "invalid_request", "error_description": "why"}, ("invalid_request", "why")),
        ({"error": {"status": 400, "message": "why"}}, (None, "why")),
    ],
)
def test_row_e8_both_shapes(bench: Bench, said: Mapping[str, object], want: tuple[str | None, str]) -> None:
    """Row E8, FIX: `error` may be the code of RFC 6749 or the object of the Web API, and both are read; neither was."""
    bench.server.answer(Answer(status=400, body=said))
    mends(seed=LOST[1:], want=want, port=refused(bench.strategy())[1:])

"""The port beside the TypeScript strategy, row by row: what it keeps, what it mends, and which test shows it.

The rows are in three tables: the interface (I1 to I8), the behaviour (1 to 35) and what Spotify's endpoint answers (E1
to E8). A row that is tested in its room is named here; the others have their tests below, with what the SDK did when it
was run against a stub as `seed`.
"""

from __future__ import annotations

import base64
import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    CacheEntry,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
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
from tests.coverage_of_faults import functions_in

CLIENT_ID, CLIENT_SECRET = "my-client", "my-secret-71d0"
EXACT = RenewalPolicy(jitter=0, renew_ahead=120.0)  # as the SDK has it
WINDOW = 3600 - 120  # seconds until the renewal window of a token of an hour opens


@attrs.frozen
class Row:
    """What the SDK does, whether the port keeps or fixes it, and the tests of other files that show that."""

    verdict: str
    seed: str
    tests: tuple[str, ...] = ()


def kept(seed: str, *tests: str) -> Row:
    """The port does the same."""
    return Row("KEEP", seed, tests)


def fixed(seed: str, *tests: str) -> Row:
    """The port does what the SDK should have done."""
    return Row("FIX", seed, tests)


MEMBERS, RESPONSE, REFUSAL = (f"core/test_{name}.py" for name in ("response_members", "response", "refusal"))
CLIENT, REQUEST, LIFE, BOTH = (
    "core/test_client.py",
    "core/test_request.py",
    "core/test_lifecycle.py",
    "strategy/test_both.py",
)

ROWS: Final[Mapping[str, Row]] = {
    "I1": kept("a client id, a secret and scopes make a strategy"),
    "I2": kept("set_configuration takes a configuration and gives nothing"),
    "I3": kept("get_or_create_access_token promises an access token"),
    "I4": kept("get_access_token gives an access token or nothing"),
    "I5": kept("remove_access_token gives nothing"),
    "I6": kept("five fields of an access token, by name and unit"),
    "I7": fixed("eight parts of a configuration, one of which this grant never uses"),
    "I8": kept("a cache has get, set and remove, and keeps JSON text"),
    "1": fixed("empty credentials are sent, to be refused there", f"{CLIENT}::test_the_argument_is_named"),
    "2": kept("another configuration hides the token of the one before", f"{BOTH}::test_a_new_configuration_forgets"),
    "3": fixed("every method raises TypeError before set_configuration"),
    "4": fixed("nothing of the configuration is used but the cache"),
    "5": kept("one POST of a form, with Basic authentication", f"{REQUEST}::test_frame"),
    "6": kept("the body is the grant type alone", f"{REQUEST}::test_the_vector_of_the_rfc"),
    "7": fixed("200 is the only success", f"{RESPONSE}::test_only_success_passes"),
    "8": fixed(
        "errors are of three classes, or one text",
        "test_errors.py::test_attributes",
        "test_errors.py::test_all_are_token_errors",
        f"{RESPONSE}::test_any_response",
    ),
    "9": fixed(
        "there is no timeout, and redirects are followed",
        f"{BOTH}::test_an_answer_that_never_comes",
        "rfc/test_rfc.py::test_no_redirect",
    ),
    "10": kept("members beyond the standard are kept", f"{RESPONSE}::test_d15"),
    "11": fixed(
        "`expires` is ours, but counts from the answer",
        f"{MEMBERS}::test_others_are_ignored",
        f"{MEMBERS}::test_counted_from_before_sending",
    ),
    "12": kept("with nothing cached there is one POST", f"{BOTH}::test_one_request_serves_every_call"),
    "13": kept("a fresh token costs no request", f"{BOTH}::test_one_request_serves_every_call"),
    "14": kept("exactly 120 s before its end a token is not renewed yet", f"{LIFE}::test_renewal"),
    "15": fixed("in the window the caller waits", f"{BOTH}::test_nobody_waits_for_a_renewal"),
    "16": kept("a renewal that fails is logged, not raised", f"{BOTH}::test_a_dead_endpoint_is_ridden_out"),
    "17": fixed("every call asks a server that is down", f"{LIFE}::test_doubles_to_a_minute"),
    "18": fixed("with an expired token there are two requests", f"{BOTH}::test_everyone_shares_one_refusal"),
    "19": fixed("without a lifetime a token is for ever", f"{MEMBERS}::test_missing", f"{MEMBERS}::test_zero"),
    "20": fixed("without a token the header says `Bearer undefined`", f"{MEMBERS}::test_wrong"),
    "21": fixed("fifty callers make fifty requests", "strategy/test_threads.py::test_a_thousand_threads_one_request"),
    "22": kept("get_access_token touches no network", f"{BOTH}::test_looking_never_asks"),
    "23": fixed("get_access_token renews in the window", f"{BOTH}::test_looking_never_asks"),
    "24": kept("an expired token is not given", f"{LIFE}::test_end"),
    "25": kept("removal is local and idempotent", f"{BOTH}::test_removal_forgets"),
    "26": fixed(
        "a token under way stays, and a late writer brings back the removed one",
        f"{BOTH}::test_a_flight_under_way_at_a_removal",
        f"{BOTH}::test_a_removed_token_stays_away",
    ),
    "27": fixed("clients that share a cache share a token"),
    "28": fixed("a corrupt entry raises for ever", "core/test_entry.py::test_any_text"),
    "29": fixed("a cache that fails raises, or loses the token", f"{BOTH}::test_a_cache_that_is_down"),
    "30": fixed("a life of 60 s is all window", f"{LIFE}::test_half_of_a_life"),
    "31": fixed("a clock that is set back revives the dead", f"{BOTH}::test_a_wall_clock_step"),
    "32": fixed("printing shows the secret", "rfc/test_rfc6749.py::test_the_secret_is_confidential"),
    "33": fixed("a token that the API refuses stays", f"{BOTH}::test_a_hundred_removals_of_one_token"),
    "34": fixed("whatever JavaScript makes a number of is a lifetime", f"{MEMBERS}::test_no_numbers"),
    "35": fixed("a timer never stops"),
    "E1": kept("what Spotify grants", f"{MEMBERS}::test_any_case", f"{MEMBERS}::test_members_are_kept"),
    "E2": fixed("a wrong secret: `Failed to get access token.`"),
    "E3": fixed("an unknown client: `Failed to get access token.`"),
    "E4": fixed("a body that is no form: `Failed to get access token.`"),
    "E5": fixed("415: `Failed to get access token.`", f"{REFUSAL}::test_h4"),
    "E6": fixed(
        "429: `Failed to get access token.`",
        f"{REFUSAL}::test_h10_h11_h13_h16",
        f"{REFUSAL}::test_h15",
        f"{LIFE}::test_too_many_requests",
    ),
    "E7": fixed("5xx: `Failed to get access token.`", f"{RESPONSE}::test_c20"),
    "E8": fixed("both shapes of `error`: `Failed to get access token.`", f"{REFUSAL}::test_h5_as_the_web_api_says_it"),
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
    """Each row has its tests, here or where it says, and each test here the verdict of its row."""
    here = {
        match[1]: match[2]
        for name, test in globals().items()
        if name.startswith("test_row_")
        for match in [re.match(r"Row ([IE]?\d+), (KEEP|FIX): \S", inspect.getdoc(test) or "")]
        if match
    }
    assert here == {name: row.verdict for name, row in ROWS.items() if not row.tests}
    for file, _, test in (each.partition("::") for row in ROWS.values() for each in row.tests):
        source = (Path(__file__).parent / file).read_text("utf-8")
        assert test in dict(functions_in(source)), f"{file}::{test}"


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


def test_row_35_no_timer(bench: Bench) -> None:
    """Row 35, FIX: the timer, which never stopped, is left out: the window needs none, and no thread outlives it."""
    strategy = bench.strategy()
    strategy.get_or_create_access_token()
    bench.clock.advance(WINDOW + 1)
    mends(seed=(1, 2), want=(0, 1), port=(len(bench.settle()), bench.posts))


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


def test_to_spotify_unless_told_otherwise() -> None:
    """Row 5: a client of two arguments asks Spotify."""
    sent: list[TokenRequest] = []

    def fetch(request: TokenRequest) -> TokenResponse:
        sent.append(request)
        raise TokenEndpointUnreachable("not meant to arrive", retryable=False)

    strategy = ClientCredentialsStrategy("id", "secret")
    strategy.set_configuration(SdkConfiguration(fetch=fetch))
    assert "TokenEndpointUnreachable" == outcome(strategy.get_or_create_access_token)
    basic = base64.b64encode(b"id:secret").decode()
    keeps(
        seed=("https://accounts.spotify.com/api/token", f"Basic {basic}", b"grant_type=client_credentials"),
        port=(sent[0].url, sent[0].headers["Authorization"], sent[0].body),
    )

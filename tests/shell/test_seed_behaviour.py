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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.coverage_of_faults import functions_in
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, Shelf, configuration, grant, make_sync, outcome, settled, until

AS_THE_SDK: Final = RenewalPolicy(jitter=0, renew_ahead=120.0)
WINDOW: Final = 3600 - 120  # seconds until the renewal window of a token of an hour opens


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
    "shell/test_both.py",
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
        "shell/test_threads.py::test_redirects_are_not_followed",
    ),
    "10": kept("members beyond the standard are kept", f"{MEMBERS}::test_members_are_kept"),
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
    "21": fixed("fifty callers make fifty requests", "shell/test_threads.py::test_a_thousand_threads_one_request"),
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
    "32": fixed("printing shows the secret", "faults/test_secrets.py::test_what_is_shown"),
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
        source = (Path(__file__).parents[1] / file).read_text("utf-8")
        assert test in dict(functions_in(source)), f"{file}::{test}"


def test_row_i1_the_constructor() -> None:
    """Row I1, KEEP: a client id and a secret are enough, in this order; the scopes are none unless given, by name."""
    parameters = inspect.signature(ClientCredentialsStrategy).parameters.values()
    keeps(
        seed=["client_id", "client_secret"],
        port=[each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD],
    )
    keeps(seed=(), port=next(each.default for each in parameters if each.name == "scopes"))


def test_row_i2_set_configuration(server: TokenServer) -> None:
    """Row I2, KEEP: set_configuration takes one configuration and gives nothing."""
    call: Callable[[SdkConfiguration], object] = make_sync(server).set_configuration
    keeps(seed=None, port=call(SdkConfiguration()))


def test_row_i3_get_or_create(server: TokenServer) -> None:
    """Row I3, KEEP: get_or_create_access_token gives an access token; the async twin, as the SDK, a promise of one."""
    keeps(seed=AccessToken, port=type(make_sync(server).get_or_create_access_token()))
    keeps(seed=True, port=inspect.iscoroutinefunction(AsyncClientCredentialsStrategy.get_or_create_access_token))


def test_row_i4_get(server: TokenServer) -> None:
    """Row I4, KEEP: get_access_token gives an access token or nothing."""
    strategy = make_sync(server)
    nothing = strategy.get_access_token()
    strategy.get_or_create_access_token()
    keeps(seed=[type(None), AccessToken], port=[type(nothing), type(strategy.get_access_token())])


def test_row_i5_remove(server: TokenServer) -> None:
    """Row I5, KEEP: remove_access_token needs no argument and gives nothing."""
    call: Callable[[], object] = make_sync(server).remove_access_token
    keeps(seed=None, port=call())


def test_row_i6_the_access_token(server: TokenServer, clock: FakeClock) -> None:
    """Row I6, KEEP: the same names and units; a refresh token is never there, though the server may send one."""
    seed = {"access_token", "token_type", "expires_in", "refresh_token", "expires"}
    keeps(seed=seed, port={field.name for field in attrs.fields(AccessToken)} - {"scope", "extra"})
    server.answer(Answer(body={**json.loads(grant().body), "refresh_token": "unasked"}))
    token = make_sync(server, clock).get_or_create_access_token()
    keeps(seed=(3600, (clock.wall() + 3600) * 1000), port=(token.expires_in, token.expires))
    assert token.refresh_token is None


def test_row_i7_the_configuration() -> None:
    """Row I7, FIX: seven of the eight, and a clock; this grant never redirects, so nothing could honour the eighth."""
    sdk = "fetch beforeRequest afterRequest deserializer responseValidator errorHandler redirectionStrategy"
    seed = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name) for name in (*sdk.split(), "cachingStrategy")}
    port = {field.name for field in attrs.fields(SdkConfiguration)}
    mends(seed=seed, want=seed - {"redirection_strategy"} | {"clock"}, port=port)


def test_row_i8_the_cache(server: TokenServer) -> None:
    """Row I8, KEEP: a cache has get, set and remove and keeps JSON text; a time to live, in seconds, comes with it."""
    shelf = Shelf()
    strategy = make_sync(server, hooks={"caching_strategy": shelf})
    token = strategy.get_or_create_access_token().access_token
    settled(strategy)
    [key] = shelf.entries
    entry = shelf.get(key)
    assert entry
    keeps(seed=("{", True), port=(json.dumps(json.loads(entry.value))[0], token in entry.value))
    assert 3580 < (entry.ttl or 0.0) <= 3600
    strategy.remove_access_token()
    keeps(seed=False, port=token in str(shelf.entries))


def test_row_3_no_configuration(server: TokenServer) -> None:
    """Row 3, FIX: every method works before set_configuration, with defaults that are fit for use."""
    strategy = ClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET, token_url=server.url)
    strategy.remove_access_token()
    got = [outcome(strategy.get_access_token), outcome(strategy.get_or_create_access_token)]
    mends(seed=["TypeError"] * 2, want=[None, *server.issued], port=got)


def test_row_4_all_of_the_configuration(server: TokenServer) -> None:
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
    }
    server.answer(Answer(), refusal("invalid_scope"))
    strategy = make_sync(server, Clock(), hooks=hooks)
    strategy.get_or_create_access_token()
    strategy.remove_access_token()
    assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
    settled(strategy)
    mends(seed={"caching_strategy"}, want={*hooks, "clock"}, port=set(heard))


def test_row_27_two_clients(server: TokenServer, clock: FakeClock) -> None:
    """Row 27, FIX: clients that share a cache share no token, and each renews its own with its own credentials."""
    server.answer(*(Answer(body=grant(token).body) for token in ("of-a", "of-b", "of-a-2")))
    shared = configuration(clock, caching_strategy=InMemoryCachingStrategy(clock=clock))
    a, b = (
        ClientCredentialsStrategy(each, CLIENT_SECRET, token_url=server.url, policy=AS_THE_SDK)
        for each in ("client-a", "client-b")
    )
    for each in (a, b):
        each.set_configuration(shared)
    got = [outcome(each.get_or_create_access_token) for each in (a, b)]
    mends(seed=["of-a", "of-a"], want=["of-a", "of-b"], port=got)
    clock.advance(WINDOW + 1)
    a.get_or_create_access_token()
    settled(a)
    mends(seed="client-b", want="client-a", port=server.requests[-1].client_id)


def test_row_35_no_timer(server: TokenServer, clock: FakeClock) -> None:
    """Row 35, FIX: the timer, which never stopped, is left out: the window needs none, and no thread outlives it."""
    before = set(threading.enumerate())
    strategy = make_sync(server, clock, policy=AS_THE_SDK)
    strategy.get_or_create_access_token()
    clock.advance(WINDOW + 1)
    until(lambda: set(threading.enumerate()) <= before)
    mends(seed=2, want=1, port=len(server.requests))


UNTOLD: Final = (None, None, "Failed to get access token.")  # all that the SDK tells of any refusal


def told(strategy: ClientCredentialsStrategy) -> tuple[int, str | None, str | None]:
    """Give what the refusal of a client tells."""
    error = outcome(strategy.get_or_create_access_token)
    assert isinstance(error, TokenRefused)
    assert not error.retryable
    return error.status, error.error, error.error_description


def test_row_e2_wrong_secret(server: TokenServer) -> None:
    """Row E2, FIX: a wrong secret is told as such; nothing was told."""
    port = told(make_sync(server, secret="not-the-secret"))
    mends(seed=UNTOLD, want=(400, "invalid_client", "Invalid client secret"), port=port)


def test_row_e3_unknown_client(server: TokenServer) -> None:
    """Row E3, FIX: an unknown client is told as such, whether or not the server describes it; nothing was told."""
    for answers, words in ((), "Failed to get client"), ([refusal("invalid_client")], None):
        server.answer(*answers)
        port = told(ClientCredentialsStrategy("nobody", CLIENT_SECRET, token_url=server.url))
        mends(seed=UNTOLD, want=(400, "invalid_client", words), port=port)


def test_row_e4_body_not_form_encoded(server: TokenServer) -> None:
    """Row E4, FIX: if a user's fetch spoils the body, the server's objection to it is told; nothing was told."""

    def spoil(request: TokenRequest) -> TokenResponse:
        return Urllib3Fetch()(attrs.evolve(request, body=b'{"grant_type":"client_credentials"}'))

    port = told(make_sync(server, hooks={"fetch": spoil}))
    mends(seed=UNTOLD, want=(400, "unsupported_grant_type", "grant_type parameter is missing"), port=port)


def test_to_spotify_unless_told_otherwise() -> None:
    """Row 5: a client of two arguments asks Spotify."""
    sent: list[TokenRequest] = []

    def fetch(request: TokenRequest) -> TokenResponse:
        sent.append(request)
        raise TokenEndpointUnreachable("not meant to arrive", retryable=False)

    strategy = ClientCredentialsStrategy("id", "secret")
    strategy.set_configuration(SdkConfiguration(fetch=fetch))
    with pytest.raises(TokenEndpointUnreachable):
        strategy.get_or_create_access_token()
    basic = base64.b64encode(b"id:secret").decode()
    keeps(
        seed=("https://accounts.spotify.com/api/token", f"Basic {basic}", b"grant_type=client_credentials"),
        port=(sent[0].url, sent[0].headers["Authorization"], sent[0].body),
    )

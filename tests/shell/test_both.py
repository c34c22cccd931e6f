"""The four methods, and the lifecycle behind them, for both strategies alike."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

import attrs
import pytest

from client_credentials import (
    AccessToken,
    CacheEntry,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
)
from client_credentials._shell.base import BaseStrategy
from client_credentials.errors import HookError
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.shell.kit import HASTY, Endpoint, Held, Maker, configuration, grant, together, until


def test_one_request_serves_every_call(server: TokenServer, make: Maker) -> None:
    """A fresh token is asked for once, and handed out as it is by both getters."""
    strategy = make(server)
    first = strategy.get_or_create_access_token()
    assert [first] * 10 == [strategy.get_or_create_access_token() for _ in range(10)]
    assert first == strategy.get_access_token()
    assert 1 == len(server.requests)


def test_a_call_leaves_no_generator_unfinished(
    server: TokenServer, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J5: an interrupt of the caller that came while Python closes one would be lost."""
    kept: list[Any] = []
    obtain = BaseStrategy._obtain

    def keep(self: BaseStrategy) -> Any:
        kept.append(obtain(self))
        return kept[-1]

    monkeypatch.setattr(BaseStrategy, "_obtain", keep)
    make(server).get_or_create_access_token()
    assert [GEN_CLOSED] == [getgeneratorstate(each) for each in kept]


def test_looking_never_asks(server: TokenServer, make: Maker) -> None:
    """`get_access_token` makes no request, whatever there is."""
    strategy = make(server)
    assert strategy.get_access_token() is None
    assert 0 == server.connections


def test_thirty_seconds_a_thousand_reads(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """A token of 30 s is read a thousand times over its life with two requests at the most."""
    server.always(Answer(lifetime=30))
    strategy = make(server, clock)
    for _ in range(1000):
        strategy.get_or_create_access_token()
        clock.advance(0.03)
    until(lambda: len(server.requests) == 2)
    strategy.get_or_create_access_token()
    assert 2 == len(server.requests)


def test_nobody_waits_for_a_renewal(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """In the renewal window the held token is served at once, and its successor once it is there."""
    late = Held(grant("new"))
    endpoint = Endpoint(grant("old"), late)
    strategy = make(server, clock, hooks={"fetch": endpoint})
    old = strategy.get_or_create_access_token()
    clock.advance(3481)
    assert old == strategy.get_or_create_access_token()
    until(lambda: len(endpoint.requests) == 2)
    assert old == strategy.get_or_create_access_token()
    late.go.set()
    until(lambda: strategy.get_access_token() != old)
    assert "new" == strategy.get_or_create_access_token().access_token
    assert 2 == len(endpoint.requests)


def test_a_dead_endpoint_is_ridden_out(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """While the held token is good nobody sees an error; the attempts follow the gate; then come error and recovery."""
    failures: list[TokenError] = []
    strategy = make(server, clock, hooks={"error_handler": failures.append})
    old = strategy.get_or_create_access_token()
    server.always(refusal("invalid_client"))
    clock.advance(3481)
    # 5 s doubling to 60 s, from the window's first second to the last.
    for second in range(109):
        assert old == strategy.get_or_create_access_token()
        attempts = len([start for start in (0, 5, 15, 35, 75) if start <= second])
        until(lambda: len(failures) == attempts)  # noqa: B023  # called before the next turn
        clock.advance(1)
    assert 6 == len(server.requests)
    with pytest.raises(TokenRefused) as caught:
        strategy.get_or_create_access_token()
    assert "invalid_client" == caught.value.error
    assert 6 == len(server.requests)
    server.always(None)
    clock.advance(60)
    assert strategy.get_or_create_access_token().access_token == server.issued[1]
    assert 7 == len(server.requests)


@pytest.mark.parametrize("shift", [86400.0, -86400.0], ids=["a day forward", "a day back"])
def test_a_wall_clock_step(server: TokenServer, clock: FakeClock, make: Maker, shift: float) -> None:
    """A step of the wall clock costs one request at the most, and no expired token is served after it."""
    strategy = make(server, clock)
    first = strategy.get_or_create_access_token()
    clock.step_wall(shift)
    second = strategy.get_or_create_access_token()
    assert len(server.requests) <= 2
    clock.advance(3590)
    third = strategy.get_or_create_access_token()
    assert third.access_token not in {first.access_token, second.access_token}


def test_a_lifetime_of_zero(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """G7: `expires_in: 0` counts as one second, and there is a second at least between two requests."""
    server.always(Answer(lifetime=0))
    strategy = make(server, clock)
    assert 1 == strategy.get_or_create_access_token().expires_in
    clock.advance(0.99)
    strategy.get_or_create_access_token()
    assert 1 == len(server.requests)
    clock.advance(0.01)
    strategy.get_or_create_access_token()
    assert 2 == len(server.requests)


def test_everyone_shares_one_refusal(server: TokenServer, make: Maker) -> None:
    """J4: one refusal answers all who wait, each with a fresh exception; until the gate opens nobody asks again."""
    server.always(attrs.evolve(refusal("invalid_client"), delay=0.2))
    strategy = make(server)
    errors = together(50, strategy.get_or_create_access_token)
    assert {TokenRefused} == {type(error) for error in errors}
    assert 50 == len({id(error) for error in errors})
    assert {"invalid_client"} == {error.error for error in errors if isinstance(error, TokenRefused)}
    assert 1 == len(server.requests)


def test_two_retries_at_the_most(server: TokenServer, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC9110-9.2.2: a server that fails is asked three times while somebody waits, not again until the gate opens."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
    server.always(Answer(status=503, delay=0.2))  # until all have come
    strategy = make(server)
    errors = together(20, strategy.get_or_create_access_token)
    assert [503] * 20 == [error.status for error in errors if isinstance(error, TokenRefused)]
    assert 3 == len(server.requests)


def test_a_passing_failure_is_not_seen(server: TokenServer, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who waits gets the token of the second attempt."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
    server.answer(Answer(status=503))
    assert make(server).get_or_create_access_token().access_token == server.issued[0]
    assert 2 == len(server.requests)


def test_an_ordered_wait_is_obeyed(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """H9: after a 429 with Retry-After nobody asks until it is over, and the error says how long that is from now."""
    server.answer(Answer(status=429, headers={"Retry-After": "7"}))
    strategy = make(server, clock)
    for passed, left in ((0, 7.0), (3, 4.0), (3.9999, 0.0001)):
        clock.advance(passed)
        with pytest.raises(TokenRefused) as caught:
            strategy.get_or_create_access_token()
        assert caught.value.retryable
        assert pytest.approx(left, abs=1e-5) == caught.value.retry_after
    assert 1 == len(server.requests)
    clock.advance(0.5)
    strategy.get_or_create_access_token()
    assert 2 == len(server.requests)


def test_removal_forgets(server: TokenServer, make: Maker) -> None:
    """After a removal there is no token, here or in the cache, until one is asked for; twice is as good as once."""
    strategy = make(server)
    old = strategy.get_or_create_access_token()
    strategy.remove_access_token()
    strategy.remove_access_token()
    assert strategy.get_access_token() is None
    assert old != strategy.get_or_create_access_token()
    assert 2 == len(server.requests)


def test_a_hundred_removals_of_one_token(server: TokenServer, make: Maker) -> None:
    """H22: a hundred reports of one dead token cost one renewal."""
    strategy = make(server)
    old = strategy.get_or_create_access_token()
    for _ in range(100):
        strategy.remove_access_token(old)
        strategy.get_or_create_access_token()
    assert 2 == len(server.requests)


def test_removal_leaves_the_gate_shut(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """A removal does not open a gate."""
    server.answer(Answer(status=429, headers={"Retry-After": "60"}))
    strategy = make(server, clock)
    for _ in range(2):
        with pytest.raises(TokenRefused):
            strategy.get_or_create_access_token()
        strategy.remove_access_token()
    assert 1 == len(server.requests)


def test_a_flight_under_way_at_a_removal(server: TokenServer, make: Maker) -> None:
    """J9: what a request brings that was under way at a removal is newer than what was removed, and is kept."""
    late = Held(grant("new"))
    endpoint = Endpoint(late)
    strategy = make(server, hooks={"fetch": endpoint})
    waiting = threading.Thread(target=strategy.get_or_create_access_token)
    waiting.start()
    until(lambda: endpoint.requests)
    strategy.remove_access_token()
    late.go.set()
    waiting.join()
    assert "new" == strategy.get_or_create_access_token().access_token
    assert 1 == len(endpoint.requests)


def test_a_removed_token_stays_away(server: TokenServer, make: Maker) -> None:
    """A cache that cannot forget does not bring a removed token back."""

    class Stubborn(InMemoryCachingStrategy):
        def remove(self, key: str) -> None:
            raise ConnectionError

    strategy = make(server, hooks={"caching_strategy": Stubborn()})
    old = strategy.get_or_create_access_token()
    strategy.remove_access_token(old)
    assert strategy.get_access_token() is None
    assert old != strategy.get_or_create_access_token()


def test_a_new_configuration_forgets(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """What is remembered under one configuration is forgotten by the next, but its cache keeps it."""
    strategy = make(server, clock)
    first_cache = configuration(clock)
    strategy.set_configuration(first_cache)
    first = strategy.get_or_create_access_token()
    strategy.set_configuration(configuration(clock))
    assert strategy.get_access_token() is None
    assert first != strategy.get_or_create_access_token()
    strategy.set_configuration(first_cache)
    assert first == strategy.get_access_token()
    assert 2 == len(server.requests)


def test_a_new_configuration_opens_the_gate(server: TokenServer, clock: FakeClock, make: Maker) -> None:
    """A gate belongs to the configuration that it was shut under."""
    server.answer(refusal("invalid_client"))
    strategy = make(server, clock)
    with pytest.raises(TokenRefused):
        strategy.get_or_create_access_token()
    strategy.set_configuration(configuration(clock))
    strategy.get_or_create_access_token()


def test_the_answer_to_an_old_configuration(server: TokenServer, make: Maker) -> None:
    """A request made under an old configuration delivers to nobody under the new one: who waits asks anew."""
    late = Held(grant("of-the-old"))
    endpoint = Endpoint(late, grant("of-the-new"))
    strategy = make(server, hooks={"fetch": endpoint})
    got: list[AccessToken] = []
    waiting = threading.Thread(target=lambda: got.append(strategy.get_or_create_access_token()))
    waiting.start()
    until(lambda: endpoint.requests)
    strategy.set_configuration(configuration(fetch=endpoint))
    late.go.set()
    waiting.join()
    assert ["of-the-new"] == [token.access_token for token in got]
    assert got == [strategy.get_access_token()]


def test_hooks_see_request_and_response(server: TokenServer, make: Maker) -> None:
    """The hooks are called in order, with what was sent and what came back."""
    seen: list[object] = []

    def before(request: TokenRequest) -> None:
        seen.append(("before", request.method))

    def after(request: TokenRequest, response: TokenResponse) -> None:
        seen.append(("after", request.method, response.status))

    def validate(response: TokenResponse) -> None:
        seen.append(("validate", response.status))

    def deserialize(response: TokenResponse) -> dict[str, object]:
        seen.append(("deserialize", response.status))
        return {"access_token": "mine", "token_type": "bearer"}

    hooks = {
        "before_request": before,
        "after_request": after,
        "response_validator": validate,
        "deserializer": deserialize,
    }
    token = make(server, hooks=hooks).get_or_create_access_token()
    assert ("mine", 300) == (token.access_token, token.expires_in)
    assert [("before", "POST"), ("after", "POST", 200), ("validate", 200), ("deserialize", 200)] == seen


def test_the_error_handler_sees_each_attempt(
    server: TokenServer, make: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error handler is told of each failed attempt, the log of the last; what either raises goes no further."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
    seen: list[TokenError] = []

    def handler(error: TokenError) -> None:
        seen.append(error)
        raise LookupError("a hook's own words")

    server.always(Answer(status=500))
    with pytest.raises(TokenRefused):
        make(server, hooks={"error_handler": handler}).get_or_create_access_token()
    until(lambda: len(caplog.records) == 4)
    assert [500] * 3 == [error.status for error in seen if isinstance(error, TokenRefused)]
    told = [record.getMessage() for record in caplog.records if record.name == "client_credentials"]
    raised = "error_handler raised LookupError"
    assert [raised, raised, str(seen[2]), raised] == told
    assert "127.0.0.1" in told[2]
    assert "(client 'my-client')" in told[2]


def test_a_retry_that_brings_a_token_is_no_warning(
    server: TokenServer, make: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the error handler hears of a failed attempt whose flight brings a token all the same."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
    seen: list[TokenError] = []
    server.answer(Answer(status=500))
    make(server, hooks={"error_handler": seen.append}).get_or_create_access_token()
    until(lambda: bool(seen))
    assert ([500], []) == ([error.status for error in seen if isinstance(error, TokenRefused)], caplog.records)


def test_an_answer_that_never_comes(server: TokenServer, make: Maker) -> None:
    """J7: at the deadline everyone who waits has an error, the leader too."""
    late = Held(grant())
    errors = together(5, make(server, hooks={"fetch": late}, policy=HASTY).get_or_create_access_token)
    assert {TokenEndpointUnreachable} == {type(error) for error in errors}
    assert not late.is_over
    late.go.set()


def test_a_fetch_that_gives_something_else(server: TokenServer, make: Maker) -> None:
    """O: what is no TokenResponse is named by its type, and is worth no second attempt."""
    strategy = make(server, hooks={"fetch": str})
    with pytest.raises(HookError, match="fetch returned str, expected TokenResponse") as caught:
        strategy.get_or_create_access_token()
    assert not caught.value.retryable


class Broken:
    """A cache that is down."""

    def get(self, key: str) -> CacheEntry | None:
        raise ConnectionError(key)

    def set(self, key: str, value: str, ttl: float) -> None:
        raise ConnectionError(value)

    def remove(self, key: str) -> None:
        raise ConnectionError(key)

    def lock(self, key: str, ttl: float) -> Any:
        raise ConnectionError(key)


def test_a_cache_that_is_down(server: TokenServer, make: Maker, caplog: pytest.LogCaptureFixture) -> None:
    """A cache that fails is never an error: it counts as empty, and the log says so once."""
    strategy = make(server, hooks={"caching_strategy": Broken()})
    assert strategy.get_or_create_access_token() == strategy.get_or_create_access_token()
    strategy.remove_access_token()
    assert strategy.get_access_token() is None
    assert 1 == len(server.requests)
    told = [record.getMessage() for record in caplog.records if record.name == "client_credentials"]
    assert ["Broken failed with ConnectionError; it counts as empty"] == told


def test_what_is_not_a_policy() -> None:
    """A policy or a configuration of the wrong kind is refused by name."""
    wrong: Any = {"renew_ahead": 3}
    with pytest.raises(ValueError, match="policy"):
        ClientCredentialsStrategy("a", "b", policy=wrong)
    with pytest.raises(ValueError, match=r"^configuration must"):
        ClientCredentialsStrategy("a", "b").set_configuration(wrong)

"""The contract of a strategy: the laws between the four methods of `AuthStrategy` and `AsyncAuthStrategy`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from .._core.model import AccessToken, TokenRequest
from ..caching.memory import InMemoryCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from ..protocols import AsyncAuthStrategy, AuthStrategy
from ._caching_contract import CLIENT, SETTINGS
from ._calls import Caller
from .clock import FakeClock
from .endpoint import Answer, refusal
from .server import TokenServer

_LIFETIME: Final = 3600
_PATIENCE: Final = 15.0
_PROMPT: Final = 5.0
"""Seconds within which a call returns on any machine, unless it waits for the endpoint."""
# No answer that is retried while the caller waits, which would take real time.
_ANSWERS: Final = {
    "granting": Answer(lifetime=_LIFETIME),
    "refusing": refusal("invalid_client", status=401),
    "talking nonsense": Answer(body=b"<html>"),
}


class AuthStrategyContract:
    """A test for each law of the four methods; the drills (`TokenHolderDrills`) hold a strategy to the rest."""

    def make_strategy(self, token_url: str, client_id: str, client_secret: str) -> AuthStrategy | AsyncAuthStrategy:
        """Make a strategy that has no token yet; the test then calls its `set_configuration`."""
        raise NotImplementedError

    def test_the_laws_hold_in_any_order(self) -> None:
        """Whatever happens in whatever order, these laws hold.

        `get_access_token` sends no request. Where it gives a token, so does `get_or_create_access_token`. A token is
        handed out neither after its end nor after its removal. Removal may be repeated, and that of another token
        leaves the one in hand. Where there is no token to be had, a TokenError is raised.
        """
        contract = self

        class Laws(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                self.context = contract._made()
                self.made = self.context.__enter__()
                self.removed: set[str] = set()
                self.ends: dict[str, float] = {}

            @rule(state=st.sampled_from(sorted(_ANSWERS)))
            def the_endpoint_is(self, state: str) -> None:
                self.made.server.always(_ANSWERS[state])

            @rule(after=st.sampled_from([0.0, 60.0, 1800.0, 3500.0, 3600.0]))
            def ask(self, after: float) -> None:
                self.made.clock.advance(after)
                held = self.made.get()
                if held is not None:
                    self.check(held)
                try:
                    self.check(self.made.get_or_create())
                except TokenError:
                    assert held is None

            @rule(times=st.integers(1, 2))
            def remove(self, times: int) -> None:
                for _ in range(times):
                    self.made.remove()
                self.removed.update(self.ends)
                self.ask(0.0)

            @rule()
            def remove_the_one_in_hand(self) -> None:
                held = self.made.get()
                if held is not None:
                    self.made.remove(held)
                    self.removed.add(held.access_token)

            @rule()
            def remove_another(self) -> None:
                held = self.made.get()
                self.made.remove(AccessToken("another", "Bearer", _LIFETIME, 0))
                assert held is None or self.made.get() is not None

            def check(self, token: AccessToken) -> None:
                name, now = token.access_token, self.made.clock.monotonic()
                assert name in self.made.server.issued
                assert name not in self.removed
                assert now < self.ends.setdefault(name, now + _LIFETIME)

            def teardown(self) -> None:
                self.context.__exit__(None, None, None)

        run_state_machine_as_test(Laws, settings=SETTINGS)

    @pytest.mark.parametrize("age", [0.0, 1800.0, 3500.0])
    def test_a_good_token_waits_for_no_endpoint(self, age: float) -> None:
        """Whenever get_access_token gives a token, get_or_create_access_token gives one without waiting."""
        with self._made() as made:
            made.get_or_create()
            made.server.always(Answer(delay=60))
            made.clock.advance(age)
            assert made.get() is not None
            assert made.get_or_create(_PROMPT) is not None

    def test_get_sends_no_request(self) -> None:
        """get_access_token gives None where there is no token, and never asks for one."""
        with self._made() as made:
            assert made.get() is None
            token = made.get_or_create()
            assert token == made.get()
            made.clock.advance(_LIFETIME - 100)
            made.get()
            made.clock.advance(100)
            assert made.get() is None
            assert 1 == len(made.server.requests)

    def test_one_request_for_many_callers(self) -> None:
        """Twenty callers who find no token get the same one, from one request."""
        with self._made() as made:
            made.server.always(Answer(delay=0.2))
            tokens = {each.access_token for each in made.crowd(20)}
            assert (1, 1) == (len(tokens), len(made.server.requests))

    def test_the_configuration_is_used(self) -> None:
        """What set_configuration brings is used from then on, and what was remembered before is not."""
        seen: list[TokenRequest] = []
        with self._made() as made:
            first = made.get_or_create()
            made.configure(before_request=seen.append)
            assert made.get() is None
            assert first != made.get_or_create()
            assert 1 == len(seen)

    @contextmanager
    def _made(self) -> Generator[_Made]:
        with TokenServer(*CLIENT, lifetime=_LIFETIME) as server:
            made = _Made(self.make_strategy(server.url, *CLIENT), server)
            try:
                yield made
            finally:
                made.close()


class _Made:
    """A strategy on a fake clock, called in the same way whether its methods are coroutine functions or not."""

    def __init__(self, strategy: AuthStrategy | AsyncAuthStrategy, server: TokenServer) -> None:
        self.server = server
        self.clock = FakeClock()
        self._strategy: Any = strategy
        self._caller = Caller(_PATIENCE)
        self.close = self._caller.close
        self.configure()

    def configure(self, **hooks: Any) -> None:  # noqa: ANN401
        cache = InMemoryCachingStrategy(clock=self.clock)
        self._strategy.set_configuration(SdkConfiguration(clock=self.clock, caching_strategy=cache, **hooks))

    def get_or_create(self, within: float = _PATIENCE) -> AccessToken:
        return cast("AccessToken", self._result(self._strategy.get_or_create_access_token, within))

    def get(self) -> AccessToken | None:
        return cast("AccessToken | None", self._result(self._strategy.get_access_token))

    def remove(self, *token: AccessToken) -> None:
        self._result(lambda: self._strategy.remove_access_token(*token))

    def crowd(self, count: int) -> list[AccessToken]:
        calls = self._caller.begin(self._strategy.get_or_create_access_token, count)()
        assert [] == [call for call in calls if call.error or not call.returned]
        return [cast("AccessToken", call.value) for call in calls]

    def _result(self, function: Callable[[], object], within: float = _PATIENCE) -> object:
        [call] = self._caller.begin(function)()
        assert call.returned, f"the call did not return within {_PATIENCE:g} s"
        assert call.seconds < within, f"the call took {call.seconds:.1f} s"
        if call.error is not None:
            raise call.error
        return call.value

"""The errors: each is made of a failure, says what it should, and travels whole."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import HookError, InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused
from client_credentials._core.model import Failure, HookFailed, Malformed, Refused, Unreachable
from client_credentials.errors import error_of, failure_of
from tests.strategies import failures, seconds

CLASSES: dict[type[Failure], type[TokenError]] = {
    Refused: TokenRefused,
    Malformed: InvalidTokenResponse,
    Unreachable: TokenEndpointUnreachable,
    HookFailed: HookError,
}


class OutOfQuota(TokenRefused):
    """A user's own, whose constructor is like no other."""

    def __init__(self, tenant: str, *, quota: int) -> None:
        super().__init__(429, "quota", f"tenant {tenant} has {quota}", retryable=True, retry_after=7)
        self.tenant = tenant


class Bare(TokenError):
    """A user's own, which never calls our constructor."""

    def __init__(self, number: int) -> None:
        Exception.__init__(self, number)


class TestRoundTrip:
    """Failures are data; exceptions are made of them at the edge, fresh for each caller."""

    @given(failures(), st.none() | seconds(3600))
    def test_there_and_back(self, failure: Failure, left: float | None) -> None:
        """A failure makes an error of its class that says as much as it does, with the wait that is left."""
        error = error_of(failure, left)
        assert CLASSES[type(failure)] is type(error)
        assert attrs.evolve(failure, retry_after=left if failure.retryable else None) == failure_of(error)

    @given(failures())
    def test_fresh(self, failure: Failure) -> None:
        """Each caller has an instance of its own, without a cause, a context or a traceback."""
        one, other = error_of(failure), error_of(failure)
        assert one is not other
        assert (None, None, None) == (one.__cause__, one.__context__, one.__traceback__)

    @given(failures(), seconds(3600))
    def test_attributes(self, failure: Failure, left: float) -> None:
        """An error has every field of its failure as an attribute."""
        error = error_of(attrs.evolve(failure, retryable=True), left)
        fields = [field.name for field in attrs.fields(type(failure)) if field.name not in ("retryable", "retry_after")]
        assert [getattr(failure, name) for name in fields] == [getattr(error, name) for name in fields]
        assert (True, left) == (error.retryable, error.retry_after)

    def test_of_a_users_own(self) -> None:
        """A subclass of ours that a hook raises is taken as what it is a subclass of."""
        expected = Refused(status=429, error="quota", error_description="tenant a has 3", retryable=True, retry_after=7)
        assert expected == failure_of(OutOfQuota("a", quota=3))

    def test_of_a_users_own_kind(self) -> None:
        """One of no kind of ours is named, and does not say of itself that it may be retried unless it does."""
        assert Unreachable(reason="Bare", retryable=False) == failure_of(Bare(7))
        assert Unreachable(reason="TokenError", retryable=True, retry_after=3.0) == failure_of(
            TokenError("secret", retryable=True, retry_after=3.0)
        )


class TestTexts:
    """Messages are made of constants, statuses and what the server said."""

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (TokenRefused(400), "the token endpoint refused the request with status 400"),
            (TokenRefused(400, "slow_down"), "the token endpoint refused the request with status 400 (slow_down)"),
            (TokenRefused(400, None, "No"), "the token endpoint refused the request with status 400 (No)"),
            (TokenRefused(401, "a", "b", "c"), "the token endpoint refused the request with status 401 (a: b)"),
            (InvalidTokenResponse(200, "the body is empty"), "not a token response: the body is empty"),
            (TokenEndpointUnreachable("it is late"), "no answer from the token endpoint: it is late"),
            (TokenError("plain"), "plain"),
            (TokenError(), ""),
        ],
    )
    def test_texts(self, error: TokenError, text: str) -> None:
        """Each class has its sentence."""
        assert text == str(error)

    def test_usual_values(self) -> None:
        """What is not said of an error is what is usual for its class: only the unreachable may come back by itself."""
        errors = (TokenError(), TokenRefused(400), InvalidTokenResponse(None, "x"), TokenEndpointUnreachable("x"))
        assert [(False, None)] * 3 + [(True, None)] == [(error.retryable, error.retry_after) for error in errors]
        assert 0 == TokenError(retry_after=-3.0).retry_after

    @given(failures())
    def test_all_are_token_errors(self, failure: Failure) -> None:
        """One except clause catches them all."""
        with pytest.raises(TokenError) as caught:
            raise error_of(failure)
        assert failure.retryable is caught.value.retryable


def parts(error: TokenError) -> tuple[Any, ...]:
    """All that there is to an error."""
    return type(error), error.args, str(error), vars(error)


class TestTravel:
    """Errors pickle and copy, subclasses with constructors of their own included."""

    @given(failures(), st.none() | seconds(60), st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
    def test_pickle(self, failure: Failure, left: float | None, protocol: int) -> None:
        """Each comes out of a pickle of any protocol as it went in."""
        error = error_of(failure, left)
        again = pickle.loads(pickle.dumps(error, protocol))
        assert parts(error) == parts(again)

    @pytest.mark.parametrize("error", [OutOfQuota("a", quota=3), Bare(7), TokenError("plain", retryable=True)])
    def test_a_users_own(self, error: TokenError) -> None:
        """So do subclasses whose constructors take other arguments, with their notes."""
        error.add_note("seen by the worker")
        for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
            assert parts(error) == parts(again)
            assert ["seen by the worker"] == again.__notes__

"""Facts and states as they come about: each grant, failure or removal is one event, of which any part may know."""

from __future__ import annotations

from functools import reduce
from typing import Final

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from client_credentials import RenewalPolicy
from client_credentials._core.lifecycle import failed, hold
from client_credentials._core.model import Failure, Granted
from client_credentials._core.state import EMPTY, Asked, Gate, Held, Instant, State, merge
from tests.strategies import NOW, draws, failures, seconds

LONG: Final = 200_000
EXACT: Final = RenewalPolicy(jitter=0)
POLICIES: Final = (
    EXACT,
    RenewalPolicy(),
    RenewalPolicy(renew_ahead=120),
    RenewalPolicy(renew_ahead=0, leeway=0),
    RenewalPolicy(max_lifetime=600, jitter=1),
)


def ago(age: float, monotonic: float | None = None) -> Instant:
    """The moment so many seconds before NOW, by each of the clocks."""
    return Instant(NOW.wall - age, NOW.monotonic - (age if monotonic is None else monotonic))


def later(since: Instant, wall: float, monotonic: float | None = None) -> Instant:
    """The moment so many seconds after another, by each of the clocks."""
    return Instant(since.wall + wall, since.monotonic + (wall if monotonic is None else monotonic))


def helds(most: float = LONG) -> SearchStrategy[Held]:
    """Tokens in hand, asked for at some time before NOW; of some the end is only assumed."""

    def made(
        lifetime: int,
        text: str,
        age: float,
        policy: RenewalPolicy,
        dice: float,
        refresh_in: float | None,
        assumed: bool,
    ) -> Held:
        grant = Granted(access_token=text, expires_in=lifetime, scope=None, refresh_in=refresh_in)
        if assumed:
            grant = attrs.evolve(grant, expires_in=None)
            policy = attrs.evolve(policy, assumed_lifetime=min(lifetime, policy.max_lifetime))
        return hold(grant, Asked.here(ago(age)), policy, dice)

    return st.builds(
        made,
        st.integers(1, 100_000),
        st.sampled_from("abc"),
        seconds(most),
        st.sampled_from(POLICIES),
        draws(),
        st.none() | seconds(4000),
        st.booleans(),
    )


def gates(most: float = 4000) -> SearchStrategy[Gate]:
    """Gates that some failure has shut before NOW."""

    def made(failure: Failure, asked: float, took: float, dice: float, streak: int) -> Gate:
        gate = failed(EMPTY, failure, ago(asked), ago(asked - min(took, asked)), dice)
        return attrs.evolve(gate, streak=streak)

    return st.builds(made, failures(), seconds(most), seconds(20), draws(), st.integers(1, 6))


def granted(held: Held) -> State:
    """The fact that this token was granted."""
    return State(held=held, granted=held.asked)


def facts(most: float = LONG) -> SearchStrategy[State]:
    """Single facts."""
    return st.one_of(
        helds(most).map(granted),
        gates().map(lambda gate: State(gates=(gate,))),
        helds(most).map(lambda held: State(removed=held.asked)),
    )


@st.composite
def _parts(draw: DrawFn, number: int) -> list[State]:
    known = draw(st.lists(helds(), max_size=3, unique_by=lambda held: held.asked.stamp))
    events = [granted(held) for held in known]
    events += [State(removed=held.asked) for held in known if draw(st.booleans())]
    events += [State(gates=(gate,)) for gate in draw(st.lists(gates(), max_size=3))]
    return [put_together(draw(st.permutations(events))[: draw(st.integers(0, len(events)))]) for _ in range(number)]


def parts(number: int) -> SearchStrategy[list[State]]:
    """So many states that have each heard of some of the same events, in an order of their own."""
    return _parts(number)


def states() -> SearchStrategy[State]:
    """Whatever may be known."""
    return _parts(1).map(lambda parts: parts[0])


def put_together(events: list[State]) -> State:
    """What is known after these facts."""
    return reduce(lambda state, fact: merge(state, fact, NOW), events, EMPTY)


HOUR: Final = Granted(access_token="a", expires_in=3600, scope=None)


def an_hour(age: float = 0.0, text: str = "a", *, assumed: bool = False) -> Held:
    """A token of an hour that was asked for so many seconds before NOW."""
    grant = attrs.evolve(HOUR, access_token=text, expires_in=None if assumed else 3600)
    return hold(grant, Asked.here(ago(age)), attrs.evolve(EXACT, assumed_lifetime=3600.0), 0.0)

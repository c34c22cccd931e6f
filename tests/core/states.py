"""Facts and states as they come about: each grant, failure or removal is one event, of which any part may know."""

from __future__ import annotations

from functools import reduce
from typing import Final

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._core.lifecycle import failed, hold
from client_credentials._core.state import EMPTY, Asked, Gate, Held, Instant, State, merge
from tests.strategies import NOW, access_tokens, draws, failures, policies, seconds

LONG: Final = 200_000


def ago(age: float, monotonic: float | None = None) -> Instant:
    """The moment so many seconds before NOW, by each of the clocks."""
    return Instant(NOW.wall - age, NOW.monotonic - (age if monotonic is None else monotonic))


def later(since: Instant, wall: float, monotonic: float | None = None) -> Instant:
    """The moment so many seconds after another, by each of the clocks."""
    return Instant(since.wall + wall, since.monotonic + (wall if monotonic is None else monotonic))


@st.composite
def helds(draw: DrawFn, most: float = LONG) -> Held:
    """Tokens in hand, asked for at some time before NOW; of some the end is only assumed."""
    token = draw(access_tokens(bare=True))
    assumed = draw(st.booleans())
    refresh_in = draw(st.none() | seconds(4000))
    moment = Asked.here(ago(draw(seconds(most))))
    return hold(token, moment, draw(policies()), draw(draws()), assumed=assumed, refresh_in=refresh_in)


@st.composite
def gates(draw: DrawFn, most: float = 4000) -> Gate:
    """Gates that some failure has shut before NOW."""
    asked = draw(seconds(most))
    took = min(draw(seconds(20)), asked)
    gate = failed(EMPTY, draw(failures()), ago(asked), ago(asked - took), draw(draws()))
    return attrs.evolve(gate, streak=draw(st.integers(1, 6)))


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


TOKEN: Final = AccessToken("a", "Bearer", 3600, int((NOW.wall + 3600) * 1000))
EXACT: Final = RenewalPolicy(jitter=0)


def an_hour(age: float = 0.0, text: str = "a", *, assumed: bool = False) -> Held:
    """A token of an hour that was asked for so many seconds before NOW."""
    token = attrs.evolve(TOKEN, access_token=text, expires=TOKEN.expires - int(age * 1000))
    return hold(token, Asked.here(ago(age)), EXACT, 0.0, assumed=assumed)

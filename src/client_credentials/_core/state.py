"""What is known of one client's token, and `merge`, which combines two such states.

Everything known was asked for at some moment, and that moment orders it, not the moment at which it arrived. What
`merge` makes of a state and one fact:

| fact    | token                        | gates                                             |
|---------|------------------------------|---------------------------------------------------|
| granted | the newer one                | those that were asked for after it                |
| failed  | as it was                    | the newest, and each ordered wait that still runs |
| removed | none, if it is as old as it  | as they were                                      |
"""

from __future__ import annotations

import math
from typing import Any, Final

import attrs

from .model import AccessToken, Failure, Malformed, Refused
from .value import Value

_MOST_GATES: Final = 8


@attrs.frozen(eq=False, repr=False)
class Instant(Value):
    """A moment by both clocks, in seconds; NaN where a clock gave none."""

    wall: float
    monotonic: float

    def earlier(self, seconds: float) -> Instant:
        """Return the moment `seconds` before: another one, unless they are 0, however coarse the clocks are."""
        return Instant(_earlier(self.wall, seconds), _earlier(self.monotonic, seconds))

    def later(self, seconds: float) -> Instant:
        """Return the moment `seconds` after, likewise."""
        return self.earlier(-seconds)


def _earlier(clock: float, seconds: float) -> float:
    moved = clock - seconds
    return moved if moved != clock or seconds == 0 else math.nextafter(clock, seconds * -math.inf)


def elapsed(since: Instant, now: Instant) -> float:
    """Measure the time gone by: the larger of what the two clocks say; infinite if neither says anything.

    The wall clock may be set back, the monotonic clock may stop while a machine is suspended; hardly both.
    """
    wall, monotonic = now.wall - since.wall, now.monotonic - since.monotonic
    longer = wall if wall > monotonic or math.isnan(monotonic) else monotonic  # NaN is never greater
    return math.inf if math.isnan(longer) else longer


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Asked(Value):
    """When a request was made, which tells what came of it from what came of any other.

    `stamp` is the wall clock of the host that made it, in seconds since the epoch; the same moment by the clocks of
    this host is `at`, which may be off by what a cache rounds.
    """

    stamp: float
    at: Instant

    @classmethod
    def here(cls, at: Instant) -> Asked:
        """Describe a request of this host."""
        return cls(stamp=at.wall, at=at)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Held(Value):
    """A token in hand, and the seconds from its request until its renewal, its end and its expiry, which is `last`."""

    token: AccessToken
    asked: Asked
    renewal: float
    end: float
    last: float
    """When it expires: at its end if the server stated that, else after the longest that it may be served."""
    refresh_in: float | None = None
    """When to renew it, in seconds from its request, where the server said so."""

    def is_expired(self, now: Instant) -> bool:
        """Tell whether it may not be served any more."""
        return elapsed(self.asked.at, now) >= self.last

    @property
    def is_assumed(self) -> bool:
        """Whether the end is assumed, since the server stated none."""
        return self.last != self.end


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Gate(Value):
    """The backoff after a failure: no request until `wait` seconds after `since`."""

    failure: Failure
    asked: Asked
    since: Instant
    wait: float
    streak: int
    """How many failures there were in a row, this one included."""

    def remaining(self, now: Instant) -> float:
        """Return the seconds until it opens; 0 or less once it is open."""
        return self.wait - elapsed(self.since, now)

    @property
    def is_ordered(self) -> bool:
        """Whether the server ordered this wait."""
        return self.failure.retry_after is not None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class State(Value):
    """All that is known of one client's token."""

    held: Held | None = None
    granted: Asked | None = None
    """When the newest grant was asked for, though its token may be gone."""
    gates: tuple[Gate, ...] = ()
    removed: Asked | None = None
    """When the newest token that was removed was asked for; it and what is older never come back."""


EMPTY: Final = State()


def merge(one: State, other: State, now: Instant) -> State:
    """Put together what is known, whichever part was learnt first: commutative, associative, idempotent.

    A newer grant outranks an older one while it is good, and settles every failure asked for before it. Of the gates
    the newest stays, and each wait that the server ordered until it is over. Of one fact told with two ages, as caches
    round, the older is taken.
    """
    granted = _newest(one.granted, other.granted, now)
    removed = _newest(one.removed, other.removed, now)
    helds = [held for held in (one.held, other.held) if held]
    if helds:
        # Memory may have dropped a token and kept its grant alone; from a cache, whose ages are rounded, the token must
        # not come back younger.
        told = [*(held.asked for held in helds), *filter(None, (one.granted, other.granted))]
        oldest = {asked.stamp: asked for asked in sorted(told, key=lambda asked: elapsed(asked.at, now))}
        helds = [_asked_at(held, oldest[held.asked.stamp]) for held in helds]
    good = [held for held in helds if not held.is_expired(now) and not _is_gone(held, removed, now)]

    def rank(held: Held) -> tuple[Any, ...]:
        return _age(held, now), held.asked.stamp, held.last, held.renewal, held.token.access_token

    return State(
        held=min(good, key=rank, default=None),
        granted=granted,
        gates=_gates(gates, granted, now) if (gates := one.gates + other.gates) else (),
        removed=removed,
    )


def publication(cached: State, fact: State, known: State, now: Instant) -> State | None:
    """Merge a fact, and what was granted or removed meanwhile, into what a cache holds; None: it knows all that.

    Not all that is known: after a rotation, what one secret was granted is not for those who have the other.
    """
    settled = State(granted=known.granted, removed=known.removed)
    merged = merge(merge(cached, fact, now), settled, now)
    # Other ages of the same facts are no news.
    return merged if _facts(merged) != _facts(cached) else None


def publishable(state: State) -> State:
    """Leave out what concerns only this process: failures of its network, trust store, proxy, hooks and clocks."""
    return attrs.evolve(state, gates=tuple(gate for gate in state.gates if is_shared(gate.failure)))


def is_shared(failure: Failure) -> bool:
    """Tell whether the server said it, so that it concerns all who share the cache."""
    return isinstance(failure, Refused | Malformed)


def is_refused_secret(failure: Failure) -> bool:
    """Tell whether the server refused the client secret."""
    return isinstance(failure, Refused) and failure.error == "invalid_client"


def _facts(state: State) -> tuple[Any, ...]:
    gates = tuple((gate.asked.stamp, gate.failure) for gate in state.gates)
    return *(asked and asked.stamp for asked in (state.held and state.held.asked, state.granted, state.removed)), gates


def _asked_at(held: Held, asked: Asked) -> Held:
    return held if held.asked is asked else attrs.evolve(held, asked=asked)


def _age(fact: Held | Gate, now: Instant) -> float:
    return elapsed(fact.asked.at, now)


def _is_gone(held: Held, removed: Asked | None, now: Instant) -> bool:
    if removed is None:
        return False
    return held.asked.stamp == removed.stamp or _age(held, now) >= elapsed(removed.at, now)


def _newest(one: Asked | None, other: Asked | None, now: Instant) -> Asked | None:
    if one is None or other is None:
        return one or other
    older, newer = sorted((one, other), key=lambda asked: (-elapsed(asked.at, now), asked.stamp))
    return older if older.stamp == newer.stamp else newer


def _gates(gates: tuple[Gate, ...], granted: Asked | None, now: Instant) -> tuple[Gate, ...]:
    def rank(gate: Gate) -> tuple[Any, ...]:
        return -_age(gate, now), gate.remaining(now), gate.streak, gate.asked.stamp, repr(gate.failure)

    newest_first = sorted(gates, key=rank, reverse=True)
    facts = {(gate.asked.stamp, repr(gate.failure)): gate for gate in newest_first}  # of one fact the oldest is last
    settled = float("inf") if granted is None else elapsed(granted.at, now)
    newest: list[Gate] = []
    longest = 0.0
    for gate in sorted(facts.values(), key=rank, reverse=True):
        if _age(gate, now) >= settled or (granted is not None and gate.asked.stamp == granted.stamp):
            continue
        left = gate.remaining(now) if gate.is_ordered else 0.0
        if not newest or left > longest:
            newest.append(gate)
        longest = max(longest, left)
    return tuple(newest[:_MOST_GATES])

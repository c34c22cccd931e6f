"""The life of a token as pure transitions from a state and the time; the tables here are the rules.

What a caller who asks for a token gets:

| token   | gate | decision |
|---------|------|----------|
| none    | open | Ask      |
| none    | shut | Fail     |
| fresh   | open | Serve    |
| fresh   | shut | Serve    |
| stale   | open | Renew    |
| stale   | shut | Serve    |
| overdue | open | Ask      |
| overdue | shut | Serve    |
| expired | open | Ask      |
| expired | shut | Fail     |

A token is fresh until its renewal window, stale within it, and expired at its end. Where the server stated no lifetime
the end is only assumed: past it the token is overdue, until `max_lifetime`. A gate is the backoff after a failure: no
request is made while it is shut. So a renewal that fails, at a 429 for example, is not retried, since nobody waits for
it; the token is served on, and the first call after the gate has opened renews it.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import attrs

from .model import AccessToken, Failure, Granted, Refused, RenewalPolicy, Unreachable
from .state import EMPTY, Asked, Gate, Held, Instant, State, elapsed
from .value import Value

SHORTEST_LIFETIME: Final = 1.0
MOST_RETRIES: Final = 2
_MOST_IN_VAIN: Final = 9
"""How many flights a caller waits for that bring it no good token."""
MOST_HUNG: Final = 8
"""How many flights of a strategy may hang past their deadline before none is begun any more."""

LONGEST_WAIT: Final = 3600.0
_SHORTEST_POLL, _LONGEST_POLL = 0.025, 0.25
LOCKS: Final = (("", 0.5), ("-second", 0.75))
"""What is added to a key for its locks, and the share of the deadline for which each is waited for.

The second is for when the holder of the first has died: one succeeds it.
"""
REMOVAL_WAITS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.0)  # seconds, try after try for the lock, then without it
LOCK_MARGIN: Final = 1.0  # seconds for which a lock outlives the deadline of its flight

_SHORTEST_WAIT: Final = 1.0
_LONGEST_BACKOFF: Final = 60.0
_RENEWAL_SHARE: Final = 3  # renewal begins at a third of the life, but no later than the SDK's two minutes before
_SDK_RENEWAL: Final = 120.0
_LOST: Final = 1.0  # seconds by which a flight outlasts its deadline where this machine or process stood still
LONGEST_UNREAD: Final = 1.0  # seconds for which a decision is kept before the clocks are read again
_TICK: Final = 1e-6  # seconds; the least by which one request is asked for later than another


@attrs.frozen(eq=False, repr=False)
class Serve(Value):
    """Return the token; the decision holds for `lasts` seconds more."""

    token: AccessToken
    lasts: float


@attrs.frozen(eq=False, repr=False)
class Renew(Value):
    """Return the token, and ask for the next one meanwhile."""

    token: AccessToken


class Ask(Value):
    """Ask for a token; the caller waits."""


@attrs.frozen(eq=False, repr=False)
class Fail(Value):
    """There is no token, and it is too early to ask for `wait` seconds more."""

    failure: Failure
    wait: float


Decision: TypeAlias = Serve | Renew | Ask | Fail


def decide(state: State, now: Instant) -> Decision:
    """Say what to do for a caller who asks for a token now."""
    held = state.held
    gate = max(state.gates, key=lambda gate: gate.remaining(now), default=None)
    wait = gate.remaining(now) if gate else 0.0
    age = elapsed(held.asked.at, now) if held else 0.0
    if held is None or held.is_expired(now):
        return Fail(gate.failure, wait) if gate and wait > 0 else Ask()
    # Not "<": with just the window left the token is still fresh, as in the SDK.
    if age <= held.renewal and age < held.end:
        return Serve(held.token, held.renewal - age)
    if wait > 0:
        return Serve(held.token, min(wait, held.last - age))
    return Renew(held.token) if age < held.end else Ask()


def token_in_hand(state: State, now: Instant) -> AccessToken | None:
    """Return the token that a caller would get now without waiting for anything."""
    decision = decide(state, now)
    return decision.token if isinstance(decision, Serve | Renew) else None


def is_shut(state: State, now: Instant) -> bool:
    """Tell whether there is no token, and it is too early to ask for one."""
    return isinstance(decide(state, now), Fail)


def answer(
    state: State, now: Instant, ended: Fail | None, left: float, deadline: float, flights: int = 0
) -> AccessToken | Fail | None:
    """Say what a caller that waited for a flight gets: a token, its failure, or None to decide again.

    `ended` is the failure that the flight ended with, if any; `left` are the seconds until the caller's own deadline,
    which is `deadline` seconds long; after nine `flights` in vain it waits for no other. A good token wins over any
    failure, and so does one past an end that was only assumed.
    """
    token = token_in_hand(state, now)
    if token is not None:
        return token
    if ended is None:
        if left <= 0:
            ended = Fail(timed_out(deadline), 0.0)
        elif flights >= _MOST_IN_VAIN:
            ended = Fail(Unreachable(reason="each token had expired before it arrived"), 0.0)
        else:
            return None
    return state.held.token if state.held and not state.held.is_expired(now) else ended


def timed_out(deadline: float) -> Failure:
    """Describe a request that brought nothing within its deadline, in seconds."""
    return Unreachable(reason=f"timed out after {deadline:g} s")


def is_overdue(left: float) -> bool:
    """Tell whether a flight has passed its deadline; `left` are the seconds until then."""
    return left <= 0


def too_many_hang(count: int) -> bool:
    """Tell whether too many flights hang past their deadline for another to be begun."""
    return count >= MOST_HUNG


def given_up(
    state: State, asked: Instant, now: Instant, dice: float, *, left: float, deadline: float, waited: bool
) -> tuple[State, Fail]:
    """Say how an overdue flight ends, for `merge` and for those who waited for it.

    If no caller waited, or time was lost, it counts as no failure and starts no backoff.
    """
    failure = timed_out(deadline)
    if not waited or lost_time(left):
        return EMPTY, Fail(failure, 0.0)
    gate = failed(state, failure, asked, now, dice)
    return State(gates=(gate,)), Fail(failure, gate.wait)


def lost_time(left: float) -> bool:
    """Tell whether a flight outlasts its deadline so far that this machine stood still: that is no failure."""
    return left < -_LOST


def begin(state: State, now: Instant) -> Instant:
    """Return the moment at which a request is made: now, but later than all that is known.

    A clock that stands still, as in tests, would otherwise leave open which came first.
    """
    known = [*(gate.asked for gate in state.gates), *filter(None, (state.granted, state.removed))]
    youngest = min((elapsed(asked.at, now) for asked in known), default=_TICK)
    moment = now if youngest >= _TICK else now.earlier(youngest).later(_TICK)
    while any(moment.wall == asked.stamp for asked in known):  # a cache rounds ages, but not stamps
        moment = Instant(math.nextafter(moment.wall, math.inf), moment.monotonic)
    return moment


def hold(grant: Granted, asked: Asked, policy: RenewalPolicy, dice: float, scopes: tuple[str, ...] = ()) -> Held:
    """Make a token of a grant, and fix when it is renewed and when it ends; `dice`, from 0 to 1, spreads a fleet.

    Its lifetime counts from the moment before the request was sent; `scopes` are those that were asked for. The
    server's own advice, `refresh_in`, is obeyed where it lies within the life. No request follows within a second of
    the last, however short the life: a renewal has nothing to gain from it.
    """
    stated = policy.assumed_lifetime if grant.expires_in is None else grant.expires_in
    lifetime = int(max(min(stated, policy.max_lifetime), SHORTEST_LIFETIME))
    token = AccessToken(
        access_token=grant.access_token,
        token_type="Bearer",
        expires_in=lifetime,
        # By the clock of the host that asked, so that all who share a cache have an equal token.
        expires=int((asked.stamp + lifetime) * 1000) if not math.isnan(asked.stamp) else 0,
        # RFC 6749 section 5.1: left out where it is what was asked for.
        scope=grant.scope or " ".join(scopes) or None,
        extra=grant.extra,
    )
    if grant.refresh_in is not None and 0 < grant.refresh_in < lifetime:
        window = lifetime - grant.refresh_in
    elif policy.renew_ahead is None:
        window = max(lifetime / _RENEWAL_SHARE, min(_SDK_RENEWAL, lifetime / 2))
    else:
        window = min(policy.renew_ahead, lifetime / 2)
    end = max(lifetime - min(policy.leeway, lifetime / 10), SHORTEST_LIFETIME)
    return Held(
        token=token,
        asked=asked,
        renewal=min(max(lifetime - window * (1 - policy.jitter * dice), SHORTEST_LIFETIME), end),
        end=end,
        last=max(policy.max_lifetime, end) if grant.expires_in is None else end,
        refresh_in=grant.refresh_in,
    )


def granted(grant: Granted, asked: Instant, policy: RenewalPolicy, scopes: tuple[str, ...], dice: float) -> State:
    """Return the fact of a grant, for `merge`."""
    held = hold(grant, Asked.here(asked), policy, dice, scopes)
    return State(held=held, granted=held.asked)


def failed(state: State, failure: Failure, asked: Instant, now: Instant, dice: float) -> Gate:
    """Return the gate that one more failure shuts; `dice`, from 0 to 1, is the jitter of the wait.

    Whether a waiting caller gets another attempt before that is for `retry_wait` to say.

    | failure                      | the gate stays shut                |
    |------------------------------|------------------------------------|
    | with a wait that was ordered | for that, 1 s to an hour           |
    | 429 without one              | 5 s, doubling to 60 s              |
    | retryable                    | full jitter over 1, 2, 4 … 60 s    |
    | any other                    | 5 s, doubling to 60 s              |
    """
    streak = 1 + max((gate.streak for gate in state.gates), default=0)
    jittered = failure.retryable and not (isinstance(failure, Refused) and failure.status == 429)
    # The exponent is bounded before the power is taken: a float ends at 2 ** 1023.
    backoff = min((1.0 if jittered else 5.0) * 2.0 ** min(streak - 1, 10), _LONGEST_BACKOFF)
    if failure.retry_after is None:
        wait = backoff * dice if jittered else backoff
    else:
        # In this order, since a comparison with NaN, which a hook's error may hold, is never true.
        wait = min(LONGEST_WAIT, max(_SHORTEST_WAIT, float(failure.retry_after)))
        failure = attrs.evolve(failure, retry_after=wait)
    return Gate(failure=failure, asked=Asked.here(asked), since=now, wait=wait, streak=streak)


def retry_wait(gate: Gate, attempts: int, left: float) -> float | None:
    """Say in how many seconds a waiting caller gets the next attempt; None: there is none.

    `attempts` were made, and `left` seconds are left. A wait that the server ordered is only for the gate. In a renewal
    nobody waits, so this is not asked.
    """
    retried = gate.failure.retryable and not gate.is_ordered and attempts <= MOST_RETRIES
    return gate.wait if retried and gate.wait < left else None


def removed(state: State, token: AccessToken | None) -> State:
    """Return the fact that the token held is removed, for `merge`; nothing if that is not `token`."""
    held = state.held
    if held is None or (token is not None and token.access_token != held.token.access_token):
        return EMPTY
    if state.removed is None:
        return State(removed=held.asked)
    # It was granted after the removal before, though a clock may have been set back since.
    at, before = held.asked.at, state.removed.at
    later = Instant(max(at.wall, before.wall), max(at.monotonic, before.monotonic)).later(_TICK)
    return State(removed=attrs.evolve(held.asked, at=later))


def removal_moment(now: Instant, under_way: Instant | None) -> Instant:
    """Return the moment that a removal counts from; what a request under way brings is newer, and stays."""
    return now if under_way is None else under_way.earlier(_TICK)


def is_overtaken(before: Instant, *known: State) -> bool:
    """Tell whether a token was asked for since the moment that a removal counts from."""
    return any(state.granted is not None and elapsed(state.granted.at, before) < 0 for state in known)


def poll_wait(dice: float, left: float) -> float:
    """Return the seconds until the next try for a lock that somebody else holds, at most the `left` ones."""
    return max(min(_SHORTEST_POLL + (_LONGEST_POLL - _SHORTEST_POLL) * dice, left), 0.0)

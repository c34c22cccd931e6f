"""The life of one token, as immutable transitions from a state and the time; the tables here are the rules.

What is done when a token is asked for:

| token   | gate | decision |
|---------|------|----------|
| none    | open | Ask      |
| none    | shut | Fail     |
| fresh   | open | Serve    |
| fresh   | shut | Serve    |
| stale   | open | Renew    |
| stale   | shut | Serve    |
| expired | open | Ask      |
| expired | shut | Fail     |

A token is fresh until its renewal window, stale within it, expired at its end. A gate is shut for a while after a
failure. What an event makes of a state:

| event   | token              | gate              |
|---------|--------------------|-------------------|
| granted | the new one        | none              |
| failed  | as it was          | shut, for longer  |
| removed | none               | as it was         |
| adopted | the better of both | the later of both |
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

from .model import AccessToken, Failure, Granted, RenewalPolicy

SHORTEST_LIFETIME: Final = 1.0
MOST_RETRIES: Final = 2

LONGEST_WAIT: Final = 3600.0
_SHORTEST_POLL, _LONGEST_POLL = 0.025, 0.25
LOCKS: Final = (("", 0.5), ("-second", 0.75))
"""What is added to a key for its locks, and the share of the deadline for which each is waited for.

The second is for when the holder of the first has died: one succeeds it.
"""

_SHORTEST_WAIT: Final = 1.0
_LONGEST_BACKOFF: Final = 60.0
_FIRST_BACKOFF: Final = {True: 1.0, False: 5.0}  # by whether the failure is retryable
_REMEMBERED: Final = 8


@attrs.frozen
class Instant:
    """A moment by both clocks, in seconds."""

    wall: float
    monotonic: float

    def earlier(self, seconds: float) -> Instant:
        """Give the moment so many seconds before."""
        return Instant(self.wall - seconds, self.monotonic - seconds)


def elapsed(since: Instant, now: Instant) -> float:
    """Measure the time gone by: the larger of what the two clocks say.

    The wall clock may be set back, the monotonic clock may stop while a machine is suspended; hardly both.
    """
    return max(now.wall - since.wall, now.monotonic - since.monotonic)


@attrs.frozen(kw_only=True)
class Held:
    """A token in hand: when it was asked for, and from then on the seconds until its renewal and its end."""

    token: AccessToken
    asked: Instant
    renewal: float
    end: float


@attrs.frozen(kw_only=True)
class Gate:
    """No request for a while: the failure, when it was, the seconds to wait, and how many there were in a row."""

    failure: Failure
    since: Instant
    wait: float
    streak: int

    def remaining(self, now: Instant) -> float:
        """Give the seconds until it opens; 0 or less once it is open."""
        return self.wait - elapsed(self.since, now)


@attrs.frozen(kw_only=True)
class State:
    """All that is known: the token held, the gate, and the last tokens removed, which must not come back."""

    held: Held | None = None
    gate: Gate | None = None
    removed: tuple[str, ...] = attrs.field(default=(), repr=False)


EMPTY: Final = State()


@attrs.frozen
class Serve:
    """Hand the token out; the decision holds for so many seconds more."""

    token: AccessToken
    lasts: float


@attrs.frozen
class Renew:
    """Hand the token out, and ask for the next one meanwhile."""

    token: AccessToken


@attrs.frozen
class Ask:
    """Ask for a token; whoever wants one waits."""


@attrs.frozen
class Fail:
    """There is no token, and it is too early to ask; the seconds until it is not."""

    failure: Failure
    wait: float


Decision: TypeAlias = Serve | Renew | Ask | Fail


def decide(state: State, now: Instant) -> Decision:
    """Say what to do for one who asks for a token now."""
    held, gate = state.held, state.gate
    age = elapsed(held.asked, now) if held else 0.0
    wait = gate.remaining(now) if gate else 0.0
    if held is None or age >= held.end:
        return Fail(gate.failure, wait) if gate and wait > 0 else Ask()
    # Not "<": with just the window left the token is still fresh, as in the SDK.
    if age <= held.renewal:
        return Serve(held.token, held.renewal - age)
    return Serve(held.token, min(wait, held.end - age)) if wait > 0 else Renew(held.token)


def good_token(state: State, now: Instant) -> AccessToken | None:
    """Give the token in hand, if it is still good."""
    held = state.held
    return held.token if held and elapsed(held.asked, now) < held.end else None


def token_of(granted: Granted, asked: Instant, policy: RenewalPolicy, scopes: tuple[str, ...]) -> AccessToken:
    """Make a token of a grant; its lifetime counts from the moment before the request was sent."""
    stated = policy.assumed_lifetime if granted.expires_in is None else granted.expires_in
    lifetime = int(max(min(stated, policy.max_lifetime), SHORTEST_LIFETIME))
    return AccessToken(
        access_token=granted.access_token,
        token_type="Bearer",
        expires_in=lifetime,
        expires=int((asked.wall + lifetime) * 1000),
        # RFC 6749 section 5.1: left out where it is what was asked for.
        scope=granted.scope or " ".join(scopes) or None,
        extra=granted.extra,
    )


def hold(token: AccessToken, asked: Instant, policy: RenewalPolicy, draw: float) -> Held:
    """Fix when a token is renewed and when it ends; `draw`, from 0 to 1, keeps a fleet out of step.

    No request follows within a second of the last, however short the life: a renewal has nothing to gain from it.
    """
    # Clamped here too: another strategy, whose policy allows more, may have put the token into the cache.
    lifetime = float(min(token.expires_in, policy.max_lifetime))
    window = min(policy.renew_ahead, lifetime / 2) * (1 - policy.jitter * draw)
    end = max(lifetime - min(policy.leeway, lifetime / 10), SHORTEST_LIFETIME)
    return Held(token=token, asked=asked, renewal=min(max(lifetime - window, SHORTEST_LIFETIME), end), end=end)


def granted(state: State, held: Held) -> State:
    """Take a new token; it was asked for after whatever shut the gate, and opens it."""
    return attrs.evolve(state, held=held, gate=None)


def backed_off(gate: Gate | None, failure: Failure, now: Instant, draw: float) -> Gate:
    """Give the gate after one failure more; `draw`, from 0 to 1, is the jitter of the wait.

    | failure                      | the gate stays shut                |
    |------------------------------|------------------------------------|
    | with a wait that was ordered | for that, 1 s to an hour           |
    | retryable                    | full jitter over 1, 2, 4 … 60 s    |
    | any other                    | 5 s, doubling to 60 s              |
    """
    streak = gate.streak + 1 if gate else 1
    # The exponent is bounded before the power is taken: a float ends at 2 ** 1023.
    backoff = min(_FIRST_BACKOFF[failure.retryable] * 2.0 ** min(streak - 1, 10), _LONGEST_BACKOFF)
    if failure.retry_after is None:
        wait = backoff * draw if failure.retryable else backoff
    else:
        # In this order, since a comparison with NaN, which a hook's error may hold, is never true.
        wait = min(LONGEST_WAIT, max(_SHORTEST_WAIT, float(failure.retry_after)))
        failure = attrs.evolve(failure, retry_after=wait)
    return Gate(failure=failure, since=now, wait=wait, streak=streak)


def retry_wait(gate: Gate, attempts: int, left: float) -> float | None:
    """Say how long one who waits for a token waits for the next attempt, in seconds; None: there is none.

    `attempts` were made, and `left` seconds are left. A wait that the server ordered is for the gate alone.
    """
    retried = gate.failure.retryable and gate.failure.retry_after is None and attempts <= MOST_RETRIES
    return gate.wait if retried and gate.wait < left else None


def failed(state: State, gate: Gate) -> State:
    """Shut the gate; the token held is served on while it is good."""
    return attrs.evolve(state, gate=gate)


def removed(state: State, token: str | None) -> State:
    """Forget the token held, or only if it is `token`; the gate stays as it is."""
    current = state.held.token.access_token if state.held else None
    gone = current if token is None else token
    if gone is None:
        return state
    # Also one that is not held here: the cache may still give it.
    removed = (*(each for each in state.removed if each != gone), gone)[-_REMEMBERED:]
    return attrs.evolve(state, held=None if gone == current else state.held, removed=removed)


def adopted(state: State, cached: State, now: Instant) -> State:
    """Take from the cache what is better than what is held.

    What is known here about a token outranks what the cache says of the same one: whether it was removed, when it ends.
    """
    mine, theirs = state.held, cached.held
    known = {*state.removed, mine.token.access_token if mine else None}
    if theirs is None or theirs.token.access_token in known or _left(theirs, now) <= _left(mine, now):
        theirs = mine
    return attrs.evolve(state, held=theirs, gate=_later(state.gate, cached.gate, now))


def published(cached: State, mine: State, now: Instant) -> State:
    """Choose what the cache keeps: a late publisher overwrites no token that ends later and no gate that opens later.

    A grant opens the gate for everyone, and what was removed here is not kept.
    """
    theirs = cached.held
    if theirs is None or theirs.token.access_token in mine.removed or _left(theirs, now) <= _left(mine.held, now):
        theirs = mine.held
    return State(held=theirs, gate=mine.gate and _later(mine.gate, cached.gate, now))


def _left(held: Held | None, now: Instant) -> float:
    return 0.0 if held is None else max(held.end - elapsed(held.asked, now), 0.0)


def poll_wait(draw: float, left: float) -> float:
    """Give the seconds until another look at a lock that somebody has, of those `left` to wait for it."""
    return max(min(_SHORTEST_POLL + (_LONGEST_POLL - _SHORTEST_POLL) * draw, left), 0.0)


def _later(mine: Gate | None, theirs: Gate | None, now: Instant) -> Gate | None:
    """Choose the gate that opens later; an open one is kept only if it is ours, for its streak."""
    if theirs is None or theirs.remaining(now) <= max(0.0, mine.remaining(now) if mine else 0.0):
        return mine
    return theirs

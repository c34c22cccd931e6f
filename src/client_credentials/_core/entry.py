"""The text kept in a cache: lifecycle state to text and back; whatever `dump` did not write is a miss."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

import attrs

from .lifecycle import LONGEST_WAIT, hold, token_of
from .model import CacheEntry, Granted, Malformed, Refused, RenewalPolicy, TokenResponse, thawed
from .redaction import NOTHING
from .refusal import redacted_failure
from .response import parse_document
from .state import Asked, Gate, Held, Instant, State, elapsed

if TYPE_CHECKING:
    from cattrs import Converter

_VERSION: Final = 2
_LONGEST_TEXT: Final = 262144  # characters; a token has at most a quarter of that
_ROUNDED_UP: Final = 1.0  # seconds that a cache may add to what is left


@attrs.frozen(kw_only=True)
class _Asked:
    """When a request was made: the stamp of its host, and its age when it was written down, in seconds."""

    stamp: float
    age: float


@attrs.frozen(kw_only=True)
class _Token:
    """What a grant said; the rest of an access token follows from it."""

    access_token: str
    expires_in: int
    scope: str | None
    extra: dict[str, object]


@attrs.frozen(kw_only=True)
class _Held:
    token: _Token
    asked: _Asked
    assumed: bool
    refresh_in: float | None


@attrs.frozen(kw_only=True)
class _Gate:
    failure: Refused | Malformed
    asked: _Asked
    age: float
    wait: float
    streak: int


@attrs.frozen(kw_only=True)
class _Entry:
    """What is kept; `written` is the writer's wall clock, for caches that cannot say how old an entry is."""

    version: int
    owner: str
    written: float
    ttl: float
    held: _Held | None
    granted: _Asked | None
    gates: list[_Gate]
    removed: _Asked | None


def dump(state: State, key: str, now: Instant, policy: RenewalPolicy) -> CacheEntry | None:
    """Write down what others may know; its time to live, in seconds, ends with the last thing worth knowing.

    None: there is nothing to write, or it cannot be written.
    """

    def aged(asked: Asked) -> _Asked:
        return _Asked(stamp=asked.stamp, age=elapsed(asked.at, now))

    held = state.held
    kept = (
        _Held(
            token=_Token(
                access_token=held.token.access_token,
                expires_in=held.token.expires_in,
                scope=held.token.scope,
                extra=cast("dict[str, object]", thawed(held.token.extra)),
            ),
            asked=aged(held.asked),
            assumed=held.is_assumed,
            refresh_in=held.refresh_in,
        )
        if held
        else None
    )
    gates = [
        _Gate(
            failure=gate.failure,
            asked=aged(gate.asked),
            age=elapsed(gate.since, now),
            wait=gate.wait,
            streak=gate.streak,
        )
        for gate in state.gates
        if isinstance(gate.failure, Refused | Malformed)
    ]
    removed = aged(state.removed) if state.removed else None
    ttls = [gate.wait - gate.age for gate in gates]
    if held and kept:
        ttls.append(held.last - kept.asked.age)
    if removed:
        ttls.append(policy.max_lifetime - removed.age)
    ttl = max(ttls, default=0.0)
    entry = _Entry(
        version=_VERSION,
        owner=_owner(key),
        written=now.wall,
        ttl=ttl,
        held=kept,
        granted=aged(state.granted) if state.granted else None,
        gates=gates,
        removed=removed,
    )
    text = _text(entry) if 0 < ttl < math.inf else None
    return None if text is None else CacheEntry(text, ttl)


def load(
    kept: CacheEntry, key: str, at: Instant, policy: RenewalPolicy, dice: float, lateness: float = 0.0
) -> State | None:
    """Read a state back that was asked for at this moment; None for any text that `dump` did not write for this key.

    How old an entry is, the cache's own clock says, where it has one: the writer's may be another host's. It may be
    older by `lateness`, the seconds that a write may take, so a token ends sooner by that.
    """
    if len(kept.value) > _LONGEST_TEXT:
        return None
    try:
        entry = _strict().structure(json.loads(kept.value), _Entry)
        text = _text(entry)
    except Exception:  # whatever text from outside makes cattrs raise, it is a miss
        return None
    age = at.wall - entry.written if kept.ttl is None else entry.ttl - kept.ttl
    if kept.ttl is not None and -_ROUNDED_UP <= age < 0:
        age = 0.0
    # Written in the future: a clock was set back, and nothing tells for how long the entry has been there.
    if text != kept.value or not 0 <= age < math.inf or not _is_plausible(entry, key):
        return None
    written = at.earlier(age)

    def asked(when: _Asked) -> Asked:
        return Asked(stamp=when.stamp, at=written.earlier(when.age))

    return State(
        held=_held(entry.held, asked(entry.held.asked), policy, dice, lateness) if entry.held else None,
        granted=asked(entry.granted) if entry.granted else None,
        gates=tuple(
            Gate(
                failure=gate.failure,
                asked=asked(gate.asked),
                since=written.earlier(gate.age),
                wait=gate.wait,
                streak=gate.streak,
            )
            for gate in entry.gates
        ),
        removed=asked(entry.removed) if entry.removed else None,
    )


def _held(kept: _Held, asked: Asked, policy: RenewalPolicy, dice: float, lateness: float) -> Held:
    token = kept.token
    grant = Granted(access_token=token.access_token, expires_in=token.expires_in, scope=token.scope, extra=token.extra)
    # By the clock of the host that asked, so that all who share the entry have an equal token.
    made = token_of(grant, Instant(asked.stamp, 0.0), attrs.evolve(policy, max_lifetime=1e9), ())
    held = hold(made, asked, policy, dice, assumed=kept.assumed, refresh_in=kept.refresh_in)
    return attrs.evolve(held, renewal=held.renewal - lateness, end=held.end - lateness, last=held.last - lateness)


def _is_plausible(entry: _Entry, key: str) -> bool:
    """Hold an entry to what an answer is held to, and to what `dump` writes."""
    return (
        entry.version == _VERSION
        and entry.owner == _owner(key)
        and (entry.held is None or _is_granted(entry.held.token))
        and all(asked.age >= -_ROUNDED_UP for asked in _asked_in(entry))
        and all(
            gate.age >= -_ROUNDED_UP
            and gate.streak > 0
            and 0 <= gate.wait <= LONGEST_WAIT
            and redacted_failure(gate.failure, NOTHING) == gate.failure
            for gate in entry.gates
        )
    )


def _asked_in(entry: _Entry) -> Iterator[_Asked]:
    if entry.held:
        yield entry.held.asked
    yield from (asked for asked in (entry.granted, entry.removed) if asked)
    yield from (gate.asked for gate in entry.gates)


def _is_granted(token: _Token) -> bool:
    members = {
        **token.extra,
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "scope": token.scope,
    }
    read = parse_document(TokenResponse(200, {}, b""), members)
    return (
        isinstance(read, Granted)
        and token.expires_in > 0
        and (read.scope, thawed(read.extra)) == (token.scope, token.extra)
    )


def _owner(key: str) -> str:
    """Say whose an entry is, so that a cache that mixes up its answers gives no client another one's token."""
    return sha256(key.encode()).hexdigest()[:16]


def _text(entry: _Entry) -> str | None:
    """Write an entry; None: it holds what JSON cannot carry (a clock that gave no time, say)."""
    document = _strict().unstructure(entry)
    try:
        text = json.dumps(document, allow_nan=False)
        if len(text) <= _LONGEST_TEXT:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    if entry.held is None or not entry.held.token.extra:
        return None
    # JSON cannot carry what the server, or a user's deserializer, put in there; the token goes without.
    bare = attrs.evolve(entry.held.token, extra={})
    return _text(attrs.evolve(entry, held=attrs.evolve(entry.held, token=bare)))


@cache
def _strict() -> Converter:
    """Make the converter that converts nothing; on first use, since cattrs takes a while to import."""
    from cattrs import Converter
    from cattrs.strategies import configure_tagged_union

    converter = Converter(forbid_extra_keys=True, detailed_validation=False)
    for kind in (str, bool, int, float):
        # By type, since a predicate is never asked for these; cattrs' own hooks make "None" of None and 1 of True.
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    configure_tagged_union(Refused | Malformed, converter, tag_name="kind")
    return converter


def warm_up() -> None:
    """Import and make what reading and writing take, so that nothing of it happens within a request."""
    converter = _strict()
    converter.get_structure_hook(_Entry)
    converter.get_unstructure_hook(_Entry)


def _exactly(value: object, kind: type[object]) -> object:
    # No number is so large that arithmetic on seconds could overflow.
    if type(value) is not kind or (isinstance(value, int | float) and not abs(value) < 2**53):
        raise TypeError
    return value

"""Lifecycle state to the text kept in a cache, and back; whatever is not exactly that text is a miss."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs

from .lifecycle import LONGEST_WAIT, Gate, Instant, State, elapsed, hold
from .model import AccessToken, CacheEntry, Failure, RenewalPolicy
from .redaction import NOTHING
from .refusal import redacted_failure
from .response import usable_token

if TYPE_CHECKING:
    from cattrs import Converter

_VERSION: Final = 1
_ROUNDED_UP: Final = 1.0  # seconds that a cache may add to what is left


@attrs.frozen(kw_only=True)
class _Token:
    """A token as it is kept: with its age when it was written, in seconds, since clocks differ from host to host."""

    token: AccessToken
    age: float


@attrs.frozen(kw_only=True)
class _Gate:
    """A shut gate as it is kept, with its age when it was written."""

    failure: Failure
    age: float
    wait: float
    streak: int


@attrs.frozen(kw_only=True)
class _Entry:
    """What is kept; `written` is the writer's wall clock, for caches that cannot say how old an entry is."""

    version: int
    written: float
    ttl: float
    held: _Token | None
    gate: _Gate | None


def dump(state: State, now: Instant) -> CacheEntry | None:
    """Write a state down; its time to live, in seconds, ends with the last thing worth knowing. None: there is none."""
    held = gate = None
    ttls = [0.0]
    if state.held:
        held = _Token(token=state.held.token, age=elapsed(state.held.asked, now))
        ttls.append(held.token.expires_in - held.age)
    if state.gate:
        gate = _Gate(
            failure=state.gate.failure,
            age=elapsed(state.gate.since, now),
            wait=state.gate.wait,
            streak=state.gate.streak,
        )
        ttls.append(gate.wait - gate.age)
    ttl = max(ttls)
    if ttl <= 0:
        return None
    entry = _Entry(version=_VERSION, written=now.wall, ttl=ttl, held=held, gate=gate)
    return CacheEntry(_text(_strict().unstructure(entry)), ttl)


def load(kept: CacheEntry, now: Instant, policy: RenewalPolicy, draw: float) -> State | None:
    """Read a state back; None for any text that `dump` did not write.

    How old an entry is, the cache's own clock says, where it has one: the writer's may be another host's.
    """
    try:
        document = json.loads(kept.value)
        entry = _strict().structure(document, _Entry)
        if _strict().unstructure(entry) != document:  # cattrs makes up what has a default
            return None
    except Exception:  # whatever a stranger's text makes cattrs raise, it is a miss
        return None
    age = now.wall - entry.written if kept.ttl is None else entry.ttl - kept.ttl
    if kept.ttl is not None and -_ROUNDED_UP <= age < 0:
        age = 0.0
    # Written in the future: a clock was set back, and nothing tells for how long the entry has been there.
    if entry.version != _VERSION or not 0 <= age < math.inf or not _plausible(entry):
        return None
    written = now.earlier(age)
    return State(
        held=None if entry.held is None else hold(entry.held.token, written.earlier(entry.held.age), policy, draw),
        gate=None
        if entry.gate is None
        else Gate(
            failure=redacted_failure(entry.gate.failure, NOTHING),
            since=written.earlier(entry.gate.age),
            wait=entry.gate.wait,
            streak=entry.gate.streak,
        ),
    )


def _text(entry: dict[str, Any]) -> str:
    try:
        return json.dumps(entry)
    except (TypeError, ValueError, RecursionError):
        # JSON cannot carry what the server, or a user's deserializer, put in there; the token goes without.
        entry["held"]["token"]["extra"] = {}
        return json.dumps(entry)


def _plausible(entry: _Entry) -> bool:
    """Tell whether `dump` may have written this: no token or gate is from the future, or without an end."""
    held, gate = entry.held, entry.gate
    return not (
        (held and (held.age < 0 or held.token.refresh_token is not None or not usable_token(held.token.access_token)))
        or (gate and (gate.age < 0 or not 0 <= gate.wait <= LONGEST_WAIT))
    )


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
    configure_tagged_union(Failure, converter, tag_name="kind")
    return converter


def _exactly(value: object, kind: type[object]) -> object:
    if kind is float and type(value) is int:
        value = float(value)
    # No number is so large that arithmetic on seconds could overflow.
    if type(value) is not kind or (isinstance(value, int | float) and not abs(value) < 2**53):
        raise TypeError
    return value

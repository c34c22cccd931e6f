"""Lifecycle state to the text kept in a cache, and back; whatever is not exactly that text is a miss."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

import attrs

from .lifecycle import Gate, Instant, State, elapsed, hold
from .model import AccessToken, CacheEntry, Failure, RenewalPolicy
from .response import hushed, usable_token

if TYPE_CHECKING:
    from cattrs import Converter

_VERSION: Final = 1


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
        token = attrs.evolve(state.held.token, extra=_json_only(state.held.token.extra))
        held = _Token(token=token, age=elapsed(state.held.asked, now))
        ttls.append(token.expires_in - held.age)
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
    return CacheEntry(json.dumps(_strict().unstructure(entry)), ttl)


def load(kept: CacheEntry, now: Instant, policy: RenewalPolicy, draw: float) -> State | None:
    """Read a state back; None for any text that `dump` did not write.

    How old an entry is, the cache's own clock says, where it has one: the writer's may be another host's.
    """
    try:
        entry = _strict().structure(json.loads(kept.value), _Entry)
    except Exception:  # whatever a stranger's text makes cattrs raise, it is a miss
        return None
    age = now.wall - entry.written if kept.ttl is None else max(entry.ttl - kept.ttl, 0.0)
    token = entry.held.token if entry.held else None
    # Written in the future: the clock was set back, and nothing tells for how long the entry has been there.
    if entry.version != _VERSION or not 0 <= age < math.inf or (token and not usable_token(token.access_token)):
        return None
    written = now.earlier(age)
    return State(
        held=None if entry.held is None else hold(entry.held.token, written.earlier(entry.held.age), policy, draw),
        gate=None
        if entry.gate is None
        else Gate(
            failure=hushed(entry.gate.failure, frozenset()),
            since=written.earlier(entry.gate.age),
            wait=entry.gate.wait,
            streak=entry.gate.streak,
        ),
    )


def _json_only(extra: Mapping[str, object]) -> Mapping[str, object]:
    """Give the members that JSON can carry: a user's deserializer may have made anything of them."""
    try:
        json.dumps(dict(extra))
    except (TypeError, ValueError, RecursionError):
        return {}
    return extra


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

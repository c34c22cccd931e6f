"""The text kept in a cache: lifecycle state to text and back; whatever `dump` did not write is a miss."""

from __future__ import annotations

import json
import math
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

import attrs

from .lifecycle import LONGEST_WAIT, hold
from .model import CacheEntry, Failure, Granted, RenewalPolicy, TokenResponse, thawed
from .redaction import NOTHING
from .refusal import redacted_failure
from .response import parse_document
from .state import Asked, Gate, Held, Instant, State, elapsed, is_shared, publishable
from .value import Value

if TYPE_CHECKING:
    from cattrs import Converter

_VERSION: Final = 3
_LONGEST_TEXT: Final = 262144  # characters; a token has at most a quarter of that
_WRITTEN: Final = Instant(0.0, 0.0)  # when an entry is written, by the clocks that its ages are counted on
_LATEST: Final = 1e11  # seconds since the epoch, the year 5138
_ROUNDED_UP: Final = 1.0  # seconds that a cache may add to what is left


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Held(Value):
    """A grant, and when it was asked for; the rest follows from it and the reader's policy."""

    grant: Granted
    asked: Asked


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Entry(Value):
    """What is kept: a state, with each moment told by its age in seconds when it was written.

    `written` is the writer's wall clock, for caches that cannot say how old an entry is.
    """

    version: int
    owner: str
    written: float
    ttl: float
    held: _Held | None
    granted: Asked | None
    gates: tuple[Gate, ...]
    removed: Asked | None


def dump(state: State, key: str, now: Instant, policy: RenewalPolicy) -> CacheEntry | None:
    """Write down what others may know; its time to live, in seconds, ends with the last thing worth knowing.

    None: there is nothing to write, or it cannot be written.
    """
    known = _moved(publishable(state), now, _WRITTEN)
    held = known.held
    ttls = [gate.remaining(_WRITTEN) for gate in known.gates]
    if held:
        ttls.append(held.last - elapsed(held.asked.at, _WRITTEN))
    if known.removed:
        ttls.append(policy.max_lifetime - elapsed(known.removed.at, _WRITTEN))
    ttl = max(ttls, default=0.0)
    entry = _Entry(
        version=_VERSION,
        owner=_owner(key),
        written=now.wall,
        ttl=ttl,
        held=_kept(held) if held else None,
        granted=known.granted,
        gates=known.gates,
        removed=known.removed,
    )
    text = _text(entry) if 0 < ttl < math.inf else None
    return None if text is None else CacheEntry(text, ttl)


def load(
    kept: CacheEntry, key: str, at: Instant, policy: RenewalPolicy, dice: float, lateness: float = 0.0
) -> State | None:
    """Read a state back that was asked for at this moment; None for any text that `dump` did not write for this key.

    An entry's age comes from the cache's own clock, if it has one: the writer's may be another host's. It may be older
    by `lateness`, the seconds that a write may take, so a token ends sooner by that.
    """
    if len(kept.value) > _LONGEST_TEXT:
        return None
    try:
        entry = strict_converter().structure(json.loads(kept.value), _Entry)
        text = _text(entry)
    except Exception:  # whatever text from outside makes cattrs raise, it is a miss
        return None
    age = at.wall - entry.written if kept.ttl is None else entry.ttl - kept.ttl
    if kept.ttl is not None and -_ROUNDED_UP <= age < 0:
        age = 0.0
    # Written in the future: a clock was set back, and nothing tells for how long the entry has been there.
    if text != kept.value or not 0 <= age < math.inf or not _is_plausible(entry, key):
        return None
    known = State(
        held=_held(entry.held, policy, dice, lateness) if entry.held else None,
        granted=entry.granted,
        gates=entry.gates,
        removed=entry.removed,
    )
    return _moved(known, _WRITTEN, at.earlier(age))


def _moved(state: State, since: Instant, to: Instant) -> State:
    """Return the same state with each moment in it as long before `to` as it was before `since`."""

    def moved(at: Instant) -> Instant:
        return to.earlier(elapsed(at, since))

    def asked(when: Asked) -> Asked:
        return attrs.evolve(when, at=moved(when.at))

    return State(
        held=attrs.evolve(state.held, asked=asked(state.held.asked)) if state.held else None,
        granted=asked(state.granted) if state.granted else None,
        gates=tuple(attrs.evolve(gate, asked=asked(gate.asked), since=moved(gate.since)) for gate in state.gates),
        removed=asked(state.removed) if state.removed else None,
    )


def _kept(held: Held) -> _Held:
    token = held.token
    grant = Granted(
        access_token=token.access_token,
        expires_in=None if held.is_assumed else token.expires_in,
        scope=token.scope,
        extra=cast("dict[str, object]", thawed(token.extra)),
        refresh_in=held.refresh_in,
    )
    return _Held(grant=grant, asked=held.asked)


def _held(kept: _Held, policy: RenewalPolicy, dice: float, lateness: float) -> Held:
    held = hold(kept.grant, kept.asked, policy, dice)
    return attrs.evolve(held, renewal=held.renewal - lateness, end=held.end - lateness, last=held.last - lateness)


def _is_plausible(entry: _Entry, key: str) -> bool:
    """Hold an entry to what an answer is held to, and to what `dump` writes."""
    asked = [entry.held and entry.held.asked, entry.granted, entry.removed, *(gate.asked for gate in entry.gates)]
    moments = [*(each.at for each in asked if each), *(gate.since for gate in entry.gates)]
    return (
        entry.version == _VERSION
        and entry.owner == _owner(key)
        and (entry.held is None or _is_granted(entry.held.grant))
        and not any(abs(each.stamp) > _LATEST for each in asked if each)
        and all(elapsed(moment, _WRITTEN) >= -_ROUNDED_UP for moment in moments)
        and all(
            is_shared(gate.failure)
            and redacted_failure(gate.failure, NOTHING) == gate.failure
            and gate.streak > 0
            and 0 <= gate.wait <= LONGEST_WAIT
            for gate in entry.gates
        )
    )


def _is_granted(grant: Granted) -> bool:
    said = attrs.asdict(grant, recurse=False)
    members = {**grant.extra, **{name: said[name] for name in ("access_token", "expires_in", "scope")}}
    read = parse_document(TokenResponse(200, {}, b""), {**members, "token_type": "Bearer"})
    # The advice on renewal is among the extra members too, where there was room for it.
    is_same = isinstance(read, Granted) and attrs.evolve(read, refresh_in=grant.refresh_in) == grant
    return is_same and grant.expires_in != 0


def _owner(key: str) -> str:
    """Say whose an entry is, so that a cache that mixes up its answers gives no client another one's token."""
    return sha256(key.encode()).hexdigest()[:16]


def _text(entry: _Entry) -> str | None:
    """Write an entry; None: it holds what JSON cannot carry (a clock that gave no time, say)."""
    document = strict_converter().unstructure(entry)
    try:
        text = json.dumps(document, allow_nan=False)
        if len(text) <= _LONGEST_TEXT:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    if entry.held is None or not entry.held.grant.extra:
        return None
    # JSON cannot carry what the server, or a user's deserializer, put in there; the token goes without.
    bare = attrs.evolve(entry.held.grant, extra={})
    return _text(attrs.evolve(entry, held=attrs.evolve(entry.held, grant=bare)))


@cache
def strict_converter() -> Converter:
    """Return the converter that converts nothing; to be made before a request, since cattrs takes a while to import."""
    from cattrs import Converter
    from cattrs.strategies import configure_tagged_union

    converter = Converter(forbid_extra_keys=True, detailed_validation=False)
    for kind in (str, bool, int, float):
        # By type, since a predicate is never asked for these; cattrs' own hooks make "None" of None and 1 of True.
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook(Instant, lambda age, _: _WRITTEN.earlier(cast("float", _exactly(age, float))))
    converter.register_unstructure_hook(Instant, lambda at: _WRITTEN.wall - at.wall)
    configure_tagged_union(Failure, converter, tag_name="kind")
    converter.get_structure_hook(_Entry)
    converter.get_unstructure_hook(_Entry)
    return converter


def _exactly(value: object, kind: type[object]) -> object:
    # No number is so large that arithmetic on seconds could overflow.
    if type(value) is not kind or (isinstance(value, int | float) and not abs(value) < 2**53):
        raise TypeError
    return value

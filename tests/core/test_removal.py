"""How a cache is made to forget, command by command."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest

from client_credentials import AccessToken
from client_credentials._core import acquisition as machine
from client_credentials._core.acquisition import Record, Sleep, Unlock
from client_credentials._core.lifecycle import failed, removed
from client_credentials._core.removal import forget
from client_credentials._core.state import EMPTY, Asked, State
from tests.core.states import an_hour, granted, later
from tests.core.test_acquisition import DOWN, KEY, OTHER_KEY, READ, perform
from tests.strategies import NOW


def removal(
    results: dict[type[Any], list[Any]],
    token: AccessToken | None = None,
    fact: State = EMPTY,
    keys: tuple[str, ...] = (KEY,),
) -> list[Any]:
    """Give the commands by which the cache is made to forget."""
    rows: dict[type[Any], list[Any]] = {machine.Peek: [EMPTY], machine.TryLock: [True], Record: [EMPTY], **results}
    return perform(forget(token, fact, NOW, keys), rows)


HELD: Final = an_hour()
GONE: Final = removed(granted(HELD), None)


def test_what_memory_has_forgotten() -> None:
    """The cache is written to under the lock, that no flight publishes meanwhile; nothing to forget writes nothing."""
    delivery = [machine.TryLock(KEY, 1.0), machine.Publish(KEY, EMPTY), Unlock()]
    look = [machine.Peek(KEY), Record(EMPTY)]
    assert [*look, Record(EMPTY), *delivery] == removal({}, HELD.token, GONE)
    assert [*look, Record(GONE), *delivery] == removal({machine.Peek: [granted(HELD)]})
    assert [*look, Record(EMPTY)] == removal({})


def test_a_removal_with_several_secrets() -> None:
    """The token may lie under the key of any of them; where it does not, nothing is written."""
    commands = removal({}, HELD.token, GONE, keys=(KEY, OTHER_KEY))
    assert [KEY, OTHER_KEY] == [each.key for each in commands if isinstance(each, machine.Peek)]
    assert [KEY] == [each.key for each in commands if isinstance(each, machine.Publish)]


def test_a_removal_that_finds_the_lock_taken() -> None:
    """It tries for a third of a second, and goes on without."""
    commands = removal({machine.TryLock: [False]}, HELD.token, GONE)
    assert pytest.approx(0.31) == sum(each.seconds for each in commands if isinstance(each, Sleep))
    assert [machine.Publish(KEY, EMPTY), Unlock()] == commands[-2:]


@pytest.mark.parametrize("where", [machine.Peek, Record])
def test_a_removal_that_comes_late(where: type[Any]) -> None:
    """What was asked for after it stays, whether the cache tells of it or memory; but a token that is named goes."""
    newer = granted(attrs.evolve(HELD, asked=Asked.here(later(NOW, 0.001))))
    assert [machine.Peek(KEY), Record(EMPTY)] == removal({machine.Peek: [granted(HELD)], where: [newer]})
    assert machine.Publish(KEY, EMPTY) in removal({machine.Peek: [newer]}, HELD.token)
    assert machine.Publish(KEY, EMPTY) in removal({machine.Peek: [granted(HELD)], Record: [granted(HELD)]})


def test_a_removal_before_the_secret_was_read() -> None:
    """It is read for the key; but not again within the backoff of one that could not be read."""
    shut = State(gates=(failed(EMPTY, DOWN, NOW, NOW, 1.0),))
    read: dict[type[Any], list[Any]] = {machine.ReadSecrets: [(READ,)]}
    assert [machine.Peek(KEY), Record(EMPTY), Record(EMPTY)] == removal(read, keys=())[2:]
    assert [Record(EMPTY), machine.ReadSecrets()] == removal({machine.ReadSecrets: [DOWN]}, keys=())
    read[Record] = [shut]
    assert [Record(EMPTY)] == removal(read, keys=())

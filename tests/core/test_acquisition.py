"""The way of a miss, command by command; the explorer walks its interleavings."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, cast

import attrs
import pytest

from client_credentials import AccessToken, RenewalPolicy
from client_credentials._core import acquisition as machine
from client_credentials._core.acquisition import Done, LookUp, Publish, Record, Send, Settle, Sleep, Tell, Unlock
from client_credentials._core.lifecycle import Fail, failed, removed, timed_out
from client_credentials._core.model import Granted, HookFailed, Refused, Unreachable
from client_credentials._core.request import cache_key
from client_credentials._core.secret import Secret
from client_credentials._core.state import EMPTY, Asked, State
from tests.core.kit import make
from tests.core.states import an_hour, granted, later
from tests.strategies import NOW

DEADLINE: Final = 10.0
ONE, OTHER = Secret("one"), Secret("other")
DOWN: Final = Unreachable(reason="down")
INVALID: Final = Refused(status=401, error="invalid_client")
GRANT: Final = Granted(access_token="a", expires_in=60, scope=None)
KEY, OTHER_KEY = cache_key(make(), "one"), cache_key(make(), "other")
READ, READ_OTHER = (ONE, KEY), (OTHER, OTHER_KEY)
DELIVERY: Final = [Record, Settle, Publish, Unlock, Tell]


def walk(
    results: dict[type[Any], list[Any]], spent: float = 0.0, *, current: bool = True, key: str | None = None
) -> list[Any]:
    """Give the commands, each with its results in turn, the last one again and again; only Sleep takes time."""
    rows: dict[type[Any], list[Any]] = {
        machine.ReadSecrets: [(READ,)],
        LookUp: [EMPTY],
        machine.TryLock: [True],
        Send: [GRANT],
        Record: [EMPTY],
        **results,
    }
    return perform(machine.acquire(make(), RenewalPolicy(deadline=DEADLINE), key), rows, spent, current=current)


def perform(
    steps: Coroutine[Any, Done[Any], None],
    rows: dict[type[Any], list[Any]],
    spent: float = 0.0,
    *,
    current: bool = True,
) -> list[Any]:
    """Give the commands of a machine, as `walk` does."""
    commands: list[Any] = []
    done: Done[Any] | None = None
    while True:
        try:
            command: Any = steps.send(cast("Done[Any]", done))
        except StopIteration:
            return commands
        commands.append(command)
        spent += command.seconds if isinstance(command, Sleep) else 0.0
        row = rows.get(command.__class__, [None])
        value = row.pop(0) if len(row) > 1 else row[0]
        done = Done(value, later(NOW, spent), DEADLINE - spent, 0.5, waited=True, current=current)


def test_a_grant() -> None:
    """Who has the lock looks again before it asks; what is granted is recorded and served before it is published."""
    assert [machine.ReadSecrets, LookUp, machine.TryLock, LookUp, Send, *DELIVERY] == [type(each) for each in walk({})]


def test_a_lock_that_is_never_free() -> None:
    """Half of the deadline is spent on the first lock, a quarter on its successor; then it is asked without a lock."""
    commands = walk({machine.TryLock: [False]})
    locks = [each.name for each in commands if isinstance(each, machine.TryLock)]
    assert sorted({KEY: 0, f"{KEY}-second": 0}) == sorted(set(locks))
    assert pytest.approx(0.75 * DEADLINE) == sum(each.seconds for each in commands if isinstance(each, Sleep))
    assert [Send, *DELIVERY] == [type(each) for each in commands[-6:]]


def test_somebody_was_faster() -> None:
    """What the holder before has published is served, and the lock given back."""
    commands = walk({LookUp: [EMPTY, granted(an_hour())]})
    assert [Settle(), Unlock()] == commands[4:]


def test_the_next_secret() -> None:
    """At invalid_client the next secret is tried, by its own key and lock, and the log is told of it."""
    refusal = Refused(status=401, error="invalid_client")
    commands = walk({machine.ReadSecrets: [(READ, READ_OTHER)], Send: [refusal, GRANT]})
    assert [ONE, OTHER] == [each.secret for each in commands if isinstance(each, Send)]
    assert [KEY, OTHER_KEY] == [each.name for each in commands if isinstance(each, machine.TryLock)]
    told = commands[-1]
    assert (((refusal, 5.0, False),), 1) == (told.failures, len(told.remarks))


def test_the_next_assertion() -> None:
    """Assertions share one key, and so one lock; the one that was refused is not sent again."""
    commands = walk({machine.ReadSecrets: [((ONE, KEY), (OTHER, KEY))], Send: [INVALID, GRANT]})
    assert [ONE, OTHER] == [each.secret for each in commands if isinstance(each, Send)]
    assert [machine.TryLock(KEY, DEADLINE + 1)] == [each for each in commands if isinstance(each, machine.TryLock)]


def test_secrets_share_the_attempts() -> None:
    """Two retries are made at the most, whichever secret they are made with; the next secret is tried once."""
    commands = walk({machine.ReadSecrets: [(READ, READ_OTHER)], Send: [DOWN, DOWN, INVALID, DOWN]})
    assert [ONE, ONE, ONE, OTHER] == [each.secret for each in commands if isinstance(each, Send)]


def test_a_retry_reads_the_secret_anew() -> None:
    """A callable is called for each token request: an assertion may be used once. One key, one lock."""
    commands = walk({machine.ReadSecrets: [((ONE, KEY),), ((OTHER, KEY),)], Send: [DOWN, GRANT]})
    assert [ONE, OTHER] == [each.secret for each in commands if isinstance(each, Send)]
    assert [Send, Sleep, machine.ReadSecrets, Send, *DELIVERY] == [type(each) for each in commands[4:]]


def test_a_secret_that_is_rotated_before_a_retry() -> None:
    """What it is granted is for those who have the new one: they have a cache key and a lock of their own."""
    commands = walk({machine.ReadSecrets: [(READ,), (READ_OTHER,)], Send: [DOWN, GRANT]})
    assert [Unlock(), LookUp(OTHER_KEY), machine.TryLock(OTHER_KEY, DEADLINE + 1), LookUp(OTHER_KEY)] == commands[7:11]
    assert [OTHER_KEY] == [each.key for each in commands if isinstance(each, machine.Publish)]
    assert () == commands[-1].remarks


def test_a_secret_that_cannot_be_read_for_a_retry() -> None:
    """That ends the flight; the error handler hears of the failure before it, too."""
    unread = HookFailed(hook="client_secret", kind="raised KeyError")
    commands = walk({machine.ReadSecrets: [(READ,), unread], Send: [DOWN]})
    assert [Record, Record, Settle, Unlock, Tell] == [type(each) for each in commands[7:]]
    assert [(DOWN, False), (unread, True)] == [(failure, logged) for failure, _, logged in commands[-1].failures]


def test_only_the_failure_at_the_end_is_logged() -> None:
    """A flight that fails after retries tells of each failure, and marks the last; a grant marks none."""
    told = [walk({Send: sent})[-1] for sent in ([DOWN], [DOWN, GRANT])]
    assert [[(DOWN, False), (DOWN, False), (DOWN, True)], [(DOWN, False)]] == [
        [(failure, logged) for failure, _, logged in each.failures] for each in told
    ]


def test_no_secret() -> None:
    """A secret that cannot be read is this process's own failure: nothing is asked, and nothing published."""
    failure = HookFailed(hook="client_secret", kind="raised KeyError")
    commands = walk({machine.ReadSecrets: [failure]})
    assert [machine.ReadSecrets, Record, Record, Settle, Unlock, Tell] == [type(each) for each in commands]
    assert Fail(failure, 5.0) == commands[3].ended


@pytest.mark.parametrize(
    ("failure", "counts"),
    [(Refused(status=401, error="invalid_client"), False), (Refused(status=400, error="invalid_scope"), True)],
)
def test_a_secret_that_is_no_longer_in_use(failure: Refused, counts: bool) -> None:
    """Its late refusal backs nothing off, here or in the cache; those who waited are told. Another failure counts."""
    commands = walk({Send: [failure]}, current=False)[5:]
    assert ([Record, Settle, *[Publish] * counts, Unlock, Tell], counts) == (
        [type(each) for each in commands],
        commands[0].fact != EMPTY,
    )
    assert (Fail(failure, 5.0), ((failure, 5.0, True),)) == (commands[1].ended, commands[-1].failures)


def test_while_the_gate_is_shut() -> None:
    """There is only the cache to look in, by the key of before; with an open gate everything is as without it."""
    shut = State(gates=(failed(EMPTY, DOWN, NOW, NOW, 1.0),))
    looked = walk({Record: [shut], LookUp: [shut]}, key=KEY)
    assert [Record(EMPTY), LookUp(KEY), Settle(Fail(DOWN, 1.0))] == looked
    assert [Record(EMPTY), *walk({})] == walk({Record: [EMPTY]}, key=KEY)


def test_too_late() -> None:
    """A thread that did not run until the deadline asks for nothing."""
    assert [Settle(Fail(timed_out(DEADLINE), 0.0)), Unlock()] == walk({}, spent=DEADLINE)[-2:]


def test_time_was_lost() -> None:
    """A failure of a flight that stood still beyond its deadline is nobody's: it backs nothing off."""
    commands = walk({machine.ReadSecrets: [DOWN]}, spent=DEADLINE + 2)
    assert [machine.ReadSecrets(), Record(EMPTY), Settle(Fail(DOWN, 0.0)), Unlock()] == commands


def removal(
    results: dict[type[Any], list[Any]], token: AccessToken | None = None, fact: State = EMPTY, key: str | None = KEY
) -> list[Any]:
    """Give the commands by which the cache is made to forget."""
    rows: dict[type[Any], list[Any]] = {machine.Peek: [EMPTY], machine.TryLock: [True], Record: [EMPTY], **results}
    return perform(machine.forget(token, fact, NOW, key), rows)


HELD: Final = an_hour()
GONE: Final = removed(granted(HELD), None)


def test_what_memory_has_forgotten() -> None:
    """The cache is written to under the lock, that no flight publishes meanwhile; nothing to forget writes nothing."""
    delivery = [machine.TryLock(KEY, 1.0), machine.Publish(KEY, EMPTY), Unlock()]
    look = [machine.Peek(KEY), Record(EMPTY)]
    assert [*look, Record(EMPTY), *delivery] == removal({}, HELD.token, GONE)
    assert [*look, Record(GONE), *delivery] == removal({machine.Peek: [granted(HELD)]})
    assert [*look, Record(EMPTY)] == removal({})


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
    assert [machine.Peek(KEY), Record(EMPTY), Record(EMPTY)] == removal(read, key=None)[2:]
    assert [Record(EMPTY), machine.ReadSecrets()] == removal({machine.ReadSecrets: [DOWN]}, key=None)
    read[Record] = [shut]
    assert [Record(EMPTY)] == removal(read, key=None)

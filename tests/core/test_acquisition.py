"""The way of a miss, command by command; the explorer walks its interleavings."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, cast

import pytest

from client_credentials import RenewalPolicy
from client_credentials._core import acquisition as machine
from client_credentials._core.acquisition import Done, LookUp, Publish, Record, Send, Settle, Sleep, Tell, Unlock
from client_credentials._core.lifecycle import Fail, failed, timed_out
from client_credentials._core.model import Failure, Granted, HookFailed, Refused, Unreachable
from client_credentials._core.request import cache_key
from client_credentials._core.secret import Secret
from client_credentials._core.state import EMPTY, State
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
DELIVERY: Final = [Record, Settle, Publish, Unlock]


def walk(
    results: dict[type[Any], list[Any]],
    spent: float = 0.0,
    *,
    current: bool = True,
    key: str | None = None,
    has_cache: bool = True,
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
    way = machine.acquire(make(), RenewalPolicy(deadline=DEADLINE), key, has_cache=has_cache)
    return perform(way, rows, spent, current=current)


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


def told(command: Any) -> tuple[list[Failure], bool]:
    """Give the failures that a command tells of, and whether the flight failed."""
    return [gate.failure for gate in command.gates], command.has_failed


def test_a_grant() -> None:
    """Who has the lock looks again before it asks; what is granted is recorded and served before it is published."""
    assert [machine.ReadSecrets, LookUp, machine.TryLock, LookUp, Send, *DELIVERY] == [type(each) for each in walk({})]


def test_without_a_cache() -> None:
    """There is nothing to lock or to publish, and what memory knows by now is served."""
    ours = [machine.ReadSecrets, LookUp, Send, Record, Settle]
    assert ours == [type(each) for each in walk({}, has_cache=False)]
    assert [Settle()] == walk({LookUp: [granted(an_hour())]}, has_cache=False)[2:]
    assert not [each for each in walk({Send: [INVALID]}, has_cache=False) if isinstance(each, Publish)]


def test_a_lock_that_is_never_free() -> None:
    """Half of the deadline is spent on the first lock, a quarter on its successor; then it is asked without a lock."""
    commands = walk({machine.TryLock: [False]})
    locks = [each.name for each in commands if isinstance(each, machine.TryLock)]
    assert sorted({KEY: 0, f"{KEY}-second": 0}) == sorted(set(locks))
    assert pytest.approx(0.75 * DEADLINE) == sum(each.seconds for each in commands if isinstance(each, Sleep))
    assert [Send, *DELIVERY] == [type(each) for each in commands[-5:]]


def test_somebody_was_faster() -> None:
    """What the holder before has published is served, and the lock given back."""
    commands = walk({LookUp: [EMPTY, granted(an_hour())]})
    assert [Settle(), Unlock()] == commands[4:]


def test_the_next_secret() -> None:
    """At invalid_client the next secret is tried, by its own key and lock, and the log is told of it."""
    refusal = Refused(status=401, error="invalid_client")
    served = granted(an_hour())
    commands = walk({machine.ReadSecrets: [(READ, READ_OTHER)], Send: [refusal, GRANT], Record: [served]})
    assert [ONE, OTHER] == [each.secret for each in commands if isinstance(each, Send)]
    assert [KEY, OTHER_KEY] == [each.name for each in commands if isinstance(each, machine.TryLock)]
    assert ([refusal], 1) == ([gate.failure for gate in commands[-1].gates], len(commands[-1].remarks))
    assert [machine.Prefer(OTHER)] == [each for each in commands if isinstance(each, machine.Prefer)]


def test_the_next_secret_is_preferred() -> None:
    """So it is where the cache has a token by it; but not where its own gate is shut."""
    keys: dict[type[Any], list[Any]] = {machine.ReadSecrets: [(READ, READ_OTHER)], Send: [INVALID]}
    served, shut = granted(an_hour()), State(gates=(failed(EMPTY, DOWN, NOW, NOW, 1.0),))
    commands = walk({**keys, LookUp: [EMPTY, EMPTY, served], Record: [served]})
    assert [Record(EMPTY), machine.Prefer(OTHER), 1] == [*commands[-3:-1], len(commands[-1].remarks)]
    commands = walk({**keys, LookUp: [EMPTY, EMPTY, shut], Record: [shut]})
    assert [Record, Tell] == [type(each) for each in commands[-2:]]
    assert ((), 1) == (commands[-1].remarks, len(commands[-1].gates))


def test_a_secret_that_is_rotated_while_it_is_sent() -> None:
    """Its refusal says nothing of the new one, which is tried; but once, and not where it is the same."""
    rotated: dict[type[Any], list[Any]] = {machine.ReadSecrets: [(READ,), (READ_OTHER,)], Send: [INVALID]}
    commands = walk({**rotated, Record: [granted(an_hour())]})
    assert ([ONE, OTHER], ()) == ([each.secret for each in commands if isinstance(each, Send)], commands[-1].remarks)
    assert [ONE] == [each.secret for each in walk({Send: [INVALID]}) if isinstance(each, Send)]
    unread: dict[type[Any], list[Any]] = {
        machine.ReadSecrets: [(READ,), HookFailed(hook="client_secret", kind="raised KeyError")],
        Send: [INVALID],
    }
    assert Fail(INVALID, 5.0) == next(each.ended for each in walk(unread) if isinstance(each, Settle))


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
    assert [Send, Sleep, machine.ReadSecrets, Send, *DELIVERY, Tell] == [type(each) for each in commands[4:]]


def test_a_secret_that_is_rotated_before_a_retry() -> None:
    """What it is granted is for those who have the new one: they have a cache key and a lock of their own."""
    commands = walk({machine.ReadSecrets: [(READ,), (READ_OTHER,)], Send: [DOWN, GRANT]})
    assert [Unlock(), LookUp(OTHER_KEY), machine.TryLock(OTHER_KEY, DEADLINE + 1), LookUp(OTHER_KEY)] == commands[7:11]
    assert [OTHER_KEY] == [each.key for each in commands if isinstance(each, machine.Publish)]
    assert () == commands[-1].remarks


def test_a_rotation_to_a_token_in_the_cache() -> None:
    """Who has the new secret may have put one there; the error handler hears of the failure before all the same."""
    looks = [EMPTY, EMPTY, granted(an_hour())]
    commands = walk({machine.ReadSecrets: [(READ,), (READ_OTHER,)], Send: [DOWN], LookUp: looks})
    assert [LookUp(OTHER_KEY), Settle()] == commands[8:10]
    assert ([DOWN], False) == told(commands[-1])


def test_a_secret_that_cannot_be_read_for_a_retry() -> None:
    """That ends the flight; the error handler hears of the failure before it, too."""
    unread = HookFailed(hook="client_secret", kind="raised KeyError")
    commands = walk({machine.ReadSecrets: [(READ,), unread], Send: [DOWN]})
    assert [Record, Record, Settle, Unlock, Tell] == [type(each) for each in commands[7:]]
    assert ([DOWN, unread], True) == told(commands[-1])


def test_each_retry_waits_longer() -> None:
    """The backoff of a flight's second failure is twice that of its first, as it is from flight to flight."""
    commands = walk({Send: [DOWN]})
    assert [0.5, 1.0] == [each.seconds for each in commands if isinstance(each, Sleep)]
    assert [0.5, 1.0, 2.0] == [gate.wait for gate in commands[-1].gates]


def test_each_failure_is_told() -> None:
    """A flight tells of each failure, and whether it failed after all."""
    assert ([DOWN, DOWN, DOWN], True) == told(walk({Send: [DOWN]})[-1])
    assert ([DOWN], False) == told(walk({Send: [DOWN, GRANT]})[-1])


def test_no_secret() -> None:
    """A secret that cannot be read is this process's own failure: nothing is asked, and nothing published."""
    failure = HookFailed(hook="client_secret", kind="raised KeyError")
    commands = walk({machine.ReadSecrets: [failure]})
    shut = State(gates=(failed(EMPTY, failure, NOW, NOW, 0.5),))
    ended = [Record(EMPTY), Record(shut), Settle(Fail(failure, 5.0)), Unlock(), Tell((), shut.gates, has_failed=True)]
    assert [machine.ReadSecrets(), *ended] == commands


@pytest.mark.parametrize(
    ("failure", "counts"),
    [(Refused(status=401, error="invalid_client"), False), (Refused(status=400, error="invalid_scope"), True)],
)
def test_a_secret_that_is_no_longer_in_use(failure: Refused, counts: bool) -> None:
    """Its late refusal backs nothing off, here or in the cache; those who waited are told. Another failure counts."""
    commands = walk({Send: [failure]}, current=False)[5 if counts else 6 :]
    assert ([Record, Settle, *[Publish] * counts, Unlock, Tell], counts) == (
        [type(each) for each in commands],
        commands[0].fact != EMPTY,
    )
    assert (Fail(failure, 5.0), ([failure], True)) == (commands[1].ended, told(commands[-1]))


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

"""The laws that every state of every world keeps; a breach is a Broken with the name of the law.

| law      | what it says                                                                                     |
|----------|--------------------------------------------------------------------------------------------------|
| expired  | no token is handed out past its end                                                              |
| removed  | no token is handed out in a process that has removed it, once the removal has returned           |
| former   | no token of a flight under an earlier configuration is handed out, unless the cache is shared    |
| single   | one request at a time in a process, but for those overdue; and one in all while a lock is kept   |
| ordered  | no request within an ordered wait that was known at the last look, until a later grant ends it   |
| deadline | nobody waits past the deadline                                                                   |
| twins    | where get_access_token would give a token, the other method gives one: no error, no endpoint     |
| order    | what was asked for later stands: no late grant and no late failure undoes a grant                |
| private  | what failed in one process alone is not known to another                                         |
| lost     | a flight that ends more than a second late backs nothing off                                     |
| end      | every flight ends, and every caller is served or refused, even if the endpoint never answers     |
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from client_credentials import AccessToken, TokenError
from client_credentials._core.acquisition import Send
from client_credentials._core.entry import load
from client_credentials._core.lifecycle import token_in_hand
from client_credentials._core.model import Failure, Outcome, Refused, Unreachable
from client_credentials._core.state import EMPTY, State, elapsed, merge
from tests.simulation.process import Wait

from .world import CLOCKS_APART, DEADLINE, KEY, LIFETIME, ORDERED_WAIT, POLICY, Event, Process, Scenario, Task, World

LAWS: Final = tuple(line.split("|")[1].strip() for line in (__doc__ or "").splitlines() if line.startswith("| "))[1:]
_LATE: Final = 0.05  # seconds; a moment comes 0.01 s late here
_ENDLESS: Final = 1000  # steps


class Broken(AssertionError):
    """A law is broken."""

    def __init__(self, law: str, text: str) -> None:
        super().__init__(f"{law}: {text}")
        self.law = law


@attrs.frozen
class Request:
    """A request: who made it, under which of its configurations, for which moment, and when, in true time."""

    task: Task | None
    configured: int
    asked: float
    sent: float


class LawfulWorld(World):
    """A world that breaks off at the first breach of a law; its books know what no process can."""

    def __init__(self, scenario: Scenario) -> None:
        self._requests: dict[int, Request] = {}
        self._asked: dict[Task, float] = {}
        self._grants: dict[tuple[int, int], set[int]] = {}
        """The requests whose grants were recorded in a process, under one of its configurations."""
        self._orders: dict[tuple[int, int], set[int]] = {}
        self._cached_orders: frozenset[int] = frozenset()
        self._seen: dict[Task, frozenset[int]] = {}
        """The ordered waits that a flight knew of when it last looked."""
        self._published: dict[Task, set[int]] = {}
        self._answered: dict[int, float] = {}
        self._lost: set[int] = set()
        self._removing: dict[Task, str] = {}
        self._removed: set[tuple[int, str]] = set()
        super().__init__(scenario)

    # ---- the books ----

    def on_token(self, process: Process, age: float) -> None:
        self._requests[0] = Request(None, process.configured, -age, -age)
        self._grants[_memory(process)] = {0}

    def on_begin(self, task: Task) -> None:
        task.promised = task.is_caller and self._would_get(task.process)

    def on_ask(self, task: Task, send: Send) -> None:
        asked = self.time - elapsed(send.asked, task.process.now()) + task.process.number * CLOCKS_APART
        self._asked[task] = asked
        for number in self._seen.get(task, ()):
            is_ended = any(self._is_later(grant, number) for grant in self._grants.get(_memory(task.process), ()))
            if not is_ended and self.time < self._answered[number] + ORDERED_WAIT - _LATE:
                raise Broken("ordered", f"process {task.process.number} asks within the wait of request {number}")

    def on_send(self, task: Task, send: Send) -> None:
        assert task.request is not None
        for number, other in self._requests.items():
            if other.task and other.task.request == number and self._is_second(task, other.task):
                raise Broken("single", f"request {task.request} is sent while request {number} is under way")
        self._requests[task.request] = Request(task, task.process.configured, self._asked[task], self.time)

    def _is_second(self, task: Task, other: Task) -> bool:
        mine, first = task.flight, other.flight
        if not mine or not first or not other.process.is_alive or other.process.monotonic() >= first.deadline:
            return False
        if task.process.monotonic() >= mine.deadline:  # it asks in vain
            return False
        has_waited = mine.deadline - task.process.monotonic() <= DEADLINE / 2 + _LATE
        is_locked = self.scenario.shared and Event.CACHE_LOST not in self.scenario.events
        return mine.active is first.active or (is_locked and not has_waited)

    def on_answer(self, task: Task, outcome: Outcome) -> None:
        assert task.request is not None
        self._answered[task.request] = self.time
        if task.flight and task.process.monotonic() > task.flight.deadline + 1.0:
            self._lost.add(task.request)

    def on_record(self, task: Task, fact: State) -> None:
        if task.flight and task.flight.active is not task.process.strategy.memory:
            return
        memory = _memory(task.process)
        if fact.held:
            self._grants.setdefault(memory, set()).add(_number_of(fact.held.token))
        for number in (_number_of(gate.failure) for gate in fact.gates if gate.is_ordered):
            self._orders.setdefault(memory, set()).add(number)
            self._published.setdefault(task, set()).add(number)
        if any(_number_of(gate.failure) in self._lost for gate in fact.gates):
            raise Broken("lost", "a failure of lost time backs off")

    def on_look(self, task: Task) -> None:
        # A settled flight looks in order to publish, and learns nothing.
        if task.flight and not task.flight.is_settled and task.flight.active is task.process.strategy.memory:
            orders = self._orders.setdefault(_memory(task.process), set())
            orders |= self._cached_orders
            self._seen[task] = frozenset(orders)

    def on_put(self, task: Task) -> None:
        # Reading, merging and writing is not atomic: what another has written meanwhile is lost.
        kept = self._cached_orders if task.seen == self.version else frozenset[int]()
        self._cached_orders = kept | self._published.get(task, set())

    def on_removal(self, task: Task) -> None:
        held = task.process.strategy.state.held
        if held:
            self._removing[task] = held.token.access_token

    # ---- the laws ----

    def on_wait(self, task: Task) -> None:
        self._check_wait(task)

    def on_end(self, task: Task, value: AccessToken | None) -> None:
        process = task.process
        if task in self._removing:
            self._removed.add((process.number, self._removing[task]))
        if value is None:
            return
        self._check_wait(task)
        name, request = value.access_token, self._requests[_number_of(value)]
        if self.time - request.sent >= LIFETIME - POLICY.leeway:
            raise Broken("expired", f"{name} is {self.time - request.sent:.2f} s old")
        if (process.number, name) in self._removed:
            raise Broken("removed", f"{name} is handed out again")
        if not self.scenario.shared and request.configured != process.configured:
            raise Broken("former", f"{name} is handed out under another configuration")

    def on_error(self, task: Task, error: TokenError) -> None:
        self._check_wait(task)
        is_in_hand = token_in_hand(task.process.strategy.state, task.process.now())
        # A thread that got no turn at all gave the caller nothing either.
        had_time = task.process.monotonic() < (task.begun or 0.0) + DEADLINE
        if is_in_hand or (task.promised and had_time and self._would_get(task.process)):
            raise Broken("twins", f"a caller gets an error, though there is a token: {error}")

    def _check_wait(self, task: Task) -> None:
        process = task.process
        # Without a thread the flight is the caller's own; that its fetch keeps the deadline is the fetch's part.
        waited = process.monotonic() - (task.begun or 0.0)
        is_late = waited > DEADLINE + _LATE or (isinstance(task.step, Wait) and waited >= DEADLINE)
        if task.is_caller and is_late and process.has_threads and Event.STANDSTILL not in self.scenario.events:
            raise Broken("deadline", f"a caller waits for {waited:.2f} s")

    def check(self) -> None:
        for process in self.processes:
            if process.is_alive:
                self._check_memory(process)
        if self.entry and "Unreachable" in self.entry.value:
            raise Broken("private", "the cache tells what failed in one process alone")
        for task in self._running():
            if task.promised and isinstance(task.step, Wait) and not task.is_due and self._hangs_on_endpoint(task):
                raise Broken("twins", "a caller waits for the endpoint, though there is a token")

    def _check_memory(self, process: Process) -> None:
        state = process.strategy.state
        grants = self._grants.get(_memory(process), set[int]())
        for gate in state.gates:
            number = _number_of(gate.failure)
            if any(self._is_later(grant, number) for grant in grants):
                raise Broken("order", f"request {number} backs off, though a later one was granted")
            if isinstance(gate.failure, Unreachable) and number >= 0 and not _is_of(process, gate.failure):
                raise Broken("private", f"process {process.number} knows of {gate.failure}")
        newest = max(grants, key=lambda number: self._requests[number].asked, default=None)
        if newest is None or f"token-{newest}" in self._removing.values():
            return
        is_good = self.time - self._requests[newest].sent < LIFETIME - POLICY.leeway - _LATE
        if is_good and (state.held is None or self._is_later(newest, _number_of(state.held.token))):
            raise Broken("order", f"token-{newest} is no longer in hand")

    def _hangs_on_endpoint(self, caller: Task) -> bool:
        """Tell whether nothing can happen but that the endpoint answers, though the caller would get a token."""
        for number, task in enumerate(self.tasks):
            is_asking = isinstance(task.step, Send) and task.request is not None
            if not is_asking and not (task.is_caller and task.begun is None) and self._outcomes(number, task):
                return False
            if task.flight is caller.flight and not task.is_caller and not task.is_over and not is_asking:
                return False
        return self._would_get(caller.process)

    def _would_get(self, process: Process) -> bool:
        """Tell whether get_access_token would give a token."""
        state, now, entry = process.strategy.state, process.now(), self.look()
        if self.scenario.shared and entry:
            state = merge(state, load(entry, KEY, now, POLICY, 0.5) or EMPTY, now)
        return token_in_hand(state, now) is not None

    def finish(self) -> None:
        """Let everything come to its end: first without an answer from the endpoint, then with one."""
        for answers in (False, True):
            for _ in range(_ENDLESS):
                ready = [
                    (task, outcomes[-1])
                    for number, task in enumerate(self.tasks)
                    if (outcomes := self._outcomes(number, task)) and (answers or task.request is None)
                ]
                waiting = (
                    self._running() if answers else [task for task in self._running() if task.step.__class__ is Wait]
                )
                if ready:
                    self._step(*ready[0])
                elif not waiting:
                    break
                elif self.next_moment() is None:
                    raise Broken("end", "somebody waits for nothing")
                else:
                    self.pass_time()
                self.check()
            else:
                raise Broken("end", "it goes on and on")

    def _is_later(self, number: int, than: int) -> bool:
        return than >= 0 and self._requests[number].asked > self._requests[than].asked

    def mark(self) -> int:
        books = (
            tuple(self._requests[number].asked for number in sorted(self._requests)),
            _sorted(self._grants),
            _sorted(self._orders),
            self._cached_orders,
            tuple(sorted(self._answered.items())),
            frozenset(self._removed),
        )
        return hash((super().mark(), books))


def _memory(process: Process) -> tuple[int, int]:
    return process.number, process.configured


def _number_of(fact: AccessToken | Failure) -> int:
    """Tell to which request an answer belongs; -1: to none."""
    match fact:
        case AccessToken(access_token=text) | Refused(error_description=str(text)) | Unreachable(reason=text):
            found = re.match(r"(?:token-|request )(\d+)", text)
            return int(found[1]) if found else -1
        case _:
            return -1


def _is_of(process: Process, failure: Unreachable) -> bool:
    return failure.reason.endswith(f" of {process.number}")


def _sorted(books: dict[tuple[int, int], set[int]]) -> object:
    return tuple((memory, frozenset(numbers)) for memory, numbers in sorted(books.items()))

"""A small world in which everything that happens is a choice: who steps next, what the endpoint says, when time passes.

A scenario says who asks in which process, what else may happen (once each, at any moment), how the endpoint may answer
and how often time may pass. A choice is one step of a caller or a thread, up to where it blocks or lets others run;
`tests.simulation.process` says what of the product runs here as it is.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from types import CoroutineType, GeneratorType, MethodType
from typing import Any, Final, cast

import attrs

from client_credentials import AccessToken, CacheEntry, RenewalPolicy, TokenError
from client_credentials._core.acquisition import LookUp, Record, Send, Sleep, TryLock
from client_credentials._core.entry import dump
from client_credentials._core.lifecycle import granted
from client_credentials._core.model import Failure, Granted, Outcome, Refused, Unreachable
from client_credentials._core.state import Instant, State, elapsed
from client_credentials._shell.active import ActiveConfiguration
from client_credentials._shell.flight import Flight
from tests.simulation.process import Free, Get, Put, Step, Steps, Strategy, Wait, run_on
from tests.simulation.world import identity

LIFETIME: Final = 3600
DEADLINE: Final = 10.0
POLICY: Final = RenewalPolicy(deadline=DEADLINE, jitter=0)
ORDERED_WAIT: Final = 30.0
CLOCKS_APART: Final = 7e-5  # seconds
_TICK: Final = 0.01  # seconds by which a moment comes late, so that what ends then is over
_LOST_TIME: Final = 1.0
_IDENTITY: Final = identity(0)
KEY: Final = _IDENTITY.key


class Event(Enum):
    """What may happen once, at any moment; where it concerns a process, to the first."""

    REMOVAL = "a caller removes the token in hand"
    CONFIGURATION = "set_configuration"
    DEATH = "the process dies"
    LEAVES = "a caller who waits is interrupted"
    INTERRUPT = "the next caller who starts a thread is interrupted"
    NO_THREADS = "no thread is to be had any more"
    STANDSTILL = "the process stands still for a minute, and its monotonic clock too"
    WALL_BACK = "the wall clock is set back by an hour"
    CACHE_LOST = "the cache loses all entries and locks"


@attrs.frozen(kw_only=True)
class Scenario:
    """A small world: `callers` are the numbers of their processes; `moments` is how often time may pass."""

    name: str
    callers: tuple[int, ...]
    answers: tuple[str, ...] = ("grant",)
    events: tuple[Event, ...] = ()
    moments: int = 0
    shared: bool = False
    age: float | None = None
    """How old the token is with which the first process begins, in seconds; it is in the cache too. None: no token."""


class Process:
    """A memory, with clocks that differ a little from those of any other process."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.skew = number * CLOCKS_APART
        self.stood_still = 0.0
        self.is_alive = True
        self.has_threads = True
        self.is_interrupted = False
        self.configured = 0
        self.strategy = Strategy(self, world.identity, shared=world.scenario.shared)

    def now(self) -> Instant:
        return Instant(1.7e9 + self.world.time + self.skew, self.monotonic())

    def monotonic(self) -> float:
        return self.world.time - self.stood_still + 1000.0 * self.number

    def draw(self) -> float:
        return 0.5

    def start(self, steps: Steps, flight: Flight) -> bool:
        if self.has_threads:
            self.world.tasks.append(Task(self, steps, flight))
        if self.is_interrupted:
            self.is_interrupted = False
            raise KeyboardInterrupt
        return self.has_threads


@attrs.define(eq=False)
class Task:
    """A caller or a thread, and the step before which it stands."""

    process: Process
    steps: Steps
    flight: Flight | None = None
    """That of a thread, and the last one for which a caller waited."""
    is_caller: bool = False
    is_over: bool = False
    step: Step | None = None
    begun: float | None = None
    """When, by the monotonic clock of its process."""
    is_woken: bool = False
    wakes: float = 0.0
    request: int | None = None
    """The number of its request under way."""
    seen: int = 0
    """The version of the cache that it saw last."""
    promised: bool = False
    """Whether get_access_token would have given a token when it began."""

    @property
    def is_busy(self) -> bool:
        """Whether it stands before a step that takes no time."""
        return self.begun is not None and not (isinstance(self.step, Send) and self.request is not None)

    @property
    def is_due(self) -> bool:
        """Whether it waits no longer, woken or in vain."""
        return isinstance(self.step, Wait) and (self.is_woken or self.left <= 0)

    @property
    def left(self) -> float:
        """The seconds until the end of a wait."""
        return self.step.until - self.process.monotonic() if isinstance(self.step, Wait) else 0.0

    def wake(self, wait: Wait) -> None:
        """End a wait, if it is that one."""
        self.is_woken |= self.step is wait


@attrs.frozen
class Choice:
    """What happens next: a task's step, an event or, where it is None, time; with one of several outcomes."""

    what: int | Event | None
    outcome: str = ""


class World:
    """Everything at one moment; the methods that begin with `on_` are for those who watch."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.identity = _IDENTITY.known(POLICY)
        self.time = 0.0
        self.moments = scenario.moments
        self.events = list(scenario.events)
        self.entry: CacheEntry | None = None
        self.entry_end = 0.0
        self.version = 0
        self.locks: dict[str, tuple[Task, float]] = {}
        self.requests = 0
        self.tasks: list[Task] = []
        self.processes = [Process(self, number) for number in range(1 + max(scenario.callers))]
        if scenario.age is not None:
            self._begin_with_a_token(scenario.age)
        for number in scenario.callers:
            self._add_caller(self.processes[number])

    def _begin_with_a_token(self, age: float) -> None:
        process = self.processes[0]
        grant = Granted(access_token="token-0", expires_in=LIFETIME, scope=None)
        fact = granted(grant, process.now().earlier(age), POLICY, (), process.draw())
        run_on(process, partial(process.strategy.memory.record, fact))
        self.requests = 1
        if self.scenario.shared:
            self.entry = dump(fact, KEY, process.now(), POLICY)
            self.entry_end = (self.entry and self.entry.ttl) or 0.0
        self.on_token(process, age)

    def _add_caller(self, process: Process) -> None:
        self.tasks.append(Task(process, _called(process), is_caller=True))

    # ---- what may happen next ----

    def choices(self) -> list[Choice]:
        """Give all that may happen next."""
        found = [
            Choice(number, outcome)
            for number, task in enumerate(self.tasks)
            for outcome in self._outcomes(number, task)
        ]
        for event in self.events:
            if event is Event.LEAVES:
                found += [Choice(event, str(number)) for number, task in enumerate(self.tasks) if _is_waiting(task)]
            elif self.processes[0].is_alive:
                found.append(Choice(event))
        if self.moments and self.next_moment() is not None:
            found.append(Choice(None))
        return found

    def _outcomes(self, number: int, task: Task) -> tuple[str, ...]:
        if task.is_over or not task.process.is_alive:
            return ()
        match task.step:
            case None:
                # Callers of one process are all alike, so they begin in the order of their numbers.
                alike = (each for each in self.tasks[:number] if each.is_caller and each.process is task.process)
                return () if task.is_caller and any(each.begun is None for each in alike) else ("",)
            case Wait():
                return ("",) if task.is_due else ()
            case Sleep():
                return ("",) if self.time >= task.wakes else ()
            case Send():
                return ("",) if task.request is None else self.scenario.answers
            case _:
                return ("",)

    def next_moment(self) -> float | None:
        """Give when something changes next; None: somebody is busy, which takes no time.

        Threads that have not begun may let time pass, and requests.
        """
        if any(self._outcomes(number, task) for number, task in enumerate(self.tasks) if task.is_busy):
            return None
        moments = [end for _, end in self.locks.values()]
        for task in self._running():
            local = self.time - task.process.monotonic()
            if isinstance(task.step, Wait):
                moments.append(task.step.until + local)
            if task.flight and not task.flight.is_over:
                moments += [task.flight.deadline + local + late for late in (0.0, _LOST_TIME)]
        for process in self.processes:
            state, now = process.strategy.state, process.now()
            moments += [self.time + gate.remaining(now) for gate in state.gates]
            if held := state.held:
                age = elapsed(held.asked.at, now)
                moments += [self.time + span - age for span in (held.renewal, held.end, held.last)]
        wakes = [task.wakes for task in self._running() if isinstance(task.step, Sleep)]
        return min((*wakes, *(moment + _TICK for moment in moments if moment > self.time)), default=None)

    def _running(self) -> list[Task]:
        return [task for task in self.tasks if not task.is_over and task.process.is_alive]

    # ---- what happens ----

    def do(self, choice: Choice, *, again: bool = False) -> None:
        """Let something happen; what happens again was checked before."""
        match choice.what:
            case None:
                self.moments -= 1
                self.pass_time()
            case Event() as event:
                self.events.remove(event)
                self._happen(event, choice.outcome)
            case number:
                self._step(self.tasks[number], choice.outcome)
        if not again:
            self.check()

    def pass_time(self) -> None:
        """Let time pass until something changes."""
        moment = self.next_moment()
        assert moment is not None
        self.time = moment

    def _happen(self, event: Event, outcome: str) -> None:
        process = self.processes[0]
        match event:
            case Event.REMOVAL:
                self.tasks.append(Task(process, process.strategy.remove(None)))
                self.on_removal(self.tasks[-1])
                self._step(self.tasks[-1], "")
            case Event.CONFIGURATION:
                process.strategy.configure(shared=self.scenario.shared)
                process.configured += 1
            case Event.DEATH:
                process.is_alive = False
            case Event.LEAVES:
                self.tasks[int(outcome)].is_over = True
            case Event.INTERRUPT:
                process.is_interrupted = True
            case Event.NO_THREADS:
                process.has_threads = False
            case Event.STANDSTILL:
                self.time += 60.0
                process.stood_still += 60.0
            case Event.WALL_BACK:
                process.skew -= 3600.0
            case Event.CACHE_LOST:
                self.entry = None
                self.locks.clear()
                self.version += 1

    def _step(self, task: Task, outcome: str) -> None:
        before = task.step
        answer: Any = None
        match before:
            case None:
                task.begun = task.process.monotonic()
                self.on_begin(task)
            case Send() if task.request is None:
                task.request = self.requests
                self.requests += 1
                self.on_send(task, before)
                return
            case Send():
                answer = self._answer(task, outcome)
                task.request = None
            case Get():
                answer = self.look()
                task.seen = self.version
                self.on_look(task)
            case LookUp():
                self.on_look(task)
            case Put(entry=entry):
                self.on_put(task)
                self.version += 1
                self.entry, self.entry_end = entry, self.time + ((entry and entry.ttl) or 0.0)
            case TryLock(name=name, ttl=ttl):
                answer = name not in self.locks or self.locks[name][1] <= self.time
                if answer:
                    self.locks[name] = task, self.time + ttl
            case Free(name=name):
                if self.locks.get(name, (None,))[0] is task:
                    del self.locks[name]
            case _:
                pass
        task.step = None
        try:
            task.step = run_on(task.process, partial(task.steps.send, answer))
        except StopIteration as stop:
            task.is_over = True
            self.on_end(task, stop.value)
        except TokenError as error:
            task.is_over = True
            self.on_error(task, error)
        except KeyboardInterrupt:
            task.is_over = True
        if isinstance(before, Record):
            self.on_record(task, before.fact)
        self._stand(task)

    def _stand(self, task: Task) -> None:
        task.is_woken = False
        match task.step:
            case Wait(flight=flight) as wait:
                task.flight = flight
                self.on_wait(task)
                flight.call_when_ready(partial(task.wake, wait))
            case Sleep(seconds=seconds):
                task.wakes = self.time + seconds
            case Send() as send:
                self.on_ask(task, send)
            case _:
                pass

    def look(self) -> CacheEntry | None:
        """Read the cache."""
        if self.entry is None or self.entry_end <= self.time:
            return None
        return CacheEntry(self.entry.value, self.entry_end - self.time)

    def _answer(self, task: Task, outcome: str) -> Outcome:
        number = task.request
        answer: Granted | Failure
        match outcome:
            case "grant":
                answer = Granted(access_token=f"token-{number}", expires_in=LIFETIME, scope=None)
            case "refused":
                answer = Refused(status=400, error="unauthorized_client", error_description=f"request {number}")
            case "ordered":
                words = f"request {number}"
                answer = Refused(status=429, error_description=words, retryable=True, retry_after=ORDERED_WAIT)
            case "unavailable":
                answer = Refused(status=503, error_description=f"request {number}", retryable=True)
            case _:
                answer = Unreachable(reason=f"request {number} of {task.process.number}")
        self.on_answer(task, answer)
        return answer

    # ---- for those who watch ----

    def on_token(self, process: Process, age: float) -> None: ...
    def on_begin(self, task: Task) -> None: ...
    def on_ask(self, task: Task, send: Send) -> None: ...
    def on_send(self, task: Task, send: Send) -> None: ...
    def on_answer(self, task: Task, outcome: Outcome) -> None: ...
    def on_record(self, task: Task, fact: State) -> None: ...
    def on_look(self, task: Task) -> None: ...
    def on_put(self, task: Task) -> None: ...
    def on_wait(self, task: Task) -> None: ...
    def on_end(self, task: Task, value: AccessToken | None) -> None: ...
    def on_error(self, task: Task, error: TokenError) -> None: ...
    def on_removal(self, task: Task) -> None: ...
    def check(self) -> None: ...

    def mark(self) -> int:
        """Give what tells this state from any other: equal for two worlds whose futures are the same."""
        flights: dict[int, int] = {}
        memories = tuple(
            (
                process.is_alive,
                process.has_threads,
                process.is_interrupted,
                process.configured,
                process.skew,
                _mark(process.strategy.memory, flights),
            )
            for process in self.processes
        )
        # Which of several equal callers is where makes no difference.
        marks = {task: self._mark_of(task, flights) for task in self.tasks if not task.is_over}
        return hash(
            (
                (self.time, self.moments, tuple(self.events), self.requests, memories),
                (self.entry, self.entry_end if self.entry else None),
                tuple((name, marks.get(task), end) for name, (task, end) in sorted(self.locks.items())),
                tuple(sorted(marks.values())),
            )
        )

    def _mark_of(self, task: Task, flights: dict[int, int]) -> int:
        return hash(
            (
                (task.process.number, task.is_caller, task.begun, task.is_woken, task.request, task.promised),
                (task.wakes, self.version - task.seen, _mark(task.step, flights), _mark(task.steps, flights)),
            )
        )


def _called(process: Process) -> Steps:
    return (yield from process.strategy.call())


def _is_waiting(task: Task) -> bool:
    return task.is_caller and not task.is_over and isinstance(task.step, Wait)


def _mark(value: object, flights: dict[int, int]) -> object:
    """Reduce a value to what is equal in another replay that has come to the same; flights are numbered as met."""
    match value:
        case Flight():
            if id(value) in flights:
                return "flight", flights[id(value)]
            flights[id(value)] = len(flights)
            return (
                value.deadline,
                value.asked,
                value.ending[0],
                value.has_asked,
                value.is_waited,
                value.is_settled,
                value.is_over,
                value.has_no_thread,
                bool(value.looks),
                _mark(value.active, flights),
            )
        case ActiveConfiguration():
            return id(value) in flights or (value.known().state, _marked_once(value, flights))
        case Wait(flight=flight, until=until):
            return "wait", until, _mark(flight, flights)
        case MethodType():
            return value.__name__
        case GeneratorType():
            frame, inner = value.gi_frame, cast("Any", value).gi_yieldfrom
        case CoroutineType():
            frame, inner = value.cr_frame, value.cr_await
        case partial():
            return _mark(value.args, flights)
        case tuple():
            return tuple(_mark(each, flights) for each in cast("tuple[object, ...]", value))
        case _:
            # What is equal to nothing but itself has no part in what comes.
            return None if type(value).__hash__ in (object.__hash__, None) else _hash(value)
    if frame is None:
        return None
    values = tuple(_mark(each, flights) for each in frame.f_locals.values())
    return frame.f_lasti, values, _mark(inner, flights)


def _hash(value: object) -> int | None:
    try:
        return hash(value)
    except TypeError:  # it holds a mapping
        return None


def _marked_once(memory: ActiveConfiguration, flights: dict[int, int]) -> object:
    flights[id(memory)] = len(flights)
    return _mark(memory.flight.latest(), flights)

"""Runs the tests of one room against its mutants: `python -m tests.mutation.runner ROOM SAMPLE SEED REPORT`.

The tests are collected once. Each mutant gets a forked child, in which the code of one function is replaced, and in
which the tests that reach the changed lines run until one fails. Programs that tests start import a copy of the
package in which that module is replaced as a whole.

Module-level code is not mutated: it has run when the fork is made.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

import attrs
import coverage
import pytest

from .child import Child
from .operators import Mutant, mutants
from .rooms import PACKAGE, ROOMS, Room

JOBS: Final = 2
CONTROLS: Final = 10
"""How many times the tests of some mutant run without it; those that fail all the same show how far to trust a kill."""
PATIENCE: Final = 5.0
"""Seconds, beside five times what a test took without a mutant, after which a mutant counts as hanging."""
MOST_SECONDS: Final = 20.0
"""How long the tests of one mutant may have taken without it; those that took longest are left out."""
SURVIVED, KILLED, UNREACHED, FAILED, HUNG = 0, 1, 2, 3, -1
VERDICTS: Final = {SURVIVED: "survived", KILLED: "killed", UNREACHED: "unreached", HUNG: "timeout"}

Functions = dict[tuple[str, str, int], list[FunctionType]]


def functions() -> Functions:
    """Find every function that exists, by file, qualified name and first line."""
    found: Functions = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            found[_place(each.__code__)].append(each)
    return found


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def replace_code(mutant: Mutant, existing: Functions) -> None:
    """Give each function of the mutant's module the code that it has in the mutant."""
    for code in _codes(compile(mutant.apply(), str(mutant.path), "exec", dont_inherit=True)):
        for function in existing.get(_place(code), ()):
            if function.__code__ != code:
                function.__code__ = code


@attrs.define
class Baseline:
    """What the tests do without a mutant."""

    seconds: list[float] = attrs.Factory(list[float])
    failed: list[int] = attrs.Factory(list[int])
    reached: dict[str, dict[str, list[int]]] = attrs.Factory(dict[str, dict[str, list[int]]])
    """By module and line, the numbers of the tests."""
    starting: list[int] = attrs.Factory(list[int])
    """The tests that start programs or fork."""


class Runner:
    """A pytest plugin that takes the place of the loop over the tests."""

    def __init__(self, room: Room, sample: int, seed: int, report: Path) -> None:
        self._room, self._sample, self._seed, self._report = room, sample, seed, report
        self._scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._results: list[dict[str, object]] = []
        self._controls: list[dict[str, object]] = []
        self._killers: defaultdict[str, Counter[int]] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once for what they reach, and then some of them for each mutant."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        began = time.monotonic()
        self._session, self._items = session, session.items
        root = Path(session.config.rootpath)
        for path in self._room.modules(root):  # some are imported by a first request
            import_module(".".join(path.relative_to(root / "src").with_suffix("").parts))
        self._functions = functions()
        every = [mutant for path in self._room.modules(root) for mutant in mutants(path)]
        chosen = every
        if 0 < self._sample < len(every):
            numbers = sorted(random.Random(self._seed).sample(range(len(every)), self._sample))
            chosen = [every[number] for number in numbers]
        self._baseline = self._without_mutant()
        seconds = time.monotonic() - began
        print(f"{len(self._items)} tests in {seconds:.0f} s without a mutant", flush=True)
        for number in self._baseline.failed:
            print(f"fails without a mutant, so left out: {self._items[number].nodeid}", flush=True)
        for slot in range(JOBS):
            shutil.copytree(root / "src", self._scratch / str(slot) / "src")
        controls = random.Random(self._seed).sample(chosen, min(CONTROLS, len(chosen)))
        self._test([*((mutant, True) for mutant in controls), *((mutant, False) for mutant in chosen)])
        seconds = time.monotonic() - began
        told = {"total": len(every), "results": self._results, "controls": self._controls, "seconds": seconds}
        self._report.write_text(json.dumps(told))
        shutil.rmtree(self._scratch, ignore_errors=True)
        return True

    def _without_mutant(self) -> Baseline:
        place = self._scratch / "baseline"
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            self._enter("baseline", self._scratch / "home")
            measured = coverage.Coverage(data_file=None, config_file=False, include=[f"*/{PACKAGE}/*"])
            baseline = Baseline()

            def audit(event: str, _: object) -> None:
                if event in ("subprocess.Popen", "os.fork"):
                    baseline.starting.append(len(baseline.seconds))

            sys.addaudithook(audit)

            def run(number: int) -> None:
                if sys.gettrace() is None:  # a test may have taken it away
                    measured.stop()
                    measured.start()
                measured.switch_context(str(number))
                began = time.monotonic()
                if self._run(number, number + 1 if number + 1 < len(self._items) else None):
                    baseline.failed.append(number)
                baseline.seconds.append(time.monotonic() - began)

            measured.start()
            for number in range(len(self._items)):
                run(number)
            measured.stop()
            data = measured.get_data()
            for name in data.measured_files():
                lines = data.contexts_by_lineno(name)
                baseline.reached[Path(name).as_posix()] = {
                    str(line): sorted(int(test) for test in tests if test) for line, tests in lines.items()
                }
            place.write_text(json.dumps(attrs.asdict(baseline)))
            os._exit(0)
        os.close(writing)
        os.close(reading)
        os.waitpid(pid, 0)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        return Baseline(**json.loads(place.read_text()))

    def _run(self, number: int, following: int | None) -> bool:
        """Run a test, and tell whether it failed."""
        before = self._session.testsfailed
        item = self._items[number]
        following_item = None if following is None else self._items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following_item)
        return self._session.testsfailed != before

    def _enter(self, slot: str, home: Path) -> None:
        """Make the forked process a group of its own, silent, with its own place for files."""
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(silence, number)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = str(home)
        source = self._scratch / slot / "src"
        if source.exists():
            os.environ["PYTHONPATH"] = str(source)

    def _tests(self, mutant: Mutant) -> list[int]:
        """Give the tests that reach it: those that killed its neighbours first, then the quickest.

        After them, those that start programs: what is reached there is not known.
        """
        lines = self._baseline.reached.get(mutant.path.as_posix(), {})
        reaching = {number for line in mutant.lines for number in lines.get(str(line), ())}
        killers, seconds = self._killers[mutant.place], self._baseline.seconds
        tests: list[int] = []
        for group in (reaching, set(self._baseline.starting) - reaching):
            spent = 0.0
            for number in sorted(group, key=lambda number: (-killers[number], seconds[number])):
                spent += seconds[number]
                if spent > MOST_SECONDS:
                    break
                tests.append(number)
        return [number for number in tests if number not in self._baseline.failed]

    def _test(self, jobs: Sequence[tuple[Mutant, bool]]) -> None:
        waiting, free, finished = list(reversed(jobs)), list(range(JOBS)), 0
        running: dict[int, Child] = {}
        while waiting or running:
            while waiting and free:
                child = self._start(*waiting.pop(), free.pop())
                running[child.pid] = child
            select.select([child.pipe for child in running.values()], [], [], 0.02)
            for pid, child in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended:
                    child.listen()
                    if time.monotonic() < child.until:
                        continue
                    os.killpg(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                del running[pid]
                free.append(child.slot)
                child.end(os.waitstatus_to_exitcode(status) if ended else HUNG)
                finished += 1
                if not finished % 50:
                    print(f"{finished} of {len(jobs)}", flush=True)

    def _start(self, mutant: Mutant, control: bool, slot: int) -> Child:
        tests = self._tests(mutant)

        def done(status: int, test: int | None) -> None:
            self._copied(mutant, slot).write_bytes(mutant.path.read_bytes())
            verdict = VERDICTS.get(status, f"exit status {status}")
            killer = test if verdict in ("killed", "timeout") else None
            (self._controls if control else self._results).append(
                {
                    "name": mutant.name,
                    "line": mutant.lines[0],
                    "verdict": verdict,
                    "tests": len(tests),
                    "killer": None if killer is None else self._items[killer].nodeid,
                }
            )
            if killer is not None and not control:
                self._killers[mutant.place][killer] += 1

        limits = {number: PATIENCE + 5 * self._baseline.seconds[number] for number in tests}
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        pid = os.fork()
        if pid:
            os.close(writing)
            return Child(pid, reading, slot, done, limits, until=time.monotonic() + 2 * PATIENCE)
        status = FAILED
        try:
            os.close(reading)
            self._enter(str(slot), self._scratch / str(slot) / "home")
            if not control:
                replace_code(mutant, self._functions)
                self._copied(mutant, slot).write_text(ast.unparse(mutant.tree), "utf-8")
            status = KILLED
            status = self._judge(tests, writing)
        finally:
            os._exit(status)

    def _judge(self, tests: list[int], pipe: int) -> int:
        """Run tests until one fails, and give the status to exit with."""
        for number, following in zip(tests, [*tests[1:], None], strict=True):
            os.write(pipe, b"%d " % number)
            if self._run(number, following):
                return KILLED
        return SURVIVED if tests else UNREACHED

    def _copied(self, mutant: Mutant, slot: int) -> Path:
        source = Path(self._session.config.rootpath) / "src"
        return self._scratch / str(slot) / "src" / mutant.path.relative_to(source)


def main(name: str, sample: str, seed: str, report: str) -> int:
    """Collect the tests of a room, and run them against its mutants."""
    room, root = ROOMS[name], Path.cwd()
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    runner = Runner(room, int(sample), int(seed), Path(report))
    return int(pytest.main([*options, *room.places(root)], plugins=[runner]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

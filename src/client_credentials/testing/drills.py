"""Drills for token holders: twenty situations on a token endpoint on loopback, and what a good holder does in each.

    report = run(lambda token_url, client_id, client_secret: MyAuth(token_url, client_id, client_secret).token)
    print(report.table())

Under pytest a subclass of `TokenHolderDrills` has a test for each drill.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import textwrap
import time
from collections.abc import Callable
from typing import ClassVar, Final, Literal, TypeAlias, cast

import attrs

from ._drills import DRILLS
from ._stage import Holder, MakeHolder, RemovingHolder, Skipped, Stage

__all__ = [
    "HEADING",
    "Holder",
    "MakeHolder",
    "RemovingHolder",
    "Report",
    "Result",
    "TokenHolderDrills",
    "drill",
    "load",
    "run",
]

_Test: TypeAlias = "Callable[[TokenHolderDrills], None]"
Verdict: TypeAlias = Literal["good", "bad", "skipped"]

_PATIENCE: Final = 15.0
_WIDTH: Final = 80
HEADING: Final = f"{'':8}{'drill':20}requests  calls"
"""The first line of the table."""


@attrs.frozen(kw_only=True)
class Result:
    """The result of one drill; it holds no secret and no token."""

    drill: str
    verdict: Verdict
    asked: str
    """What happened: how often a token was asked for, and what the endpoint did."""
    came: str
    """What the calls gave, such as `48 tokens, 2 TimeoutError`, or why the drill was skipped."""
    requests: int
    """How many token requests the endpoint received."""
    good: str
    """What a good holder does."""
    faults: tuple[str, ...]
    """What this one did instead; empty if it is good."""
    seconds: float

    def row(self) -> str:
        """Write the lines of the table, of 80 columns: one, and what to change below it if the verdict is bad."""
        counted = "-" if self.verdict == "skipped" else self.requests
        head = f"{self.verdict:8}{self.drill.replace('_', ' '):20}{counted:>8}  "
        lines = textwrap.wrap(self.came, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
        if self.verdict == "bad":
            for told in (f"asked: {self.asked}", *(f"fault: {each}" for each in self.faults), f"good:  {self.good}"):
                lines += textwrap.wrap(told, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 15)
        return "\n".join(lines)


@attrs.frozen
class Report:
    """The results of all drills."""

    results: tuple[Result, ...]

    @property
    def exit_status(self) -> int:
        """The status for a process to end with: 1 if a drill found a fault, else 0."""
        return int(any(result.verdict == "bad" for result in self.results))

    def table(self) -> str:
        """Write a table of at most 80 columns for a terminal."""
        return "\n".join([HEADING, *(result.row() for result in self.results), self.summary()])

    def summary(self) -> str:
        """Count the verdicts, in one line."""
        verdicts = [result.verdict for result in self.results]
        return f"{verdicts.count('good')} good, {verdicts.count('bad')} bad, {verdicts.count('skipped')} skipped"

    def as_json(self) -> str:
        """Write one JSON object: `results`, with the fields of `Result`, and `exit_status`."""
        document = {"exit_status": self.exit_status, "results": [attrs.asdict(result) for result in self.results]}
        return json.dumps(document, indent=2)


def run(
    make_holder: MakeHolder, *, patience: float = _PATIENCE, on_result: Callable[[Result], object] = lambda _: None
) -> Report:
    """Put fresh holders through all drills, one after another; it takes about half a minute.

    A call that has not returned after `patience` seconds counts as hanging and is left behind in a daemon thread.
    `on_result` is called after each drill.
    """
    results: list[Result] = []
    for name in DRILLS:
        results.append(drill(name, make_holder, patience=patience))
        on_result(results[-1])
    return Report(tuple(results))


def drill(name: str, make_holder: MakeHolder, *, patience: float = _PATIENCE) -> Result:
    """Put a fresh holder through one drill; raises KeyError for a name that is not in the table."""
    chosen = DRILLS[name]
    began = time.monotonic()
    takes_clock = _takes_clock(make_holder)
    with Stage(make_holder, patience, with_clock=chosen.needs_clock and takes_clock) as stage:
        try:
            if chosen.needs_clock and not takes_clock:
                raise Skipped("make_holder has no parameter `clock`")
            stage.play(chosen.play)
            verdict: Verdict = "bad" if stage.faults else "good"
            came = stage.came()
        except Skipped as reason:
            verdict, came = "skipped", str(reason)
        return Result(
            drill=name,
            verdict=verdict,
            asked=chosen.asked,
            came=came,
            requests=stage.requests,
            good=chosen.good,
            faults=tuple(stage.faults),
            seconds=round(time.monotonic() - began, 3),
        )


def load(spec: str) -> MakeHolder:
    """Import what `package.module:callable` names; raises ValueError if it is not there or is not callable."""
    try:
        found: object = pkgutil.resolve_name(spec)
    except (Exception, SystemExit) as error:  # the program's code
        raise ValueError(f"{spec!r} must name a callable as package.module:callable ({error})") from error
    if ":" not in spec or not callable(found):
        raise ValueError(f"{spec!r} must name a callable as package.module:callable")
    return cast("MakeHolder", found)


def _takes_clock(make_holder: MakeHolder) -> bool:
    try:
        return "clock" in inspect.signature(make_holder).parameters
    except (TypeError, ValueError):  # some callables that are not written in Python have none
        return False


def _test(name: str) -> _Test:
    """Make the test that runs a drill, and is skipped or fails as the drill did."""

    def test(self: TokenHolderDrills) -> None:
        import pytest

        result = drill(name, self.make_holder, patience=self.patience)
        if result.verdict == "skipped":
            pytest.skip(result.came)
        if result.verdict == "bad":
            pytest.fail(f"{name}\n{result.row()}", pytrace=False)

    return test


class TokenHolderDrills:
    """A test for each drill, for pytest: a subclass named `Test...` says how its holder is made.

        class TestMine(TokenHolderDrills):
            def make_holder(self, token_url, client_id, client_secret):
                return MyAuth(token_url, client_id, client_secret).token

    To mark one as an expected failure, override it with a method that calls `super()`.
    """

    patience: float = _PATIENCE
    """Seconds after which a call counts as hanging."""

    def make_holder(self, token_url: str, client_id: str, client_secret: str) -> Holder:
        """Make a holder that has no token yet; with a parameter `clock` too, the drills of the clock are run."""
        raise NotImplementedError

    test_cold_crowd: ClassVar[_Test] = _test("cold_crowd")
    test_cold_crowd_refused: ClassVar[_Test] = _test("cold_crowd_refused")
    test_cold_crowd_down: ClassVar[_Test] = _test("cold_crowd_down")
    test_slow_renewal: ClassVar[_Test] = _test("slow_renewal")
    test_failed_renewal: ClassVar[_Test] = _test("failed_renewal")
    test_retry_after: ClassVar[_Test] = _test("retry_after")
    test_short_lifetimes: ClassVar[_Test] = _test("short_lifetimes")
    test_expires_in_zero: ClassVar[_Test] = _test("expires_in_zero")
    test_expires_in_null: ClassVar[_Test] = _test("expires_in_null")
    test_expires_in_text: ClassVar[_Test] = _test("expires_in_text")
    test_expires_in_true: ClassVar[_Test] = _test("expires_in_true")
    test_expires_in_huge: ClassVar[_Test] = _test("expires_in_huge")
    test_redirect: ClassVar[_Test] = _test("redirect")
    test_drip: ClassVar[_Test] = _test("drip")
    test_cut_short: ClassVar[_Test] = _test("cut_short")
    test_fork_in_flight: ClassVar[_Test] = _test("fork_in_flight")
    test_clock_set_back: ClassVar[_Test] = _test("clock_set_back")
    test_clock_set_forward: ClassVar[_Test] = _test("clock_set_forward")
    test_secret_in_errors: ClassVar[_Test] = _test("secret_in_errors")
    test_removal_storm: ClassVar[_Test] = _test("removal_storm")

"""The drills find each fault and no other, and find none with our strategies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from client_credentials import AccessToken, Clock, TokenError
from client_credentials.testing import drills
from client_credentials.testing._drills import DRILLS
from client_credentials.testing._stage import token_of
from client_credentials.testing.drills import HEADING, Report, Result, TokenHolderDrills
from tests.testing.holders import BAD, PATIENCE, Good, make_ours, make_ours_async

ROOT = Path(__file__).parents[2]
NAMES = tuple(BAD)
KINDS: dict[str, Callable[..., Any]] = {"ours": make_ours, "ours, async": make_ours_async, **BAD}


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Put ours through all drills and each other holder through the drill of its fault; ours stand in for the rest.

    Several at a time, since they mostly wait; but nothing else runs beside one that forks.
    """

    def result(name: str, kind: str) -> Result:
        return drills.drill(name, KINDS[kind], patience=2.0 if kind == "fork_in_flight" else PATIENCE)

    pairs = [(name, kind) for kind in ("ours", "ours, async") for name in NAMES] + [(name, name) for name in NAMES]
    with ThreadPoolExecutor(20) as pool:
        begun = {pair: pool.submit(result, *pair) for pair in pairs if pair[0] != "fork_in_flight"}
    results = {pair: each.result() for pair, each in begun.items()}
    results |= {pair: result(*pair) for pair in pairs if pair not in results}
    return {kind: Report(tuple(results.get((name, kind)) or results[name, "ours"] for name in NAMES)) for kind in KINDS}


@pytest.mark.parametrize("name", NAMES)
def test_each_fault_is_found(reports: dict[str, Report], name: str) -> None:
    """A holder with the fault of one drill is bad in that drill."""
    assert {name: "bad"} == {each.drill: each.verdict for each in reports[name].results if each.verdict != "good"}
    assert 1 == reports[name].exit_status


@pytest.mark.slow
def test_no_other_fault_is_found() -> None:
    """A holder with the fault of one drill is good in all others, but for the one that forks."""

    def others(fault: str) -> dict[str, str]:
        names = [name for name in NAMES if name not in (fault, "fork_in_flight")]
        return {name: drills.drill(name, BAD[fault], patience=PATIENCE).verdict for name in names}

    with ThreadPoolExecutor(11) as pool:
        found = dict(zip(NAMES, pool.map(others, NAMES), strict=True))
    assert {} == {
        (fault, name): verdict
        for fault, verdicts in found.items()
        for name, verdict in verdicts.items()
        if verdict != "good"
    }


def test_ours_are_good(reports: dict[str, Report]) -> None:
    """Our strategies have none of the faults; an event loop is not forked."""
    assert dict.fromkeys(NAMES, "good") == {each.drill: each.verdict for each in reports["ours"].results}
    verdicts = {each.drill: each.verdict for each in reports["ours, async"].results}
    assert {**dict.fromkeys(NAMES, "good"), "fork_in_flight": "skipped"} == verdicts
    assert (0, 0) == (reports["ours"].exit_status, reports["ours, async"].exit_status)


def test_the_table_fits_a_terminal(reports: dict[str, Report]) -> None:
    """A table has at most 80 columns, a line for each drill, and what to change below each bad one."""
    text = reports["redirect"].table()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == HEADING
    assert "bad     redirect                   1  1 token" in lines
    assert "        fault: sent the token request to the other origin" in lines
    assert "19 good, 1 bad, 0 skipped" == lines[-1]


def test_json(reports: dict[str, Report]) -> None:
    """The JSON form has every field of every result, and the exit status."""
    document = json.loads(reports["redirect"].as_json())
    assert (1, list(NAMES)) == (document["exit_status"], [each["drill"] for each in document["results"]])
    [bad] = [each for each in document["results"] if each["verdict"] == "bad"]
    assert {"drill", "verdict", "asked", "came", "requests", "good", "faults", "seconds"} == set(bad)
    assert "sent the token request to the other origin" in bad["faults"]


def test_no_secret_is_told(reports: dict[str, Report]) -> None:
    """Nothing that a report says, or shows of itself, holds a secret or a token of a drill."""
    for report in reports.values():
        told = report.table() + report.as_json() + repr(report)
        assert [] == [each for each in ("drill-secret-", "token-1-", "told-", "cut-token-") if each in told]


class Attributes:
    """A token with an attribute."""

    def __repr__(self) -> str:
        return "Attributes()"

    access_token = "known"


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("known", "known"),
        ("Bearer known", "known"),
        (b"Bearer known", "known"),
        ({"Authorization": "Bearer known"}, "known"),
        ({"access_token": "known"}, "known"),
        ({}, None),
        (Attributes(), "known"),
        (None, None),
        (3, None),
    ],
    ids=repr,
)
def test_what_a_holder_may_hand_out(value: object, token: str | None) -> None:
    """A token comes as text, header, bytes, mapping or object; anything else is none."""
    assert token == token_of(value)


class TestHolders:
    """What a holder may be, and how one that fails is told of."""

    def test_a_plain_callable(self) -> None:
        """A function will do; what it cannot do is skipped, and says so."""
        result = drills.drill("removal_storm", lambda *arguments: make_ours(*arguments).get_or_create_access_token)
        assert ("skipped", "the holder has no remove_access_token") == (result.verdict, result.came)
        result = drills.drill("clock_set_back", lambda *arguments: make_ours(*arguments))
        assert ("skipped", "make_holder has no parameter `clock`") == (result.verdict, result.came)
        assert "skipped clock set back             -  make_holder has no parameter `clock`" == result.row()

    def test_no_fork(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A platform without fork skips the drill that needs one."""
        monkeypatch.delattr("os.fork")
        assert "skipped" == drills.drill("fork_in_flight", make_ours).verdict

    def test_a_coroutine_makes_the_holder(self) -> None:
        """Both the maker and the holder may be coroutine functions, and run in one event loop."""
        loops: list[object] = []

        async def make(token_url: str, client_id: str, client_secret: str) -> Callable[[], Any]:
            strategy = make_ours_async(token_url, client_id, client_secret)
            loops.append(asyncio.get_running_loop())

            async def get() -> dict[str, str]:
                loops.append(asyncio.get_running_loop())
                return {"Authorization": (await strategy.get_or_create_access_token()).authorization}

            return get

        assert "good" == drills.drill("expires_in_text", make).verdict
        assert (11, 1) == (len(loops), len(set(loops)))

    def test_one_that_cannot_be_made(self) -> None:
        """A maker that raises is told of by the name of the error."""

        def make(token_url: str, client_id: str, client_secret: str) -> Callable[[], object]:
            raise LookupError(client_secret)

        result = drills.drill("redirect", make)
        assert ("bad", ("make_holder: LookupError",), "") == (result.verdict, result.faults, result.came)

    def test_one_without_a_signature(self) -> None:
        """Not everything that can be called says how."""
        make: Any = dict
        result = drills.drill("redirect", make)
        assert ("bad", ("make_holder: TypeError",)) == (result.verdict, result.faults)
        assert "skipped" == drills.drill("clock_set_back", make).verdict

    @pytest.mark.parametrize(("words", "verdict"), [("no repr", "good"), ("", "bad")])
    def test_one_that_cannot_be_shown(self, words: str, verdict: str) -> None:
        """What a repr raises is looked at in its place."""

        class Hides(Good):
            def __repr__(self) -> str:
                raise LookupError(words or self.secret)

        assert verdict == drills.drill("secret_in_errors", Hides).verdict

    @pytest.mark.parametrize(("name", "verdict"), [("redirect", "bad"), ("removal_storm", "skipped")])
    def test_one_whose_attributes_raise(self, name: str, verdict: str) -> None:
        """An attribute that cannot be looked at is none, of a holder and of what it hands out."""

        class Raises:
            def get_or_create_access_token(self) -> object:
                return self

            def __getattr__(self, name: str) -> object:
                raise LookupError(name)

        raises: Any = Raises()
        assert verdict == drills.drill(name, lambda *_: raises).verdict

    @pytest.mark.parametrize("is_async", [False, True])
    def test_one_that_hangs(self, is_async: bool) -> None:
        """A holder that never returns is left behind, and the drill ends soon after its patience."""
        never = threading.Event()

        async def wait() -> None:
            await asyncio.Event().wait()

        result = drills.drill("cold_crowd_refused", lambda *_: wait if is_async else never.wait, patience=0.3)
        assert ("bad", "50 no answer") == (result.verdict, result.came)
        assert "50 of 50 calls did not return within 0.3 s" in result.faults
        never.set()

    def test_one_that_hangs_in_the_making(self) -> None:
        """The same goes for the maker."""
        never = threading.Event()
        result = drills.drill("redirect", lambda *_: never.wait, patience=0.3)
        assert "bad" == result.verdict

        def make(*_: str) -> Callable[[], object]:
            never.wait()
            return never.wait

        assert ("make_holder: no answer",) == drills.drill("redirect", make, patience=0.3).faults
        never.set()

    def test_one_that_invents_tokens(self) -> None:
        """What the endpoint did not grant is no token."""
        result = drills.drill("expires_in_null", lambda *_: lambda: "invented")
        assert ("handed out what the endpoint did not grant",) == result.faults

    def test_one_that_serves_the_dead(self) -> None:
        """A holder that keeps its first token for ever, or loses it in the child, is seen."""

        def make(
            token_url: str, client_id: str, client_secret: str, clock: Clock | None = None
        ) -> Callable[[], object]:
            kept: list[AccessToken] = []
            parent = os.getpid()

            def get() -> object:
                if os.getpid() != parent:
                    raise ProcessLookupError
                if not kept:
                    kept.append(make_ours(token_url, client_id, client_secret).get_or_create_access_token())
                return kept[0]

            return get

        late = drills.drill("short_lifetimes", make)
        assert ("bad", True) == (late.verdict, "calls got a token past its end" in late.faults[0])
        assert "handed out a token past its end" in drills.drill("clock_set_forward", make).faults
        assert ("the child got no token",) == drills.drill("fork_in_flight", make).faults

    def test_one_that_never_recovers(self) -> None:
        """A holder that keeps its first failure for ever is seen."""

        def make(token_url: str, client_id: str, client_secret: str) -> Callable[[], object]:
            strategy = make_ours(token_url, client_id, client_secret)
            kept: list[TokenError] = []

            def get() -> object:
                if kept:
                    raise kept[0]
                try:
                    return strategy.get_or_create_access_token()
                except TokenError as error:
                    kept.append(error)
                    raise

            return get

        assert ("no token 2 s after the wait was over",) == drills.drill("retry_after", make).faults

    def test_one_that_keeps_what_is_removed(self) -> None:
        """A holder whose removal does nothing is seen."""

        class Keeps(Good):
            def remove_access_token(self, token: AccessToken) -> None:
                pass

        assert ("handed out the token that had been removed",) == drills.drill("removal_storm", Keeps).faults


class TestLoad:
    """`package.module:callable`, as the command line is given it."""

    def test_found(self) -> None:
        """It gives what is named, dots within it too."""
        assert make_ours is drills.load("tests.testing.holders:make_ours")
        assert callable(drills.load("tests.testing.holders:BAD.get"))

    @pytest.mark.parametrize(
        "spec",
        ["", "json", "json.loads", "json:", "json:no_such", "no_such_module:make", "json:__name__", "json loads:x"],
    )
    def test_not_found(self, spec: str) -> None:
        """What is not there, or cannot be called, is a ValueError that repeats the text."""
        with pytest.raises(ValueError, match=r"must name a callable as package\.module:callable") as caught:
            drills.load(spec)
        assert repr(spec) in str(caught.value)


PROJECT = """
import pytest
from client_credentials.testing.drills import TokenHolderDrills
from tests.testing.holders import Follows, make_ours

class TestOurs(TokenHolderDrills):
    def make_holder(self, token_url, client_id, client_secret):
        return make_ours(token_url, client_id, client_secret)

class TestFollows(TokenHolderDrills):
    patience = 5.0

    def make_holder(self, token_url, client_id, client_secret, clock=None):
        return Follows(token_url, client_id, client_secret, clock)

class TestKnown(TestFollows):
    @pytest.mark.xfail(reason="this holder follows redirects", strict=True)
    def test_redirect(self):
        super().test_redirect()
"""


def test_as_a_pytest_class(tmp_path: Path) -> None:
    """A project's class has a test for each drill, which passes, is skipped or fails with what to change."""
    (tmp_path / "test_it.py").write_text(PROJECT, "utf-8")
    chosen = ("-k", "redirect or clock_set_back or expires_in_null")
    options = ("-p", "no:cacheprovider", "-rA", "-c", os.devnull, "--rootdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *chosen, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    counts = re.findall(r"(\d+) (failed|passed|skipped|xfailed)", done.stdout.splitlines()[-1])
    assert [("1", "failed"), ("6", "passed"), ("1", "skipped"), ("1", "xfailed")] == counts
    assert "fault: sent the token request to the other origin" in done.stdout
    assert "good:  raises, and sends nothing there" in done.stdout


def test_every_drill_is_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class has exactly the drills of the table, each under its name; a holder must be made."""
    seen: list[str] = []

    def drill(name: str, *_: object, **__: object) -> Result:
        seen.append(name)
        raise LookupError

    monkeypatch.setattr(drills, "drill", drill)
    tests = [name for name in vars(TokenHolderDrills) if name.startswith("test_")]
    for name in tests:
        with pytest.raises(LookupError):
            getattr(TokenHolderDrills(), name)()
    assert list(DRILLS) == list(NAMES) == seen == [name.removeprefix("test_") for name in tests]
    with pytest.raises(NotImplementedError):
        TokenHolderDrills().make_holder("", "", "")


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each result is told of as soon as it is there, in order."""
    monkeypatch.setattr(drills, "DRILLS", {name: DRILLS[name] for name in ("redirect", "expires_in_null")})
    seen: list[Result] = []
    report = drills.run(lambda *_: lambda: "invented", on_result=seen.append)
    assert list(report.results) == seen
    assert 1 == report.exit_status

"""Every fault and rule of the lists is tested, or said not to be testable here; the table that shows it is right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.coverage_of_faults import IDS, NOT_TESTABLE, TESTS, complaints, functions_in, named


@pytest.mark.parametrize(
    ("expected", "docstring"),
    [
        (["A8"], "A8: one attempt."),
        (["L1", "L4"], "L1, L4: a child."),
        (["D1", "D2"], "D1 and D2: both."),
        (["G1", "G2", "G3"], "G1-G3: numbers."),
        (["B9", "B11", "B12", "B13", "B14", "B15", "B20"], "B9, B11 to B15, B20: refused."),
        (["RFC6749-2.3.1-1", "RFC6749-A.12-A.14"], "RFC6749-2.3.1-1, RFC6749-A.12-A.14: the encoding."),
        (["RFC8414-4"], "RFC8414-4: no normalisation."),
        (["R4/file", "R4/redis", "M4"], "R4/file/redis, M4: in two rooms."),
        ([], "A token: once."),
        ([], "It is A8: so."),
        ([], ""),
    ],
)
def test_what_a_docstring_names(expected: list[str], docstring: str) -> None:
    """The ids at the beginning of a docstring are read, one by one or as ranges of the list, and no others."""
    assert expected == named(docstring)


def test_where_tests_are_found() -> None:
    """Functions and methods named after tests count, whatever they are nested in."""
    source = (
        'class TestX:\n    def test_a(self):\n        "A1: x."\n'
        "    async def test_b(self): ...\n    def other(self): ..."
    )
    assert [("test_a", "A1: x."), ("test_b", "")] == list(functions_in(source))


@pytest.mark.parametrize(
    ("expected", "tested", "excused"),
    [
        (["A2: neither tested nor said to be not testable"], set(IDS) - {"A2"}, set[str]()),
        ([], set(IDS) - {"A2"}, {"A2"}),
        (["A2: tested, and yet said to be not testable"], set(IDS), {"A2"}),
        (["Z9: not in the lists"], {*IDS, "Z9"}, set[str]()),
        (["Z9: not in the lists"], set(IDS), {"Z9"}),
    ],
)
def test_what_is_wrong_is_found(expected: list[str], tested: set[str], excused: set[str]) -> None:
    """A line that nobody names, one that is named twice over, and a name that is no line, are complained about."""
    assert expected == complaints({key: ["somewhere"] for key in tested}, dict.fromkeys(excused, "why"))


def test_each_line_stands_once() -> None:
    """No id stands twice in the lists."""
    assert len(IDS) == len(set(IDS))


def test_the_table() -> None:
    """Every fault and rule has a test that names it, or a reason; the command prints them."""
    command = [sys.executable, "-m", "tests.coverage_of_faults"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False, timeout=60)
    *lines, last = done.stdout.splitlines()
    assert (
        f"{len(IDS)} lines: {len(IDS) - len(NOT_TESTABLE)} tested, {len(NOT_TESTABLE)} not testable here, 0 wrong"
        == last
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert list(IDS) == [line.split()[0] for line in lines if not line.startswith(" ")]

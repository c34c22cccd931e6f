"""`python -m tests.coverage_of_faults` prints, for every known fault and rule, the tests that name it, or why none can.

A test names what it shows at the beginning of its docstring: "A8: ...", "L1, L4: ...", "B9, B11 to B15: ...".
O1-O5 is O1 to O5. A fault that may happen in several rooms is a line for each: R4/file/redis is R4/file and R4/redis.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent

_FAULTS: Final = {
    "A": "1 2 3 4 5 7 8 9 11 12 13 14",  # name, connection, TLS
    "B": "1 2 3 4 5 7 8 9 11 12 13 14 15 17 18 20",  # transfer
    "C": "1 2 3 4 5 6 8 9 10 11 12 13 14 15 16 17 18 20 21",  # status, redirect, content
    "D": "1 2 4 5 6 8 9 10 11 12 13 15 16",  # JSON
    "E": "1 2 3 4 5 7 8 10 11 13",  # access_token
    "F": "1 2 3 4 5 6 7 9 10",  # token_type, scope, refresh_token
    "G": "1 2 3 4 5 6 7 8 9 10 11 12 13 15 16 17 18",  # expires_in
    "H": "1 2 3 4 5 6 8 9 10 11 13 15 16 17 18 19 22",  # refusals, throttling, backoff
    "I": "1 2 4 5 6 7 8 9 10 11 12",  # clocks
    "J": "1 2 3 4 5 6 7 8 9 11 13 16",  # threads
    "K": "1 3 4 5 6 8 9 10",  # asyncio
    "L": "1 2 3 4 6 8 9 10",  # fork, exit, pickling
    "M": "1 2 3 4 5 6 7 8 10 11 12 13 14 16 17 18 19 20 21 22 23 24 25 27 28 29 30 31",  # Redis
    "N": "1 2 3 4 5 6 8 9 10 12 13 14",  # files
    "O": "1 2 3 4 5 6 8 9 10 11 12 13 14 15 16 18 19 21 22 23",  # secrets
    "P": "1 3 4 5 6 7 8 9 11 13",  # configuration and surroundings
    # Orders of events: each cache, what a process was doing, who is interrupted, whose code asks, where no thread is.
    "Q": "1/memory/file/redis/user 2/memory/file/redis/user 3/memory/file/redis/user 4/memory/file/redis/user"
    " 5/redis/user/log/handler 6/memory/file/redis/user 7/idle/request/renewal 8/process/memory 9/thread/task/user"
    " 10/hook/log/handler/signal/exit 11/window/cold/interpreter/exit 12 13/fetch/user 14",
    "R": "1 2/memory/file/redis/user 3/file 4/file/redis/user 5/file/redis/user/pool",  # work and room
    # Surroundings: each way that a request may take.
    "S": "1/own/pool/proxy 2 3/own/pool/proxy 4 5 6/own/pool/proxy/library",
}
_RFCS: Final = {
    "RFC6749": "2.3-1 2.3.1-1 2.3.1-2 2.3.1-3 2.3.1-4 3.2-1 3.2-2 3.2-3 3.2-4 3.2-5 3.2.1-1 3.3-1 3.3-2 3.3-3 4.4-1"
    " 4.4.2-1 4.4.2-2 4.4.3-1 5.1-1 5.1-2 5.1-3 5.1-4 5.1-5 5.2-1 5.2-2 5.2-3 7.1-1 10.1-1 10.3-1 10.3-2 10.3-3 10.8-1"
    " 10.9-1 10.14-1 A.4 A.12-A.14",
    "RFC6585": "4",
    "RFC6750": "2-1 2.1-1 2.3-1 3.1-1 3.1-2 5.2-1 5.3-1 5.3-2 5.3-3",
    "RFC9700": "2.2.1 2.3 2.4 2.5 2.6-1 2.6-2 4.9 4.10 4.12",
    "RFC8707": "2-1 2-2 2-3 2-4 2-5 2.2-1 3-1",
    "RFC7523": "2.2 3",
    "RFC7617": "2",
    "RFC8414": "2-1 2-2 3-1 3.1 3.2 3.3 4 6.1",
    "RFC8705": "2",
    "RFC9110": "5.6.7 8.4 9.2.2 9.3.6 11.6.1 11.7 15 15.2",
    "RFC9112": "3.2 4 5.2 6.3 7.1.1 7.1.2 9.6",
    "RFC9325": "3.1.1",
    "RFC9525": "2",
}


def _each_room(line: str) -> list[str]:
    """Give a line once for each of the rooms that stand behind it."""
    fault, *rooms = line.split("/")
    return [f"{fault}/{room}" for room in rooms] or [fault]


IDS: Final = (
    *(f"{group}{each}" for group, lines in _FAULTS.items() for line in lines.split() for each in _each_room(line)),
    *(f"{rfc}-{line}" for rfc, lines in _RFCS.items() for line in lines.split()),
)
"""Every line of the lists, in their order."""

NOT_TESTABLE: Final[Mapping[str, str]] = {
    "O10": "http.client's debug level prints what is sent for whoever sets it; the README says so",
    "O15": "SSLKEYLOGFILE is OpenSSL's and for whoever may set it; the README says so",
    "O22": "core dumps and swap hold what memory holds; the README says so",
}
"""What no test here can show, and why."""

_FAULT: Final = r"[A-S][0-9]+"
_ITEM: Final = rf"(?:{_FAULT}(?:(?:-| to ){_FAULT}|(?:/[a-z]+)+)?|RFC[0-9]{{4}}-[\w.-]*\w)"
_HEAD: Final = re.compile(rf"({_ITEM}(?:(?:, | and ){_ITEM})*):")
_RANGE: Final = re.compile(rf"({_FAULT})(?:-| to )({_FAULT})")


def named(docstring: str) -> list[str]:
    """Give the ids that a docstring begins with; a range stands for all that the lists have between its ends."""
    head = _HEAD.match(docstring)
    found: list[str] = []
    for each in re.split(r", | and ", head[1]) if head else ():
        ends = _RANGE.fullmatch(each)
        found += IDS[IDS.index(ends[1]) : IDS.index(ends[2]) + 1] if ends else _each_room(each)
    return found


def functions_in(source: str) -> Iterator[tuple[str, str]]:
    """Give the test functions in a source, with their docstrings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name, ast.get_docstring(node) or ""


def found_by_id() -> dict[str, list[str]]:
    """Give the test functions that name each id, as file::function."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, docstring in functions_in(path.read_text("utf-8")):
            for each in named(docstring):
                found[each].append(f"{path.relative_to(TESTS).as_posix()}::{name}")
    return dict(found)


def complaints(tests: Mapping[str, list[str]], excused: Mapping[str, str]) -> list[str]:
    """Say what is wrong: an id that is neither tested nor excused, one that is both, one that is not in the lists."""
    return [
        *(f"{each}: neither tested nor said to be not testable" for each in IDS if each not in {*tests, *excused}),
        *(f"{each}: tested, and yet said to be not testable" for each in IDS if each in tests and each in excused),
        *(f"{each}: not in the lists" for each in (*tests, *excused) if each not in IDS),
    ]


def main() -> int:
    """Print the table; 1 if there is something wrong with it."""
    tests = found_by_id()
    for each in IDS:
        lines = tests.get(each) or [f"not testable here: {NOT_TESTABLE.get(each, '?')}"]
        print(f"{each:<18}", f"\n{'':<19}".join(lines))
    wrong = complaints(tests, NOT_TESTABLE)
    tested = sum(each in tests for each in IDS)
    print(
        f"{len(IDS)} lines: {tested} tested, {len(NOT_TESTABLE)} not testable here, {len(wrong)} wrong",
        *wrong,
        sep="\n",
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

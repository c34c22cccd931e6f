"""The rules of the house that no linter knows: what the core may touch, where imports point, what an import does."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import client_credentials
from tests.repository.everywhere import ROOMS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(client_credentials.__path__[0])

PURE = (
    "__future__ attrs base64 binascii cattrs collections.abc datetime email.utils enum functools hashlib"
    " hmac html ipaddress itertools json math re types typing urllib.parse"
).split()
WORLDLY = set(
    "breakpoint eval exec formatdate input localtime logging make_msgid open os print"
    " random socket threading time today utcnow".split()
)
GUESTS = {
    "aiohttp": ("integrations/aiohttp.py",),
    "anyio": (),
    "httpx": ("integrations/httpx.py", "testing/"),
    "httpx2": ("integrations/httpx2.py",),
    "hypothesis": ("testing/",),
    "jwt": (),
    "pytest": ("testing/",),
    "redis": ("caching/redis.py", "testing/"),
    "requests": ("integrations/requests.py", "testing/"),
}
# The heart: what decides is in the core, what waits and calls out is here.
SHELL = ("_shell/", "strategy.py", "aio.py", "caching/_state_cache.py")
ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
NO_TIMES = {"response.status >= 400"}
HOT_PATH = "lease.begins <= time.time() < lease.until"
"""The one comparison of times outside the core, in each strategy's `get_or_create_access_token`."""
CHOICES = "decide failed granted hold merge retry_wait poll_wait begin MOST_RETRIES LOCKS random".split()
"""What the core's machine and callers use to choose; the shell calls what stands above it."""
CHOOSERS = {"_shell/base.py": {"decide"}, "_shell/active.py": {"merge"}, "_shell/clock.py": {"random"}}
UPSTAIRS = ("client_credentials.testing", "client_credentials.integrations")

IMPORT_AND_TELL = """
import json, os, sys, threading

code = (".py", ".pyc", ".pyd", ".so")
doings = ("socket.", "subprocess.", "_thread.")
before, acts = set(sys.modules), []
Environ = type(os.environ)
look_up = Environ.__getitem__

def heard(event, args):
    if event.startswith(doings) or event == "open" and not str(args[0]).endswith(code):
        acts.append(f"{event} {args}")

def read(environ, key):
    acts.append(f"environ {key}")
    return look_up(environ, key)

sys.addaudithook(heard)
threading.Thread.start = lambda thread: acts.append("thread")
Environ.__getitem__ = read
import client_credentials
Environ.__getitem__ = look_up
print(json.dumps({"modules": sorted(set(sys.modules) - before), "acts": acts}))
"""


def modules(folder: Path) -> dict[str, str]:
    """The source of each module under a folder, by its path within the package."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))}


def dotted(path: str) -> list[str]:
    """The names that lead to the module at a path within the package."""
    return ["client_credentials", *path.removesuffix(".py").split("/")]


def imported(node: ast.AST, path: str) -> list[str]:
    """The absolute names that a statement imports: modules, and whatever it takes out of them."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            origin = ".".join([*(dotted(path)[:-level] if level else []), *([module] if module else [])])
            return [f"{origin}.{alias.name}" for alias in names]
        case _:
            return []


def inside(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of these, or in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: no bodies of functions, nothing that is there for type checkers."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
                yield from orelse
            case _:
                yield child
                yield from at_import(child)


def impure_imports(source: str, path: str) -> list[str]:
    """What a module of the core imports and may not."""
    names = [name for node in ast.walk(ast.parse(source)) for name in imported(node, path)]
    return [name for name in names if not inside(name, *PURE, "client_credentials._core")]


def worldly_names(source: str) -> list[str]:
    """The names in a module by which the core would reach the world."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
            case _:
                pass
    return sorted(found & WORLDLY)


def guests_at_import(source: str, path: str) -> list[str]:
    """What a module imports at once that only some rooms may."""
    names = [name for node in at_import(ast.parse(source)) for name in imported(node, path)]
    return [
        name
        for name in names
        for guest, rooms in GUESTS.items()
        if inside(name, guest) and not any(path.startswith(room) for room in rooms)
    ]


def rules_of_time(source: str) -> list[str]:
    """Where a module decides by itself: it orders two values, or takes a power."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(ops=ops) if any(isinstance(op, ORDERINGS) for op in ops):
                found.append(ast.unparse(node))
            case ast.BinOp(op=ast.Pow()):
                found.append(ast.unparse(node))
            case _:
                pass
    return [each for each in found if each != HOT_PATH and each not in NO_TIMES]


def choices(source: str, path: str) -> list[str]:
    """The functions of the core by which a module would choose between token and failure, or a wait, by itself."""
    names = {
        name.rpartition(".")[2]
        for node in ast.walk(ast.parse(source))
        for name in imported(node, path)
        if inside(name, "client_credentials._core") or name == "random"
    }
    return sorted(names & set(CHOICES) - CHOOSERS.get(path, set()))


def upward_imports(source: str, path: str) -> list[str]:
    """What a module imports from the rooms that are built on top of it."""
    names = [name for node in ast.walk(ast.parse(source)) for name in imported(node, path)]
    return [name for name in names if inside(name, *UPSTAIRS)]


def undocumented_tests(source: str) -> list[str]:
    """The test functions that do not state their rule."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test")
        and not ast.get_docstring(node)
    ]


def machine_paths(text: str) -> list[str]:
    """The paths in a text that exist on somebody's machine only."""
    return re.findall(r"(?<![\w.:/~-])(?:/(?:home|mnt|opt|root|tmp|Users|work)/|[A-Z]:\\+Users\\)", text)


def offenders(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The entries that have something to complain about."""
    return {path: complaints for path, complaints in found.items() if complaints}


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (["time"], impure_imports("import time", "_core/model.py")),
        (["time.time"], impure_imports("def f():\n    from time import time", "_core/model.py")),
        (["email.message"], impure_imports("import email.message", "_core/model.py")),
        (["client_credentials.errors.TokenError"], impure_imports("from ..errors import TokenError", "_core/model.py")),
        (["client_credentials._shell.clock"], impure_imports("from .._shell import clock", "_core/model.py")),
        (
            ["client_credentials._shell.flight"],
            impure_imports("import client_credentials._shell.flight", "_core/model.py"),
        ),
        ([], impure_imports("from . import secret\nfrom urllib import parse\nimport json", "_core/model.py")),
        (["formatdate", "open"], worldly_names("import email.utils as e\nwith open(e.formatdate()): pass")),
        (["make_msgid"], worldly_names("from email.utils import make_msgid as safe")),
        (["redis"], guests_at_import("import redis", "strategy.py")),
        (["redis.asyncio"], guests_at_import("class A:\n    import redis.asyncio", "strategy.py")),
        ([], guests_at_import("def f():\n    import redis", "strategy.py")),
        ([], guests_at_import("if TYPE_CHECKING:\n    from redis import Redis", "strategy.py")),
        ([], guests_at_import("from .caching import redis", "strategy.py")),
        ([], guests_at_import("import redis", "caching/redis.py")),
        (["client_credentials.testing.TokenServer"], upward_imports("from .testing import TokenServer", "strategy.py")),
        (["now < end"], rules_of_time("if now < end: pass")),
        (["2 ** streak"], rules_of_time("wait = 2 ** streak")),
        ([], rules_of_time("if lease.begins <= time.time() < lease.until or a is None or b == c: pass")),
        (["failed"], choices("from .._core.lifecycle import failed, removed", "_shell/driver.py")),
        (["decide"], choices("from ._core.lifecycle import decide", "strategy.py")),
        ([], choices("from .._core.lifecycle import decide", "_shell/base.py")),
        (["test_it"], undocumented_tests("class TestIt:\n    async def test_it(self): ...")),
        ([], undocumented_tests('def test_it():\n    """Holds."""')),
        (["~home~".replace("~", "/")], machine_paths("see ~home~ada".replace("~", "/"))),
        (["C:~Users~".replace("~", "\\")], machine_paths("see C:~Users~ada".replace("~", "\\"))),
        ([], machine_paths("https://example.com/home/ada")),
    ],
)
def test_the_checks_bite(expected: list[str], found: list[str]) -> None:
    """Each check below finds what it forbids, and no more than that."""
    assert expected == found


def test_the_core_imports_pure_modules_alone() -> None:
    """The core imports itself, attrs, cattrs and pure modules; nothing of the shell, under no condition."""
    assert {} == offenders({path: impure_imports(text, path) for path, text in modules(PACKAGE / "_core").items()})


def test_the_core_names_nothing_of_the_world() -> None:
    """No clock, dice, lock, thread, socket, file, environment or log is named in the core."""
    assert {} == offenders({path: worldly_names(text) for path, text in modules(PACKAGE / "_core").items()})


def heart() -> dict[str, str]:
    """The modules of the shell that hold tokens and ask for them."""
    return {path: text for path, text in modules(PACKAGE).items() if path.startswith(SHELL)}


def test_the_shell_has_no_rule_of_time() -> None:
    """No two times are compared and no backoff is reckoned outside the core, but for the hot path's one comparison."""
    assert {} == offenders({path: rules_of_time(text) for path, text in heart().items()})
    assert 2 == sum(text.count(HOT_PATH) for text in heart().values())


def test_the_shell_makes_no_choice() -> None:
    """Whether token or failure, which of two states, and how long to wait is chosen by the core alone."""
    assert {} == offenders({path: choices(text, path) for path, text in heart().items()})


def test_guests_are_not_imported_with_the_package() -> None:
    """Optional third parties are imported when they are needed, save in the rooms that exist for them."""
    assert {} == offenders({path: guests_at_import(text, path) for path, text in modules(PACKAGE).items()})


def test_the_library_stands_without_its_upper_rooms() -> None:
    """Only the command line and its demo use `testing`, nobody uses `integrations`, but for these rooms themselves."""
    below = {
        path: text
        for path, text in modules(PACKAGE).items()
        if not path.startswith(("testing/", "integrations/", "__main__.py", "_cli/"))
    }
    assert {} == offenders({path: upward_imports(text, path) for path, text in below.items()})


def test_files_are_short() -> None:
    """No file of the package has 300 lines."""
    lengths = {path: len(text.splitlines()) for path, text in modules(PACKAGE).items()}
    assert {} == {path: length for path, length in lengths.items() if length >= 300}


def test_every_test_states_its_rule() -> None:
    """Every test function has a docstring."""
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert {} == offenders({str(path): undocumented_tests(path.read_text("utf-8")) for path in tests})


def test_the_rooms_of_the_lean_runs_are_there() -> None:
    """Every folder that the lean runs name exists: pytest runs nothing where one is missing."""
    assert [] == [room for room in ROOMS if not (ROOT / room).is_dir()]


def test_no_machine_is_named() -> None:
    """No file of the repository names a path of the machine on which it was written."""
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs to the repository is git's to say")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if (ROOT / name).is_file()]
    assert {} == offenders({str(path): machine_paths(path.read_text("utf-8", "replace")) for path in files})


def test_importing_costs_nothing_but_the_import() -> None:
    """P13: `import client_credentials` opens and starts nothing, reads no environment, leaves heavy modules alone."""
    # Coverage in the child would import and open things of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    told = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_AND_TELL], env=environment, check=True, capture_output=True, text=True
    )
    found = json.loads(told.stdout)
    heavy = set(
        "aiohttp anyio cattrs http.server httpx httpx2 hypothesis jwt pytest redis requests ssl urllib3".split()
    )
    assert ([], []) == (sorted(heavy & set(found["modules"])), found["acts"])

"""The wheel as whoever installs it finds it: it is whole, it is typed throughout, and a library can embed it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from contextlib import suppress
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import attrs
import pytest

import client_credentials
from client_credentials._core.request import VERSION

ROOT = Path(__file__).parents[2]
CONSUMER = ROOT / "tests" / "consumer"
MOST_BYTES = 210_400
OPTIONAL = "aiohttp anyio cryptography httpx httpx2 hypothesis jwt pytest redis requests spotipy".split()
INTEGRATIONS = "aiohttp httpx httpx2 requests spotipy".split()
MODULES = [
    *(f"client_credentials{rest}" for rest in ("", ".assertions", ".discovery", ".integrations", ".testing")),
    *(f"client_credentials.integrations.{name}" for name in INTEGRATIONS),
]


@attrs.frozen
class Home:
    """A folder with a virtual environment that has the wheel, and a package beside it that is to use it."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.folder / "venv" / "bin" / "python")

    def run(self, *command: str, accept: tuple[int, ...] = (0,)) -> str:
        """Run a command there, where nothing leads back to this repository; gives what it prints."""
        # pyright --verifytypes looks at the interpreter that PATH leads to, and at no other.
        path = os.pathsep.join((str(Path(self.python).parent), os.environ["PATH"]))
        done = subprocess.run(
            command, cwd=self.folder, env={**unmeasured(), "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode in accept, done.stdout + done.stderr
        return done.stdout


def unmeasured() -> dict[str, str]:
    """Give an environment in which no path leads to the sources, and nobody measures coverage."""
    return {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "MYPYPATH", "PYTHON"))
        },
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Build the wheel, and install it and nothing else; what it depends on is borrowed. No network is needed."""
    folder = tmp_path_factory.mktemp("home")
    venv = folder / "venv"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, env=unmeasured(), check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    home = Home(folder, wheel)
    home.run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(venv)}))
    # The folder alone: a .pth file in it, such as that of an editable install, does not count there.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    install = (sys.executable, "-m", "pip", "--python", home.python, "install", "--quiet", "--no-index", "--no-deps")
    home.run(*install, "--disable-pip-version-check", str(wheel))
    shutil.copytree(CONSUMER, folder / "consumer", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def metadata(wheel: Path) -> Message:
    """Read what the wheel says about itself."""
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"client_credentials-{VERSION}.dist-info/METADATA").decode())


def test_what_is_in_it(home: Home) -> None:
    """The wheel has the package, all of it and its mark of being typed, what describes it, and no test."""
    with zipfile.ZipFile(home.wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    package = Path(client_credentials.__path__[0])
    sources = {path.relative_to(package.parent).as_posix() for path in package.rglob("*.py")}
    described = {
        f"client_credentials-{VERSION}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")
    }
    assert {"client_credentials/py.typed"} | sources == {
        name for name in names if name.startswith("client_credentials/")
    }
    plugins = {f"_client_credentials_{host}.py" for host in ("hypothesis", "pytest")}
    tops = {"client_credentials", f"client_credentials-{VERSION}.dist-info"}
    assert plugins | tops == {name.split("/")[0] for name in names}
    assert described | {f"client_credentials-{VERSION}.dist-info/licenses/LICENSE"} <= names


def test_what_it_says_of_itself(home: Home) -> None:
    """The wheel is for any platform, says its version, its license and that it is typed, and needs three packages."""
    told = metadata(home.wheel)
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert f"client_credentials-{VERSION}-py3-none-any.whl" == home.wheel.name
    assert ("client-credentials", VERSION, "Apache-2.0") == (told["Name"], told["Version"], told["License-Expression"])
    assert {"attrs", "cattrs", "urllib3"} == {line.partition(">")[0] for line in needed}
    assert "Typing :: Typed" in told.get_all("Classifier", [])


def test_what_it_weighs(home: Home) -> None:
    """The wheel grows by no accident: `pytest -s` prints its size."""
    size = home.wheel.stat().st_size
    print(f"\n{home.wheel.name}: {size} bytes, at most {MOST_BYTES}")
    assert size <= MOST_BYTES


def test_nothing_optional_is_imported_until_it_is_named(home: Home) -> None:
    """A module brings the library of its name, if it needs one, and no other: `pytest -s` prints the table."""
    code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    loaded = {name: {*home.run(home.python, "-c", code, name).split()} & {*OPTIONAL} for name in MODULES}
    print(*(f"\n{name}: {', '.join(sorted(brought)) or 'none'}" for name, brought in loaded.items()))
    named = {name: {name.rpartition(".")[2]} & ({*OPTIONAL} - {"spotipy"}) for name in MODULES}
    assert named == loaded


def test_all_of_it_is_typed(home: Home) -> None:
    """Every public symbol of the wheel has a type that pyright knows: 100 %."""
    verify = ("--verifytypes", "client_credentials", "--ignoreexternal", "--outputjson")
    found: dict[str, Any] = json.loads(home.run(sys.executable, "-m", "pyright", *verify, accept=(0, 1)))
    told = found["typeCompleteness"]
    assert Path(told["packageRootDirectory"]).is_relative_to(home.folder / "venv")
    doubtful = [symbol for symbol in told["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert [] == [(symbol["name"], symbol["diagnostics"]) for symbol in doubtful]
    assert (1, True) == (told["completenessScore"], told["exportedSymbolCounts"]["withKnownType"] > 100)


def test_a_library_checks_against_it_with_mypy(home: Home) -> None:
    """A package that implements the protocols and uses the rest passes mypy as strict as ours, against the wheel.

    What `make mypy` has found out about the libraries that both use is not found out again.
    """
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]  # others would find it out again
    codes = [f"--enable-error-code={code}" for code in options["enable_error_code"]]
    strict = ("--strict", "--warn-unreachable", f"--python-version={options['python_version']}", *codes)
    with suppress(FileNotFoundError):
        shutil.copytree(ROOT / ".mypy_cache", home.folder / ".mypy_cache")
    mypy = (sys.executable, "-m", "mypy", "--config-file=", *strict, "--python-executable", home.python)
    assert "Success: no issues found in 7 source files\n" == home.run(*mypy, "-p", "consumer", accept=(0, 1, 2))


@pytest.mark.slow
def test_a_library_checks_against_it_with_pyright(home: Home) -> None:
    """The same package passes pyright at its strictest, as it does against the sources whenever `make test` is run."""
    strictest = {"include": ["consumer"], "typeCheckingMode": "strict"}
    (home.folder / "pyrightconfig.json").write_text(json.dumps(strictest), "utf-8")
    told = home.run(sys.executable, "-m", "pyright", "--pythonpath", home.python, "--outputjson", accept=(0, 1))
    found: dict[str, Any] = json.loads(told)
    assert [] == found["generalDiagnostics"]
    assert 7 == found["summary"]["filesAnalyzed"]


def test_a_library_runs_with_it(home: Home) -> None:
    """The same package runs: it imports the wheel, and what it replaces is used."""
    told: dict[str, Any] = json.loads(home.run(home.python, "-m", "consumer"))
    assert Path(told.pop("from")).is_relative_to(home.folder / "venv")
    assert {
        "names": sorted(client_credentials.__all__),
        "locks": [False, True],
        "scopes": ["read write", "read write", None] * 2,
        "refused": [None, None, "invalid_client"] * 2,
        "tokens": 2,
        "log": ["POST", "POST", "TokenRefused"] * 2,
        "borrowed": ["Bearer borrowed"] * 2,
        "gone": [True] * 7,
    } == told

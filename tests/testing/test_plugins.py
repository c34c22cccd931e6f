"""What an install brings to hypothesis and pytest, in processes of their own that know the package by its install."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import client_credentials
from _client_credentials_hypothesis import STRATEGIES
from _client_credentials_pytest import pytest_assertrepr_compare
from client_credentials import AccessToken, RenewalPolicy, TokenError
from client_credentials.testing import FakeClock, TokenServer

README = Path(__file__).parents[2] / "README.md"
HEAVY = {"cattrs", "redis", "ssl", "urllib3"}
DRAW = """
import json, sys
from hypothesis import HealthCheck, given, settings, strategies as st
from client_credentials import AccessToken, RenewalPolicy, TokenRefused

early = "client_credentials.testing" in sys.modules
drawn = []

@settings(database=None, derandomize=True, deadline=None, max_examples=5, suppress_health_check=HealthCheck)
@given(st.from_type(AccessToken), st.from_type(TokenRefused))
def draw(token, refused):
    drawn.append(token.token_type == "Bearer" and refused.status >= 400)

draw()
print(json.dumps([early, len(drawn) >= 5 and all(drawn), "client_credentials.testing.strategies" in sys.modules]))
"""
IMPORTED = "import sys, {}; print(*sorted(sys.modules))"


def run(folder: Path, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
    """Run Python in a folder of its own, as somebody does who has the package installed; gives what it prints."""
    # Not measured: coverage would import things of its own, and the folder is nobody's project.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "HYPOTHESIS", "PYTEST"))
    }
    done = subprocess.run(
        [sys.executable, "-B", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode in accept, done.stdout + done.stderr
    return done.stdout


class TestHypothesis:
    """`st.from_type` knows the public values."""

    def test_on_install(self, tmp_path: Path) -> None:
        """Nothing of the test kit has to be imported for it, and nothing of it is before it is used."""
        assert [False, True, True] == json.loads(run(tmp_path, "-c", DRAW))

    @pytest.mark.parametrize("name", [*STRATEGIES, "ClientAuthentication"])
    def test_each(self, name: str) -> None:
        """Every public value has a strategy that draws it."""
        kind: type[object] = getattr(client_credentials, name)

        @settings(max_examples=5)  # what is drawn is looked at in test_strategies
        @given(st.from_type(kind))
        def draw(value: object) -> None:
            assert isinstance(value, kind)

        draw()

    @given(st.from_type(AccessToken), st.from_type(RenewalPolicy))
    def test_is_ours(self, token: AccessToken, policy: RenewalPolicy) -> None:
        """What is drawn is what our strategies draw, not what hypothesis would make of the annotations."""
        assert ("Bearer", None) == (token.token_type, token.refresh_token)
        assert policy.renew_ahead is None or policy.leeway <= policy.renew_ahead

    @given(st.from_type(Exception))
    def test_classes_above(self, error: Exception) -> None:
        """What others draw of a class above one of ours stays as it was."""
        assert not isinstance(error, TokenError)

    def test_import(self, tmp_path: Path) -> None:
        """Importing hypothesis brings the classes, which its registry is keyed by, and nothing heavy with them."""
        found = run(tmp_path, "-c", IMPORTED.format("hypothesis")).split()
        assert {"_client_credentials_hypothesis", "client_credentials"} <= set(found)
        assert [] == [name for name in found if name in HEAVY or name.startswith("client_credentials.testing")]


class TestPytest:
    """The fixtures are there without an import."""

    def test_import(self, tmp_path: Path) -> None:
        """A run of pytest that uses no fixture of ours imports one module of ours, the plugin."""
        (tmp_path / "test_it.py").write_text(
            "import sys\n\ndef test_it():\n    ours = {each for each in sys.modules if 'client_credentials' in each}\n"
            "    assert ours == {'_client_credentials_pytest'}\n",
            "utf-8",
        )
        assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", accept=(0, 1))

    def test_token_server(self, token_server: TokenServer, fake_clock: FakeClock) -> None:
        """The server serves, its own and nobody else's requests; the clock stands still."""
        assert [] == token_server.requests
        assert token_server.url.startswith("http://127.0.0.1:")
        assert fake_clock.wall() == fake_clock.wall()

    @pytest.mark.slow
    def test_readme(self, tmp_path: Path) -> None:
        """The tests that the README shows are found by pytest, get their fixtures, and pass."""
        blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        tests = [block for block in blocks if re.search(r"^(def test_|class Test)", block, re.MULTILINE)]
        assert 2 == len(tests)
        for nth, block in enumerate(tests):
            (tmp_path / f"test_{nth}.py").write_text(block, "utf-8")
        quick = ("-k", "not MyHolder or redirect or expires_in_null")  # all drills are run in test_drills
        quiet = ("-q", "-p", "no:cacheprovider", "-W", "error")
        assert "17 passed, 5 skipped" in run(tmp_path, "-m", "pytest", *quiet, *quick, accept=(0, 1))


COMPARED = """
import dataclasses, typing
import attrs, pytest
from client_credentials import AccessToken, CacheEntry, TokenRequest, TokenResponse

@attrs.frozen
class Attrs:
    inner: object
    child: object = None

@dataclasses.dataclass
class Data:
    inner: object
    number: int = 1

class Pair(typing.NamedTuple):
    inner: object
    number: int = 1

class Mine(AccessToken):
    pass

def make(n):
    basic = {"Authorization": f"Basic canary-{n}"}
    token = AccessToken(f"canary-{n}", "Bearer", 3600, 1, extra={"more": f"canary-{n}"})
    request = TokenRequest("POST", "https://x.example", basic, f"canary-{n}".encode(), 1.0)
    response = TokenResponse(200, basic, f"canary-{n}".encode())
    plain = [token, Mine(f"canary-{n}", "Bearer", 3600, 1), request, response, CacheEntry(f"canary-{n}", None)]
    nested = [kind(each) for kind in (Attrs, Data, Pair) for each in (token, Attrs(request), Data(response))]
    wrapped = [[token], {"token": token}, (token, 1), [Data(token)], {"deep": [Pair(request)]}]
    cycle = Data(token)
    cycle.number = [cycle]
    return [*plain, *nested, *wrapped, cycle]

@pytest.mark.parametrize("case", range(len(make(1))))
def test_secrets(case):
    left, right = make(1)[case], make(2)[case]
    assert left == right
"""


def test_no_token_is_shown(tmp_path: Path) -> None:
    """Of no value of ours, alone or within a user's, pytest prints a field that holds a secret, with all it can say."""
    (tmp_path / "test_it.py").write_text(COMPARED, "utf-8")
    printed = run(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-vv", "--showlocals", accept=(1,))
    said = [line for line in printed.splitlines() if "canary" in line and "{n}" not in line]
    assert ([], 20) == (said, printed.count("\n    def test_secrets("))
    assert "They differ in access_token, extra; " in printed


@pytest.mark.parametrize("group", ["hypothesis", "pytest11"])
def test_entry_points(group: str) -> None:
    """Each entry point leads to something that is there."""
    [ours] = [each for each in entry_points(group=group) if each.name == "client-credentials"]
    assert ours.load()


@attrs.define
class Holder:
    """A user's class that has one of our values."""

    inner: object
    other: object = attrs.field(default=None, eq=False)


@dataclasses.dataclass
class Record:
    """Another one."""

    inner: object
    other: object = dataclasses.field(default=None, compare=False)


class Couple(NamedTuple):
    """And one more."""

    inner: object
    number: int = 1


def bare(value: object) -> object:
    """The value itself."""
    return value


def explained(left: object, right: object, op: str = "==") -> list[str] | None:
    """What the plugin tells pytest to print of this comparison."""
    return pytest_assertrepr_compare(op, left, right)


class TestExplanation:
    """The hook speaks up where one of our values is compared, and leaves all else to pytest."""

    @pytest.mark.parametrize("kind", [Holder, Record, Couple, bare], ids=["attrs", "data", "pair", "bare"])
    def test_ours(self, kind: Callable[[object], object]) -> None:
        """It names the fields that differ and shows no value, however deep ours is."""
        one, other = (AccessToken(f"canary-{number}", "Bearer", 3600, 1) for number in (1, 2))
        said = explained(kind(one), kind(other))
        assert said is not None
        assert "canary" not in str(said)
        assert "They differ in " in said[1]

    def test_others(self) -> None:
        """Values without ours, other types, classes and other operators are pytest's, and a circle ends."""
        circle = Holder(None)
        circle.inner = circle
        token = AccessToken("a", "Bearer", 3600, 1)
        pairs: list[tuple[object, object]] = [(Holder(1), Holder(2)), (token, 1), (Holder, Holder), (circle, circle)]
        assert [None] * len(pairs) == [explained(*pair) for pair in pairs]
        assert None is explained(token, token, "!=")

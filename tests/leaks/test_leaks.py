"""The leak test, tested: what is planted is found, in every form and in every place, and what is harmless is not."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from client_credentials import TokenError
from tests.leaks.canaries import PACKAGE, forms, is_canary, search
from tests.leaks.surfaces import VIEWS, leaves, shown, views
from tests.leaks.watch import Scenario

CANARY = 'tr0ub/dor+"3é'


@pytest.mark.parametrize(
    "shown_as",
    [
        CANARY,
        CANARY.upper(),
        urllib.parse.quote(CANARY),
        urllib.parse.quote_plus(CANARY, safe=""),
        urllib.parse.quote(CANARY, safe="").lower(),
        json.dumps(CANARY),
        json.dumps(CANARY, ensure_ascii=False),
        repr(CANARY.encode()),
        *(base64.b64encode(b"a" * length + CANARY.encode()).decode() for length in range(4)),
        *(base64.urlsafe_b64encode(b"a" * length + CANARY.encode() + b"zz").decode() for length in range(4)),
        hashlib.sha256(CANARY.encode()).hexdigest(),
    ],
)
def test_every_form_is_found(shown_as: str) -> None:
    """A canary is found raw, percent-encoded, base64 at any place of a longer text, JSON-escaped, and as a digest."""
    (hit, *_) = search({f"before {shown_as} after": "somewhere"}, [CANARY])
    assert "somewhere" == hit.where
    assert CANARY not in str(hit)
    assert "<here>" in hit.around


@pytest.mark.parametrize("harmless", ["short", "aaaaaabbbbbb", "secret", "client_secret", "Bearer", ""])
def test_what_is_no_canary(harmless: str) -> None:
    """Short texts, those of few characters and words of our own source stand in texts by chance."""
    assert not is_canary(harmless)


def test_what_is_a_canary() -> None:
    """Six characters are enough."""
    assert is_canary("s3cr3t")
    assert {"raw", "base64", "hex", "sha256 digest"} <= set(forms("s3cr3t!").values())


def test_what_is_public_is_no_canary() -> None:
    """A secret that is part of a client's id or address is shown on purpose."""
    scenario = Scenario(secrets={"my-client"}, public={"my-client"})
    scenario.tell("somewhere", "my-client")
    assert [] == scenario.hits()


class Careless:
    """Shows its secret in every way there is."""

    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.slot = self.kept = CANARY

    def __repr__(self) -> str:
        return f"Careless({CANARY})"

    def __copy__(self) -> str:
        return CANARY

    @property
    def hint(self) -> str:
        """Give it away."""
        return CANARY


@attrs.frozen
class CarelessRecord:
    """Shows its secret to attrs."""

    secret: str = attrs.field(repr=False)


@pytest.mark.parametrize("view", sorted(set(VIEWS) - {"asdict"}))
def test_every_view_is_looked_at(view: str) -> None:
    """What an object shows is found in each of the ways in which it may show it."""
    texts = dict(views(Careless()))
    assert search({texts[f"{view} of a Careless"]: view}, [CANARY])


def test_the_view_of_attrs() -> None:
    """What attrs makes of an object is looked at, though its repr hides it."""
    texts = dict(views(CarelessRecord(CANARY)))
    assert search({texts["asdict of a CarelessRecord"]: ""}, [CANARY])
    assert not search({texts["repr of a CarelessRecord"]: ""}, [CANARY])


def test_a_walk_over_attributes() -> None:
    """A secret is found in whatever attribute, slot or container of our own objects it is kept."""
    for kept in ({"a": [(CANARY,)]}, {CANARY: 1}, {1: {CANARY}}, [CANARY.encode()], TokenErrorLike(CANARY)):
        scenario = Scenario(secrets={CANARY})
        scenario.values.update(dict.fromkeys(leaves(kept, set()), "attributes"))
        assert scenario.hits()


class TokenErrorLike:
    """An object of a module that counts as ours."""

    __slots__ = ("value",)
    __module__ = "client_credentials.somewhere"

    def __init__(self, value: str) -> None:
        self.value = value


def _caught(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # any
        call()
    return caught.value


def _with_cause() -> None:
    raise TokenError("harmless") from LookupError(CANARY)


def _with_context() -> None:
    try:
        json.loads(CANARY)
    except ValueError:
        raise TokenError("harmless") from None


def _with_note() -> None:
    error = TokenError("harmless")
    error.add_note(CANARY)
    raise error


def _in_a_group() -> None:
    raise ExceptionGroup("harmless", [TokenError(CANARY)])


def _as_attribute() -> None:
    error: Any = TokenError("harmless")
    error.body = CANARY
    raise error


def _in_a_local() -> None:
    # A frame that counts as the package's own.
    code = compile(f"def run(secret):\n    raise error\nrun({CANARY!r})", str(PACKAGE / "planted.py"), "exec")
    exec(code, {"error": TokenError("harmless")})


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "plant", [_with_cause, _with_note, _in_a_group, _as_attribute, _in_a_local, lambda: _raise(TokenError(CANARY))]
)
def test_every_part_of_an_error_is_looked_at(plant: Callable[[], object]) -> None:
    """An error is found out by its text, cause, notes, attributes, members and the locals of its frames."""
    error = _caught(plant)
    error.__traceback__ = error.__traceback__ if plant is _in_a_local else None
    scenario = Scenario(tokens={CANARY: None}, errors=[error])
    assert scenario.hits()


def test_a_context_is_looked_at() -> None:
    """What a library raised on the way is found, though `raise … from None` keeps it out of a traceback."""
    error = _caught(_with_context)
    assert any(CANARY in text for _, text in shown(error))


def test_what_a_test_raises_is_its_own() -> None:
    """An exception that a test raises may say what it likes, and its frames hold what the test gave."""
    assert [] == Scenario(tokens={CANARY: None}, errors=[_caught(lambda: _raise(LookupError(CANARY)))]).hits()


def test_a_value_may_hold_a_token() -> None:
    """The value of a cache is the one place for a token, and no place for a secret."""
    values = {json.dumps({"held": CANARY}): "cache value"}
    assert [] == Scenario(tokens={CANARY: None}, values=values).hits()
    assert 1 <= len(Scenario(secrets={CANARY}, values=values).hits())


PLANTED = """
import base64, logging, threading, warnings
import pytest
import client_credentials as ours
from client_credentials import *
from client_credentials._core import secret as secrets
from client_credentials.caching._state_cache import StateCache
from client_credentials.testing import Answer, TokenServer

SECRET = "pl4nted-s3cret"

@pytest.fixture
def strategy(tmp_path):
    with TokenServer("a-client", SECRET) as server:
        strategy = ClientCredentialsStrategy("a-client", SECRET, token_url=server.url)
        strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(tmp_path / "cache")))
        yield strategy

def token_of(strategy):
    return strategy.get_or_create_access_token().access_token

def test_harmless(strategy):
    token_of(strategy)

def test_repr(strategy, monkeypatch):
    strategy.hint = SECRET

def test_attribute(strategy):
    strategy.deep = [{"hint": SECRET}]

def test_log(strategy):
    logging.getLogger("client_credentials").debug("%s", token_of(strategy))

def test_log_of_urllib3(strategy):
    logging.getLogger("urllib3.connectionpool").debug("POST %s", SECRET)

def test_log_of_an_error(strategy):
    try:
        int(token_of(strategy))
    except ValueError:
        logging.getLogger("client_credentials").exception("harmless")

def test_error(strategy):
    InvalidTokenResponse(200, base64.b64encode(token_of(strategy).encode()).decode())

def test_warning(strategy):
    with pytest.warns(UserWarning):
        warnings.warn(SECRET)

def test_thread(strategy):
    threading.Thread(target=print, name=SECRET).start()

def test_cache_key(strategy):
    StateCache.of(InMemoryCachingStrategy(), RenewalPolicy()).try_lock(token_of(strategy), 1.0)

def test_cache_value(strategy):
    InMemoryCachingStrategy().held = SECRET

def test_file_name(strategy, tmp_path):
    (tmp_path / "cache" / token_of(strategy)).touch()

def test_request(strategy, monkeypatch):
    monkeypatch.setattr(TokenRequest, "__repr__", lambda request: str(request.headers))
    token_of(strategy)

def test_basic(strategy):
    token_of(strategy)
    TokenError(base64.b64encode(f"a-client:{SECRET}".encode()).decode())

def test_a_secret_from_a_callable(strategy):
    found = ClientCredentialsStrategy("a-client", lambda: SECRET, token_url=strategy._identity.client.token_url)
    token_of(found)
    TokenError(SECRET)

def test_a_token_of_a_stub():
    strategy = ClientCredentialsStrategy("a-client", "another-s3cret")
    answer = b'{"access_token": "t0ken-of-a-stub", "token_type": "bearer", "refresh_token": "r3fresh-it"}'
    strategy.set_configuration(SdkConfiguration(fetch=lambda request: TokenResponse(200, {}, answer)))
    token_of(strategy)
    TokenError("t0ken-of-a-stub")
    TokenError("r3fresh-it")
"""

CONFTEST = "from tests.conftest import pytest_configure as pytest_configure\n"


def test_every_leak_fails_its_test(tmp_path: Path) -> None:
    """A test that leaks fails and says where; nothing had to be done for it to be watched, and the summary counts."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_planted.py").write_text(PLANTED)
    root = PACKAGE.parents[1]
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", f"pythonpath={root}", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    planted = PLANTED.count("def test_") - 1
    assert f"{planted} failed, 1 passed" in done.stdout, done.stdout
    assert planted == done.stdout.count("\nleaked:\n")
    assert f"leaks: {planted + 1} scenarios watched" in done.stdout
    assert ", 0 hits" not in done.stdout
    leaked = "".join(line for line in done.stdout.splitlines() if "<here>" in line)
    assert "pl4nted-s3cret" not in leaked


def test_this_run_is_watched(request: pytest.FixtureRequest) -> None:
    """The plugin is at work in every run of the suite, with an ear at each place."""
    watch: Any = request.config.pluginmanager.get_plugin("leaks")
    threading.Thread(target=int, name="a-th3ad-of-this-test").start()
    logging.getLogger("urllib3.anything").debug("a l1ne of this test")
    assert any("a-th3ad-of-this-test" in text for text in watch.scenario.texts)
    assert any("a l1ne of this test" in text for text in watch.scenario.texts)

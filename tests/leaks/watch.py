"""A pytest plugin that watches every test: what is made, said and logged in it shows no secret and no token."""

from __future__ import annotations

import base64
import json
import logging
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus
from weakref import WeakValueDictionary

import attrs
import pytest

from client_credentials import (
    AccessToken,
    FileCachingStrategy,
    SdkConfiguration,
    TokenError,
    TokenRequest,
    TokenResponse,
)
from client_credentials._core import secret
from client_credentials._shell import active
from client_credentials._shell.base import BaseStrategy
from client_credentials.caching import _fork as fork
from client_credentials.caching import _state_cache as state_cache
from client_credentials.testing import TokenServer
from tests.leaks.canaries import Hit, is_canary, search
from tests.leaks.surfaces import Text, leaves, said, shown, views

_MOST: Final = 40
"""So many objects of a kind are looked at from all sides in one test; of errors, the others' texts are read too.

Of the tokens of a test, so many first and so many last ones are looked for.
"""


@attrs.define(eq=False)
class Scenario:
    """What one test has made: what must not be seen, and where it might be."""

    secrets: set[str] = attrs.field(factory=set[str])
    """Nowhere at all, the values of a cache included."""
    tokens: dict[str, None] = attrs.field(factory=dict[str, None])
    """Only as the value of a cache; in their order."""
    public: set[str] = attrs.field(factory=set[str])
    """What is shown on purpose; a secret that is part of it is no canary."""
    texts: dict[str, str] = attrs.field(factory=dict[str, str])
    values: dict[str, str] = attrs.field(factory=dict[str, str])
    things: list[object] = attrs.field(factory=list[object])
    errors: list[BaseException] = attrs.field(factory=list[BaseException])
    servers: set[TokenServer] = attrs.field(factory=set[TokenServer])
    _counts: Counter[type[object]] = attrs.field(factory=Counter[type[object]])

    def tell(self, where: str, text: str) -> None:
        """Note a text that somebody may read."""
        self.texts.setdefault(text, where)

    def meet(self, thing: object) -> None:
        """Note an object that shows itself somehow."""
        self._counts[type(thing)] += 1
        if self._counts[type(thing)] <= _MOST:
            self.things.append(thing)

    def hits(self) -> list[Hit]:
        """Look at all of it, and give what was found."""
        seen = set[int]()
        for thing in self.things:
            self._look_at(thing, seen)
        for server in self.servers:
            self._learn_from(server)
        for nth, error in enumerate(self.errors):
            self._add(shown(error) if nth < _MOST else said(error))
        tokens = self._canaries([*self.tokens][:_MOST] + [*self.tokens][-_MOST:])
        secrets = self._canaries(self.secrets)
        return search(self.texts, tokens | secrets) + search(self.values, secrets)

    def _canaries(self, texts: Iterable[str]) -> set[str]:
        public = "\n".join(self.public).lower()
        return {text for text in texts if is_canary(text) and text.lower() not in public}

    def _add(self, texts: Iterable[Text]) -> None:
        for where, text in texts:
            self.tell(where, text)

    def _look_at(self, thing: object, seen: set[int]) -> None:
        match thing:
            case TokenRequest():
                self.secrets.update(_credentials(thing))
                self._add(views(thing, "repr"))
            case TokenResponse():
                self.tokens |= dict.fromkeys(_granted(thing, "access_token"))
                self.secrets.update(_granted(thing, "refresh_token", "id_token"))  # not even a cache keeps them
                self._add(views(thing, "repr"))
            case _:
                if isinstance(thing, BaseStrategy):
                    self._learn_from_strategy(thing)
                if isinstance(thing, FileCachingStrategy):
                    self._add(_file_names(thing))
                self._add(views(thing))
                self.values.update({text: f"attributes of a {type(thing).__name__}" for text in leaves(thing, seen)})

    def _learn_from(self, server: TokenServer) -> None:
        internals: Any = server
        client_id, client_secret = internals._client
        self.public.add(client_id)
        self.secrets.add(client_secret)
        self.tokens |= dict.fromkeys(server.issued)
        for request in server.requests[:_MOST]:
            self.secrets.update(_basic(request.headers.get("authorization", "")))

    def _learn_from_strategy(self, strategy: BaseStrategy) -> None:
        internals: Any = strategy
        # A user's callable is not to be called once more; its requests show what it gave.
        texts = [each for each in internals._identity.secrets if each._read.__module__ == secret.__name__]
        self.secrets.update(each.reveal() for each in texts)


def _basic(authorization: str) -> Iterator[str]:
    """Give a Basic credential, and the secret in it, as it stands there and decoded."""
    _, _, credential = authorization.partition(" ")
    yield credential
    try:
        _, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except ValueError:
        return
    yield from (password, unquote_plus(password))


def _credentials(request: TokenRequest) -> Iterator[str]:
    yield from _basic(request.headers.get("Authorization", ""))
    yield from (value for name, value in parse_qsl(request.body.decode("latin-1")) if name == "client_secret")


def _granted(response: TokenResponse, *names: str) -> list[str]:
    """Give these members of an answer, whether it is accepted or not."""
    try:
        document: Any = json.loads(response.body)
        members = [document.get(name) for name in names]
    except (ValueError, RecursionError, AttributeError):
        return []
    return [member for member in members if isinstance(member, str)]


def _file_names(cache: FileCachingStrategy) -> Iterator[Text]:
    internals: Any = cache
    directory: Path = internals._directory
    try:
        yield "file names", "\n".join(map(str, directory.rglob("*")))
    except OSError:
        return


class _Listener(logging.Handler):
    """Takes every record that any logger emits."""

    def __init__(self, tell: Callable[[str, str], None], met: Callable[[BaseException], None]) -> None:
        super().__init__(logging.NOTSET)
        self._tell, self._met = tell, met

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(f"log of {record.name}", f"{record.getMessage()} {record.args!r} {record.stack_info}")
        if record.exc_info and record.exc_info[1]:
            self._met(record.exc_info[1])


class Watch:
    """The plugin. Nothing has to be done for a new test to be watched."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.counts = Counter[str]()

    def install(self) -> None:
        """Put an ear to every place where something is made or said."""
        # Never around a constructor that may refuse a secret: its frame would show the secret in the traceback.
        _after(TokenError, "__init__", lambda _, made: self.scenario.errors.append(made[0]))
        _after(TokenRequest, "__init__", lambda _, made: self.scenario.meet(made[0]))
        _after(TokenResponse, "__init__", lambda _, made: self.scenario.meet(made[0]))
        _after(SdkConfiguration, "__attrs_post_init__", lambda _, made: self._meet_configuration(made[0]))
        _after(TokenServer, "start", lambda _, started: self.scenario.servers.add(started[0]))
        _after(BaseStrategy, "__setattr__", lambda _, given: self._meet_strategy(*given[:2]))
        _after(active.Lease, "__init__", lambda _, made: self._meet_token(made[0].token))
        _after(threading.Thread, "start", lambda _, started: self._tell("name of a thread", repr(started[0])))
        _after(state_cache, "dump", lambda kept, _: kept and self.scenario.values.setdefault(kept.value, "cache value"))
        for method in ("load", "store", "try_lock"):
            _after(state_cache.StateCache, method, lambda _, given: self._tell("cache key", given[1]))
        registry: Any = fork
        registry._alive = _Alive(self, registry._alive)
        warnings.warn = self._warning(warnings.warn)
        logging.getLogger().addHandler(_Listener(self._tell, lambda error: self.scenario.errors.append(error)))
        for name in ("client_credentials", "urllib3"):
            logging.getLogger(name).setLevel(logging.DEBUG)

    def _tell(self, where: str, text: str) -> None:
        self.scenario.tell(where, text)

    def _meet_token(self, token: AccessToken) -> None:
        self.scenario.tokens[token.access_token] = None
        self._tell("repr of an AccessToken", repr(token))

    def _meet_strategy(self, strategy: BaseStrategy, attribute: str) -> None:
        if attribute == "_active":  # the last thing that the constructor sets
            internals: Any = strategy
            self.scenario.public.update((internals._identity.client.client_id, internals._identity.client.token_url))
            self.scenario.meet(strategy)

    def _meet_configuration(self, configuration: SdkConfiguration) -> None:
        self.scenario.meet(configuration)
        if type(configuration.fetch).__module__.startswith("client_credentials."):
            self.scenario.meet(configuration.fetch)

    def _warning(self, warn: Callable[..., None]) -> Callable[..., None]:
        def told(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **more: Any) -> None:
            self._tell("warning", f"{message} {message!r}")
            warn(message, category, stacklevel + 1, source, **more)

        return told

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Begin a scenario."""
        self.scenario = Scenario()
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Look at all that the test has left behind, before its fixtures take it away."""
        result = yield
        hits = self.conclude()
        if hits:
            pytest.fail("\n".join(["leaked:", *map(str, hits)]), pytrace=False)
        return result

    def conclude(self) -> list[Hit]:
        """End the scenario."""
        scenario, self.scenario = self.scenario, Scenario()
        hits = scenario.hits()
        self.counts.update(scenarios=1, things=len(scenario.texts) + len(scenario.values), hits=len(hits))
        return hits

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the process that sums up, if this is one of several."""
        output: dict[str, object] = getattr(session.config, "workeroutput", {})
        output["leaks"] = dict(self.counts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what another process has watched."""
        self.counts.update(getattr(node, "workeroutput", {}).get("leaks", {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was watched."""
        scenarios, things, hits = (self.counts[name] for name in ("scenarios", "things", "hits"))
        terminalreporter.write_line(f"leaks: {scenarios} scenarios watched, {things} things looked at, {hits} hits")


class _Alive(WeakValueDictionary[int, Any]):
    """What must survive a fork: every cache, told of as it is made."""

    def __init__(self, watch: Watch, before: Mapping[int, Any]) -> None:
        self._watch = watch
        super().__init__(before)

    def __setitem__(self, number: int, item: Any) -> None:
        super().__setitem__(number, item)
        self._watch.scenario.meet(item)


def _after(owner: Any, name: str, tell: Callable[[Any, tuple[Any, ...]], object]) -> None:
    """Have `tell` called with what a function gives, and what it was given by position."""
    call = getattr(owner, name)

    @wraps(call)
    def told(*args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        tell(found, args)
        return found

    setattr(owner, name, told)

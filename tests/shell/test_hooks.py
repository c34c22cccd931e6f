"""Code that the program brings: what it raises, blocks and asks for harms nobody but those who waited for it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
import time
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any

import attrs
import pytest

from client_credentials import (
    AsyncClientCredentialsStrategy,
    TokenEndpointUnreachable,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.errors import HookError
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.shell.kit import (
    CLIENT_ID,
    CLIENT_SECRET,
    EXACT,
    HASTY,
    Endpoint,
    Held,
    Maker,
    Shelf,
    configuration,
    grant,
    make_async,
    outcome,
    refuse,
    settled,
    strategy_of,
    together,
    until,
)

HOOKS = ("before_request", "fetch", "after_request", "response_validator", "deserializer")
LOG = logging.getLogger("client_credentials")


def _boom(*_: object) -> Any:
    raise LookupError("a hook's own words")


@pytest.mark.parametrize("hook", [*HOOKS, "client_secret"])
def test_a_hook_that_raises(server: TokenServer, make: Maker, hook: str) -> None:
    """What a hook raises is a HookError that names hook and class; the cause for who waited for it, for nobody else."""
    strategy = make(server, secret=_boom) if hook == "client_secret" else make(server, hooks={hook: _boom})
    with pytest.raises(HookError, match=f"{hook} raised LookupError") as caught:
        strategy.get_or_create_access_token()
    assert (hook, False, True) == (
        caught.value.hook,
        caught.value.retryable,
        isinstance(caught.value.__cause__, LookupError),
    )
    assert "own words" not in str(caught.value)
    if hook != "client_secret":  # which is read again to find the cache's token for it
        with pytest.raises(HookError) as again:
            strategy.get_or_create_access_token()
        assert again.value.__cause__ is None
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (hook, str(caught.value), "my-client", server.url) == (copy.hook, str(copy), copy.client_id, copy.token_url)


def test_everyone_who_waited_has_the_cause() -> None:
    """Each of those who wait for one flight gets a HookError of its own, all with the one cause."""
    calls: list[None] = []

    def fail(_: TokenRequest) -> TokenResponse:
        until(lambda: len(calls) == 10)
        time.sleep(0.1)  # from there to where they wait
        raise LookupError

    def call() -> object:
        calls.append(None)
        return strategy.get_or_create_access_token()

    strategy = strategy_of(fail)
    errors = together(10, call)
    assert (10, 1) == (len({id(error) for error in errors}), len({id(_cause(error)) for error in errors}))
    assert {LookupError} == {type(_cause(error)) for error in errors}


def _cause(error: object) -> BaseException | None:
    assert isinstance(error, HookError)
    return error.__cause__


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError, asyncio.CancelledError])
@pytest.mark.parametrize("hook", ["before_request", "client_secret", "error_handler"])
def test_a_hook_that_leaves(server: TokenServer, make: Maker, hook: str, kind: type[BaseException]) -> None:
    """J5: a hook that exits its thread fails like any other, and an error handler that does harms nobody."""

    def leave(*_: object) -> Any:
        raise kind

    if hook == "client_secret":
        strategy = make(server, secret=leave)
    else:
        server.always(refusal("invalid_client"))
        strategy = make(server, hooks={hook: leave})
    with pytest.raises(TokenRefused if hook == "error_handler" else HookError):
        strategy.get_or_create_access_token()


class TestAsking:
    """A hook that asks for the token that is not there gets an error at once, whichever way it asks."""

    @pytest.mark.parametrize("way", ["same", "twin", "copied context", "new loop"])
    @pytest.mark.parametrize("hook", [*HOOKS, "error_handler", "client_secret"])
    def test_within_a_request(self, hook: str, way: str) -> None:
        """Q10/hook: from each hook: the same strategy, another of the same client, in a thread, or in another loop."""
        found: list[Any] = []

        def ask() -> object:
            if way == "new loop":
                return asyncio.run(twin_of_tasks.get_or_create_access_token())
            return (twin if way == "twin" else strategy).get_or_create_access_token()

        def asks(*given: Any) -> Any:
            try:
                if way == "copied context":
                    context = copy_context()
                    thread = threading.Thread(
                        target=context.run, args=(lambda: found.append(outcome(strategy.get_or_create_access_token)),)
                    )
                    thread.start()
                    thread.join()
                else:
                    found.append(ask())
            except TokenError as error:
                found.append(error)
            return usual[hook](*given)

        usual: dict[str, Callable[..., Any]] = {
            "fetch": Endpoint(refuse() if hook == "error_handler" else grant()),
            "deserializer": lambda *_: {"access_token": "a-token", "token_type": "bearer"},
            "client_secret": lambda: "a-secret-71",
            **dict.fromkeys(
                ("before_request", "after_request", "response_validator", "error_handler"), lambda *_: None
            ),
        }
        hooks: dict[str, Any] = {"fetch": usual["fetch"]}
        secret: Any = "a-secret-71"
        if hook == "client_secret":
            secret = asks
        else:
            hooks[hook] = asks
        strategy = strategy_of(hooks.pop("fetch"), secret=secret, **hooks)
        twin = strategy_of(Endpoint(grant("never")), secret=secret)
        twin_of_tasks = AsyncClientCredentialsStrategy(CLIENT_ID, CLIENT_SECRET)
        twin_of_tasks.set_configuration(configuration(fetch=Endpoint(grant("never"))))
        got = outcome(strategy.get_or_create_access_token)
        until(lambda: found)
        assert isinstance(found[0], TokenEndpointUnreachable | TokenRefused)
        assert hook == "error_handler" or "a hook of the request asked for its token" in str(found[0])
        assert hook == "error_handler" or "a-token" == got

    def test_where_a_token_is_there(self, clock: FakeClock) -> None:
        """A hook of a renewal gets the token that is there, as every caller does."""
        found: list[object] = []

        def ask(_: TokenRequest) -> None:
            found.append(outcome(strategy.get_or_create_access_token))

        strategy = strategy_of(Endpoint(grant("one"), grant("two")), clock, before_request=ask)
        strategy.get_or_create_access_token()
        clock.advance(3500)
        strategy.get_or_create_access_token()
        settled(strategy)
        assert "one" == found[1]

    def test_another_client(self) -> None:
        """A hook may ask for the token of another client."""
        other = strategy_of(Endpoint(grant("theirs")))
        other._identity.client = attrs.evolve(other._identity.client, client_id="another")  # pyright: ignore[reportPrivateUsage]
        found: list[object] = []

        def ask(_: TokenRequest) -> None:
            found.append(outcome(other.get_or_create_access_token))

        strategy = strategy_of(Endpoint(grant("mine")), before_request=ask)
        assert "mine" == outcome(strategy.get_or_create_access_token)
        assert ["theirs"] == found

    def test_after_its_request(self) -> None:
        """What a hook leaves behind, a timer say, asks like anybody once the request is over."""
        contexts = list[Any]()

        def leave(_: TokenRequest) -> None:
            contexts.append(copy_context())

        strategy = strategy_of(Endpoint(grant("one"), grant("two")), before_request=leave)
        strategy.get_or_create_access_token()
        settled(strategy)
        strategy.remove_access_token()
        assert "two" == contexts[0].run(outcome, strategy.get_or_create_access_token)


class TestTheErrorHandler:
    """It is told of every failure, after all who wait have theirs, and whatever it does is its own."""

    @pytest.mark.parametrize("does", ["asks", "blocks", "exits", "raises"])
    @pytest.mark.parametrize("fails", ["refused", "hangs"])
    def test_of_threads(self, does: str, fails: str) -> None:
        """Q5/handler, Q10/handler: a caller is back by its deadline; the handler is called once."""
        go, told, waited = threading.Event(), list[TokenError](), list[bool]()

        def handle(error: TokenError) -> None:
            told.append(error)
            if does == "asks":
                strategy.get_or_create_access_token()
            elif does == "blocks":
                waited.append(go.wait(60))
            raise SystemExit if does == "exits" else LookupError

        late = Held(grant())
        answer, policy = (refuse(), EXACT) if fails == "refused" else (late, HASTY)
        strategy = strategy_of(Endpoint(answer), policy=policy, error_handler=handle)
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenError)
        until(lambda: told)
        go.set()
        late.go.set()
        settled(strategy)
        until(lambda: waited or does != "blocks")
        assert ([True] * (does == "blocks"), 1) == (waited, len(told))

    @pytest.mark.parametrize("fails", ["refused", "hangs"])
    def test_of_a_loop(self, fails: str) -> None:
        """It never runs in the event loop: one that blocks holds up no task."""
        go, where, waited = threading.Event(), list[threading.Thread](), list[bool]()

        def handle(_: TokenError) -> None:
            where.append(threading.current_thread())
            waited.append(go.wait(60))

        late = Held(grant())
        with TokenServer("my-client", "my-secret-3f9c") as server:
            strategy = make_async(
                server,
                policy=HASTY,
                hooks={"fetch": Endpoint(refuse() if fails == "refused" else late), "error_handler": handle},
            )

            async def scenario() -> None:
                with pytest.raises(TokenError):
                    await strategy.get_or_create_access_token()

            asyncio.run(scenario())
        until(lambda: where)
        go.set()
        late.go.set()
        until(lambda: waited)
        assert [True] == waited
        assert threading.main_thread() not in where


class Handling(logging.Handler):
    """A log handler that does something with each record."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self.do = do

    def emit(self, record: logging.LogRecord) -> None:
        self.do()


class TestLogHandlers:
    """A log handler is code of the program's: whatever it does, callers have their token or their error."""

    @pytest.fixture
    def handling(self) -> Generator[Callable[[Callable[[], object]], None]]:
        """Give what adds a handler to the logger for one test."""
        added: list[logging.Handler] = []

        def add(do: Callable[[], object]) -> None:
            added.append(Handling(do))
            LOG.addHandler(added[-1])

        yield add
        for handler in added:
            LOG.removeHandler(handler)

    @pytest.mark.parametrize("error", [LookupError, SystemExit])
    def test_that_raises(self, handling: Any, error: type[BaseException]) -> None:
        """Q5/log, Q10/log: a handler that raises costs nobody the token, keeps no gate open, and hides no failure."""

        def fail() -> None:
            raise error

        handling(fail)
        odd = Endpoint(TokenResponse(200, {}, b'{"access_token":"a-token","expires_in":60}'))
        assert "a-token" == outcome(strategy_of(odd).get_or_create_access_token)
        endpoint, told = Endpoint(refuse()), list[TokenError]()
        strategy = strategy_of(endpoint, error_handler=told.append)
        assert [TokenRefused] * 3 == [type(outcome(strategy.get_or_create_access_token)) for _ in range(3)]
        settled(strategy)
        assert (1, 1) == (len(endpoint.requests), len(told))

    @pytest.mark.parametrize("aside", [False, True], ids=["in its thread", "in another"])
    def test_that_asks(self, handling: Any, aside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Q10/log: a handler that asks for a token, here or from another thread, hangs nobody and does not recurse."""
        monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.01)
        depth, deepest = [0], [0]

        def ship() -> None:
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            if aside:
                thread = threading.Thread(target=outcome, args=(strategy.get_or_create_access_token,))
                thread.start()
                thread.join()
            else:
                outcome(strategy.get_or_create_access_token)
            depth[0] -= 1

        endpoint = Endpoint(refuse("server_error", 503))
        strategy = strategy_of(endpoint)
        handling(ship)
        assert isinstance(outcome(strategy.get_or_create_access_token), TokenRefused)
        settled(strategy)
        logged = threading.Thread(target=logging.getLogger("another").error, args=("a line",))
        logged.start()
        logged.join(60)
        assert not logged.is_alive()
        assert deepest[0] <= 2


def test_a_fetch_that_extends_ours(server: TokenServer, make: Maker) -> None:
    """A subclass of Urllib3Fetch, for a header say, is kept to the deadline like any other fetch."""

    class Ours(Urllib3Fetch):
        seen: list[str] = []  # noqa: RUF012  # of this test

        def __call__(self, request: TokenRequest) -> TokenResponse:
            self.seen.append(request.method)
            return super().__call__(request)

    server.always(Answer(delay=60))
    with pytest.raises(TokenEndpointUnreachable):
        make(server, hooks={"fetch": Ours()}, policy=HASTY).get_or_create_access_token()
    server.always(None)
    make(server, hooks={"fetch": Ours()}).get_or_create_access_token()
    assert ["POST"] * 2 == Ours.seen


class TestHungFlights:
    """No more than eight flights may hang past their deadline."""

    def test_the_ninth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Q13/fetch: after eight that hang callers are told so at once; when these end, a request is made again."""
        for module in ("base", "driver"):
            monkeypatch.setattr(f"client_credentials._shell.{module}.dice", lambda: 0.0)
        late = Held(refuse(status=503))
        endpoint = Endpoint(*[late] * 8, grant("at-last"))
        strategy = strategy_of(endpoint, policy=attrs.evolve(EXACT, deadline=0.05), caching_strategy=Shelf())
        while len(endpoint.requests) < 8:  # on a busy machine a thread may begin after its deadline, and send nothing
            assert isinstance(outcome(strategy.get_or_create_access_token), TokenEndpointUnreachable)
        for _ in range(5):
            error = outcome(strategy.get_or_create_access_token)
            assert isinstance(error, TokenEndpointUnreachable)
            assert "8 earlier requests still hang past their deadline" in str(error)
            assert ("my-client", 0.0) == (error.client_id, error.retry_after)
        assert 8 == len(endpoint.requests)
        late.go.set()
        until(lambda: outcome(strategy.get_or_create_access_token) == "at-last")

    def test_with_a_token_in_hand(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a good token, or one whose end was only assumed, callers are served, hung flights or not."""
        monkeypatch.setattr("client_credentials._shell.base.dice", lambda: 0.0)
        late = Held(grant("late"))
        endpoint = Endpoint(grant("old", expires_in=None), late)
        strategy = strategy_of(endpoint, clock, policy=attrs.evolve(EXACT, deadline=0.05))
        strategy.get_or_create_access_token()
        clock.advance(290)

        def hang() -> bool:
            assert "old" == outcome(strategy.get_or_create_access_token)
            return len(endpoint.requests) == 9

        until(hang)
        time.sleep(0.06)
        assert hang()
        clock.advance(300)
        assert "old" == outcome(strategy.get_or_create_access_token)
        late.go.set()

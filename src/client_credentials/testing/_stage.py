"""What a drill plays on: a token endpoint, a holder made for it, and calls of the holder that may fail or hang."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from ._calls import Call, Caller, in_child
from .clock import FakeClock
from .server import TokenServer

if TYPE_CHECKING:
    from typing import Self

_CRASHES: Final = (AttributeError, KeyError, NameError, OverflowError, RecursionError, TypeError, ZeroDivisionError)
"""What a program raises by accident; a caller cannot tell from it what happened to the token request."""


class RemovingHolder(Protocol):
    """A holder with two methods of AuthStrategy, plain or coroutine functions, which is also told of dead tokens."""

    def get_or_create_access_token(self) -> object:
        """Return a token that is good now."""
        ...

    def remove_access_token(self, token: Any, /) -> object:  # noqa: ANN401
        """Forget this token, which an API has refused; it is given as `get_or_create_access_token` gave it."""
        ...


Holder: TypeAlias = Callable[[], object] | RemovingHolder
"""Hands out tokens, as str, header (`Bearer ...`), mapping, or object with `access_token`; plain or coroutine."""

MakeHolder: TypeAlias = Callable[..., Holder | Awaitable[Holder]]
"""Called with token_url, client_id and client_secret, and with a `clock` (`Clock`) if it has such a parameter."""


class Skipped(Exception):
    """This drill cannot be run with this holder; the text says why."""


class Stage:
    """One drill under way: a token endpoint, a holder made for it, and the ways to call it."""

    def __init__(self, make_holder: MakeHolder, patience: float, *, with_clock: bool) -> None:
        self.secret = f"drill-secret-{secrets.token_hex(16)}"
        self.told_token = f"told-{secrets.token_hex(8)}"
        """Counts as granted, for answers that a drill words itself."""
        self.server = TokenServer("drill-client", self.secret)
        self.clock = FakeClock()
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.holder: Any = None
        self._caller = Caller(patience)
        self._patience = patience
        self._make = make_holder
        self._arguments = {"clock": self.clock} if with_clock else {}

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._caller.close()
        self.server.close()

    def play(self, play: Callable[[Stage], None]) -> None:
        """Make the holder, play a drill, and look for the faults that no situation excuses."""
        [made] = self._caller.begin(
            lambda: self._make(self.server.url, "drill-client", self.secret, **self._arguments)
        )()
        self.holder = made.value
        if made.error is not None or not made.returned:
            self.faults.append(f"make_holder: {_outcome(made)}")
            return
        play(self)
        hung = sum(not call.returned for call in self.calls)
        self.fault_if(hung > 0, f"{hung} of {len(self.calls)} calls did not return within {self._patience:g} s")
        crashes = {type(call.error).__name__ for call in self.calls if isinstance(call.error, _CRASHES)}
        names = ", ".join(sorted(crashes))
        self.fault_if(bool(crashes), f"raised {names}, which is an accident and tells a caller nothing")
        tokens = {token_of(call.value) for call in self.calls if call.returned and call.error is None}
        is_granted = tokens <= {*self.server.issued, self.told_token}
        self.fault_if(not is_granted, "handed out what the endpoint did not grant")

    def fault_if(self, is_fault: bool, text: str) -> None:
        if is_fault:
            self.faults.append(text)

    def at_most(self, requests: int, late: int = 0) -> None:
        """Count the requests; on a busy machine some of a crowd come `late`, when the others have gone."""
        self.fault_if(self.requests > requests + late, f"{self.requests} requests, where {requests} would do")

    def no_errors(self, calls: list[Call], why: str) -> None:
        errors = sum(call.error is not None for call in calls)
        self.fault_if(errors > 0, f"{errors} of {len(calls)} calls raised, though {why}")

    def get(self) -> object:
        """Ask the holder for a token, as a program does; returns an awaitable if it is a coroutine function."""
        return getattr(self.holder, "get_or_create_access_token", self.holder)()

    def begin(self, count: int = 1, get: Callable[[], object] | None = None) -> Callable[[], list[Call]]:
        """Ask `count` times at once; returns a function that waits for the calls."""
        wait = self._caller.begin(get or self.get, count)

        def waited() -> list[Call]:
            calls = wait()
            self.calls += calls
            return calls

        return waited

    def ask(self, times: int = 1, get: Callable[[], object] | None = None) -> list[Call]:
        """Ask several times, one after another, until a call does not return."""
        return [call for _ in range(times) if self._alive for call in self.begin(1, get)()]

    def ask_for(self, seconds: float) -> Iterator[Call]:
        """Ask again and again for `seconds` seconds, as a busy program does."""
        end = time.monotonic() + seconds
        while self._alive and time.monotonic() < end:
            yield from self.ask()
            time.sleep(0.02)

    def removal_of(self, value: object) -> Callable[[], object]:
        """Make the function that a program calls when an API refuses this token: remove it, and ask for another."""

        def remove_and_get() -> object:
            self._caller.result(self.holder.remove_access_token(value))
            return self.get()

        return remove_and_get

    def in_child(self) -> str | None:
        """Ask in a forked child; returns the token."""
        if self._caller.awaits:
            raise Skipped("a coroutine function is not called from a forked child")
        return in_child(lambda: token_of(self.get()) or "", self._patience)

    @property
    def requests(self) -> int:
        return len(self.server.requests)

    @property
    def _alive(self) -> bool:
        return all(call.returned for call in self.calls)

    def came(self) -> str:
        counts = Counter(map(_outcome, self.calls))
        return ", ".join(f"{count} {what}{'s' * (what == 'token' and count > 1)}" for what, count in counts.items())


def attribute_of(value: object, name: str) -> object:
    """An attribute; None where there is none, or where looking for it raises."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def token_of(value: object) -> str | None:
    """Find the token in what a holder hands out."""
    match value:
        case str():
            return value.rpartition(" ")[2]
        case bytes():
            return token_of(value.decode("latin-1"))
        case Mapping():
            members = {str(name).lower(): each for name, each in cast("Mapping[object, object]", value).items()}
            return token_of(members.get("authorization", members.get("access_token")))
        case _:
            found = attribute_of(value, "access_token")
            return found if isinstance(found, str) else None


def _outcome(call: Call) -> str:
    if not call.returned:
        return "no answer"
    return "token" if call.error is None else type(call.error).__name__

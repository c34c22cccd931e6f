"""The drills, as a table: what happens, what a good holder does, and how a fault is seen."""

from __future__ import annotations

import base64
import itertools
import logging
import os
import time
import traceback
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import quote

import attrs

from ._stage import Skipped, Stage, attribute_of, token_of
from .endpoint import Answer
from .server import TokenServer

_CROWD: Final = 50
_LIFETIME: Final = 4
"""Seconds that a token lives in the drills that wait for its renewal."""


Play: TypeAlias = Callable[[Stage], None]


@attrs.frozen
class Drill:
    """A situation: what is asked, what a good holder does, and the function that plays it and reports the faults."""

    asked: str
    good: str
    play: Play
    needs_clock: bool = False


DRILLS: Final[dict[str, Drill]] = {}


def _drill(asked: str, good: str, *, needs_clock: bool = False) -> Callable[[Play], Play]:
    """Enter a function in the table under its name."""

    def enter(play: Play) -> Play:
        DRILLS[play.__name__] = Drill(asked, good, play, needs_clock)
        return play

    return enter


@_drill(f"{_CROWD} calls at once, no token yet; the endpoint takes 0.3 s", "makes one request, whose token all get")
def cold_crowd(stage: Stage) -> None:
    stage.server.always(Answer(delay=0.3))
    stage.no_errors(stage.begin(_CROWD)(), "the endpoint granted a token")
    stage.at_most(1)


@_drill(
    f"{_CROWD} calls at once, then 10 more; the endpoint says invalid_client",
    "makes one request, tells everyone, and does not ask again soon",
)
def cold_crowd_refused(stage: Stage) -> None:
    stage.server.always(Answer(status=401, body={"error": "invalid_client"}, delay=0.3))
    stage.begin(_CROWD)()
    stage.ask(10)
    stage.at_most(2)  # some try the other way to authenticate once


@_drill(
    f"{_CROWD} calls at once; the endpoint answers 503",
    "makes one request and a retry or two, for all who wait",
)
def cold_crowd_down(stage: Stage) -> None:
    stage.server.always(Answer(status=503, delay=0.2))
    stage.begin(_CROWD)()
    stage.at_most(3, late=7)


@_drill(
    f"calls while a token of {_LIFETIME} s ends; the endpoint takes 1 s for the next",
    "renews ahead and in the background: no call waits, one request",
)
def slow_renewal(stage: Stage) -> None:
    stage.server.always(Answer(lifetime=_LIFETIME))
    calls = stage.ask()
    stage.server.always(Answer(delay=1))
    calls += stage.ask_for(_LIFETIME + 1)
    # A slow call alone may be the machine; one that waited for a renewal comes back with its token.
    slow = sum(
        call.seconds > 0.7 and token_of(call.value) != token_of(before.value)
        for before, call in itertools.pairwise(calls)
    )
    stage.fault_if(slow > 0, f"{slow} of {len(calls)} calls waited for a renewal")
    stage.no_errors(calls, "the endpoint grants")
    stage.at_most(2)


@_drill(
    f"calls while a token of {_LIFETIME} s is good and the endpoint answers 503",
    "serves the token that it has, and tries again only now and then",
)
def failed_renewal(stage: Stage) -> None:
    stage.server.always(Answer(lifetime=_LIFETIME))
    end = time.monotonic() + _LIFETIME * 0.8
    stage.ask()
    stage.server.always(Answer(status=503))
    # A short call that ends later was held up by the machine, until the token was no longer good.
    calls = [call for call in stage.ask_for(_LIFETIME * 0.8) if call.ended < end or call.seconds > 1]
    stage.no_errors(calls, "the token in hand was good")
    stage.at_most(10)


@_drill("the endpoint answers 429 with Retry-After: 2, then grants", "waits 2 s before it asks again, and then does")
def retry_after(stage: Stage) -> None:
    stage.server.answer(Answer(status=429, headers={"Retry-After": "2"}, body={"error": "slow_down"}))
    list(stage.ask_for(1.7))
    stage.fault_if(stage.requests > 1, "asked again within the wait that the endpoint had ordered")
    stage.fault_if(all(call.error for call in stage.ask_for(3)), "no token 2 s after the wait was over")


@_drill("calls for 3 s; each token lives for 2 s", "asks once or twice for each lifetime, and hands out no dead token")
def short_lifetimes(stage: Stage) -> None:
    stage.server.always(Answer(lifetime=2))
    born: dict[str | None, float] = {}
    calls = list(stage.ask_for(3))
    late = sum(call.began - born.setdefault(token_of(call.value), call.ended) > 2 for call in calls if call.value)
    stage.fault_if(late > 0, f"{late} of {len(calls)} calls got a token past its end")
    stage.no_errors(calls, "the endpoint grants")
    stage.at_most(5)


def _told(stage: Stage, expires_in: object) -> None:
    body = {"access_token": stage.told_token, "token_type": "Bearer", "expires_in": expires_in}
    stage.server.always(Answer(body=body))


@_drill('the answer says "expires_in": 0', "takes the token for one that ends at once, or refuses the answer")
def expires_in_zero(stage: Stage) -> None:
    _told(stage, 0)
    stage.ask()
    time.sleep(1.2)
    stage.fault_if(
        any(call.value for call in stage.ask()) and stage.requests < 2, "kept the token as if it never ended"
    )
    stage.at_most(6)


@_drill('the answer says "expires_in": null', "assumes a lifetime, as if the member were missing")
def expires_in_null(stage: Stage) -> None:
    _told(stage, None)
    stage.no_errors(stage.ask(10), "null states no lifetime")
    stage.at_most(2)


@_drill('the answer says "expires_in": "3600"', "takes it for the number that it is")
def expires_in_text(stage: Stage) -> None:
    _told(stage, "3600")
    stage.no_errors(stage.ask(10), "the lifetime is plain")
    stage.at_most(2)


@_drill('the answer says "expires_in": true', "refuses the answer or assumes a lifetime; true is not one second")
def expires_in_true(stage: Stage) -> None:
    _told(stage, True)
    stage.ask()
    time.sleep(1.2)
    stage.fault_if(any(call.value for call in stage.ask()) and stage.requests > 1, "took true for one second")


@_drill('the answer says "expires_in": 1e30', "caps it or refuses the answer, and its arithmetic does not overflow")
def expires_in_huge(stage: Stage) -> None:
    _told(stage, 1e30)
    stage.ask(10)
    stage.at_most(2)


@_drill("the endpoint answers 307 to another origin", "raises, and sends nothing there")
def redirect(stage: Stage) -> None:
    with TokenServer("drill-client", stage.secret) as other:
        stage.server.always(Answer(status=307, headers={"Location": other.url}))
        stage.ask()
        stage.fault_if(bool(other.requests), "sent the token request to the other origin")


@_drill("three calls at once; the answer drips a byte every 0.5 s", "has a deadline for the whole exchange, and raises")
def drip(stage: Stage) -> None:
    stage.server.always(Answer(drip=0.5))
    stage.begin(3)()


@_drill("the connection is closed in the middle of the answer; later ones are whole", "discards it, and recovers")
def cut_short(stage: Stage) -> None:
    body = f'{{"access_token": "cut-token-{stage.secret[-8:]}", "token_type": "Bearer", "expires_in": 3600}}'
    headers = {"Content-Type": "application/json", "Content-Length": "999"}
    stage.server.answer(Answer(headers=headers, body=body.encode()))
    stage.fault_if(
        not any(token_of(call.value) in stage.server.issued for call in stage.ask_for(7)),
        "no token from the answers that followed",
    )


@_drill("the process forks while a request is under way, and the child asks", "hands the child a token, too")
def fork_in_flight(stage: Stage) -> None:
    if not hasattr(os, "fork"):
        raise Skipped("there is no fork on this platform")
    stage.server.always(Answer(delay=0.5))
    wait = stage.begin()
    end = time.monotonic() + 5
    while not stage.requests and time.monotonic() < end:
        time.sleep(0.01)
    told = stage.in_child()
    stage.no_errors(wait(), "the endpoint grants")
    stage.fault_if(told is None, "the child got no token")


@_drill("the clock is set back by two hours; then the token ends", "hands out no dead token", needs_clock=True)
def clock_set_back(stage: Stage) -> None:
    stage.ask()
    stage.clock.step_wall(-7200)
    stage.clock.advance(3601)
    _no_dead_token(stage)


@_drill("the machine sleeps until the token has ended", "hands out no dead token, and asks once", needs_clock=True)
def clock_set_forward(stage: Stage) -> None:
    stage.ask()
    stage.clock.suspend(3601)
    _no_dead_token(stage)


def _no_dead_token(stage: Stage) -> None:
    stage.fault_if(
        any(token_of(call.value) in stage.server.issued[:1] for call in stage.ask(5)), "handed out a token past its end"
    )
    stage.at_most(2)


@_drill("the endpoint refuses, and repeats the credentials", "shows no secret in error, log or repr")
def secret_in_errors(stage: Stage) -> None:
    pair = base64.b64encode(f"drill-client:{stage.secret}".encode()).decode()
    said = f"no client with {stage.secret} or Basic {pair}"
    stage.server.always(Answer(status=401, body={"error": "invalid_client", "error_description": said}))
    heard = _Heard()
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        calls = stage.ask(2)
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    errors = [call.error for call in calls if call.error is not None]
    shown = {
        "an error": "".join(line for error in errors for line in (*traceback.format_exception(error), _repr(error))),
        "the log": "".join(heard.lines),
        "the holder's repr": _repr(stage.holder),
    }
    for where, text in shown.items():
        stage.fault_if(
            any(form in text for form in (stage.secret, quote(stage.secret), pair)), f"the client secret is in {where}"
        )


def _repr(value: object) -> str:
    """The repr, or what is shown of the error that it raises."""
    try:
        return repr(value)
    except Exception as error:
        return "".join(traceback.format_exception(error))


class _Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@_drill("an API refuses one token in 20 threads, and 20 times more", "replaces it once: one removal, one request")
def removal_storm(stage: Stage) -> None:
    if attribute_of(stage.holder, "remove_access_token") is None:
        raise Skipped("the holder has no remove_access_token")
    stage.server.always(Answer(delay=0.2))
    [first] = stage.ask()
    again = stage.removal_of(first.value)
    calls = [*stage.begin(20, again)(), *stage.ask(20, again)]
    stage.no_errors(calls, "the endpoint grants")
    stage.fault_if(
        any(token_of(call.value) == token_of(first.value) for call in calls),
        "handed out the token that had been removed",
    )
    stage.at_most(2)

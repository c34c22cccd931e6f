"""The whole table of events: each is made to happen to each carrier, with real sockets."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from client_credentials import TokenError
from tests.http.events import EVENTS, Event, Verdict, fetch_of, passed_on, rows, stage
from tests.http.peers import token_request, within
from tests.http.scenes import DIRECT

CELLS = [(event, carrier) for event in EVENTS for carrier in event.carriers]


@pytest.mark.parametrize(("event", "carrier"), CELLS, ids=[f"{event.name}-{carrier}" for event, carrier in CELLS])
def test_one_event_one_verdict(event: Event, carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1, A4, A5, A8, A14, C16, C18, S3/own/pool/proxy, RFC9110-9.3.6: the verdict is the table's, without a secret."""
    lasts = event.verdict_of(carrier).reason.endswith("timed out") or event.name.endswith("stalls")
    expected, seen = happen(event, carrier, 0.2 if lasts else 5.0, monkeypatch)
    if lasts and expected != seen:  # a busy machine did not come far enough
        expected, seen = happen(event, carrier, 5.0, monkeypatch)
    assert expected == seen


def happen(event: Event, carrier: str, timeout: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Verdict, Verdict]:
    """Make an event happen to a carrier; gives what the table says of it, and what was made of it."""
    with stage(event, carrier) as route, within(timeout):
        fetch, shown = fetch_of(carrier, route.proxy, monkeypatch), ""
        try:
            seen = passed_on(fetch(token_request(route.url, timeout=timeout)).status)
        except TokenError as error:
            shown = repr(error)
            seen = Verdict(type(error).__name__, error.retryable, getattr(error, "reason", ""))
    assert "p4ssword" not in shown
    host, _, port = route.url.removeprefix("https://").removesuffix("/token").rpartition(":")
    peer = f"{host}:{port}" if carrier in DIRECT else f"proxy {route.proxy}"
    names = {
        "host": host,
        "endpoint": f"{host}:{port}",
        "proxy": f"proxy {route.proxy}",
        "peer": peer,
        "response": f"response of {host}" + (f" through proxy {route.proxy}" if route.proxy else ""),
        "peer_name": peer.rpartition(":")[0],
    }
    verdict = event.verdict_of(carrier)
    return attrs.evolve(verdict, reason=verdict.reason.format(**names)), seen


def test_what_a_refusal_says_is_kept() -> None:
    """S6/own/pool/proxy: the headers of a refusal whose body is cut short, and as much of the body as came."""
    event = next(each for each in EVENTS if each.name == "refusal with a body cut short")
    for carrier in event.carriers:
        with stage(event, carrier) as route, pytest.MonkeyPatch.context() as patch:
            response = fetch_of(carrier, route.proxy, patch)(token_request(route.url))
        assert ("60", b"abc") == (response.header("retry-after"), response.body)


def test_the_table_is_printed() -> None:
    """`python -m tests.http.events` prints a line for each verdict."""
    done = subprocess.run([sys.executable, "-m", "tests.http.events"], capture_output=True, text=True, check=True)
    assert rows() == done.stdout.splitlines()
    assert len(rows()) > len(EVENTS)

"""What is measured of every library, each figure beside a limit and ours in the same run."""

from __future__ import annotations

import gc
import os
import ssl
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

import attrs
import trustme
import urllib3

from client_credentials import ClientCredentialsStrategy
from client_credentials.testing import Answer, TokenServer

from ..timing import Bare, in_threads, seconds
from .adapters import BASIC, CLIENT, GRANT, LIBRARIES, Adapter, Library

ROOT: Final = Path(__file__).parents[3]
LIMIT: Final = "limit"
DEPENDENCIES: Final = "attrs cattrs urllib3"
LATE: Final = 0.005  # seconds after which a caller was delayed
AS_INSTALLED: Final = {"PYTHONDONTWRITEBYTECODE": ""}  # what is installed is compiled, and a checkout need not be


@attrs.frozen
class Scale:
    """How much is measured; the usual scale is meant for the published figures."""

    rounds: int = 9
    run: float = 0.02  # seconds that one run of a hot path takes
    posts: int = 4  # in a run, of which there are five to a round: what disturbs one is soon over
    threads: int = 200
    looping: int = 20
    loops: int = 25
    calls: int = 1000
    patience: float = 8.0  # seconds of calls in an outage, and half a second of making clients, are enough
    imports: int = 7
    objects: int = 1000


@attrs.frozen
class Outage:
    """What calls in the renewal window came to while the endpoint failed."""

    calls: int
    requests: int
    errors: int


Runs = Mapping[str, list[float]]
"""Seconds per call of each subject, round by round."""


def interleaved(subjects: Mapping[str, Callable[[], float]], rounds: int) -> Runs:
    """Measure all subjects in turn, again and again, so that what the machine does meanwhile meets all of them."""
    runs: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            runs[name].append(subject())
    return runs


@contextmanager
def warm() -> Generator[dict[str, Callable[[], object]]]:
    """Give each library's way to a token, with a token that is good for an hour, and the limit's."""
    with TokenServer(*CLIENT) as server:
        strategy = ClientCredentialsStrategy(*CLIENT, token_url=server.url)
        calls: dict[str, Callable[[], object]] = {LIMIT: Bare(strategy.get_or_create_access_token()).get}
        for name, library in LIBRARIES.items():
            calls[name] = library.make(server.url).get
            calls[name]()
        yield calls


def hot(scale: Scale, threads: int) -> Runs:
    """Time a fresh token, in this thread or in so many at once."""
    with warm() as calls:

        def subject(call: Callable[[], object]) -> Callable[[], float]:
            times = max(int(scale.run / seconds(call, 100) * 100), 100) // threads
            if threads == 1:
                return lambda: seconds(call, times) / times
            return lambda: in_threads(threads, call, times) / times / threads

        return interleaved({name: subject(call) for name, call in calls.items()}, scale.rounds)


@contextmanager
def private_authority() -> Generator[ssl.SSLContext]:
    """Give the TLS context of a server whose authority every library here trusts, as the environment names it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate: Any = authority.issue_cert("localhost")
    certificate.configure_cert(context)
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    with authority.cert_pem.tempfile() as path:
        os.environ.update(dict.fromkeys(names, path))
        try:
            yield context
        finally:
            for name in names:
                del os.environ[name]


def cold(scale: Scale, context: ssl.SSLContext | None = None, libraries: Mapping[str, Library] = LIBRARIES) -> Runs:
    """Time the way from credentials to a first token."""
    with TokenServer(*CLIENT, ssl_context=context) as server:

        def by_hand() -> None:
            with urllib3.PoolManager() as pool:
                authorization = {"Authorization": BASIC}
                pool.request("POST", server.url, fields=GRANT, headers=authorization, encode_multipart=False).json()

        def subject(call: Callable[[], object]) -> Callable[[], float]:
            call()
            return lambda: seconds(call, scale.posts) / scale.posts

        def first(library: Library) -> Callable[[], object]:
            return lambda: library.make(server.url).get()

        calls = {LIMIT: by_hand, **{name: first(library) for name, library in libraries.items()}}
        return interleaved({name: subject(call) for name, call in calls.items()}, 5 * scale.rounds)


def processes(scale: Scale, libraries: Mapping[str, Library] = LIBRARIES) -> Runs:
    """Time whole processes that want one token: their imports, the token, and their exit."""
    asking = "LIBRARIES[sys.argv[1]].make(sys.argv[2]).get()"
    by_hand = (
        "import attrs, urllib3; urllib3.PoolManager().request('POST', sys.argv[2], fields=GRANT,"
        " headers={'Authorization': BASIC}, encode_multipart=False).json()"
    )

    def subject(name: str, code: str) -> Callable[[], float]:
        program = f"import sys; from {__package__}.adapters import BASIC, GRANT, LIBRARIES; {code}"

        def run() -> None:
            command = [sys.executable, "-c", program, name, server.url]
            subprocess.run(command, check=True, cwd=ROOT, env=os.environ | AS_INSTALLED)

        run()
        return lambda: seconds(run, 1)

    with TokenServer(*CLIENT) as server:
        subjects = {LIMIT: subject(LIMIT, by_hand), **{name: subject(name, asking) for name in libraries}}
        return interleaved(subjects, scale.imports)


def ready(
    stack: ExitStack, lifetime: Callable[[Library], int | None]
) -> Iterator[tuple[Library, TokenServer, Adapter]]:
    """Make a client of each library with an endpoint of its own; None: it has no token yet."""
    for library in LIBRARIES.values():
        server = stack.enter_context(TokenServer(*CLIENT))
        client = library.make(server.url)
        first = lifetime(library)
        if first is not None:
            server.always(Answer(lifetime=first))
            client.get()
        yield library, server, client


def aged(stack: ExitStack, age: Callable[[Library], tuple[int, float]]) -> list[tuple[Library, TokenServer, Adapter]]:
    """Give clients that hold a token of this age; ours, whose window is the shortest, is the first to be looked at."""
    began = time.monotonic()
    clients = list(ready(stack, lambda library: age(library)[0]))
    waits = [0.0]
    for library, _, client in clients:
        _, after = age(library)
        if library.jump:
            library.jump(client, after)
        else:
            waits.append(after)
    time.sleep(max(max(waits) - (time.monotonic() - began), 0.0))
    return clients


def crowd(scale: Scale, age: Callable[[Library], tuple[int, float]] | None) -> Mapping[str, float]:
    """Count the requests that many threads at once cause which find no token, or one of this age."""
    counts: dict[str, float] = {}
    with ExitStack() as stack:
        for library, server, client in aged(stack, age) if age else list(ready(stack, lambda _: None)):
            before = len(server.requests)
            server.always(Answer(delay=0.05))

            def call(get: Callable[[], object] = client.get) -> None:
                with suppress(Exception):  # a race within a library
                    get()

            in_threads(scale.threads, call, 1)
            counts[library.name] = len(server.requests) - before
    return counts


def delayed(scale: Scale) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Count the calls that a renewal of 0.3 s holds up, and time the slowest, in seconds."""
    late: dict[str, float] = {}
    slowest: dict[str, float] = {}
    with ExitStack() as stack:
        for library, server, client in aged(stack, lambda library: library.stale):
            server.always(Answer(delay=0.3))
            times: list[float] = []

            def call(get: Callable[[], object] = client.get, times: list[float] = times) -> None:
                began = time.perf_counter()
                with suppress(Exception):
                    get()
                times.append(time.perf_counter() - began)
                time.sleep(0.01)

            in_threads(scale.looping, call, scale.loops)
            late[library.name] = sum(each > LATE for each in times)
            slowest[library.name] = max(times)
    return late, slowest


def outage(scale: Scale) -> Mapping[str, Outage]:
    """Count what calls in the renewal window cost while the endpoint answers 503."""
    found: dict[str, Outage] = {}
    with ExitStack() as stack:
        for library, server, client in aged(stack, lambda library: library.stale):
            before = len(server.requests)
            server.always(Answer(status=503))
            calls = errors = 0
            began = time.monotonic()
            while calls < scale.calls and time.monotonic() - began < scale.patience:
                calls += 1
                try:
                    client.get()
                except Exception:  # each library has its own
                    errors += 1
                time.sleep(0.001)
            found[library.name] = Outage(calls, len(server.requests) - before, errors)
    return found


def imported(scale: Scale, libraries: Mapping[str, Library] = LIBRARIES) -> tuple[Runs, Mapping[str, float]]:
    """Time the imports, each in an interpreter of its own, and count the modules that they bring."""
    modules: dict[str, float] = {}

    def subject(name: str, program: str) -> Callable[[], float]:
        code = "; ".join(
            (
                "import sys, time",
                "before, began = len(sys.modules), time.perf_counter()",
                f"import {program.replace(' ', ', ')}",
                "print(time.perf_counter() - began, len(sys.modules) - before)",
            )
        )

        def run() -> float:
            command, env = [sys.executable, "-c", code], os.environ | AS_INSTALLED
            ended = subprocess.run(command, capture_output=True, check=True, text=True, env=env)
            took, count = ended.stdout.split()
            modules[name] = int(count)
            return float(took)

        run()
        return run

    programs = {LIMIT: DEPENDENCIES, **{name: library.modules for name, library in libraries.items()}}
    runs = interleaved({name: subject(name, program) for name, program in programs.items()}, scale.imports)
    return runs, modules


def memory(scale: Scale) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Weigh a client that has not asked for anything, and what it gains with its token, in bytes."""
    weights = {name: weight(library, scale) for name, library in LIBRARIES.items()}
    return {name: idle for name, (idle, _) in weights.items()}, {name: held for name, (_, held) in weights.items()}


def weight(library: Library, scale: Scale) -> tuple[float, float]:
    """Weigh clients of one library; what the endpoint remembers is gone before the second look."""
    with TokenServer(*CLIENT) as server:
        library.make(server.url).get()
        url = server.url
        gc.collect()
        tracemalloc.start()
        empty, began = used(), time.monotonic()
        clients: list[Adapter] = []
        while len(clients) < scale.objects and time.monotonic() - began < scale.patience / 16:
            # Each with an endpoint of its own, so that no cache takes two for the same.
            clients.append(library.make(f"{url}?{len(clients)}"))
        idle = used()
        for client in clients:
            client.get()
    del server
    held = used()
    tracemalloc.stop()
    return (idle - empty) / len(clients), (held - idle) / len(clients)


def used() -> int:
    """Give the bytes in use."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def ratios(runs: Runs, name: str, to: str) -> list[float]:
    """Give a subject's figures to another's, round by round, in order."""
    return sorted(mine / theirs for mine, theirs in zip(runs[name], runs[to], strict=True))


def medians(runs: Runs) -> Mapping[str, float]:
    """Give the medians, in seconds."""
    return {name: median(values) for name, values in runs.items()}

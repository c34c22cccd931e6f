"""Prints what the design promises in numbers, each as a ratio to a reference in the same run: `make bench`."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from client_credentials import (
    AsyncClientCredentialsStrategy,
    ClientCredentialsStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
)
from client_credentials.testing import Answer, FakeClock, TokenServer, refusal
from tests.bench.peers.adapters import OURS
from tests.bench.peers.measures import (
    DEPENDENCIES,
    LIMIT,
    Scale,
    cold,
    imported,
    private_authority,
    processes,
    ratios,
    weight,
)
from tests.bench.timing import Bare, in_threads, seconds
from tests.faults.heartbeat import LOOPS, held_up

READS = 200_000
ROUNDS = 7


endpoint = partial(TokenServer, "my-client", "my-secret")


def strategy_for(server: TokenServer) -> ClientCredentialsStrategy:
    """Make a strategy for a server."""
    policy = RenewalPolicy(jitter=0)
    return ClientCredentialsStrategy("my-client", "my-secret", token_url=server.url, policy=policy)


def awaited(call: Callable[[], Awaitable[object]], times: int) -> float:
    """Measure a loop of awaits."""

    async def loop() -> float:
        began = time.perf_counter()
        for _ in range(times):
            await call()
        return time.perf_counter() - began

    return asyncio.run(loop())


def paired(ours: Callable[[], float], theirs: Callable[[], float]) -> str:
    """Measure both in turn, and give the median of the ratios with its spread."""
    ours()
    theirs()
    return spread(sorted(ours() / theirs() for _ in range(ROUNDS)))


def spread(in_order: Sequence[float]) -> str:
    """Give the median of ratios, and how far they go."""
    return f"{statistics.median(in_order):.2f} times (from {in_order[0]:.2f} to {in_order[-1]:.2f})"


def say(what: str, figure: str, limit: str) -> None:
    """Print one line of the table."""
    print(f"{what:<58} {figure:<36} {limit}", flush=True)


def hot_path() -> None:
    """Time a fresh token."""
    with endpoint() as server:
        strategy = strategy_for(server)
        bare = Bare(strategy.get_or_create_access_token())
        ours = strategy.get_or_create_access_token
        nanoseconds = statistics.median(seconds(ours, READS) for _ in range(3)) / READS * 1e9
        say("fresh token, one call", f"{nanoseconds:.0f} ns", "")
        say(
            "fresh token, to a bare method that reads one clock",
            paired(lambda: seconds(ours, READS), lambda: seconds(bare.get, READS)),
            "at most 1.25",
        )
        say(
            "fresh token, eight threads to one, per call",
            paired(lambda: in_threads(8, ours, READS // 8), lambda: in_threads(1, ours, READS)),
            "at most 1.3",
        )
        twin = AsyncClientCredentialsStrategy("my-client", "my-secret", token_url=server.url)
        asyncio.run(twin.get_or_create_access_token())
        say(
            "fresh token awaited, to a bare coroutine",
            paired(lambda: awaited(twin.get_or_create_access_token, READS), lambda: awaited(bare.get_async, READS)),
            "at most 1.5",
        )


def cold_path() -> None:
    """Time a first token beside the same POST by hand, by all ways that a program may come to it."""
    scale, ours = Scale(), {OURS.name: OURS}
    with private_authority() as context:
        secure = cold(scale, context, ours)
    plain, whole, (bare_import, _) = cold(scale, None, ours), processes(scale, ours), imported(scale, ours)
    for what, runs, limit in (
        ("first token over TLS with a private CA, to a POST by hand", secure, "at most 1.1"),
        ("first token over plain loopback, to a POST by hand", plain, ""),
        ("a process for one token, to one that posts by hand", whole, "at most 1.25"),
        (f"import, to that of {DEPENDENCIES}", bare_import, "at most 1"),
    ):
        say(what, spread(ratios(runs, OURS.name, LIMIT)), limit)
    more = statistics.median(mine - hand for mine, hand in zip(plain[OURS.name], plain[LIMIT], strict=True))
    say("  the thread and the rest, over plain loopback", f"{more * 1e6:.0f} µs more", "at most 300 µs more")


def memory() -> None:
    """Weigh a strategy that has not asked for anything yet."""
    idle, _ = weight(OURS, Scale())
    say("an idle strategy", f"{idle / 1024:.2f} KB", "at most 4 KB")


def thousand_threads() -> None:
    """Count what a thousand threads on a cold strategy cost, whatever the endpoint answers."""
    delay = 0.3
    for what, answer, limit in (
        ("grants", Answer(delay=delay), "1 request, 0.2 s"),
        ("refuses", Answer(status=400, body=refusal("invalid_client").body, delay=delay), "1 request, 0.2 s"),
        ("fails with 503", Answer(status=503, delay=delay), "3 requests"),
    ):
        with endpoint() as server:
            server.always(answer)
            strategy = strategy_for(server)
            done: list[float] = []
            answers: set[object] = set()
            barrier = threading.Barrier(1000)

            def call() -> None:
                barrier.wait()  # noqa: B023
                try:
                    answers.add(strategy.get_or_create_access_token().access_token)  # noqa: B023
                except TokenError as error:
                    answers.add(type(error).__name__)  # noqa: B023
                done.append(time.perf_counter())  # noqa: B023

            with ThreadPoolExecutor(1000) as pool:
                for _ in range(1000):
                    pool.submit(call)
            say(
                f"1,000 threads, cold, the endpoint {what} in {delay} s",
                f"{len(server.requests)} requests, slowest {max(done) - min(done):.3f} s later, {len(answers)} answer",
                limit,
            )


def window() -> None:
    """Find the slowest call of two hundred threads in the renewal window, with and without a renewal under way."""
    slowest: dict[str, float] = {}
    for what, delay, ahead in (("with", 0.3, 3500.0), ("without", 0.0, 0.0)):
        with endpoint() as server:
            clock = FakeClock()
            strategy = strategy_for(server)
            strategy.set_configuration(SdkConfiguration(clock=clock))
            strategy.get_or_create_access_token()
            server.always(Answer(delay=delay))
            calls: list[float] = []
            start = threading.Barrier(201)

            def loop() -> None:
                start.wait()  # noqa: B023
                for _ in range(40):
                    began = time.perf_counter()
                    strategy.get_or_create_access_token()  # noqa: B023
                    calls.append(time.perf_counter() - began)  # noqa: B023
                    time.sleep(0.01)

            threads = [threading.Thread(target=loop) for _ in range(200)]
            for thread in threads:
                thread.start()
            clock.advance(ahead)
            start.wait()
            for thread in threads:
                thread.join()
            calls.sort()
            slowest[what] = calls[-1] * 1e3
            requests = len(server.requests) - 1
            say(
                f"200 threads in a loop, {what} a renewal under way",
                f"{requests} requests, slowest {calls[-1] * 1e3:.1f} ms, 99.9 % in {calls[-8] * 1e3:.1f} ms",
                "1 request" if ahead else "",
            )
    say("  the slowest call, because of the renewal", f"{slowest['with'] - slowest['without']:+.1f} ms", "at most 5 ms")


def ten_thousand_tasks() -> None:
    """Count what ten thousand tasks on a cold strategy cost."""
    with endpoint() as server:
        server.always(Answer(delay=0.3))
        strategy = AsyncClientCredentialsStrategy("my-client", "my-secret", token_url=server.url)
        done: list[float] = []

        async def call() -> str:
            token = await strategy.get_or_create_access_token()
            done.append(time.perf_counter())
            return token.access_token

        async def main() -> int:
            return len(set(await asyncio.gather(*(call() for _ in range(10_000)))))

        tokens = asyncio.run(main())
        say(
            "10,000 tasks, cold, the endpoint grants in 0.3 s",
            f"{len(server.requests)} requests, slowest {max(done) - min(done):.3f} s later, {tokens} answer",
            "1 request, 0.2 s",
        )


def main() -> None:
    """Print the table."""
    say("what", "measured", "promised")
    for part in (hot_path, cold_path, thousand_threads, ten_thousand_tasks, window, memory):
        part()
    for loop in LOOPS:
        say(*held_up(loop))


if __name__ == "__main__":
    main()

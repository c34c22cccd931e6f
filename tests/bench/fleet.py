"""Prints what a fleet is promised: `python -m tests.bench.fleet [hosts [reads]]`, 64 and a million by default."""

from __future__ import annotations

import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from base64 import b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from client_credentials import AccessToken, ClientCredentialsStrategy, TokenRequest, TokenResponse
from client_credentials.testing import Answer, TokenServer
from tests.bench.figures import READS, paired, say
from tests.bench.timing import Bare, seconds
from tests.caching.fleet import CLIENT, Place, cache_at, fleet, strategy_on, tokens
from tests.caching.redis_server import RedisServer, running

HOSTS, THREADS = 64, 16
IDENTITIES, READERS = 50, 4
MIXED_READS = 1_000_000
TAKES = 2.0  # seconds that the endpoint takes to answer a fleet


def cold(hosts: int, place: Place, where: str) -> None:
    """Let a cold fleet ask at once."""
    with TokenServer(*CLIENT) as server:
        server.always(Answer(delay=TAKES))
        with fleet(hosts, THREADS, server.url, place) as started:
            started.begin()
            served = started.served(hosts)
        tokens(served)
        times = [each.at for each in served]
        say(f"{hosts} cold processes of {THREADS} threads, {where}: requests", str(len(server.requests)), "1")
        say("  the slowest caller after the first", f"{max(times) - min(times):.2f} s", "at most 1")


def deserted(hosts: int, place: Place, where: str) -> None:
    """Kill the leader of a cold fleet in the middle of its request."""
    with TokenServer(*CLIENT) as server:
        server.answer(Answer(delay=30))
        with fleet(1, 1, server.url, place) as leader, fleet(hosts, THREADS, server.url, place) as others:
            leader.begin()
            while not server.requests:
                time.sleep(0.01)
            began = others.begin()
            time.sleep(0.5)
            leader.hosts[0].kill()
            served = others.served(hosts)
        tokens(served)
        say(f"leader of {hosts} processes killed, {where}: requests", str(len(server.requests)), "at most 2")
        say("  the slowest caller", f"{max(each.at for each in served) - began:.2f} s", "the lock's life: 11")


@attrs.frozen
class Reading:
    """What one process has to read, and where."""

    port: int
    reads: int
    seed: int


def grant(request: TokenRequest) -> TokenResponse:
    """Answer in the endpoint's place, with a token that names who asked for it."""
    who = b64decode(request.headers["Authorization"].partition(" ")[2]).decode().partition(":")[0]
    body = {"access_token": f"{who}.{random.getrandbits(64):x}", "token_type": "Bearer", "expires_in": 3600}
    return TokenResponse(200, {}, json.dumps(body).encode())


def read(reading: Reading) -> Counter[str]:
    """Read tokens of all identities in several threads, forget some, and come as a new host at times."""
    cache = cache_at(reading.port)

    def join(identity: int) -> ClientCredentialsStrategy:
        client = f"client-{identity}", f"secret-{identity}"
        return strategy_on("https://127.0.0.1/token", cache, client=client, fetch=grant)

    hosts = [join(identity) for identity in range(IDENTITIES)]

    def work(thread: int) -> Counter[str]:
        dice, seen = random.Random(f"{reading.seed} {thread}"), Counter[str]()
        for _ in range(reading.reads // READERS):
            identity, throw = dice.randrange(IDENTITIES), dice.random()
            if throw < 0.001:
                hosts[identity] = join(identity)
            token: AccessToken | None = hosts[identity].get_or_create_access_token()
            if throw > 0.9995:
                hosts[identity].remove_access_token(token)
                token = hosts[identity].get_access_token()
            mine = token is None or token.access_token.startswith(f"client-{identity}.")
            seen["good" if mine else "foreign"] += 1
        return seen

    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(work, range(READERS)), Counter[str]())


def mixed(redis: RedisServer, reads: int) -> None:
    """Let processes read the tokens of many identities from one Redis."""
    with multiprocessing.get_context("spawn").Pool(READERS) as pool:
        work = [Reading(redis.port, reads // READERS, seed) for seed in range(READERS)]
        seen = sum(pool.map(read, work), Counter[str]())
    say(f"mixed reads over {IDENTITIES} identities in one Redis", str(seen.total()), "")
    say("  foreign tokens", str(seen["foreign"]), "0")


def hot(place: Place, kind: str, redis: RedisServer) -> None:
    """Time a fresh token with each cache."""
    client = redis.client()
    with TokenServer(*CLIENT) as server:
        strategy = strategy_on(server.url, cache_at(place))
        bare = Bare(strategy.get_or_create_access_token())
        ours = strategy.get_or_create_access_token
        client.config_resetstat()
        nanoseconds = statistics.median(seconds(ours, READS) for _ in range(3)) / READS * 1e9
        ratio = paired(lambda: seconds(ours, READS), lambda: seconds(bare.get, READS))
        trips: Any = client.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"]
    say(f"fresh token, {kind} cache, one call", f"{nanoseconds:.0f} ns, {trips} round trips", "none")
    say("  to a bare method that reads one clock", ratio, "at most 1.5")


def main(hosts: int = HOSTS, reads: int = MIXED_READS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as redis:
        folder = Path(name) / "tokens"
        for place, kind in ((None, "memory"), (folder, "file"), (redis.port, "Redis")):
            hot(place, kind, redis)
        cold(hosts, redis.port, "one Redis")
        cold(hosts, folder, "one directory")
        deserted(hosts // 4, redis.port, "one Redis")
        deserted(hosts // 4, folder, "one directory")
        mixed(redis, reads)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""`python -m tests.caching.real_redis` shows the cache on an installed redis-server: failover, cluster, ACL and TLS.

The tests have a Redis of a wheel, which is older, knows no TLS and is alone. This needs `redis-server` on the PATH
(Debian: `apt-get install redis-server`), and exits 2 where it is missing, 1 where something is wrong.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import redis
import trustme

from client_credentials import RedisCachingStrategy
from client_credentials.testing import TokenServer
from tests.caching.fleet import CLIENT, strategy_on
from tests.caching.redis_server import RedisServer, close_clients, connect, free_port, running

LIBRARY: Final[Any] = redis
PROGRAM: Final = shutil.which("redis-server")
LONGEST_OUTAGE: Final = 30.0  # seconds after which a Redis that is back must be in use
_ACL: Final = next(line for line in str(RedisCachingStrategy.__doc__).splitlines() if "ACL SETUSER" in line).split()


def requests_of_two(cache: RedisCachingStrategy, scope: str) -> int:
    """Count the token requests of two strategies of one identity: 1 if they share, 2 if they do not."""
    with TokenServer(*CLIENT) as server:
        for _ in range(2):
            strategy_on(server.url, cache, scopes=[scope]).get_or_create_access_token()
        return len(server.requests)


def seconds_until_shared(cache: RedisCachingStrategy) -> float:
    """Wait until two strategies share a token again."""
    began = time.monotonic()
    while requests_of_two(cache, f"{time.monotonic()}") != 1:
        if time.monotonic() - began > LONGEST_OUTAGE:
            return float("inf")
        time.sleep(0.25)
    return time.monotonic() - began


@contextmanager
def started(*options: str) -> Generator[RedisServer]:
    """Give an installed server with these options."""
    with tempfile.TemporaryDirectory() as name, running(Path(name), *options, program=PROGRAM) as server:
        yield server


@contextmanager
def sentinel(primary: int) -> Generator[Any]:
    """Give a Sentinel that watches a primary alone, with a client of it."""
    with tempfile.TemporaryDirectory() as name:
        port, file = free_port(), Path(name) / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {name}\nsentinel monitor tokens 127.0.0.1 {primary} 1\n"
            "sentinel down-after-milliseconds tokens 1000\nsentinel failover-timeout tokens 5000\n",
            encoding="utf-8",
        )
        process = subprocess.Popen([str(PROGRAM), str(file), "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            client: Any = import_module("redis.sentinel").Sentinel([("127.0.0.1", port)], socket_timeout=1)
            yield client
        finally:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so, which may not be possible to find out yet."""
    end = time.monotonic() + LONGEST_OUTAGE
    while True:
        try:
            if condition():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < end, "the servers did not get ready"
        time.sleep(0.1)


def is_joined(node: RedisServer) -> bool:
    """Tell whether a node knows the other two, and where all slots are."""
    info = node.client().execute_command("CLUSTER INFO")
    return bool(info["cluster_known_nodes"] == "3" and info["cluster_state"] == "ok")


def failover() -> Iterator[tuple[str, bool]]:
    """A Sentinel's master that is demoted, and then one that is killed."""
    with started() as first, started("--replicaof", "127.0.0.1", str(first.port)) as second, sentinel(first.port) as of:
        wait_for(lambda: of.discover_slaves("tokens"))
        cache = RedisCachingStrategy(of.master_for("tokens"))
        yield "two strategies share a token", requests_of_two(cache, "before") == 1
        of.sentinels[0].execute_command("SENTINEL FAILOVER", "tokens")
        wait_for(lambda: of.discover_master("tokens")[1] == second.port)
        seconds = seconds_until_shared(cache)
        yield f"again {seconds:.1f} s after the primary was demoted", seconds < LONGEST_OUTAGE
        wait_for(lambda: first.client().info("replication").get("master_link_status") == "up")
        wait_for(lambda: of.discover_slaves("tokens"))
        second.stop()
        wait_for(lambda: of.discover_master("tokens")[1] == first.port)
        seconds = seconds_until_shared(cache)
        yield f"again {seconds:.1f} s after the next one was killed and replaced", seconds < LONGEST_OUTAGE


def cluster() -> Iterator[tuple[str, bool]]:
    """Three nodes, over which the entries of many identities are spread; one of them is lost."""
    with ExitStack() as stack:
        # The default bus port, 10,000 further on, may be too high.
        options = "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-require-full-coverage no".split()
        nodes = [stack.enter_context(started(*options, "--cluster-port", str(free_port()))) for _ in range(3)]
        for number, node in enumerate(nodes):
            node.client().execute_command("CLUSTER ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
            bus = node.client().config_get("cluster-port")["cluster-port"]
            nodes[0].client().execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        for node in nodes:
            wait_for(partial(is_joined, node))
        client: Any = import_module("redis.cluster").RedisCluster(host="127.0.0.1", port=nodes[0].port)
        cache = RedisCachingStrategy(client, prefix="tokens:")
        shared = [requests_of_two(cache, f"scope-{number}") for number in range(12)]
        spread = [node.client().dbsize() for node in nodes]
        yield (
            f"twelve identities share a token each, spread over the nodes {spread}",
            {1} == set(shared) and all(spread),
        )
        nodes[2].stop()
        began = time.monotonic()
        for number in range(6):
            requests_of_two(cache, f"other-{number}")
        seconds = time.monotonic() - began
        yield f"with one node lost, twelve strategies get their tokens in {seconds:.1f} s", seconds < 12
        client.close()


def acl() -> Iterator[tuple[str, bool]]:
    """A user with the rights that the docstring names."""
    with started() as server:
        server.client().execute_command(*_ACL)
        client = server.client(username="app", password="password", protocol=3)
        cache = RedisCachingStrategy(client, prefix="tokens:")
        yield " ".join(_ACL[4:]), requests_of_two(cache, "any") == 1
        elsewhere = RedisCachingStrategy(client, prefix="other:")
        yield "names without the prefix are refused, and count as empty", requests_of_two(elsewhere, "any") == 2


def tls() -> Iterator[tuple[str, bool]]:
    """A server that speaks TLS, verified, and one whose certificate is of an unknown CA."""
    with tempfile.TemporaryDirectory() as name:
        folder, ca, port = Path(name), trustme.CA(), free_port()
        certificate = ca.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        ca.cert_pem.write_to_path(folder / "ca.pem")
        options = {"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "ca.pem"}
        flags = [part for option, file in options.items() for part in (f"--{option}", str(folder / file))]
        with started("--tls-port", str(port), "--tls-auth-clients", "no", *flags):
            known = connect(port, ssl=True, ssl_ca_certs=str(folder / "ca.pem"))
            yield "verified with its CA", requests_of_two(RedisCachingStrategy(known), "any") == 1
            unknown = connect(port, ssl=True)
            yield "a miss with an unknown CA", requests_of_two(RedisCachingStrategy(unknown), "any") == 2


def main() -> int:
    """Run all of it; 1 if something is wrong."""
    if PROGRAM is None:
        print("not run: there is no redis-server on the PATH (Debian: apt-get install redis-server)")
        return 2
    said = logging.StreamHandler(sys.stdout)
    said.setFormatter(logging.Formatter("        log: %(message)s"))
    logging.getLogger("client_credentials").addHandler(said)
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    print(f"redis-server {version}, redis-py {LIBRARY.__version__}")
    is_right = True
    for situation in (failover, cluster, acl, tls):
        print(situation.__name__)
        for line, right in situation():
            print("  right" if right else "  WRONG", line, flush=True)
            is_right = is_right and right
        close_clients()
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())

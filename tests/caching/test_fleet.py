"""A fleet of real processes, and hosts that share a place: one request, whatever becomes of the leader."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client_credentials import ClientCredentialsStrategy, TokenRefused
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.caching.fleet import Place, fleet, key_of, obtain, strategy_on, tokens
from tests.caching.redis_server import RedisServer
from tests.shell.kit import settled, until

HOSTS, THREADS = 3, 8


@pytest.fixture(params=["file", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give a place that processes can share: a directory, and the port of a Redis."""
    if request.param == "file":
        return tmp_path / "tokens"
    redis: RedisServer = request.getfixturevalue("redis_server")
    return redis.port


class TestProcesses:
    """Hosts that know nothing of each other but the place."""

    def test_one_request_for_all(self, server: TokenServer, place: Place) -> None:
        """M31: processes with many threads, all cold: one token request, and all have its token soon after."""
        server.always(Answer(delay=0.3))
        with fleet(HOSTS, THREADS, server.url, place, deadline=60) as hosts:
            began = hosts.begin()
            served = hosts.served(HOSTS)
        assert HOSTS * THREADS == len(served)
        assert set(server.issued) == tokens(served)
        assert 1 == len(server.requests)
        assert max(each.at for each in served) - began < 20  # and not half of the deadline

    def test_polling_is_bounded(self, server: TokenServer, redis_server: RedisServer) -> None:
        """M31: a process that waits for another's token looks for it no more than twenty times a second."""
        server.always(Answer(delay=0.9))
        client = redis_server.client()
        client.config_resetstat()
        with fleet(2, 4, server.url, redis_server.port) as hosts:
            began = hosts.begin()
            served = hosts.served(2)
        seconds = max(each.at for each in served) - began
        looks = client.info("commandstats")["cmdstat_eval"]["calls"] / 2  # each time for a token and for the lock
        assert 1 == len(tokens(served))
        assert 2 < looks < 2 * (20 * seconds + 5)

    def test_a_dead_leader_has_a_successor(self, server: TokenServer, place: Place) -> None:
        """M13, N8: the leader is killed in the middle of its request: one request more, and everyone is served."""
        server.answer(Answer(delay=20))
        with (
            fleet(1, 1, server.url, place, deadline=2) as leader,
            fleet(2, 4, server.url, place, deadline=10) as others,
        ):
            leader.begin()
            until(lambda: len(server.requests) == 1)
            others.begin()
            time.sleep(0.3)
            leader.hosts[0].kill()
            served = others.served(2)
        assert set(server.issued) == tokens(served)
        assert 2 == len(server.requests)

    def test_redis_dies_with_everyone_waiting(self, server: TokenServer, mortal_redis: RedisServer) -> None:
        """M2: Redis dies while one asks and the others wait for its token: nobody gets an error, each asks once."""
        server.always(Answer(delay=1.0))
        with fleet(2, 4, server.url, mortal_redis.port) as hosts:
            hosts.begin()
            until(lambda: len(server.requests) == 1)
            mortal_redis.stop()
            served = hosts.served(2)
        assert set(server.issued) == tokens(served)
        assert 2 == len(server.requests)

    def test_redis_is_paused_with_everyone_waiting(self, server: TokenServer, mortal_redis: RedisServer) -> None:
        """M4: Redis hangs, and goes on later, while one asks and the others wait: nobody gets an error."""
        server.always(Answer(delay=1.0))
        with fleet(2, 4, server.url, mortal_redis.port, deadline=60) as hosts:
            began = hosts.begin()
            until(lambda: len(server.requests) == 1)
            mortal_redis.pause()
            served = hosts.served(2)
            mortal_redis.resume()
        assert set(server.issued) == tokens(served)
        assert 2 == len(server.requests)
        assert max(each.at for each in served) - began < 20  # and not half of the deadline

    def test_one_that_exits_at_once(self, server: TokenServer, tmp_path: Path) -> None:
        """L6: a process that ends as soon as it has its token leaves it to the next one."""
        script = textwrap.dedent("""
            import sys
            from client_credentials import ClientCredentialsStrategy, FileCachingStrategy, SdkConfiguration
            strategy = ClientCredentialsStrategy("my-client", "my-secret-3f9c", token_url=sys.argv[1])
            strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(sys.argv[2])))
            strategy.get_or_create_access_token()
        """)
        for _ in range(3):
            subprocess.run([sys.executable, "-c", script, server.url, str(tmp_path / "tokens")], check=True)
        assert 1 == len(server.requests)


class TestGate:
    """What a failure means for those who share a place."""

    def test_one_429_stops_all(self, server: TokenServer, joining: Callable[[], Any]) -> None:
        """H9: after a 429 at one host, no host makes a request within Retry-After, and each is told how long it is."""
        server.answer(Answer(status=429, headers={"Retry-After": "60"}))
        clock = FakeClock(wall=time.time())
        hosts = [strategy_on(server.url, joining(), clock=clock) for _ in range(3)]
        for host in (*hosts, hosts[0]):
            with pytest.raises(TokenRefused) as caught:
                host.get_or_create_access_token()
            assert caught.value.retry_after
            assert 429 == caught.value.status
            assert 40 < caught.value.retry_after <= 61
        assert 1 == len(server.requests)
        clock.advance(61)
        hosts[0].get_or_create_access_token()
        assert 2 == len(server.requests)

    def test_a_token_is_served_on_at_a_shut_gate(self, server: TokenServer, joining: Callable[[], Any]) -> None:
        """H9: a host that holds a good token serves it while the gate is shut, and asks for no other, as all hosts."""
        clocks = [FakeClock(wall=time.time()) for _ in range(2)]
        hosts = [strategy_on(server.url, joining(), clock=clock) for clock in clocks]
        token = hosts[0].get_or_create_access_token()
        assert token.access_token == hosts[1].get_or_create_access_token().access_token
        server.answer(Answer(status=429, headers={"Retry-After": "60"}))
        for clock in clocks:
            clock.advance(3500)
        for host in hosts:
            for _ in range(3):
                assert token.access_token == host.get_or_create_access_token().access_token
                settled(host)
        assert 2 == len(server.requests)

    def test_a_removal_keeps_the_gate(self, server: TokenServer, joining: Callable[[], Any]) -> None:
        """A removal takes the token out of the place, and leaves the gate shut for all."""
        clock = FakeClock(wall=time.time())
        one, other = (strategy_on(server.url, joining(), clock=clock) for _ in range(2))
        token = one.get_or_create_access_token()
        server.answer(Answer(status=429, headers={"Retry-After": "60"}))
        clock.advance(3500)
        one.get_or_create_access_token()
        until(lambda: len(server.requests) == 2)
        until(lambda: '"gates": [{' in joining().get(key_of(one)).value)
        one.remove_access_token(token)
        assert other.get_access_token() is None
        with pytest.raises(TokenRefused):
            other.get_or_create_access_token()
        assert 2 == len(server.requests)


class TestPublishing:
    """What the place keeps."""

    def test_many_removals(self, server: TokenServer, joining: Callable[[], Any]) -> None:
        """A fleet whose token is revoked replaces it once: no removal makes the new one older than it is."""
        server.always(Answer(lifetime=6))
        clock = FakeClock(wall=time.time())
        hosts = [
            strategy_on(server.url, joining(), clock=clock) for _ in range(14)
        ]  # each may tell it half a second older
        for host in hosts:
            obtain(host)
        clock.advance(2)
        for host in hosts:
            host.remove_access_token()
            obtain(host)
        assert 2 == len(server.requests)

    def test_one_renewal_for_all(self, server: TokenServer, joining: Callable[[], Any]) -> None:
        """In the renewal window all hosts serve the old token; one asks, and all find the new one in the place."""
        clocks = [FakeClock(wall=time.time()) for _ in range(4)]
        hosts = [strategy_on(server.url, joining(), clock=clock) for clock in clocks]
        (old,) = {host.get_or_create_access_token().access_token for host in hosts}
        for clock in clocks:
            clock.advance(3500)
        server.always(Answer(delay=0.3))
        assert {old} == {host.get_or_create_access_token().access_token for host in hosts}
        for host in hosts:
            until(partial(_has_another, host, old))
        assert 2 == len(server.requests)


def _has_another(host: ClientCredentialsStrategy, old: str) -> bool:
    return host.get_or_create_access_token().access_token != old

"""What must not be inherited by a forked child is told of the fork."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

from client_credentials.caching import _fork as fork


def test_what_is_gone_at_a_fork() -> None:
    """L1: what no longer lives when the process is forked is not told of it, and all else is."""

    class Forked:
        count = 0

        def _after_fork(self) -> None:
            self.count += 1

    alive, other, gone = Forked(), Forked(), Forked()
    fork.survive_fork(alive)
    fork.survive_fork(other)
    number = id(gone)
    fork._alive.update({number: gone})  # not by survive_fork, where the watch over leaks would keep it alive
    del gone
    fork._after_fork_in_child()
    assert (1, 1, False) == (alive.count, other.count, number in fork._alive)

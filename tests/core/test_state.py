"""What is known, and `merge`: one way to put two parts together, whichever was learnt first."""

from __future__ import annotations

import math
from typing import Final

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from client_credentials._core import state as state_module
from client_credentials._core.lifecycle import begin, decide, failed, is_overtaken, removal_moment, removed
from client_credentials._core.model import Failure, HookFailed, Malformed, Refused, Unreachable
from client_credentials._core.state import (
    EMPTY,
    Asked,
    Gate,
    Held,
    Instant,
    State,
    elapsed,
    is_shared,
    merge,
    publication,
    publishable,
)
from tests.core.states import ago, an_hour, facts, gates, granted, helds, later, parts, states
from tests.strategies import NOW, instants, seconds

DOWN: Final = Refused(status=503, retryable=True)
BUSY: Final = Refused(status=429, retryable=True, retry_after=3600.0)


def shut(failure: Failure = DOWN, *, asked: float = 0.0, since: float | None = None, known: State = EMPTY) -> Gate:
    """The gate that a failure shuts that was asked for and came so many seconds before NOW."""
    return failed(known, failure, ago(asked), ago(asked if since is None else since), 1.0)


def coarse() -> SearchStrategy[Instant]:
    """Moments by clocks that tell seconds, or finer units, since whenever."""
    hands = st.sampled_from((0.0, 5.0, 1.7e9, 1.8e12, 1e300)) | st.floats(0, 1e18)
    return st.builds(Instant, hands, hands)


def shifts() -> SearchStrategy[float]:
    """Seconds by which a moment is before another or, since a clock was set back, after it."""
    return st.sampled_from((0.0, 1e-7, 10.0, -10.0)) | st.floats(-1e6, 1e6)


class TestMerge:
    """merge(a, b) is commutative, associative and idempotent."""

    @given(parts(3))
    def test_any_order(self, three: list[State]) -> None:
        """Who hears of what first, by which ways and how often, makes no difference; nor does knowing nothing."""
        one, other, third = three
        both = merge(one, other, NOW)
        assert both == merge(other, one, NOW)
        assert merge(both, third, NOW) == merge(one, merge(other, third, NOW), NOW)
        assert one == merge(one, one, NOW) == merge(one, EMPTY, NOW)

    @given(parts(2), seconds(4000))
    def test_later_too(self, two: list[State], passed: float) -> None:
        """To put two parts together later is no worse than to put them together at once, as far as the token goes."""
        one, other = two
        then = later(NOW, passed)
        at_once, at_last = (
            decide(merge(*each, then), then) for each in ((merge(one, other, NOW), EMPTY), (one, other))
        )
        assert type(at_once) is type(at_last) or "Ask" != type(at_last).__name__


class TestGrants:
    """A newer grant outranks an older one; a grant settles every failure that was asked for before it."""

    def test_the_newer_one(self) -> None:
        """G18: not the one that arrived last, and not the one that lives longest."""
        older, newer = an_hour(60, "older"), an_hour(30, "newer")
        assert newer == merge(granted(newer), granted(older), NOW).held
        assert newer == merge(granted(older), granted(newer), NOW).held

    def test_a_late_one_that_is_better(self) -> None:
        """An older grant is of use once the newer token has expired."""
        late, short = an_hour(60, "late"), attrs.evolve(an_hour(30, "short"), renewal=1.0, end=2.0, last=2.0)
        assert late == merge(granted(short), granted(late), NOW).held

    def test_the_last_moment(self) -> None:
        """At its end a token is gone, as for whoever asks then."""
        held = an_hour(60)
        assert held == merge(granted(held), EMPTY, later(held.asked.at, held.last - 1)).held
        assert None is merge(granted(held), EMPTY, later(held.asked.at, held.last)).held

    @given(helds(), seconds(4000))
    def test_the_older_of_two_ages(self, held: Held, younger: float) -> None:
        """A cache that rounds, or whose clock runs slow, makes no token younger."""
        again = attrs.evolve(held, asked=Asked(stamp=held.asked.stamp, at=later(held.asked.at, younger)))
        first = merge(granted(held), EMPTY, NOW).held
        assert first == merge(granted(held), granted(again), NOW).held or first is None

    def test_it_settles_what_was_asked_for_before(self) -> None:
        """A failure that arrives late undoes no grant, an ordered wait included; one asked for later counts."""
        grant = granted(an_hour(30))
        for failure in (DOWN, BUSY):
            assert () == merge(grant, State(gates=(shut(failure, asked=31, since=0),)), NOW).gates
            assert () == merge(grant, State(gates=(shut(failure, asked=30, since=0),)), NOW).gates
            after = shut(failure, asked=29, since=0)
            assert (after,) == merge(grant, State(gates=(after,)), NOW).gates
            elsewhere = attrs.evolve(after, asked=Asked(stamp=1.0, at=ago(30)))  # another host's, at the same moment
            assert () == merge(grant, State(gates=(elsewhere,)), NOW).gates

    def test_it_settles_its_own_failure(self) -> None:
        """A request that was given up and granted late has not failed, though its failure is told younger."""
        grant, after = an_hour(30), shut(asked=20)
        own = attrs.evolve(shut(asked=10), asked=Asked(stamp=grant.asked.stamp, at=ago(10)))
        assert (after,) == merge(granted(grant), State(gates=(own, after)), NOW).gates

    def test_it_settles_though_its_token_is_gone(self) -> None:
        """A removal does not bring back the failures that the grant settled."""
        held = an_hour(30)
        gone = merge(granted(held), removed(granted(held), None), NOW)
        assert (None, ()) == (gone.held, merge(gone, State(gates=(shut(asked=40),)), NOW).gates)


class TestGates:
    """Among failures the one asked for last sets the backoff; an ordered wait stands whatever else fails."""

    def test_the_newest(self) -> None:
        """A late failure of an older request changes nothing."""
        new, late = shut(asked=1), shut(asked=10, since=0)
        assert (new,) == merge(State(gates=(new,)), State(gates=(late,)), NOW).gates

    @pytest.mark.parametrize("asked", [50, 150])
    def test_an_ordered_wait_stands(self, asked: float) -> None:
        """Neither a failure asked for before it nor one asked for later ends it."""
        order = shut(BUSY, asked=100)
        both = merge(State(gates=(order,)), State(gates=(shut(asked=asked, since=0),)), NOW)
        assert order in both.gates
        assert BUSY == getattr(decide(both, NOW), "failure", None)

    def test_it_is_over_some_time(self) -> None:
        """An ordered wait that is over is forgotten, as soon as anything newer failed."""
        order, newer = shut(BUSY, asked=3700), shut(asked=1)
        assert (newer,) == merge(State(gates=(order,)), State(gates=(newer,)), NOW).gates

    def test_an_order_of_half_a_second(self) -> None:
        """However little is left of it."""
        order, newer, older = shut(BUSY, asked=3599.5), shut(asked=1), shut(asked=3599)
        assert (newer, order) == merge(State(gates=(newer,)), State(gates=(older, order)), NOW).gates

    def test_two_failures_of_one_request(self) -> None:
        """It was given up, and refused later: the order counts. Which of two is told does not hang on their order."""
        given_up, order = State(gates=(shut(asked=10),)), State(gates=(shut(BUSY, asked=10, since=0),))
        assert order == merge(given_up, order, NOW) == merge(order, given_up, NOW)
        other = State(gates=(shut(attrs.evolve(DOWN, status=500), asked=10),))
        assert merge(given_up, other, NOW) == merge(other, given_up, NOW)

    def test_a_longer_order(self) -> None:
        """Of two orders both stand, unless the newer one ends later."""
        hour, minute = shut(BUSY, asked=10), shut(attrs.evolve(BUSY, retry_after=60.0), asked=5)
        assert (minute, hour) == merge(State(gates=(minute,)), State(gates=(hour,)), NOW).gates
        newer = shut(BUSY, asked=5)
        assert (newer,) == merge(State(gates=(newer,)), State(gates=(hour,)), NOW).gates

    @given(gates(), seconds(4000))
    def test_the_older_of_two_ages(self, gate: Gate, younger: float) -> None:
        """A cache that rounds shuts no gate for longer."""
        asked = Asked(stamp=gate.asked.stamp, at=later(gate.asked.at, younger))
        again = attrs.evolve(gate, asked=asked, since=later(gate.since, younger))
        assert (gate,) == merge(State(gates=(gate,)), State(gates=(again,)), NOW).gates

    def test_no_more_than_eight(self) -> None:
        """However many orders there are, few are remembered."""
        orders = [shut(attrs.evolve(BUSY, retry_after=float(100 * n)), asked=n) for n in range(1, 20)]
        state = EMPTY
        for order in orders:
            state = merge(state, State(gates=(order,)), NOW)
        assert 8 == len(state.gates)


class TestRemovals:
    """What was removed never comes back; what is newer is not touched."""

    @given(helds(3000), states())
    def test_it_stays_away(self, held: Held, known: State) -> None:
        """Not from any part of what is known, and not from a cache whose clock says that it is young."""
        again = attrs.evolve(held, asked=Asked(stamp=held.asked.stamp, at=NOW))
        for told in (held, again):
            after = merge(merge(attrs.evolve(known, removed=None), State(removed=held.asked), NOW), granted(told), NOW)
            assert after.held is None or held.asked.stamp != after.held.asked.stamp

    def test_newer_ones_stay(self) -> None:
        """H22: a slow removal wipes no newer token, older ones go with it."""
        old, new = an_hour(60, "old"), an_hour(30, "new")
        gone = removed(granted(old), old.token)
        assert new == merge(merge(granted(old), gone, NOW), granted(new), NOW).held
        assert None is merge(gone, granted(an_hour(90, "older")), NOW).held
        assert old.asked == merge(granted(old), gone, NOW).removed
        elsewhere = attrs.evolve(old, asked=Asked(stamp=1.0, at=old.asked.at))  # another host's, at the same moment
        assert None is merge(gone, granted(elsewhere), NOW).held

    def test_it_goes_along_into_a_cache(self) -> None:
        """With whatever is written there; a cache that knows all that is not written to."""
        old, gone = an_hour(60), removed(granted(an_hour(60)), None)
        written = publication(granted(old), EMPTY, gone, NOW)
        assert written is not None
        assert (None, old.asked) == (written.held, written.removed)
        assert None is publication(written, EMPTY, gone, NOW)

    def test_so_does_a_grant(self) -> None:
        """Though not its token: it settles what failed before it."""
        held = an_hour(30)
        written = publication(EMPTY, State(gates=(shut(asked=40),)), granted(held), NOW)
        assert State(granted=held.asked) == written

    def test_only_the_one_in_hand(self) -> None:
        """The removal of another token than the one in hand says nothing."""
        assert EMPTY == removed(granted(an_hour()), attrs.evolve(an_hour().token, access_token="other"))
        assert EMPTY == removed(EMPTY, an_hour().token)
        assert EMPTY == removed(EMPTY, None)

    def test_one_after_another(self) -> None:
        """A token was granted after the removal before it, though a clock was set back since: it goes as of then."""
        held, before = an_hour(50), Asked(stamp=1.0, at=Instant(NOW.wall - 10, NOW.monotonic - 70))
        gone = removed(State(held=held, removed=before), None).removed
        assert gone is not None
        assert held.asked.stamp == gone.stamp
        assert (NOW.wall - 10, NOW.monotonic - 50) < (gone.at.wall, gone.at.monotonic)
        assert (10, 50) == pytest.approx((NOW.wall - gone.at.wall, NOW.monotonic - gone.at.monotonic), abs=1e-5)
        assert held.asked == removed(granted(held), None).removed

    def test_the_same_text_again(self) -> None:
        """A server that gives the same token once more has given a new one."""
        old = an_hour(60)
        gone = merge(granted(old), removed(granted(old), None), NOW)
        assert an_hour(0) == merge(gone, granted(an_hour(0)), NOW).held


class TestElapsed:
    """Time gone by is the larger of what the two clocks say; one that says NaN does not count."""

    @given(instants(), instants(), instants())
    def test_larger(self, since: Instant, now: Instant, then: Instant) -> None:
        """It is what one of them says, and the other says no more."""
        told = (now.wall - since.wall, now.monotonic - since.monotonic)
        assert elapsed(since, now) == max(told)
        assert elapsed(since, then) <= elapsed(since, now) + elapsed(now, then)

    @given(instants(), instants(), st.booleans(), st.booleans())
    def test_nan(self, since: Instant, now: Instant, by_wall: bool, at_first: bool) -> None:
        """With one clock gone, at whichever end, the other one tells."""
        lost = attrs.evolve(since if at_first else now, **{"wall" if by_wall else "monotonic": math.nan})
        told = elapsed(lost, now) if at_first else elapsed(since, lost)
        assert told == (now.monotonic - since.monotonic if by_wall else now.wall - since.wall)

    def test_earlier(self) -> None:
        """A moment before another is so by both clocks."""
        assert Instant(wall=7.0, monotonic=17.0) == Instant(wall=10.0, monotonic=20.0).earlier(3)

    def test_no_clock(self) -> None:
        """Where neither tells, all the time in the world may have gone by."""
        assert math.inf == elapsed(Instant(math.nan, 1.0), Instant(1.0, math.nan))


class TestBegin:
    """A request is asked for later than all that is known, though the clocks stand still."""

    @given(facts(), facts())
    def test_later(self, one: State, other: State) -> None:
        """So a grant settles what failed at the same tick, and a failure counts after a grant at the same tick."""
        known = merge(one, other, NOW)
        moment = begin(known, NOW)
        asked = [gate.asked.at for gate in known.gates] + [each.at for each in (known.granted, known.removed) if each]
        assert all(elapsed(each, NOW) > elapsed(moment, NOW) for each in asked)
        assert elapsed(moment, NOW) == pytest.approx(0.0, abs=1e-5)

    def test_a_clock_that_stands_still(self) -> None:
        """Granted, removed, refused, granted at the very same moment: each counts after the one before."""
        state = merge(EMPTY, granted(an_hour()), NOW)
        state = merge(state, removed(state, None), NOW)
        gate = failed(state, BUSY, begin(state, NOW), NOW, 0.5)
        state = merge(state, State(gates=(gate,)), NOW)
        assert "Fail" == type(decide(state, NOW)).__name__
        held = attrs.evolve(an_hour(), asked=Asked.here(begin(state, NOW)))
        state = merge(state, granted(held), NOW)
        assert (held, ()) == (state.held, state.gates)


class TestCoarseClocks:
    """One moment is after another though the clocks stand still, and however large their numbers are."""

    @given(coarse(), shifts(), shifts())
    @example(Instant(1e17, 1e6), 1.0, 1.0)  # one clock tells them apart, the stamp of the other does not
    def test_begin(self, now: Instant, one: float, other: float) -> None:
        """A request is asked for later than what is known, and has a stamp of its own."""
        asked = [Asked.here(now.earlier(one)), Asked(stamp=now.wall, at=now.earlier(other))]
        moment = begin(State(granted=asked[0], removed=asked[1]), now)
        assert all(elapsed(each.at, now) > elapsed(moment, now) for each in asked)
        assert moment.wall not in [each.stamp for each in asked]

    @given(coarse())
    def test_removals(self, now: Instant) -> None:
        """A token is removed later than the one before it, and one that is under way then is newer."""
        held = attrs.evolve(an_hour(), asked=Asked.here(now))
        gone = removed(State(held=held, removed=held.asked), None).removed
        assert gone is not None
        assert elapsed(gone.at, now) < 0
        assert is_overtaken(removal_moment(now, now), granted(held))
        assert not is_overtaken(removal_moment(now, None), granted(held))


class TestShared:
    """What the server said is shared; what failed here is this process's own."""

    @pytest.mark.parametrize(
        ("failure", "expected"),
        [
            (DOWN, True),
            (Malformed(status=200, reason="x"), True),
            (Unreachable(reason="x"), False),
            (HookFailed(hook="fetch", kind="raised KeyError"), False),
        ],
    )
    def test_whose_it_is(self, failure: Failure, expected: bool) -> None:
        """By the kind of failure."""
        assert expected is is_shared(failure)
        state = merge(granted(an_hour(10)), State(gates=(shut(failure, asked=1),)), NOW)
        assert attrs.evolve(state, gates=state.gates if expected else ()) == publishable(state)


def test_the_docstring_is_the_table() -> None:
    """The table of facts names the three that there are."""
    rows = [line.split("|")[1].strip() for line in (state_module.__doc__ or "").splitlines() if line.startswith("| ")]
    assert ["fact", "granted", "failed", "removed"] == rows

"""The rules of one token's life: the table of decisions, the spans of a life, and the waits after a failure."""

from __future__ import annotations

import math
import re
from typing import Final

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_credentials import RenewalPolicy
from client_credentials._core import lifecycle
from client_credentials._core.lifecycle import (
    LOCKS,
    Ask,
    Fail,
    Renew,
    Serve,
    answer,
    decide,
    failed,
    given_up,
    granted,
    hold,
    is_overdue,
    lost_time,
    poll_wait,
    removed,
    retry_wait,
    timed_out,
    token_in_hand,
    too_many_hang,
)
from client_credentials._core.model import Failure, Granted, Refused, Unreachable
from client_credentials._core.state import EMPTY, Asked, Gate, Held, Instant, State, elapsed, merge
from tests.core.states import EXACT, HOUR, ago, an_hour, gates, helds, later, states
from tests.strategies import NOW, draws, failures, instants, policies, seconds

DOWN: Final = Unreachable(reason="down")

HERE: Final = Asked.here(NOW)

LIFETIMES: Final = st.integers(1, 100_000)


def table(text: str | None, heading: str) -> list[tuple[str, ...]]:
    """The rows of a docstring's table that begins with this heading."""
    lines = (text or "").split(f"| {heading} ", 1)[1].split("\n\n")[0].splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line.strip(" |").split("|")) for line in lines if line.strip()]
    assert rows
    return rows


def lasting(seconds: int) -> Granted:
    """A grant of a token that lasts so long."""
    return attrs.evolve(HOUR, expires_in=seconds)


def shut(wait: float, failure: Failure = DOWN) -> Gate:
    """A gate that opens so many seconds after NOW."""
    return Gate(failure=failure, asked=Asked.here(ago(9999)), since=ago(9999), wait=9999 + wait, streak=1)


PHASES: Final[dict[str, list[Held | None]]] = {
    "none": [None],
    "fresh": [an_hour(0), an_hour(3480.0)],
    "stale": [an_hour(3480.125), an_hour(3589.875)],
    "overdue": [an_hour(3590.0, assumed=True), an_hour(86399.0, assumed=True)],
    "expired": [an_hour(3590.0), an_hour(1e9), an_hour(86400.0, assumed=True)],
}

WAITS: Final = {"shut": (0.125, 3600.0), "open": (0.0, -5.0)}


class TestTable:
    """What a caller gets is as the docstring says."""

    @pytest.mark.parametrize(("token", "gate", "decision"), table(lifecycle.__doc__, "token"))
    def test_decisions(self, token: str, gate: str, decision: str) -> None:
        """Each row holds at both ends of each span, and with no gate at all as with an open one."""
        exact = [held and attrs.evolve(held, renewal=3480.0) for held in PHASES[token]]
        gates: list[tuple[Gate, ...]] = [(shut(wait),) for wait in WAITS[gate]] + [()] * (gate == "open")
        for state in (State(held=held, gates=each) for held in exact for each in gates):
            assert decision == type(decide(state, NOW)).__name__

    def test_all_combinations(self) -> None:
        """It has a row for each combination, and no two."""
        expected = sorted((token, gate) for token in PHASES for gate in WAITS)
        assert expected == sorted(row[:2] for row in table(lifecycle.__doc__, "token"))

    @given(states())
    def test_any_state(self, state: State) -> None:
        """What is in hand is what is given without waiting; a failure is told with what is left of the longest gate."""
        decision = decide(state, NOW)
        assert token_in_hand(state, NOW) == (decision.token if isinstance(decision, Serve | Renew) else None)
        if isinstance(decision, Fail):
            assert decision.wait == max(gate.remaining(NOW) for gate in state.gates)
            assert decision.failure in [gate.failure for gate in state.gates]


class TestHold:
    """When renewal begins and when a token ends."""

    @given(LIFETIMES, policies(), draws())
    def test_window(self, stated: int, policy: RenewalPolicy, dice: float) -> None:
        """Renewal begins at min(renew_ahead, lifetime/2) times U(1 - jitter, 1) before the end, but after a second."""
        held = hold(lasting(stated), HERE, policy, dice)
        lifetime = min(stated, int(policy.max_lifetime))
        widest = min(policy.renew_ahead or 0.0, lifetime / 2)
        earliest, latest = lifetime - widest, lifetime - widest * (1 - policy.jitter)
        assert min(max(earliest, 1.0), held.end) <= held.renewal <= min(max(latest, 1.0), held.end)

    @pytest.mark.parametrize(
        ("lifetime", "window"), [(3600, 1200), (86400, 28800), (600, 200), (360, 120), (300, 120), (240, 120), (60, 30)]
    )
    def test_by_lifetime(self, lifetime: int, window: float) -> None:
        """By default at a third of the life, but no later than the SDK's 120 s (or half of the life) before its end."""
        held = hold(lasting(lifetime), HERE, EXACT, 0.5)
        assert lifetime - window == pytest.approx(held.renewal)

    @pytest.mark.parametrize(("refresh_in", "renewal"), [(1800, 1800), (1, 1), (0, 2400), (3600, 2400), (-1, 2400)])
    def test_refresh_in(self, refresh_in: float, renewal: float) -> None:
        """A server's own advice is obeyed where it lies within the life, whatever the policy says."""
        grant = attrs.evolve(HOUR, refresh_in=refresh_in)
        assert renewal == hold(grant, HERE, EXACT, 0.5).renewal
        if 0 < refresh_in < 3600:
            assert renewal == hold(grant, HERE, RenewalPolicy(renew_ahead=120, jitter=0), 0).renewal

    @given(LIFETIMES, policies(), draws())
    def test_leeway(self, stated: int, policy: RenewalPolicy, dice: float) -> None:
        """It counts as expired min(leeway, lifetime/10) before its end, but not in its first second."""
        lifetime = min(stated, int(policy.max_lifetime))
        held = hold(lasting(stated), HERE, policy, dice)
        assert max(lifetime - min(policy.leeway, lifetime / 10), 1.0) == held.end == held.last

    @given(LIFETIMES, policies(), draws())
    def test_half_of_a_life(self, stated: int, policy: RenewalPolicy, dice: float) -> None:
        """G15, RFC6750-5.3-3: a token of 2 s or more serves half of its life without a request, any other a second."""
        held = hold(lasting(stated), HERE, policy, dice)
        lifetime = min(stated, int(policy.max_lifetime))
        assert held.renewal >= max(1.0, lifetime / 2 if lifetime >= 2 else 1.0)

    @given(LIFETIMES, policies())
    def test_the_dice(self, stated: int, policy: RenewalPolicy) -> None:
        """They move the renewal over the whole share that jitter says, and nothing but the renewal."""
        grant = lasting(stated)
        first, last = hold(grant, HERE, policy, 0.0), hold(grant, HERE, policy, 1.0)
        assert first == attrs.evolve(last, renewal=first.renewal)
        assert first.renewal <= last.renewal
        exact = attrs.evolve(policy, jitter=0)
        assert hold(grant, HERE, exact, 1.0) == hold(grant, HERE, exact, 0.0)

    def test_clamped(self) -> None:
        """A life longer than `max_lifetime` is clamped, and the token shows it, by whatever way it came."""
        held = hold(HOUR, HERE, RenewalPolicy(max_lifetime=600.5), 0.5)
        assert (600, int((NOW.wall + 600) * 1000)) == (held.token.expires_in, held.token.expires)
        assert 590 == held.end

    def test_an_end_that_nobody_stated(self) -> None:
        """It is assumed, and the token may be served on up to `max_lifetime`."""
        held = an_hour(assumed=True)
        assert (3590.0, 86400.0, True) == (held.end, held.last, held.is_assumed)
        assert not an_hour().is_assumed


class TestGranted:
    """A grant becomes a token, whose life counts from before the request was sent."""

    def test_what_was_stated(self) -> None:
        """An end that the server did not state is assumed; its advice is kept, with the moment of the request."""
        for stated in (60, None):
            grant = Granted(access_token="a", expires_in=stated, scope=None, refresh_in=20.0)
            fact = granted(grant, NOW, RenewalPolicy(), (), 0.5)
            assert fact.held is not None
            assert (stated is None, 20.0, HERE, HERE) == (
                fact.held.is_assumed,
                fact.held.refresh_in,
                fact.held.asked,
                fact.granted,
            )

    @given(policies(), draws(), st.integers(0, 10**400), instants())
    def test_no_arithmetic_overflows(self, policy: RenewalPolicy, dice: float, expires_in: int, asked: Instant) -> None:
        """I8: whatever lifetime a server states, under any policy, the sums of seconds come out."""
        assert 1 <= hold(lasting(expires_in), Asked.here(asked), policy, dice).end <= max(policy.max_lifetime, 1)

    @pytest.mark.parametrize("wall", [0.0, -1e9, 2.0**31 - 1, 2.0**32, 2.5e11, 3e11, 1e14])
    def test_i8(self, wall: float) -> None:
        """I8: the years 1938, 2038, 9999 and beyond are numbers of seconds like any other."""
        moment = Instant(wall, 5.0)
        fact = granted(Granted(access_token="a", expires_in=60, scope=None), moment, EXACT, (), 0.5)
        assert isinstance(decide(fact, moment), Serve)

    def test_a_clock_that_says_nan(self) -> None:
        """Without a wall clock the end cannot be told as a date, and the token is served by the other clock."""
        moment = Instant(math.nan, 5.0)
        fact = granted(Granted(access_token="a", expires_in=60, scope=None), moment, EXACT, (), 0.5)
        assert fact.held is not None
        assert 0 == fact.held.token.expires
        assert [True, False] == [isinstance(decide(fact, Instant(1e9, 5.0 + age)), Serve) for age in (10.0, 60.0)]


class TestBoundaries:
    """The boundaries are strict: with exactly the window left the token is still fresh, as in the SDK."""

    @given(helds())
    def test_renewal(self, held: Held) -> None:
        """At the renewal it is fresh, a moment after it stale, unless it has ended by then."""
        state = State(held=attrs.evolve(held, asked=Asked.here(Instant(0.0, 0.0))))
        assert held.renewal == held.end or Serve(held.token, 0.0) == decide(state, Instant(held.renewal, 0.0))
        after = decide(state, Instant(0.0, held.renewal + 1e-3))
        assert after == (Renew(held.token) if held.renewal + 1e-3 < held.end else Ask())

    @given(helds())
    def test_end(self, held: Held) -> None:
        """A moment before its end it is good, at its end it is asked for anew."""
        state = State(held=attrs.evolve(held, asked=Asked.here(Instant(0.0, 0.0))))
        assert held.token == token_in_hand(state, Instant(held.end - 1e-3, 0.0))
        assert (None, Ask()) == (token_in_hand(state, Instant(held.end, 0.0)), decide(state, Instant(0.0, held.end)))

    @given(gates())
    def test_gate(self, gate: Gate) -> None:
        """A moment before it opens a gate is shut, when it opens it is not, by whichever clock."""
        gate = attrs.evolve(gate, since=Instant(0.0, 0.0), wait=gate.wait + 1.0)
        before = decide(State(gates=(gate,)), Instant(gate.wait - 1e-3, 0.0))
        assert isinstance(before, Fail)
        assert gate.failure == before.failure
        assert pytest.approx(1e-3) == before.wait
        for now in (Instant(gate.wait, 0.0), Instant(0.0, gate.wait)):
            assert Ask() == decide(State(gates=(gate,)), now)

    @given(helds(), seconds(200_000), seconds(200_000), st.booleans())
    def test_never_an_expired_token(self, held: Held, age: float, error: float, stopped: bool) -> None:
        """With one clock right, the other may say what it likes (I1 to I6)."""
        wrong = age - error  # stepped back or forwards; a monotonic clock that stopped is behind, and not before 0
        now = later(held.asked.at, age, max(wrong, 0.0)) if stopped else later(held.asked.at, wrong, age)
        assert not (token_in_hand(State(held=held), now) and age >= held.last)


class TestLasts:
    """A decision to serve says for how long it holds."""

    @given(states(), seconds(3600), seconds(3600), draws())
    def test_sound(self, state: State, wall: float, monotonic: float, share: float) -> None:
        """Before that, by both clocks, the same token is served; just after it, there is something to decide."""
        decision = decide(state, NOW)
        if isinstance(decision, Serve):
            passed = max(decision.lasts * share - 1e-6, 0.0)  # a millionth for the rounding of large floats
            then = decide(state, later(NOW, min(wall, passed), min(monotonic, passed)))
            assert isinstance(then, Serve)
            assert decision.token is then.token
            longest = max((gate.remaining(NOW) for gate in state.gates), default=0.0)
            after = decide(state, later(NOW, decision.lasts + 1e-3))
            assert not isinstance(after, Serve) or longest > decision.lasts

    @pytest.mark.parametrize(("wait", "lasts"), [(30.0, 30.0), (3600.0, 90.0)])
    def test_in_the_window(self, wait: float, lasts: float) -> None:
        """Until the gate opens, or the token ends."""
        state = State(held=an_hour(3500), gates=(shut(wait),))
        assert Serve(an_hour(3500).token, lasts) == decide(state, NOW)


FIRST: Final = {True: 1.0, False: 5.0}


def unordered() -> st.SearchStrategy[Failure]:
    """Failures with no wait ordered by the server, but for 429, which has a row of its own."""
    plain = failures().filter(lambda failure: getattr(failure, "status", None) != 429)
    return plain.map(lambda failure: attrs.evolve(failure, retry_after=None))


class TestBackoff:
    """How long a gate stays shut."""

    @given(st.lists(unordered(), min_size=1, max_size=12), draws())
    def test_doubles_to_a_minute(self, row: list[Failure], dice: float) -> None:
        """H17: full jitter over 1, 2, 4 … 60 s for what is retryable; 5 s doubling to 60 s for what is not."""
        state = EMPTY
        for before, failure in enumerate(row):
            gate = failed(state, failure, NOW, later(NOW, 1), dice)
            longest = min(FIRST[failure.retryable] * 2**before, 60.0)
            assert (before + 1, failure, later(NOW, 1), HERE) == (gate.streak, gate.failure, gate.since, gate.asked)
            assert gate.wait == (longest * dice if failure.retryable else longest)
            state = State(gates=(gate,))

    def test_too_many_requests(self) -> None:
        """A 429 that orders no wait: 5 s doubling to 60 s, whatever the dice say."""
        state, waits = EMPTY, list[float]()
        for _ in range(6):
            gate = failed(state, Refused(status=429, retryable=True), NOW, NOW, 0.0)
            state = State(gates=(gate,))
            waits.append(gate.wait)
        assert [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] == waits

    @given(unordered(), gates(), draws(), st.integers(1, 10**18))
    def test_never_ends(self, failure: Failure, gate: Gate, dice: float, streak: int) -> None:
        """However long the row of failures is, the next wait is a minute at the most."""
        next_one = failed(State(gates=(attrs.evolve(gate, streak=streak),)), failure, NOW, NOW, dice)
        assert (streak + 1, True) == (next_one.streak, 0 <= next_one.wait <= 60)

    @given(unordered(), draws(), st.floats())
    @example(Unreachable(reason="x"), 0.5, math.nan)
    def test_an_order_is_an_order(self, failure: Failure, dice: float, order: float) -> None:
        """A wait that was ordered counts, from a second to an hour, whoever ordered it, and whatever the dice say."""
        gate = failed(EMPTY, attrs.evolve(failure, retry_after=order), NOW, NOW, dice)
        expected = 1.0 if math.isnan(order) else min(max(order, 1.0), 3600.0)
        assert gate.wait == gate.failure.retry_after == expected
        assert gate.is_ordered

    def test_the_docstring_is_the_table(self) -> None:
        """The waits that the docstring names are those above."""
        assert {
            "with a wait that was ordered": "for that, 1 s to an hour",
            "429 without one": "5 s, doubling to 60 s",
            "retryable": "full jitter over 1, 2, 4 … 60 s",
            "any other": "5 s, doubling to 60 s",
        } == dict(re.findall(r"^ *\| (.+?) +\| (.+?) +\|$", failed.__doc__ or "", re.MULTILINE)[1:])


class TestRetries:
    """While a caller is waiting, a retryable failure is retried at most twice, with the gate's own waits."""

    @given(gates(), st.integers(1, 9), seconds(60, least=-5))
    def test_rule(self, gate: Gate, attempts: int, left: float) -> None:
        """H18: never one with an ordered wait, never one that is not retryable, never past the deadline."""
        allowed = gate.failure.retryable and gate.failure.retry_after is None
        expected = gate.wait if allowed and attempts < 3 and gate.wait < left else None
        assert expected == retry_wait(gate, attempts, left)

    @pytest.mark.parametrize(("left", "expected"), [(0.5, None), (0.500001, 0.5), (0.0, None), (-1.0, None)])
    def test_the_deadline_is_strict(self, left: float, expected: float | None) -> None:
        """A wait that takes all that is left leaves no time for the attempt."""
        assert expected == retry_wait(attrs.evolve(shut(0), wait=0.5), 1, left)


class TestWaiting:
    """What a caller who waited gets, and for how long callers and flights wait."""

    @given(states(), st.none() | failures(), seconds(10, least=-2))
    def test_answer(self, state: State, failure: Failure | None, left: float) -> None:
        """A token wins over a failure, an overdue one too; without either a caller goes on until its deadline."""
        ended = None if failure is None else Fail(failure, 3.0)
        in_vain = Fail(timed_out(2.0), 0.0) if left <= 0 else None
        held = state.held
        overdue = held.token if held and elapsed(held.asked.at, NOW) < held.last and (ended or in_vain) else None
        assert (token_in_hand(state, NOW) or overdue or ended or in_vain) == answer(state, NOW, ended, left, 2.0)

    def test_a_token_by_now(self) -> None:
        """Whatever a flight ended with, and while there is time: a token that is good now is handed out."""
        for ended in (None, Fail(DOWN, 0.0)):
            assert an_hour().token == answer(State(held=an_hour()), NOW, ended, 1.0, 2.0)

    def test_an_overdue_token(self) -> None:
        """An assumed end is past, and no other token is to be had: the old one is served on."""
        held = an_hour(3600, assumed=True)
        ended = Fail(DOWN, 0.0)
        assert [held.token, None] == [answer(State(held=held), NOW, each, 1.0, 2.0) for each in (ended, None)]
        assert ended == answer(State(held=held), later(held.asked.at, held.last), ended, 1.0, 2.0)

    def test_what_a_flight_ended_with(self) -> None:
        """Its failure is told, and not that the caller's time is up as well."""
        ended = Fail(DOWN, 3.0)
        assert ended == answer(EMPTY, NOW, ended, 0.0, 2.0)

    def test_the_ninth_flight(self) -> None:
        """After eight flights whose tokens had expired before they arrived, a caller waits for no other."""
        ended = Fail(Unreachable(reason="each token had expired before it arrived"), 0.0)
        assert [None, ended] == [answer(EMPTY, NOW, None, 1.0, 2.0, flights) for flights in (8, 9)]

    def test_in_vain(self) -> None:
        """A caller whose time is up is told for how long it waited; that may be tried again."""
        assert Unreachable(reason="timed out after 2.5 s", retryable=True) == timed_out(2.5)

    @pytest.mark.parametrize(
        ("left", "overdue", "lost"),
        [(0.1, False, False), (0.0, True, False), (-1.0, True, False), (-1.001, True, True)],
    )
    def test_overdue(self, left: float, overdue: bool, lost: bool) -> None:
        """A flight is overdue at its deadline; more than a second later time was lost."""
        assert (overdue, lost) == (is_overdue(left), lost_time(left))

    def test_hung(self) -> None:
        """No more than eight hang."""
        assert (False, True) == (too_many_hang(7), too_many_hang(8))

    @pytest.mark.parametrize(
        ("left", "waited", "counts"), [(-0.1, True, True), (-0.1, False, False), (-5.0, True, False)]
    )
    def test_given_up(self, left: float, waited: bool, counts: bool) -> None:
        """An overdue flight backs off, unless nobody waited for it or time was lost."""
        fact, ended = given_up(EMPTY, ago(10), NOW, 0.5, left=left, deadline=10.0, waited=waited)
        assert timed_out(10.0) == ended.failure
        gate = failed(EMPTY, timed_out(10.0), ago(10), NOW, 0.5)
        assert ((State(gates=(gate,)), gate.wait) if counts else (EMPTY, 0.0)) == (fact, ended.wait)

    @given(draws(), seconds(10, least=-1))
    def test_polls(self, dice: float, left: float) -> None:
        """A lock is looked at again after 25 to 250 ms, and never later than there is time for."""
        assert max(min(0.025 + 0.225 * dice, left), 0) == pytest.approx(poll_wait(dice, left))

    def test_locks(self) -> None:
        """For the first lock half of the deadline is waited, for the second a quarter more; the rest is for asking."""
        assert (("", 0.5), ("-second", 0.75)) == LOCKS


STATE: Final = State(held=an_hour(), granted=an_hour().asked)


@pytest.mark.parametrize(
    ("wall", "monotonic", "good"),
    [
        (3660, 60, False),
        (-3540, 60, True),
        (-11, 3589, True),
        (-10, 3590, False),
        (-82811, 3589, True),
        (-82810, 3590, False),
        (7200, 1, False),
        (3600, 2, False),
    ],
)
def test_clocks_apart(wall: float, monotonic: float, good: bool) -> None:
    """I1, I2, I4 and I6: a step forwards costs one request; neither a step back nor a suspension prolongs a life."""
    assert good is (token_in_hand(STATE, later(NOW, wall, monotonic)) is not None)


def test_i5() -> None:
    """I5: suspended, and the wall clock set back: nobody can tell, and the report of a 401 ends it."""
    assert Ask() == decide(merge(STATE, removed(STATE, None), NOW), NOW)


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
def test_h19(dice: float) -> None:
    """H19: an outage of ten minutes: no error while the token is good, recovery within a minute, few requests."""
    policy = RenewalPolicy(renew_ahead=300, jitter=0)
    state = State(held=hold(HOUR, HERE, policy, 0.5), granted=HERE)
    outage = range(3300, 3901)
    errors: list[int] = []
    attempts: list[int] = []
    for second in range(3200, 4000):
        now = later(NOW, second)
        decision = decide(state, now)
        if isinstance(decision, Fail):
            errors.append(second)
        elif isinstance(decision, Renew | Ask):
            attempts.append(second)
            if second not in outage:
                break
            state = merge(state, State(gates=(failed(state, DOWN, now, now, dice),)), now)
    assert 3301 == attempts[0]
    assert not [second for second in errors if second < 3590]
    assert 3901 <= attempts[-1] <= 3901 + 60
    assert dice == 0 or len(attempts) < 60

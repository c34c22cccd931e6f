"""The base of both strategies: a call is served from memory, or joins a flight and waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, assert_never

from .._core.client import SPOTIFY_TOKEN_URL, check_kind, make_client
from .._core.lifecycle import MOST_HUNG, Ask, Fail, Renew, Serve, answer, decide, given_up, is_overdue, too_many_hang
from .._core.model import AccessToken, ClientAuthentication, RenewalPolicy, Unreachable, without_query
from .._core.secret import NO_SECRET
from .._core.state import EMPTY
from .._core.value import repr_before_init
from ..configuration import SdkConfiguration, is_coroutine_function
from ..errors import error_of
from . import threads
from .active import ActiveConfiguration, Lease
from .clock import dice
from .driver import fly, forget_in_cache, tell_given_up
from .flight import Flight
from .identity import Identity, wrapped

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_DEFAULT_POLICY: Final = RenewalPolicy()
_WITHIN_ITSELF: Final = Fail(Unreachable(reason="a hook of the request asked for its token", retryable=False), 0.0)
_TOO_MANY_HANG: Final = Fail(Unreachable(reason=f"{MOST_HUNG} earlier requests still hang past their deadline"), 0.0)


class BaseStrategy:
    """The state, the flights and the arguments of a strategy.

    A caller's thread or event loop only decides, joins a flight and waits. It takes no lock of ours, so an interrupt at
    any bytecode affects no other caller.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | Callable[[], str] | Sequence[str] | None,
        *,
        token_url: str = SPOTIFY_TOKEN_URL,
        scopes: Collection[str] = (),
        audience: str | None = None,
        resources: Collection[str] = (),
        extra_params: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        client_authentication: ClientAuthentication = ClientAuthentication.BASIC,
        policy: RenewalPolicy = _DEFAULT_POLICY,
    ) -> None:
        """Check the arguments; nothing is sent or started. Raises a ValueError that names the argument.

        What a token request needs is imported here, and nothing later: make a strategy before a chroot, for example.

        - `client_id`: RFC 6749 section 2.2. `token_url`: the token endpoint; https, unless the host is loopback.
        - `client_secret`: a string; or a callable that returns it, called for each token request; or several strings,
          of which the next is tried at `invalid_client`; or None with `ClientAuthentication.TLS`.
        - `scopes`, `audience`, `resources`: what the token is for (RFC 6749 section 3.3; as Auth0 has it; RFC 8707).
        - `extra_params`, `headers`: further parameters and headers of the token request; their values are secrets.
        - `client_authentication`: RFC 6749 section 2.3. `policy`: when to renew a token, how long a caller waits.
        """
        # A traceback may show the locals of a frame, whichever argument is wrong.
        given = [client_secret]
        del client_secret
        wrong = ""
        try:
            secrets = wrapped(given)
            client = make_client(
                client_id,
                token_url=token_url,
                scopes=scopes,
                audience=audience,
                resources=resources,
                extra_params=extra_params,
                headers=headers,
                authentication=client_authentication,
                has_secret=secrets != (NO_SECRET,),
            )
            check_kind("policy", policy, RenewalPolicy)
            self._identity = Identity(client, secrets, policy)
        except ValueError as error:
            wrong = str(error)
        del token_url, extra_params, headers
        if wrong:
            raise ValueError(wrong)  # anew, without the frames below
        self._unfinished: set[Flight] = set()
        """The flights that were given up, and the work with the cache that is under way."""
        self._active = ActiveConfiguration(self._identity, SdkConfiguration(), None)  # no other strategy has that cache

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on; may be called again. Raises ValueError.

        The token in memory is forgotten, but not deleted from the old cache; a request under the old configuration
        gives no token under the new one.
        """
        check_kind("configuration", configuration, SdkConfiguration)
        if is_coroutine_function(configuration.fetch) and not self._takes_coroutines:
            raise ValueError("fetch must be synchronous; for a coroutine function use AsyncClientCredentialsStrategy")
        from ..caching._state_cache import StateCache  # here, since without a configuration nothing is cached

        cache = StateCache.of(configuration.caching_strategy, self._identity.policy)
        self._active = ActiveConfiguration(self._identity, configuration, cache)

    _takes_coroutines = False

    @property
    def _lease(self) -> Lease:
        """What is known now, for whoever looks into a strategy."""
        return self._active.known()

    @property
    def _deadline(self) -> float:
        return self._identity.policy.deadline

    def _obtain(self) -> Iterator[AccessToken | tuple[Flight, float]]:
        """Yield each flight to wait for, with the moment to stop waiting; in the end, a token that is good now.

        Callers run it to its end: an interrupt while Python closes an unfinished generator would be lost.
        """
        until = time.monotonic() + self._deadline
        flights = 0
        while isinstance(got := self._serve_or_join(until), Flight):
            yield got, min(got.deadline, until)
            flights += got.is_settled
            token = self._result(got, until, flights)
            if token:
                yield token
                return
        yield got

    def _serve_or_join(self, until: float) -> AccessToken | Flight:
        """Return a good token, or the flight to wait for until a moment in real time; raises TokenError for neither."""
        active = self._active
        lease = active.known()
        now = active.now()
        decision = decide(lease.state, now)
        match decision:
            case Serve(token=token, lasts=lasts):
                active.extend(lease, now, lasts)
                return token
            case Renew(token=token):
                flight = self._newest_flight(active)
                if flight.is_gone and not self._is_full():
                    self._begin(flight, time.monotonic() + self._deadline, waits=False)
                return token
            case Fail(failure=failure, wait=wait) if active.cache is None or not self._identity.keys:
                raise error_of(failure, wait, self._identity.client)
            case Ask() | Fail():  # another host may have put a token into the cache
                return self._join(self._newest_flight(active), until)
            case _:
                assert_never(decision)

    def _join(self, flight: Flight, until: float) -> Flight:
        """Return the flight to wait for: this one; if it is gone, a new one; if none may be begun, a failed one."""
        active = flight.active
        failure = None
        if Flight.any_entered(self._identity.client):
            failure = _WITHIN_ITSELF
        elif flight.is_gone and self._is_full():
            failure = _TOO_MANY_HANG
        if failure:
            flight = Flight(active, until)
            flight.settle(failure)
        elif flight.is_gone:
            flight = self._begin(flight, until, waits=True)
        elif flight.has_asked and active.cache is not None:
            active.look_meanwhile(flight)
        return flight

    def _begin(self, last: Flight, until: float, *, waits: bool) -> Flight:
        """Begin a flight, or give the one begun meanwhile; where there is no thread, a caller who waits makes it."""
        active = last.active
        flight = Flight(active, until, self._running_loop())
        flight.is_waited = waits  # from the start, since the endpoint may refuse at once
        start = partial(threads.start, partial(fly, flight))
        try:
            begun = last.append(flight)
            if begun is flight and not start():
                flight.has_no_thread = waits
                if not waits:
                    flight.settle(None)
        except BaseException:
            # An interrupt of this caller must not affect the others.
            if last.latest() is flight:
                start()
            raise
        active.flight = begun
        return begun

    def _newest_flight(self, active: ActiveConfiguration) -> Flight:
        flight = active.flight.latest()
        self._give_up_if_overdue(flight)
        return flight

    def _give_up_if_overdue(self, flight: Flight) -> None:
        """End an overdue flight for its callers; a later result still counts, by when it was asked for."""
        left = flight.left
        if flight.is_gone or not is_overdue(left):
            return
        active = flight.active
        known, now = active.known().state, active.now()
        fact, ended = given_up(
            known, flight.asked, now, dice(), left=left, deadline=self._deadline, waited=flight.is_waited
        )
        active.record(fact)
        if flight.settle(ended):
            self._unfinished.add(flight)
            if fact != EMPTY:
                threads.start_or_call(partial(tell_given_up, flight, ended))

    def _is_full(self) -> bool:
        """Whether too many flights and looks hang past their deadline for another to be begun."""
        for flight in tuple(self._unfinished):
            if flight.is_over or flight.is_left_behind:
                self._unfinished.discard(flight)
        return too_many_hang(sum(is_overdue(flight.left) for flight in tuple(self._unfinished)))

    def _look_in_cache(self) -> Flight | None:
        """Return the look in the cache to wait for; what it finds is in memory then."""
        return self._join_cache_work(None, lambda flight: flight.active.in_cache())

    def _remove(self, token: AccessToken | None) -> Flight | None:
        """Forget a token in memory, and return the removal from the cache to wait for."""
        gone, forget = self._active.forget(token)
        return self._join_cache_work(gone, partial(forget_in_cache, forget))

    def _join_cache_work(self, what: AccessToken | None, work: Callable[[Flight], object]) -> Flight | None:
        """Return the work with the cache to wait for, under way already or begun now; None: there is none."""
        active = self._active
        under_way = active.cache_work.get(what)
        if under_way and not under_way.is_gone and not is_overdue(under_way.left):
            return None if under_way.is_entered else under_way
        # A look made within a flight, by the secret's callable for example, must not read the secret: it would recurse.
        is_within = not self._identity.keys and Flight.any_entered(self._identity.client)
        if active.cache is None or is_within or self._is_full():
            return None
        flight = active.cache_work[what] = Flight(active, time.monotonic() + self._deadline)
        try:
            threads.start_or_call(partial(self._do_cache_work, flight, what, work))
        except BaseException:
            flight.settle(None)  # an interrupt of this caller; whoever joins must not wait for nothing
            raise
        return flight

    def _do_cache_work(self, flight: Flight, what: AccessToken | None, work: Callable[[Flight], object]) -> None:
        self._unfinished.add(flight)
        flight.enter()
        try:
            work(flight)
        finally:
            flight.active.cache_work.pop(what, None)
            flight.settle(None)
            flight.is_over = True

    def _result(self, flight: Flight, until: float, flights: int) -> AccessToken | None:
        """Return what a caller that waited for a flight gets, or raise it; None: not yet, so decide again."""
        self._give_up_if_overdue(flight)
        # The configuration may have changed: a flight under the old one gives no token under the new one.
        active = self._active
        ended, cause = flight.ending if flight.active is active else (None, None)
        got = answer(active.known().state, active.now(), ended, until - time.monotonic(), self._deadline, flights)
        if isinstance(got, Fail):
            raise error_of(got.failure, got.wait, self._identity.client) from (cause if got is ended else None)
        return got

    def _running_loop(self) -> AbstractEventLoop | None:
        return None

    @repr_before_init
    def __repr__(self) -> str:
        client = self._identity.client
        return f"{type(self).__name__}(client_id={client.client_id!r}, token_url={without_query(client.token_url)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a client secret, so it cannot be pickled or copied; make another")

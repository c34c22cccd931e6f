"""What both strategies are made of: the state in one slot, the flight in another, and the door between them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, NoReturn, assert_never

from .._core.client import SPOTIFY_TOKEN_URL, check_kind, check_secret, make_client
from .._core.lifecycle import EMPTY, Ask, Fail, Renew, Serve, State, adopted, decide, good_token, removed
from .._core.model import AccessToken, ClientAuthentication, RenewalPolicy, Unreachable, without_query
from .._core.secret import NO_SECRET, Secret
from ..configuration import SdkConfiguration, is_plain
from ..errors import TokenEndpointUnreachable, error_of
from .clock import SystemClock
from .flight import Flight, Landing, Setup
from .fork import survive_fork
from .journey import Traveller, draw
from .state_cache import Vault
from .threads import run_aside

_LONGEST_UNREAD = 1.0  # seconds for which the wall clock may go unread
_NO_PARAMS: Final[Mapping[str, str]] = {}
_USUAL_POLICY: Final = RenewalPolicy()
_NO_TOKEN = AccessToken("", "Bearer", 0, 0)


class Lease:
    """A state, and until when its token is served without a second look; nobody may change a state.

    `until` is by the `ticks` of SystemClock; with any other clock it never comes, so that both are read on every call.
    """

    __slots__ = ("setup", "state", "token", "until")

    def __init__(self, setup: Setup, state: State) -> None:
        self.setup = setup
        self.state = state
        self.token: AccessToken = state.held.token if state.held else _NO_TOKEN
        self.until = -math.inf

    def extend(self, monotonic: float, lasts: float) -> None:
        """Serve the token so many seconds more."""
        if type(self.setup.configuration.clock) is SystemClock:
            self.until = monotonic + min(lasts, _LONGEST_UNREAD)


class Keeper:
    """Keeps the token of one client. The mutex guards the two slots, and is never held while calling out.

    A signal handler or a finalizer may yet come in between, in the same thread: so it is reentrant.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | Callable[[], str] | None,
        *,
        token_url: str = SPOTIFY_TOKEN_URL,
        scopes: Collection[str] = (),
        audience: str | None = None,
        resources: Collection[str] = (),
        extra_params: Mapping[str, str] = _NO_PARAMS,
        headers: Mapping[str, str] = _NO_PARAMS,
        client_authentication: ClientAuthentication = ClientAuthentication.BASIC,
        policy: RenewalPolicy = _USUAL_POLICY,
    ) -> None:
        """Check a client's registration; nothing is sent, opened or started.

        `client_secret` may be a callable, which is read anew for each token request. Raises ValueError that names the
        argument to mend.
        """
        has_secret = client_secret is not None
        is_text = has_secret and not callable(client_secret)
        is_awaited = has_secret and not is_text and not is_plain(client_secret)
        secret = NO_SECRET if client_secret is None else Secret(client_secret)
        # A traceback may show the locals of this frame, whichever argument is to blame.
        del client_secret
        client = make_client(
            client_id,
            token_url=token_url,
            scopes=scopes,
            audience=audience,
            resources=resources,
            extra_params=extra_params,
            headers=headers,
            authentication=client_authentication,
            has_secret=has_secret,
        )
        if is_text:
            check_secret(secret.reveal())
        if is_awaited:
            raise ValueError("client_secret must be a string or a callable, and no coroutine function")
        check_kind("policy", policy, RenewalPolicy)
        self._traveller = Traveller(client, secret, policy)
        self._secret_is_text = is_text
        self._mutex = threading.RLock()
        self._flight: Flight | None = None
        self._departed = 0
        self._newest = 0
        self.set_configuration(SdkConfiguration())
        survive_fork(self)

    def set_configuration(self, configuration: SdkConfiguration) -> None:
        """Use these collaborators from now on; may be called again.

        What is remembered under the old configuration is forgotten, but not deleted from its cache.
        """
        check_kind("configuration", configuration, SdkConfiguration)
        vault = Vault(configuration.caching_strategy, self._traveller.policy)
        with self._mutex:
            self._lease = Lease(Setup(configuration, vault), EMPTY)
            self._flight = None

    def _board(self) -> AccessToken | tuple[Flight, bool]:
        """Give a good token, or a seat in the flight that brings one, and whether it is the leader's.

        Raises TokenError while the gate is shut.
        """
        while True:
            lease = self._lease
            now = lease.setup.now()
            decision = decide(lease.state, now)
            match decision:
                case Serve(token=token, lasts=lasts):
                    lease.extend(now.monotonic, lasts)
                    return token
                case Fail(failure=failure, wait=wait):
                    raise error_of(failure, wait)
                case Renew(token=token):
                    if self._flight is None or self._flight.left < 0:
                        renewal = self._take_seat(lease, waiters=0)
                        if renewal and renewal[1]:
                            self._start(renewal[0])
                    return token
                case Ask():
                    if seat := self._take_seat(lease, waiters=1):
                        return seat
                case _:
                    assert_never(decision)

    def _take_seat(self, lease: Lease, *, waiters: int) -> tuple[Flight, bool] | None:
        """Join the flight under way, or begin one; None: the state has moved on, so decide again."""
        with self._mutex:
            if lease is not self._lease:
                return None
            flight = self._flight
            leads = flight is None
            if flight is None:
                self._departed += 1
                deadline = time.monotonic() + self._traveller.policy.deadline
                flight = self._flight = Flight(self._departed, lease.setup, deadline)
            overdue = flight.left < 0
            if not overdue:
                flight.waiters += waiters
        if overdue:
            self._give_up(flight)
            return None
        if flight.is_led_here:
            flight.waiters -= waiters
            raise TokenEndpointUnreachable("asked for by a hook of the request that is to bring it", retryable=False)
        return flight, leads

    def _leave_seat(self, flight: Flight) -> None:
        with self._mutex:
            flight.waiters -= 1

    def _claim(self, flight: Flight, *, leads: bool, until: float) -> AccessToken | None:
        """Give what a flight brought, or raise it; None: nothing yet, so board again. `until` is in real time."""
        landing = flight.landing
        if isinstance(landing, AccessToken):
            return landing
        if landing is not None:
            raise error_of(landing.failure, landing.wait) from flight.cause if leads else None
        if not flight.is_over and flight.left <= 0:
            self._give_up(flight)
        if time.monotonic() < until:
            return None
        if good := self._look():
            return good
        raise TokenEndpointUnreachable(self._in_vain())

    def _give_up(self, flight: Flight) -> None:
        """Take an overdue flight out of its slot; what it brings yet counts if nothing newer does."""
        with self._mutex:
            if flight is not self._flight:
                return
            self._flight = None
        self._traveller.abandon(flight, self._record, Unreachable(reason=self._in_vain()))

    def _in_vain(self) -> str:
        return f"nothing came within {self._traveller.policy.deadline:g} s"

    def _start(self, flight: Flight) -> None:
        """Let a flight go, without waiting for it."""
        run_aside(partial(self._fly_alone, flight))

    def _fly_alone(self, flight: Flight) -> None:
        flight.lead()
        try:
            self._fly(flight)
        except BaseException as error:  # a user's code that wants to exit: there is nothing to exit from
            failure = Unreachable(reason=f"the request was ended by {type(error).__name__}")
            self._land(flight, self._traveller.abandon(flight, self._record, failure))

    def _fly(self, flight: Flight) -> None:
        self._land(flight, *self._traveller.travel(flight, self._record))

    def _land(self, flight: Flight, landing: Landing | None, cause: Exception | None = None) -> None:
        with self._mutex:
            if self._flight is flight:
                self._flight = None
        flight.land(landing, cause)

    def _record(self, flight: Flight, change: Callable[[State], State], *, grants: bool = False) -> State:
        """Change the state for a flight, if it still counts: nothing newer was granted, the setup is the same."""
        with self._mutex:
            lease = self._lease
            same = lease.setup is flight.setup
            state = change(lease.state if same else EMPTY)
            if same and flight.number > self._newest:
                self._newest = flight.number if grants else self._newest
                self._lease = Lease(lease.setup, state)
            return state

    def _change(self, setup: Setup, change: Callable[[State], State]) -> State:
        with self._mutex:
            if self._lease.setup is not setup:
                return EMPTY
            self._lease = Lease(setup, change(self._lease.state))
            return self._lease.state

    def _look(self) -> AccessToken | None:
        """Give the good token in memory."""
        lease = self._lease
        return good_token(lease.state, lease.setup.now())

    def _look_in_cache(self) -> AccessToken | None:
        """Give the good token in the cache, and remember it."""
        setup = self._lease.setup
        key, _ = self._traveller.known_key()
        if key is None:
            return None
        now = setup.now()
        cached = setup.vault.load(key, now, draw())
        return good_token(self._change(setup, partial(adopted, cached=cached, now=now)), now)

    def _forget(self, token: AccessToken | str | None) -> str | None:
        """Forget the token in memory, or only if it is this one; gives what the cache is to forget."""
        value = token.access_token if isinstance(token, AccessToken) else token
        if value is not None:
            check_kind("token", value, str)
        lease = self._lease
        if value is None and lease.state.held:
            value = lease.state.held.token.access_token
        self._change(lease.setup, partial(removed, token=value))
        return value

    def _forget_in_cache(self, value: str | None) -> None:
        """Rewrite the entry without that token; None: without any. The gate stays."""
        setup = self._lease.setup
        key, _ = self._traveller.known_key()
        if key is None:
            return
        now = setup.now()
        cached = setup.vault.load(key, now, draw())
        kept = cached.held.token.access_token if cached.held else None
        if kept is not None and value in (None, kept):
            setup.vault.store(key, removed(cached, kept), now)
            self._change(setup, partial(removed, token=kept))

    def _after_fork(self) -> None:
        self._mutex = threading.RLock()
        self._flight = None

    def __repr__(self) -> str:
        if not hasattr(self, "_traveller"):  # seen in the traceback of its own constructor
            return f"{type(self).__name__}()"
        client = self._traveller.client
        return f"{type(self).__name__}(client_id={client.client_id!r}, token_url={without_query(client.token_url)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a client secret, so it cannot be pickled or copied; make another")

"""The commands that get a token: `token`, `header` and `inspect`."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeAlias

import attrs

from .._core.model import AccessToken, TokenRequest, TokenResponse, without_query
from .._core.secret import REDACTED, Secret
from .._http.fetch import Urllib3Fetch
from ..caching.file import FileCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from ..strategy import ClientCredentialsStrategy
from .advice import advice
from .answer import Answer, shape_of
from .arguments import RENEW_AHEAD, fetch_of, read_secret, strategy_of
from .output import DONE, Remarks, complain, say

Shown: TypeAlias = tuple[Mapping[str, object], str]
"""What a command prints: with --json, and without."""

_STORING: Final = 1.0  # seconds to wait for the cache once there is a token
_STARTING: Final = 1.0  # seconds within which a renewal that is due begins
_POLL: Final = 0.02


def redacted(token: AccessToken) -> str:
    """A token without its secret part."""
    return f"{REDACTED} ({len(token.access_token)} characters)"


def print_token(arguments: argparse.Namespace) -> int:
    """Print the access token."""
    return _print(arguments, _token)


def print_header(arguments: argparse.Namespace) -> int:
    """Print the header that carries the token."""
    return _print(arguments, _header)


def inspect(arguments: argparse.Namespace) -> int:
    """Print type, lifetime, scope and source of the token, but not the token."""
    return _print(arguments, _inspect)


def _print(arguments: argparse.Namespace, shown: Callable[[AccessToken, str], Shown]) -> int:
    secret = read_secret(arguments)
    request = _Request(secret)
    cache = None if arguments.cache is None else CacheDirectory(arguments.cache)
    configuration = request.watched(fetch_of(arguments), cache)
    strategy = strategy_of(arguments, secret, configuration)
    with Remarks() as remarks:
        try:
            held = strategy.get_access_token()
            token = strategy.get_or_create_access_token()
            if cache and is_ending(token, time.time()):
                token = _renewed(strategy, token, request, cache, arguments.timeout)
        except TokenError as error:
            return complain(f"{error}; {advice(error, request.answer)}")
        finally:
            if cache:
                cache.is_free.wait(_STORING)
    logged = tuple(remarks)
    for line in (*logged, *(said for said in request.answer.remarks if said not in str(logged))):
        complain(line)
    is_cached = not request.is_sent or (held and held.access_token == token.access_token)
    source = "the cache" if is_cached else without_query(arguments.token_url)
    document, text = shown(token, source)
    say(json.dumps(document) if arguments.json else text)
    return DONE


def is_ending(token: AccessToken, now: float) -> bool:
    """Tell whether the token is in its renewal window; `now` is in seconds since the epoch."""
    window = min(RENEW_AHEAD, token.expires_in / 2)
    advised = token.extra.get("refresh_in")
    if isinstance(advised, str) and advised.isdecimal():
        advised = int(advised[:9])
    if isinstance(advised, int | float) and 0 < advised < token.expires_in:
        window = token.expires_in - advised
    return token.expires / 1000 - now <= window


def _renewed(
    strategy: ClientCredentialsStrategy, held: AccessToken, request: _Request, cache: CacheDirectory, timeout: float
) -> AccessToken:
    """Wait for the renewal in the background, as this process ends with its command; if it fails, use the held token.

    No renewal runs while the cache says that the server refused one a moment ago.
    """
    ends = time.monotonic() + timeout
    begins = time.monotonic() + _STARTING
    token = held
    while token.access_token == held.access_token and not request.failed and time.monotonic() < ends:
        if not request.is_sent and time.monotonic() > max(begins, cache.tried + _STARTING):
            break
        time.sleep(_POLL)
        token = strategy.get_or_create_access_token()
    return token


@attrs.define
class _Request:
    """What is seen of a token request: whether it was sent, what came back, and whether it failed."""

    secret: Secret
    is_sent: bool = False
    failed: bool = False
    answer: Answer = attrs.field(factory=Answer)

    def watched(self, fetch: Urllib3Fetch, cache: FileCachingStrategy | None) -> SdkConfiguration:
        """Make the configuration that watches the request."""
        configuration = SdkConfiguration(
            fetch=fetch, before_request=self._before, after_request=self._after, error_handler=self._error
        )
        return configuration if cache is None else attrs.evolve(configuration, caching_strategy=cache)

    def _before(self, _: TokenRequest) -> None:
        self.is_sent = True

    def _after(self, _: TokenRequest, response: TokenResponse) -> None:
        self.answer = shape_of(response, self.secret)

    def _error(self, _: TokenError) -> None:
        self.failed = True


class CacheDirectory(FileCachingStrategy):
    """The cache of --cache, which knows whether the request that it has a lock for is done with it."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.is_free = threading.Event()
        self.is_free.set()
        self.tried = -math.inf
        """When its lock was last tried for, in seconds of `time.monotonic`."""

    @contextmanager
    def lock(self, key: str, ttl: float) -> Generator[bool]:
        """Lock as the cache does; it is free again once the request's outcome is stored."""
        self.tried = time.monotonic()
        with super().lock(key, ttl) as is_mine:
            self.is_free.clear()
            try:
                yield is_mine
            finally:
                self.is_free.set()


def _token(token: AccessToken, _: str) -> Shown:
    names = ("access_token", "token_type", "expires_in", "expires", "scope")
    return {name: getattr(token, name) for name in names}, token.access_token


def _header(token: AccessToken, _: str) -> Shown:
    return {"Authorization": token.authorization}, f"Authorization: {token.authorization}"


def _inspect(token: AccessToken, source: str) -> Shown:
    document = {**_token(token, source)[0], "access_token": redacted(token), "source": source}
    end = datetime.fromtimestamp(token.expires / 1000, UTC)
    lines = (
        f"token     {document['access_token']}",
        f"type      {token.token_type}",
        f"lifetime  {token.expires_in} s, until {end:%Y-%m-%d %H:%M:%S} UTC",
        f"scope     {token.scope or 'not told'}",
        f"source    {source}",
    )
    return document, "\n".join(lines)

"""The commands that get a token: `token`, `header` and `inspect`."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import attrs

from .._core.model import AccessToken, TokenRequest, TokenResponse, without_query
from .._core.secret import REDACTED, Secret
from .._http.fetch import Urllib3Fetch
from ..caching.file import FileCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from .advice import advice
from .answer import Answer, shape_of
from .arguments import MIN_LIFETIME, fetch_of, read_secret, strategy_of
from .endpoint import find_endpoint
from .output import DONE, Remarks, complain, finish, say

Shown: TypeAlias = tuple[Mapping[str, object], str]
"""What a command prints: with --json, and without."""

_STARTING: Final = 1.0  # seconds within which a renewal that is due begins, unless the server refused one before


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
    if problem := find_endpoint(arguments, fetch_of(arguments), arguments.timeout):
        return complain(problem)
    secret = read_secret(arguments)
    request = _Request(secret)
    cache = None if arguments.cache is None else FileCachingStrategy(arguments.cache)
    configuration = request.watched(fetch_of(arguments), cache)
    strategy = strategy_of(arguments, secret, configuration, min_lifetime=arguments.min_lifetime)
    with Remarks() as remarks:
        try:
            held = strategy.get_access_token()
            token = strategy.get_or_create_access_token()
        except TokenError as error:
            return complain(f"{error}; {advice(error, request.answer)}")
        if cache:
            # A renewal goes on behind its caller, and so does writing to the cache; this process ends with its command.
            if is_ending(token, time.time(), arguments.min_lifetime):
                request.is_sent.wait(_STARTING)
            finish(arguments.timeout)
            token = strategy.get_access_token() or token
    for line in (*remarks, *(said for said in request.answer.remarks if said not in str(remarks))):
        complain(line)
    is_cached = not request.is_sent.is_set() or (held and held.access_token == token.access_token)
    source = "the cache" if is_cached else without_query(arguments.token_url)
    document, text = shown(token, source)
    say(json.dumps(document) if arguments.json else text)
    return DONE


def is_ending(token: AccessToken, now: float, min_lifetime: float = MIN_LIFETIME) -> bool:
    """Tell whether the token is in its renewal window; `now` is in seconds since the epoch."""
    window = min(min_lifetime, token.expires_in / 2)
    advised = token.extra.get("refresh_in")
    if isinstance(advised, str) and advised.isdecimal():
        advised = int(advised[:9])
    if isinstance(advised, int | float) and 0 < advised < token.expires_in:
        window = token.expires_in - advised
    return token.expires / 1000 - now <= window


@attrs.define
class _Request:
    """What is seen of a token request: whether it was sent, and what came back."""

    secret: Secret
    is_sent: threading.Event = attrs.field(factory=threading.Event)
    answer: Answer = attrs.field(factory=Answer)

    def watched(self, fetch: Urllib3Fetch, cache: FileCachingStrategy | None) -> SdkConfiguration:
        """Make the configuration that watches the request."""
        configuration = SdkConfiguration(fetch=fetch, before_request=self._before, after_request=self._after)
        return configuration if cache is None else attrs.evolve(configuration, caching_strategy=cache)

    def _before(self, _: TokenRequest) -> None:
        self.is_sent.set()

    def _after(self, _: TokenRequest, response: TokenResponse) -> None:
        self.answer = shape_of(response, self.secret)


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

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

from .._core.lifecycle import hold
from .._core.model import AccessToken, Granted, RenewalPolicy, TokenRequest, TokenResponse, without_query
from .._core.response import refresh_in
from .._core.secret import NO_SECRET, REDACTED, Secret
from .._core.state import Asked, Instant
from .._http.fetch import Urllib3Fetch
from ..caching.file import FileCachingStrategy
from ..caching.memory import InMemoryCachingStrategy
from ..configuration import SdkConfiguration
from ..errors import TokenError
from ..strategy import ClientCredentialsStrategy
from .advice import UNSEEN, advice
from .arguments import UsageError, client_of, read_secret, tls_context
from .issuer import ISSUER_ADVICE, find_metadata, what_failed
from .output import DONE, Remarks, complain, finish, say

_LEEWAY: Final = RenewalPolicy().leeway
_STARTING: Final = 1.0  # seconds within which a renewal that is due begins, unless the server refused one before


def run(arguments: argparse.Namespace) -> int:
    """Get a token and print what the command shows of it."""
    fetch = Urllib3Fetch(ssl_context=tls_context(arguments))
    if arguments.issuer and arguments.token_url:
        raise UsageError("--issuer: must not be combined with --token-url")
    secret = read_secret(arguments)
    client_of(arguments)  # raises UsageError before anything is sent
    try:
        if arguments.issuer:
            arguments.token_url = find_metadata(arguments, fetch, arguments.timeout).token_url
    except TokenError as error:
        return complain(f"{what_failed(error)}; {ISSUER_ADVICE}")
    request = _Request()
    cache = FileCachingStrategy(arguments.cache) if arguments.cache else InMemoryCachingStrategy()
    policy = _policy(arguments)
    strategy = _strategy(arguments, secret, policy)
    strategy.set_configuration(
        SdkConfiguration(
            fetch=fetch, before_request=request.before, after_request=request.after, caching_strategy=cache
        )
    )
    with Remarks() as remarks:
        try:
            held = strategy.get_access_token()
            token = strategy.get_or_create_access_token()
        except TokenError as error:
            return complain(f"{error}; {advice(error, request.response)}")
        if arguments.cache:
            # A renewal goes on behind its caller, and so does writing to the cache; this process ends with its command.
            if is_ending(token, time.time(), policy):
                request.is_sent.wait(_STARTING)
            finish(arguments.timeout)
            token = strategy.get_access_token() or token
    for line in remarks:
        complain(line)
    is_cached = not request.is_sent.is_set() or (held and held.access_token == token.access_token)
    document, text = _SHOWN[arguments.command](token, "the cache" if is_cached else without_query(request.url))
    say(json.dumps(document) if arguments.json else text)
    return DONE


def is_ending(token: AccessToken, now: float, policy: RenewalPolicy) -> bool:
    """Tell whether the token is in its renewal window; `now` is in seconds since the epoch."""
    advised = refresh_in(token.extra.get("refresh_in"))
    grant = Granted(access_token=token.access_token, expires_in=token.expires_in, scope=None, refresh_in=advised)
    held = hold(grant, Asked.here(Instant(0.0, 0.0)), policy, 0.0)
    return token.expires_in - (token.expires / 1000 - now) >= held.renewal


def redacted(token: AccessToken) -> str:
    """A token without its secret part."""
    return f"{REDACTED} ({len(token.access_token)} characters)"


@attrs.define
class _Request:
    """What is seen of a token request: whether and where it was sent, and what came back."""

    url: str = ""
    is_sent: threading.Event = attrs.field(factory=threading.Event)
    response: TokenResponse = UNSEEN

    def before(self, request: TokenRequest) -> None:
        """Note a request."""
        self.url = request.url
        self.is_sent.set()

    def after(self, _: TokenRequest, response: TokenResponse) -> None:
        """Note its response."""
        self.response = response


def _policy(arguments: argparse.Namespace) -> RenewalPolicy:
    least: float = arguments.min_lifetime
    return RenewalPolicy(renew_ahead=least, leeway=min(_LEEWAY, least), jitter=0.0, deadline=arguments.timeout)


def _strategy(arguments: argparse.Namespace, secret: Secret, policy: RenewalPolicy) -> ClientCredentialsStrategy:
    client = client_of(arguments)
    return ClientCredentialsStrategy(
        client.client_id,
        None if secret is NO_SECRET else secret.reveal(),
        token_url=client.token_url,
        scopes=client.scopes,
        audience=client.audience,
        resources=client.resources,
        extra_params=dict(client.extra_params),
        headers=dict(client.headers),
        client_authentication=client.authentication,
        policy=policy,
    )


def _token(token: AccessToken, _: str) -> _Shown:
    names = ("access_token", "token_type", "expires_in", "expires", "scope")
    return {name: getattr(token, name) for name in names}, token.access_token


def _header(token: AccessToken, _: str) -> _Shown:
    return {"Authorization": token.authorization}, f"Authorization: {token.authorization}"


def _inspect(token: AccessToken, source: str) -> _Shown:
    document = {**_token(token, source)[0], "access_token": redacted(token), "source": source}
    end = datetime.fromtimestamp(token.expires / 1000, UTC)
    lines = (
        f"token     {document['access_token']}",
        f"type      {token.token_type}",
        f"lifetime  {token.expires_in} s, until {end:%Y-%m-%d %H:%M:%S} UTC",
        f"scope     {token.scope or 'not stated'}",
        f"source    {source}",
    )
    return document, "\n".join(lines)


_Shown: TypeAlias = tuple[Mapping[str, object], str]
"""What a command prints: with --json, and without."""
_SHOWN: Final[Mapping[str, Callable[[AccessToken, str], _Shown]]] = {
    "token": _token,
    "header": _header,
    "inspect": _inspect,
}

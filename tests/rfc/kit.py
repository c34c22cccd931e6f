"""A strategy and the endpoint that it asks, as the tests of the RFCs need them."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import unquote_plus

from client_credentials import (
    ClientAuthentication,
    ClientCredentialsStrategy,
    InMemoryCachingStrategy,
    SdkConfiguration,
    TokenError,
)
from client_credentials.testing import Answer, FakeClock, ReceivedRequest, TokenServer

ID: Final = "s6BhdRkqt3"  # RFC 6749's own examples
SECRET: Final = "7Fjfp0ZBr1KtDRbnfVdmIw"


BY_SECRET: Final = (ClientAuthentication.BASIC, ClientAuthentication.BASIC_RAW, ClientAuthentication.POST)


def make(
    url: str, client_id: str = ID, client_secret: str | None = SECRET, **arguments: Any
) -> ClientCredentialsStrategy:
    """A strategy for the endpoint at this URL; it has no secret where a TLS certificate is the proof."""
    if arguments.get("client_authentication") is ClientAuthentication.TLS:
        client_secret = None
    return ClientCredentialsStrategy(client_id, client_secret, token_url=url, **arguments)


def sent(server: TokenServer, **arguments: Any) -> ReceivedRequest:
    """The one request that a strategy makes for its first token, as the endpoint received it."""
    before = len(server.requests)
    make(server.url, **arguments).get_or_create_access_token()
    (request,) = server.requests[before:]
    return request


def failed(server: TokenServer, *answers: Answer, **arguments: Any) -> TokenError:
    """The error that a strategy makes of these answers."""
    server.answer(*answers)
    try:
        make(server.url, **arguments).get_or_create_access_token()
    except TokenError as error:
        return error
    raise AssertionError("no error was raised")


def timed(server: TokenServer, **arguments: Any) -> tuple[ClientCredentialsStrategy, FakeClock]:
    """A strategy, and the clock by which it goes."""
    clock = FakeClock()
    strategy = make(server.url, **arguments)
    strategy.set_configuration(SdkConfiguration(clock=clock, caching_strategy=InMemoryCachingStrategy(clock=clock)))
    return strategy, clock


def basic(request: ReceivedRequest) -> tuple[str, str]:
    """The id and the secret in a request's header, decoded as the RFC asks."""
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    assert "Basic" == scheme
    user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    return unquote_plus(user), unquote_plus(password)

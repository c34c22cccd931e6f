"""Servers that say our secrets back to us, wherever an answer has room, in every form, across every cut."""

from __future__ import annotations

import base64
import html
import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Final
from urllib.parse import quote, quote_plus

import attrs
import pytest

from client_credentials import (
    AccessToken,
    ClientAuthentication,
    ClientCredentialsStrategy,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
)
from client_credentials._core.redaction import readings
from client_credentials._core.request import token_request
from client_credentials.testing import Answer, FakeClock, TokenServer
from tests.core.kit import make
from tests.leaks.canaries import forms
from tests.leaks.surfaces import shown
from tests.shell.kit import EXACT, configuration, until

SECRET: Final = 'pl+us/ö"quo\\te %41&='  # every kind of character that some encoder treats in its own way
TOKEN: Final = "a-t0ken+that/is~answered=="
HASTY: Final = RenewalPolicy(deadline=0.5, jitter=0)  # which leaves no time for a second attempt

FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "raw": str,
    "shouted": str.upper,
    "percent": lambda text: quote(text, safe=""),
    "percent-of-a-path": quote,
    "percent-in-lower-case": lambda text: quote(text, safe="").lower(),
    "percent-of-a-form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-of-a-url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "percent-twice": lambda text: quote(quote(text, safe=""), safe=""),
    "base64-of-more": lambda text: base64.b64encode(f"id:{text}&more".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "html": html.escape,
    "cut": lambda text: text[:12],
    "json": lambda text: json.dumps(text)[1:-1],
    "json-unescaped": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
}

Place = Callable[[int, str], bytes]


def head(status: int, fields: str, phrase: str = "Odd") -> bytes:
    """Give the head of an answer; what is not ASCII goes out as UTF-8."""
    return f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\n{fields}\r\n".encode()


def document(status: int, **members: object) -> bytes:
    """Give an answer with a JSON object."""
    return head(status, "Content-Type: application/json\r\n") + json.dumps(members).encode()


PLACES: Final[Mapping[str, Place]] = {
    "error": lambda status, echo: document(status, error=echo),
    "error_description": lambda status, echo: document(status, error="invalid_client", error_description=echo),
    "error_uri": lambda status, echo: document(
        status, error="invalid_client", error_uri=f"https://x.example/?q={echo}"
    ),
    "message": lambda status, echo: document(status, error={"status": status, "message": echo}),
    "WWW-Authenticate": lambda status, echo: head(status, f'WWW-Authenticate: Basic realm="{echo}"\r\n') + b"{}",
    "Location": lambda status, echo: head(status, f"Location: https://{echo}/{echo}\r\n"),
    "Content-Type": lambda status, echo: head(status, f"Content-Type: {echo}/{echo}; {echo}\r\n") + b"<html>",
    "subtype": lambda status, echo: head(status, f"Content-Type: text/{echo}\r\n") + b"<html>",
    "reason phrase": lambda status, echo: head(status, "", echo) + b"no",
    "Retry-After": lambda status, echo: head(status, f"Retry-After: {echo}\r\nDate: {echo}\r\n"),
    "header name": lambda status, echo: head(status, f"X-{echo.replace(':', '')}: 1\r\n"),
    "Content-Encoding": lambda status, echo: head(status, f"Content-Encoding: {echo}\r\n"),
    "Transfer-Encoding": lambda status, echo: head(status, f"Transfer-Encoding: {echo}\r\n"),
    "Content-Length": lambda status, echo: head(status, f"Content-Length: {echo}\r\n"),
    "status line": lambda status, echo: f"HTTP/1.1 {echo} {status}\r\n\r\n".encode(),
    "chunk size": lambda status, echo: head(status, "Transfer-Encoding: chunked\r\n") + f"{echo}\r\n".encode(),
    "no http": lambda _, echo: f"{echo}\r\n\r\n".encode(),
    "html": lambda status, echo: head(status, "Content-Type: text/html\r\n") + f"<h1>{echo}</h1>".encode(),
    "member name": lambda status, echo: document(status, **{echo: 1, "token_type": "bearer"}),
    "access_token": lambda status, echo: document(status, access_token=f"{echo} {echo}"),
    "token_type": lambda status, echo: document(status, access_token="t0ken-1", token_type=echo),
    "expires_in": lambda status, echo: document(status, access_token="t0ken-1", token_type="bearer", expires_in=echo),
}


@cache
def pieces(secret: str) -> set[str]:
    """Give every ten characters in a row of every form of a secret: a cut leaves no half of one."""
    texts = {text for text, form in forms(secret).items() if "digest" not in form}
    return {text[at : at + 10] for text in texts for at in range(len(text) - 9)}


def seen(text: str, secret: str) -> list[str]:
    """Give the pieces of a secret that a text shows in some reading."""
    whole = "\n".join(readings(text))
    return [piece for piece in pieces(secret) if piece in whole]


def harmless(error: TokenError, *secrets: str) -> None:
    """Hold an error, and all that it shows, to what it may say."""
    texts = "\n".join(text for _, text in shown(error))
    assert [] == [piece for secret in secrets for piece in seen(texts, secret)]


def told(server: TokenServer, authentication: ClientAuthentication = ClientAuthentication.BASIC) -> TokenError:
    """Ask for a token, and give the error."""
    strategy = ClientCredentialsStrategy(
        "a-client", SECRET, token_url=server.url, client_authentication=authentication, policy=HASTY
    )
    with pytest.raises(TokenError) as caught:
        strategy.get_or_create_access_token()
    return caught.value


def basic(authentication: ClientAuthentication) -> str:
    """Give the Basic credential of the client."""
    client = make(client_id="a-client", authentication=authentication)
    return token_request(client, SECRET, 1.0).headers["Authorization"].removeprefix("Basic ")


@pytest.fixture(scope="module", name="endpoint")
def _endpoint() -> TokenServer:
    return TokenServer("a-client", SECRET)


@pytest.fixture(autouse=True)
def _serving(endpoint: TokenServer, caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.DEBUG)
    with endpoint:
        endpoint.always(None)
        yield
    for secret in (SECRET, basic(ClientAuthentication.BASIC)):
        assert [] == seen(caplog.text, secret)


@pytest.mark.parametrize(
    ("place", "form"),
    sorted({*product(PLACES, ("raw", "percent", "base64")), *product(("error_description", "Location"), FORMS)}),
)
def test_the_secret_in_an_answer(endpoint: TokenServer, place: str, form: str) -> None:
    """O6, O9: a server that repeats the secret, anywhere and in any form, gets no ten characters into an error."""
    for status in (400, 200, 307):
        endpoint.always(Answer(raw=PLACES[place](status, FORMS[form](SECRET))))
        harmless(told(endpoint), SECRET)


@pytest.mark.parametrize(
    ("place", "form"), sorted({*product(PLACES, ("raw",)), *product(("error_description",), FORMS)})
)
@pytest.mark.parametrize("authentication", [ClientAuthentication.BASIC, ClientAuthentication.BASIC_RAW])
def test_the_credential_in_an_answer(
    endpoint: TokenServer, place: str, form: str, authentication: ClientAuthentication
) -> None:
    """O6, O9: the same for the Authorization header, in each of its two encodings."""
    credential = basic(authentication)
    endpoint.always(Answer(raw=PLACES[place](401, f"Basic {FORMS[form](credential)}")))
    harmless(told(endpoint, authentication), SECRET, credential)


@pytest.mark.parametrize("place", ["error", "error_description", "error_uri", "message", "WWW-Authenticate"])
@pytest.mark.parametrize("form", ["raw", "percent", "base64"])
def test_a_cut_through_a_secret(endpoint: TokenServer, place: str, form: str) -> None:
    """O6, H6: what is cut at 256 or 4096 characters is looked at first, wherever the cut falls."""
    echo = FORMS[form](SECRET)
    for cut in (256, 4096):
        before = cut - len(echo) // 2
        endpoint.always(Answer(raw=PLACES[place](400, "x" * before + echo * 3)))
        error = told(endpoint)
        harmless(error, SECRET)
        assert len(str(error)) < 900


@pytest.mark.parametrize("place", ["error", "error_description", "error_uri"])
@pytest.mark.parametrize("form", ["raw", "percent", "base64", "json"])
def test_a_token_that_is_refused(endpoint: TokenServer, place: str, form: str) -> None:
    """O6: an answer that holds a token beside its refusal does not get it into the error."""
    raw = PLACES[place](200, FORMS[form](TOKEN))
    spoken = json.loads(raw.partition(b"\r\n\r\n")[2])
    endpoint.always(Answer(body={"error": "server_error", **spoken, "access_token": TOKEN}))
    harmless(told(endpoint), TOKEN)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("form", ["raw", "percent", "base64", "hex"])
def test_a_token_of_before(endpoint: TokenServer, form: str, removes: bool) -> None:
    """O6: what an error says of a token that is held, or was, is hushed, in the log of a renewal as well."""
    errors: list[TokenError] = []
    clock = FakeClock()
    strategy = ClientCredentialsStrategy("a-client", SECRET, token_url=endpoint.url, policy=EXACT)
    strategy.set_configuration(configuration(clock, error_handler=errors.append))
    token = strategy.get_or_create_access_token()
    endpoint.always(Answer(raw=document(400, error=FORMS[form](token.access_token))))
    if removes:
        strategy.remove_access_token()
        with pytest.raises(TokenError):
            strategy.get_or_create_access_token()
    else:
        clock.advance(3500)
        assert token == strategy.get_or_create_access_token()
    until(lambda: errors)
    harmless(errors[0], token.access_token)
    assert "**********" in str(errors[0])


@pytest.mark.parametrize("form", FORMS)
def test_a_grant_that_repeats_the_secret(endpoint: TokenServer, form: str) -> None:
    """O1: a server that grants a token and repeats the secret beside it gets it neither into a repr nor into a cache.

    Other members are kept. The leak test looks at what is kept.
    """
    echo = FORMS[form](SECRET)
    said = {"client_secret": echo, "deep": [{"request": {"auth": f"Basic {echo}"}}], echo: 1, "kept": "as it was"}
    sound = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 60}
    endpoint.always(Answer(body={**sound, **said, "scope": "a b"}))
    strategy = ClientCredentialsStrategy("a-client", SECRET, token_url=endpoint.url, scopes=("mine",))
    token = strategy.get_or_create_access_token()
    assert ({"kept": "as it was"}, "a b") == (token.extra, token.scope)
    endpoint.always(Answer(body={**sound, "scope": echo}))
    strategy.remove_access_token()
    assert AccessToken(TOKEN, "Bearer", 60, 0, "mine") == attrs.evolve(strategy.get_or_create_access_token(), expires=0)


def test_what_is_not_looked_at_is_not_kept(endpoint: TokenServer) -> None:
    """O1: a member whose repr fails, which a user's deserializer may make, is left out of the token."""

    class Unspeakable:
        def __repr__(self) -> str:
            raise LookupError(SECRET)

    def read(_: object) -> dict[str, object]:
        return {"access_token": TOKEN, "token_type": "bearer", "odd": Unspeakable(), "even": 2}

    strategy = ClientCredentialsStrategy("a-client", SECRET, token_url=endpoint.url)
    strategy.set_configuration(SdkConfiguration(deserializer=read))
    assert {"even": 2} == strategy.get_or_create_access_token().extra

"""`client-credentials doctor`: takes each step of a token request by itself, and says what to change."""

from __future__ import annotations

import argparse
import json
import ssl
import time
from collections.abc import Generator
from typing import Final

import attrs

from .._core.lifecycle import hold
from .._core.model import (
    Client,
    ClientAuthentication,
    Granted,
    RenewalPolicy,
    TokenRequest,
    TokenResponse,
    without_query,
)
from .._core.refusal import SECRET_MEMBERS
from .._core.request import hidden_of
from .._core.secret import Secret
from .._core.state import Asked, Instant
from .._http.fetch import Urllib3Fetch
from .._http.trust import new_context
from .._shell.driver import run_sync
from .._shell.request import attempt
from ..configuration import SdkConfiguration, json_object
from ..errors import InvalidTokenResponse, TokenError, error_of
from . import checks
from .advice import UNSEEN, advice
from .arguments import Parser, authentication_of, client_of, read_secret, tls_context
from .checks import Finding, bad, ok, warn
from .connection import STEP_SECONDS, connection_steps
from .issuer import ISSUER_ADVICE, find_metadata, what_failed
from .output import DONE, FAILED, say

_BY_SECRET: Final = (ClientAuthentication.BASIC, ClientAuthentication.BASIC_RAW, ClientAuthentication.POST)


def options(parser: Parser) -> None:
    """Add the doctor's own option."""
    text = "also send a request for each other --auth with a secret; up to two may count as failed logins"
    parser.add_argument("--try-all", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each step; the exit status says whether there is a token in the end."""
    context = tls_context(arguments)
    doctor = _Doctor(arguments, read_secret(arguments), Urllib3Fetch(ssl_context=context), context)
    client_of(arguments)  # raises UsageError before anything is sent
    found: list[Finding] = []
    for finding in doctor.findings():
        found.append(finding)
        if not arguments.json:
            rest = f"\n      -> {finding.advice}" if finding.advice else ""
            say(f"{finding.status:<4}  {finding.step:<9} {finding.seen}{rest}")
    is_well = all(finding.status != "bad" for finding in found)
    if arguments.json:
        say(json.dumps({"ok": is_well, "findings": [attrs.asdict(finding) for finding in found]}))
    return DONE if is_well else FAILED


@attrs.frozen
class _Doctor:
    """The steps of an examination, one after the other; the network is only touched as they are asked for."""

    arguments: argparse.Namespace
    secret: Secret
    fetch: Urllib3Fetch
    context: ssl.SSLContext | None

    def findings(self) -> Generator[Finding]:
        """Yield each finding as soon as it is made; steps that cannot work after a bad one are left out."""
        early = () if self.arguments.token_url else (self._metadata,)
        for step in (*early, self._connection):
            for finding in step():
                yield finding
                if finding.status == "bad":
                    return
        if not early:
            yield from self._metadata()
        yield from self._answer()
        if self.arguments.try_all:
            yield from self._other_authentications()

    def _metadata(self) -> Generator[Finding]:
        """Find the endpoint that the issuer names, if one is given; compare it with --token-url, if given too."""
        if not self.arguments.issuer:
            return
        given: str | None = self.arguments.token_url
        try:
            named = find_metadata(self.arguments, self.fetch, STEP_SECONDS)
        except TokenError as error:
            # Some servers publish none, and grant tokens all the same.
            is_none = given and not (isinstance(error, InvalidTokenResponse) and error.status == 200)
            yield (warn if is_none else bad)("metadata", what_failed(error), ISSUER_ADVICE)
            return
        text = f"the token endpoint is {without_query(named.token_url)}"
        if given in (None, named.token_url):
            yield ok("metadata", text)
        else:
            yield bad("metadata", text, "check --token-url and --issuer")
        self.arguments.token_url = given or named.token_url
        yield from checks.authentication(authentication_of(self.arguments).value, named.token_endpoint_auth_methods)

    def _connection(self) -> Generator[Finding]:
        return connection_steps(client_of(self.arguments).token_url, self.context or new_context())

    def _answer(self) -> Generator[Finding]:
        client = client_of(self.arguments)
        response, outcome = self._ask(client)
        yield from checks.clock(response.header("Date") or "", time.time())
        if isinstance(outcome, TokenError):
            is_redirect = isinstance(outcome, InvalidTokenResponse) and 300 <= (outcome.status or 0) < 400
            yield bad("redirect" if is_redirect else "answer", str(outcome), advice(outcome, response))
            return
        token = hold(outcome, Asked.here(Instant(time.time(), 0.0)), RenewalPolicy(), 0.0, client.scopes).token
        text = token.access_token
        yield ok("token", f"Bearer, {len(text)} characters, {'a JWT' if checks.jwt_claims(text) else 'opaque'}")
        for remark in outcome.remarks:
            yield warn("remark", remark, "nothing, if this is intended")
        document = json_object(response)
        hidden = hidden_of(client, self.secret).beside(map(document.get, SECRET_MEMBERS))
        yield checks.scope(client.scopes, token.scope and hidden.shown(token.scope))
        yield checks.members(document, hidden)
        yield from checks.lifetime(outcome.expires_in, token.expires_in, text, time.time())

    def _other_authentications(self) -> Generator[Finding]:
        given = authentication_of(self.arguments)
        if given not in _BY_SECRET:
            yield ok("try-all", "without a secret there is no other --auth to try")
            return
        others = [each for each in _BY_SECRET if each is not given]
        yield ok("try-all", f"{len(others)} more requests, each of which may count as a failed login")
        for other in others:
            response, outcome = self._ask(client_of(self.arguments, other))
            if isinstance(outcome, TokenError):
                yield warn(other.value, str(outcome), advice(outcome, response))
            else:
                yield ok(other.value, "gets a token")

    def _ask(self, client: Client) -> tuple[TokenResponse, Granted | TokenError]:
        """Make one token request."""
        seen = [UNSEEN]

        def see(_: TokenRequest, response: TokenResponse) -> None:
            seen.append(response)

        configuration = SdkConfiguration(fetch=self.fetch, after_request=see)
        seconds: float = self.arguments.timeout
        outcome = run_sync(attempt(client, self.secret, configuration, self.fetch, seconds, tuple[str, ...])).outcome
        return seen[-1], outcome if isinstance(outcome, Granted) else error_of(outcome, outcome.retry_after, client)

"""`client-credentials doctor`: takes each step of a token request by itself, and says what to change."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Generator
from typing import Final
from urllib.parse import urlsplit

import attrs

from .._core.model import AccessToken, ClientAuthentication, TokenRequest, TokenResponse, without_query
from .._core.secret import Secret
from .._http.fetch import Urllib3Fetch
from ..configuration import SdkConfiguration, accept_success, json_object
from ..errors import InvalidTokenResponse, TokenError
from ..strategy import ClientCredentialsStrategy
from . import checks
from .advice import advice
from .answer import Answer, shape_of
from .arguments import fetch_of, read_secret, strategy_of, tls_context, way_of
from .checks import Finding, Status, bad, ok, warn
from .endpoint import find_endpoint, is_given
from .observe import STEP_SECONDS, way_to
from .output import DONE, FAILED, Remarks, say

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
_BY_SECRET: Final = (ClientAuthentication.BASIC, ClientAuthentication.BASIC_RAW, ClientAuthentication.POST)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each step; the exit status says whether there is a token in the end."""
    doctor = Doctor(arguments, read_secret(arguments), fetch_of(arguments))
    doctor.check_arguments()
    found: list[Finding] = []
    for finding in doctor.findings():
        found.append(finding)
        if not arguments.json:
            rest = f"\n      -> {finding.advice}" if finding.advice else ""
            say(f"{finding.status.value:<4}  {finding.step:<9} {finding.seen}{rest}")
    is_well = all(finding.status is not Status.BAD for finding in found)
    if arguments.json:
        lines = [{**attrs.asdict(finding), "status": finding.status.value} for finding in found]
        say(json.dumps({"ok": is_well, "findings": lines}))
    return DONE if is_well else FAILED


@attrs.define
class OneRequest:
    """A fetch that sends one request and has nothing retried; keeps the shape of what came back."""

    fetch: Urllib3Fetch
    secret: Secret
    answer: Answer = attrs.field(factory=Answer)

    def __call__(self, request: TokenRequest) -> TokenResponse:
        try:
            response = self.fetch(request)
            self.answer = shape_of(response, self.secret)
            accept_success(response)
        except TokenError as error:
            error.retryable = False
            raise
        return response


@attrs.frozen
class Doctor:
    """The steps of an examination, one after the other; the network is only touched as they are asked for."""

    arguments: argparse.Namespace
    secret: Secret
    fetch: Urllib3Fetch

    def check_arguments(self) -> None:
        """Raise UsageError for arguments that make no client."""
        self._strategy(OneRequest(self.fetch, self.secret), None)

    def findings(self) -> Generator[Finding]:
        """Give each finding as soon as it is made; what cannot work after a bad one is left out."""
        arguments = self.arguments
        is_compared = is_given(arguments)
        if arguments.issuer and not is_compared:
            if problem := find_endpoint(arguments, self.fetch, STEP_SECONDS):
                yield bad("metadata", problem, "check --issuer, or give --token-url")
                return
            yield ok("metadata", f"the token endpoint is {without_query(arguments.token_url)}")
        is_passable = True
        for finding in way_to(str(arguments.token_url), tls_context(arguments)):
            is_passable = finding.status is not Status.BAD
            yield finding
        if not is_passable:
            return
        if arguments.issuer and is_compared:
            yield from self._metadata(arguments.issuer)
        yield from self._answer()
        if arguments.try_all:
            yield from self._other_ways()

    def _metadata(self, issuer: str) -> Generator[Finding]:
        parts = urlsplit(issuer)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            yield bad("metadata", "the issuer is no https URL without query and fragment", "check --issuer (RFC 8414)")
            return
        url = f"https://{parts.netloc}{_WELL_KNOWN}{parts.path.rstrip('/')}"
        try:
            response = self.fetch(TokenRequest("GET", url, {"Accept": "application/json"}, b"", STEP_SECONDS))
            accept_success(response)
            document = json_object(response)
        except TokenError as error:
            yield warn("metadata", f"none at {url}: {error}", "check --issuer; some servers publish none there")
            return
        yield from checks.metadata(document, issuer, self.arguments.token_url, way_of(self.arguments).value)

    def _answer(self) -> Generator[Finding]:
        answer, outcome = self._ask(None)
        if answer.date is not None:
            yield checks.clock(answer.date, time.time())
        if isinstance(outcome, TokenError):
            is_redirect = isinstance(outcome, InvalidTokenResponse) and 300 <= (outcome.status or 0) < 400
            yield bad("redirect" if is_redirect else "answer", str(outcome), _advice(outcome, answer))
            return
        token = outcome.access_token
        kind = "a JWT" if checks.jwt_claims(token) else "opaque"
        yield ok("token", f"{outcome.token_type}, {len(token)} characters, {kind}")
        for remark in answer.remarks:
            yield warn("remark", remark, "nothing, if that is meant")
        yield checks.scope(" ".join(self.arguments.scope).split(), outcome.scope)
        yield checks.members(answer.members)
        yield from checks.lifetime(answer.stated, outcome.expires_in, token, time.time())

    def _other_ways(self) -> Generator[Finding]:
        if way_of(self.arguments) not in _BY_SECRET:
            yield ok("try-all", "there is one way without a secret")
            return
        others = [way for way in _BY_SECRET if way is not way_of(self.arguments)]
        yield ok("try-all", f"{len(others)} more requests, each of which may count as a failed login")
        for way in others:
            answer, outcome = self._ask(way)
            if isinstance(outcome, TokenError):
                yield warn(way.value, str(outcome), _advice(outcome, answer))
            else:
                yield ok(way.value, "gets a token")

    def _strategy(self, fetch: OneRequest, way: ClientAuthentication | None) -> ClientCredentialsStrategy:
        return strategy_of(self.arguments, self.secret, SdkConfiguration(fetch=fetch), way)

    def _ask(self, way: ClientAuthentication | None) -> tuple[Answer, AccessToken | TokenError]:
        fetch = OneRequest(self.fetch, self.secret)
        strategy = self._strategy(fetch, way)
        outcome: AccessToken | TokenError
        with Remarks():
            try:
                outcome = strategy.get_or_create_access_token()
            except TokenError as error:
                outcome = error
        return fetch.answer, outcome


def _advice(error: TokenError, answer: Answer) -> str:
    return advice(error, answer) if answer.retry_after is None else f"try again in {answer.retry_after} s"

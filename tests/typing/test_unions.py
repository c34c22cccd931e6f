"""Which answers there are: each union is closed, so that a checker sees when one of its cases is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import pytest

from client_credentials import AccessToken, ClientAuthentication, ClientCredentialsStrategy, TokenError
from client_credentials._core.lifecycle import Ask, Decision, Fail, Renew, Serve, decide
from client_credentials._core.model import Failure, Granted, HookFailed, Malformed, Outcome, Refused, Unreachable
from client_credentials._core.state import EMPTY, Instant
from client_credentials.errors import error_of
from client_credentials.testing import Answer

TOKEN = AccessToken("a-token", "Bearer", 3600, 1_700_000_000_000)
UNREACHABLE = Unreachable(reason="why")
REFUSED = Refused(status=400)
MALFORMED = Malformed(status=200, reason="why")
HOOK_FAILED = HookFailed(hook="fetch", kind="raised LookupError")


def of_a_look(token: AccessToken | None) -> str:
    """Name the cases of `get_access_token`."""
    match token:
        case AccessToken():
            return "token"
        case None:
            return "none"
        case _:
            assert_never(token)


def of_an_authentication(way: ClientAuthentication) -> str:
    """Name the ways of client authentication."""
    match way:
        case ClientAuthentication.BASIC:
            return "basic"
        case ClientAuthentication.BASIC_RAW:
            return "basic-raw"
        case ClientAuthentication.POST:
            return "post"
        case ClientAuthentication.ASSERTION:
            return "assertion"
        case ClientAuthentication.TLS:
            return "tls"
        case _:
            assert_never(way)


def of_a_body(body: bytes | Mapping[str, object] | None) -> str:
    """Name the bodies that a scripted answer may have."""
    match body:
        case bytes():
            return "bytes"
        case Mapping():
            return "members"
        case None:
            return "judged"
        case _:
            assert_never(body)


def of_a_failure(failure: Failure) -> str:
    """Name the failures; each is one leaf of TokenError."""
    match failure:
        case Refused():
            return "TokenRefused"
        case Malformed():
            return "InvalidTokenResponse"
        case Unreachable():
            return "TokenEndpointUnreachable"
        case HookFailed():
            return "HookError"
        case _:
            assert_never(failure)


def of_an_outcome(outcome: Outcome) -> str:
    """Name what an attempt may come to."""
    match outcome:
        case Granted():
            return "granted"
        case Refused() | Malformed() | Unreachable() | HookFailed():
            return of_a_failure(outcome)
        case _:
            assert_never(outcome)


def of_a_decision(decision: Decision) -> str:
    """Name what may be done for one who asks."""
    match decision:
        case Serve():
            return "serve"
        case Renew():
            return "renew"
        case Ask():
            return "ask"
        case Fail():
            return "fail"
        case _:
            assert_never(decision)


def test_a_look() -> None:
    """There is a good token or there is none, and nothing else to tell."""
    strategy = ClientCredentialsStrategy("an-id", "a-secret")
    assert ["token", "none"] == [of_a_look(TOKEN), of_a_look(strategy.get_access_token())]


def test_authentication() -> None:
    """There are five ways of client authentication, and their values are their names on the command line."""
    assert [way.value for way in ClientAuthentication] == [of_an_authentication(way) for way in ClientAuthentication]


def test_bodies() -> None:
    """A scripted answer has bytes, the members of a document, or leaves the endpoint to judge."""
    answers = (Answer(body=b""), Answer(body={}), Answer())
    assert ["bytes", "members", "judged"] == [of_a_body(answer.body) for answer in answers]


@pytest.mark.parametrize("failure", [REFUSED, MALFORMED, UNREACHABLE, HOOK_FAILED])
def test_failures(failure: Failure) -> None:
    """Each failure is raised as the leaf of TokenError that has its name, and there is no fifth leaf."""
    error = error_of(failure)
    assert of_a_failure(failure) == of_an_outcome(failure) == type(error).__name__
    assert 4 == len([leaf for leaf in TokenError.__subclasses__() if leaf.__module__ == TokenError.__module__])


def test_what_may_happen() -> None:
    """An attempt is granted or fails, and who asks is served, waits or is told why not."""
    assert "granted" == of_an_outcome(Granted(access_token="a-token", expires_in=None, scope=None))
    fail = Fail(UNREACHABLE, 1.0)
    decisions = (Serve(TOKEN, 1.0), Renew(TOKEN), decide(EMPTY, Instant(0.0, 0.0)), fail)
    assert ["serve", "renew", "ask", "fail"] == [of_a_decision(each) for each in decisions]

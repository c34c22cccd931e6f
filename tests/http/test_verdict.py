"""What an exception means, where no peer could bring it about at will."""

from __future__ import annotations

import errno
from http.client import HTTPException

import pytest

from client_credentials._core.model import Failure, Malformed, Unreachable
from client_credentials._http.verdict import verdict_of
from client_credentials._http.wire import Exchange

CASES = [
    (OSError(errno.EHOSTUNREACH, "?"), None, Unreachable(reason="request: EHOSTUNREACH")),
    (OSError("odd"), None, Unreachable(reason="request: OSError")),
    (OSError(errno.EIO, "?"), 200, Unreachable(reason="request: truncated (EIO)")),
    (HTTPException(), 200, Malformed(status=200, reason="request: not HTTP (HTTPException)")),
    (LookupError(), None, Unreachable(reason="request: LookupError", retryable=False)),
]


@pytest.mark.parametrize(("error", "status", "failure"), CASES)
def test_what_an_exception_means(error: Exception, status: int | None, failure: Failure) -> None:
    """It is told by its stage, and by its errno or its class; an exchange that has a status keeps it."""
    exchange = Exchange.begin("https://issuer.example/", 5.0)
    exchange.stage, exchange.status = "request", status
    assert failure == verdict_of(error, exchange)

"""The token endpoint of `--issuer`, in place of `--token-url`."""

from __future__ import annotations

import argparse

import attrs

from .._core.model import TokenRequest, TokenResponse
from .._http.fetch import Urllib3Fetch
from ..errors import TokenError
from .arguments import UsageError, client_options, usage_error


def is_given(arguments: argparse.Namespace) -> bool:
    """Tell whether `--token-url` was given."""
    return bool(arguments.token_url != client_options().get_default("token_url"))


def find_endpoint(arguments: argparse.Namespace, fetch: Urllib3Fetch, seconds: float) -> str | None:
    """Put the token endpoint of the issuer, if one is given, into the arguments; gives what is wrong with its metadata.

    Each request takes so many seconds at most. Raises UsageError.
    """
    if arguments.issuer is None:
        return None
    if is_given(arguments):
        raise UsageError("--issuer: must not be combined with --token-url")
    from ..discovery import discover

    def bounded(request: TokenRequest) -> TokenResponse:
        return fetch(attrs.evolve(request, timeout=min(request.timeout, seconds)))

    try:
        arguments.token_url = discover(arguments.issuer, fetch=bounded).token_url
    except ValueError as error:
        raise usage_error(error) from None
    except TokenError as error:
        return str(error).replace("check the issuer, or give token_url yourself", "check --issuer, or give --token-url")
    return None

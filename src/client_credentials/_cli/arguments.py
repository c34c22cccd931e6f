"""The arguments of the commands, and the client that they describe. The secret is never an argument."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from .._core.client import SPOTIFY_TOKEN_URL, check_secret, make_client
from .._core.metadata import check_issuer
from .._core.model import Client, ClientAuthentication, RenewalPolicy
from .._core.secret import NO_SECRET, Secret
from ..assertions import AssertionFile

if TYPE_CHECKING:
    import ssl

ANY_ID, ANY_SECRET = "CLIENT_CREDENTIALS_ID", "CLIENT_CREDENTIALS_SECRET"
TOKEN_URL: Final = "CLIENT_CREDENTIALS_TOKEN_URL"
SPOTIFY_ID, SPOTIFY_SECRET = "SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"

# What a ValueError says to users of the library, and what the command line says; longer texts come first.
_OPTIONS: Final[Mapping[str, str]] = {
    "ClientAuthentication.ASSERTION": "--assertion-file",
    "ClientAuthentication.BASIC_RAW": "--auth basic-raw",
    "the client_authentication argument": "--auth",
    "the client_secret argument": "--secret-file or --secret-stdin",
    "the client_id argument": "--client-id",
    "the audience argument": "--audience",
    "the scopes argument": "--scope",
    "client_secret": "the client secret",
    "token_url": "--token-url",
    "scopes": "--scope",
    "resources": "--resource",
    "extra_params": "--param",
    "headers": "--header",
    "deadline": "--timeout",
    "renew_ahead": "--renew-ahead",
}
# What must not be "contained" is a parameter or header of the request, not an argument.
_IN_AN_ERROR = re.compile(rf"(?<!contain )\b(?:{'|'.join(map(re.escape, _OPTIONS))})\b|^\w+")
_OPTION_NAME = re.compile(r"--[a-z][a-z_-]*(?==|$)|-[A-Za-z]")


class UsageError(Exception):
    """The arguments contradict themselves or lack something; the text names the option and quotes no value."""

    @classmethod
    def of(cls, error: ValueError) -> UsageError:
        """Name the options in place of the arguments that a ValueError names."""

        def option(name: re.Match[str]) -> str:
            return _OPTIONS.get(name[0]) or f"--{name[0].replace('_', '-')}"

        return cls(_IN_AN_ERROR.sub(option, str(error)))


class Parser(argparse.ArgumentParser):
    """A parser whose errors quote no value: it may be a secret that was passed by mistake."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, the usage of this command, and the part of the message that is argparse's own."""
        if getattr(sys, "stderr", None) is None:
            self.exit(2)  # argparse would print the usage to the standard output
        text = re.split("['\"]", message, maxsplit=1)[0].rstrip(": ")
        if text.endswith("invalid choice"):
            choices = message.rpartition("(choose from ")[2].rstrip(")").replace("'", "")
            text = f"{text}: must be one of {choices}{'; options come after it' if 'COMMAND' in text else ''}"
        super().error(text)


def client_options(parser: Parser) -> None:
    """Add the options that say who the client is and what is asked for."""
    add = parser.add_argument
    add("--client-id", metavar="ID", help=f"default: {ANY_ID} in the environment, or {SPOTIFY_ID}")
    secret = parser.add_mutually_exclusive_group()
    text = f"file that holds the secret; default: {ANY_SECRET} in the environment, or {SPOTIFY_SECRET}"
    secret.add_argument("--secret-file", metavar="FILE", type=_path, help=text)
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from the standard input")
    text = "file that holds an assertion, in place of the secret; implies --auth assertion"
    secret.add_argument("--assertion-file", metavar="FILE", type=_path, help=text)
    add("--token-url", metavar="URL", help=f"default: {TOKEN_URL} in the environment, else {SPOTIFY_TOKEN_URL}")
    text = "find the endpoint in this issuer's metadata (RFC 8414); doctor: or compare"
    add("--issuer", metavar="URL", type=_issuer, help=text)
    add("--scope", action="append", default=[], help="space-separated; repeatable")
    add("--audience", help="API that the token is for")
    add("--resource", metavar="URI", action="append", default=[], help="the same by RFC 8707; repeatable")
    add("--param", metavar="NAME=VALUE", action="append", default=[], help="send one more parameter; repeatable")
    add("--header", metavar="NAME=VALUE", action="append", default=[], help="send one more header; repeatable")
    text = "default: basic; with tls there is no secret, but a --client-cert"
    add("--auth", choices=[each.value for each in ClientAuthentication], help=text)
    text = "PEM file that holds the client's certificate and key (RFC 8705)"
    add("--client-cert", metavar="FILE", type=_path, help=text)
    text, seconds = "retries included; default: %(default)g", partial(_seconds, "deadline")
    add("--timeout", metavar="SECONDS", type=seconds, default=10.0, help=text)
    json_option(parser)


def cache_options(parser: Parser) -> None:
    """Add the options of the commands that can keep a token."""
    parser.add_argument("--cache", metavar="DIR", type=_path, help="keep the token in this directory for the next call")
    text = "renew a cached token that has less than this left (at most half its lifetime); default: %(default)g"
    seconds = partial(_seconds, "renew_ahead")
    parser.add_argument("--min-lifetime", metavar="SECONDS", type=seconds, default=300.0, help=text)


def json_option(parser: Parser) -> None:
    """Add the option of the commands that print data."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def client_of(arguments: argparse.Namespace, authentication: ClientAuthentication | None = None) -> Client:
    """Make the client that the arguments describe; `authentication` outranks theirs. Raises UsageError."""
    client_id = arguments.client_id or _environment(ANY_ID, SPOTIFY_ID)
    if not client_id:
        raise UsageError(f"--client-id must be given, or {ANY_ID} or {SPOTIFY_ID} set")
    authentication = authentication or authentication_of(arguments)
    try:
        return make_client(
            client_id,
            token_url=arguments.token_url or os.environ.get(TOKEN_URL) or SPOTIFY_TOKEN_URL,
            scopes=" ".join(arguments.scope).split(),
            audience=arguments.audience,
            resources=arguments.resource,
            extra_params=_pairs("--param", arguments.param),
            headers=_pairs("--header", arguments.header),
            authentication=authentication,
            has_secret=authentication is not ClientAuthentication.TLS,
        )
    except ValueError as error:
        raise UsageError.of(error) from None


def read_secret(arguments: argparse.Namespace) -> Secret:
    """Read the secret, without the end of its line; a terminal does not show it. Raises UsageError."""
    if authentication_of(arguments) is ClientAuthentication.TLS:
        return NO_SECRET
    secret = _typed() if arguments.secret_stdin and os.isatty(0) else _stored(arguments)
    if not secret:
        raise UsageError(
            f"the client secret: set {ANY_SECRET} or {SPOTIFY_SECRET}, or use --secret-file or --secret-stdin"
        )
    try:
        return Secret(check_secret(secret))
    except ValueError as error:
        raise UsageError.of(error) from None


def authentication_of(arguments: argparse.Namespace) -> ClientAuthentication:
    """How the client authenticates. Raises UsageError for a file that would not be read."""
    authentication = ClientAuthentication(arguments.auth or ("assertion" if arguments.assertion_file else "basic"))
    if arguments.assertion_file and authentication is not ClientAuthentication.ASSERTION:
        raise UsageError("--assertion-file: must not be combined with an --auth other than assertion")
    if authentication is ClientAuthentication.TLS and (arguments.secret_file or arguments.secret_stdin):
        raise UsageError("--auth tls: must not be combined with --secret-file or --secret-stdin")
    return authentication


def tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """Make the TLS context with the client's certificate; None: there is none. Raises UsageError."""
    if arguments.client_cert is None:
        return None
    import ssl

    from .._http.trust import new_context

    context = new_context()
    try:
        context.load_cert_chain(arguments.client_cert)
    except ssl.SSLError:
        raise UsageError("--client-cert: must be a PEM file with a certificate and its key") from None
    except OSError as error:
        raise UsageError(f"--client-cert: {error.strerror}") from None
    return context


def unknown_arguments(words: Sequence[str]) -> str:
    """Say which option is not known; what does not look like the name of one is not quoted."""
    name = next((found[0] for word in words if (found := _OPTION_NAME.match(word))), None)
    text = f"unknown option {name}" if name else "unknown argument"
    if name is None or "secret" in name:
        text += "; a secret is never an argument: use --secret-file or --secret-stdin"
    return text


def _typed() -> str | None:
    from getpass import getpass

    try:
        return getpass("Client secret: ")
    except EOFError:
        return None


def _stored(arguments: argparse.Namespace) -> str | None:
    source = 0 if arguments.secret_stdin else arguments.secret_file
    if source is None:
        return _assertion(arguments.assertion_file) or _environment(ANY_SECRET, SPOTIFY_SECRET)
    try:
        with open(source, encoding="utf-8-sig", closefd=source != 0) as file:
            return file.read().removesuffix("\n")
    except OSError as error:
        raise UsageError(f"the client secret: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError("the client secret: must be UTF-8 text") from None


def _assertion(path: str | None) -> str | None:
    try:
        return AssertionFile(path)() if path else None
    except OSError as error:
        raise UsageError(f"--assertion-file: {error.strerror}") from None
    except ValueError as error:  # which begins with the path
        raise UsageError(f"--assertion-file: {str(error).rpartition(': ')[2]}") from None


def _environment(name: str, spotify_name: str) -> str | None:
    # Never the id of one with the secret of the other: that would show a secret to a server that it is not for.
    is_any = os.environ.get(ANY_ID) or os.environ.get(ANY_SECRET)
    return os.environ.get(name if is_any else spotify_name)


def _seconds(name: str, text: str) -> float:
    """Read the seconds for this argument of a RenewalPolicy."""
    seconds = math.nan
    with suppress(ValueError):
        seconds = float(text)
    try:
        RenewalPolicy(**{"leeway": 0.0, name: seconds})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"{name} ")) from None
    return seconds


def _issuer(text: str) -> str:
    try:
        return check_issuer(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("issuer ")) from None


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must be a path")
    try:
        return str(Path(text).expanduser())  # no shell expands a tilde behind "--cache="
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if not all(name and equals for name, equals, _ in pairs):
        raise UsageError(f"{option} must be NAME=VALUE")
    given = {name: value for name, _, value in pairs}
    if len(given) < len(pairs):
        raise UsageError(f"{option} must give each name once")
    return given

"""The arguments of the commands, and the strategy that they describe. The secret is never an argument."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from .._core.client import SPOTIFY_TOKEN_URL
from .._core.model import ClientAuthentication, RenewalPolicy
from .._core.secret import NO_SECRET, Secret
from .._http.fetch import Urllib3Fetch
from ..configuration import SdkConfiguration
from ..strategy import ClientCredentialsStrategy

if TYPE_CHECKING:
    import ssl

ANY_ID, ANY_SECRET = "CLIENT_CREDENTIALS_ID", "CLIENT_CREDENTIALS_SECRET"
TOKEN_URL: Final = "CLIENT_CREDENTIALS_TOKEN_URL"
CLIENT_ID, CLIENT_SECRET = "SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"
MIN_LIFETIME: Final = 300.0  # seconds; a token that is printed is good for about this long, or for half of its life
_LEEWAY: Final = RenewalPolicy().leeway

# The options behind the arguments that a ValueError names, where they are not spelt like these.
_OPTIONS: Final[Mapping[str, str]] = {
    "client_secret": "the client secret",
    "scopes": "--scope",
    "resources": "--resource",
    "extra_params": "--param",
    "headers": "--header",
    "deadline": "--timeout",
}
_OPTION_NAME = re.compile(r"--[a-z][a-z_-]*(?==|$)|-[A-Za-z]")


class UsageError(Exception):
    """The arguments contradict themselves or lack something; the text names the option and quotes no value."""


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


def client_options() -> Parser:
    """The options that say who the client is and what is asked for, as a parent of the commands' parsers."""
    parser = Parser(add_help=False)
    add = parser.add_argument
    add("--client-id", metavar="ID", help=f"default: {ANY_ID} in the environment, or {CLIENT_ID}")
    secret = parser.add_mutually_exclusive_group()
    text = f"file that holds the secret; default: {ANY_SECRET} in the environment, or {CLIENT_SECRET}"
    secret.add_argument("--secret-file", metavar="FILE", type=_path, help=text)
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from the standard input")
    text = "file that holds an assertion, in place of the secret; implies --auth assertion"
    secret.add_argument("--assertion-file", metavar="FILE", type=_path, help=text)
    text = f"default: {TOKEN_URL} in the environment, else {SPOTIFY_TOKEN_URL}"
    add("--token-url", metavar="URL", default=os.environ.get(TOKEN_URL) or SPOTIFY_TOKEN_URL, help=text)
    add("--issuer", metavar="URL", help="find the endpoint in this issuer's metadata (RFC 8414); doctor: or compare")
    add("--scope", action="append", default=[], help="several with spaces between, or repeated")
    add("--audience", help="API that the token is for")
    add(
        "--resource",
        metavar="URI",
        action="append",
        default=[],
        help="the same by RFC 8707; repeatable",
    )
    add("--param", metavar="NAME=VALUE", action="append", default=[], help="send one more parameter; repeatable")
    add("--header", metavar="NAME=VALUE", action="append", default=[], help="send one more header; repeatable")
    text = "default: %(default)s; with tls there is no secret, but a --client-cert"
    add("--auth", choices=[each.value for each in ClientAuthentication], default="basic", help=text)
    text = "PEM file that holds the client's certificate and key (RFC 8705)"
    add("--client-cert", metavar="FILE", type=_path, help=text)
    add("--timeout", metavar="SECONDS", type=float, default=10.0, help="retries included; default: %(default)g")
    add("--json", action="store_true", help="print a JSON object")
    return parser


def cache_option() -> Parser:
    """The option of the commands that can keep a token, as a parent of their parsers."""
    parser = Parser(add_help=False)
    parser.add_argument("--cache", metavar="DIR", type=_path, help="keep the token in this directory for the next call")
    text = "renew a kept token first if less is left, half of its life at most; default: %(default)g"
    parser.add_argument("--min-lifetime", metavar="SECONDS", type=_seconds, default=MIN_LIFETIME, help=text)
    return parser


def doctor_options() -> Parser:
    """The options only of the doctor, as a parent of its parser."""
    parser = Parser(add_help=False)
    text = "also send a request for each other --auth with a secret; up to two may count as failed logins"
    parser.add_argument("--try-all", action="store_true", help=text)
    return parser


def strategy_of(
    arguments: argparse.Namespace,
    secret: Secret,
    configuration: SdkConfiguration,
    auth: ClientAuthentication | None = None,
    min_lifetime: float = MIN_LIFETIME,
) -> ClientCredentialsStrategy:
    """Make the strategy that the arguments describe; `auth` outranks theirs. Raises UsageError."""
    try:
        strategy = ClientCredentialsStrategy(
            arguments.client_id
            or _environment(ANY_ID, CLIENT_ID)
            or _missing(f"client_id must be given, or {ANY_ID} or {CLIENT_ID} set"),
            None if secret is NO_SECRET else secret.reveal(),
            token_url=arguments.token_url,
            scopes=" ".join(arguments.scope).split(),
            audience=arguments.audience,
            resources=arguments.resource,
            extra_params=_pairs("extra_params", arguments.param),
            headers=_pairs("headers", arguments.header),
            client_authentication=auth or way_of(arguments),
            policy=RenewalPolicy(
                renew_ahead=min_lifetime, leeway=min(_LEEWAY, min_lifetime), jitter=0.0, deadline=arguments.timeout
            ),
        )
    except ValueError as error:
        raise usage_error(error) from None
    strategy.set_configuration(configuration)
    return strategy


def client_of_environment() -> ClientCredentialsStrategy | None:
    """Make the strategy of Spotify's client in the environment, if there is one. Raises UsageError."""
    if not (os.environ.get(CLIENT_ID) and os.environ.get(CLIENT_SECRET)):
        return None
    try:
        return ClientCredentialsStrategy(os.environ[CLIENT_ID], os.environ[CLIENT_SECRET])
    except ValueError as error:
        raise usage_error(error) from None


def read_secret(arguments: argparse.Namespace) -> Secret:
    """Read the secret, without the end of its line; a terminal does not show it. Raises UsageError."""
    if way_of(arguments) is ClientAuthentication.TLS:
        return NO_SECRET
    secret = _typed() if arguments.secret_stdin and os.isatty(0) else _stored(arguments)
    if not secret:
        raise UsageError(
            f"the client secret: set {ANY_SECRET} or {CLIENT_SECRET}, or use --secret-file or --secret-stdin"
        )
    return Secret(secret)


def way_of(arguments: argparse.Namespace) -> ClientAuthentication:
    """How the client authenticates."""
    return ClientAuthentication.ASSERTION if arguments.assertion_file else ClientAuthentication(arguments.auth)


def fetch_of(arguments: argparse.Namespace) -> Urllib3Fetch:
    """Make the fetch that shows the client's certificate, if there is one. Raises UsageError."""
    context = tls_context(arguments)
    return Urllib3Fetch() if context is None else Urllib3Fetch(ssl_context=context)


def tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """Make the TLS context with the client's certificate; None: there is none. Raises UsageError."""
    if arguments.client_cert is None:
        return None
    import ssl

    context = ssl.create_default_context()
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
    source = 0 if arguments.secret_stdin else arguments.secret_file or arguments.assertion_file
    if source is None:
        return _environment(ANY_SECRET, CLIENT_SECRET)
    try:
        with open(source, encoding="utf-8", closefd=source != 0) as file:
            return file.read().removesuffix("\n")
    except OSError as error:
        raise UsageError(f"the client secret: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError("the client secret: must be UTF-8 text") from None


def _environment(name: str, spotify_name: str) -> str | None:
    # Never the id of one with the secret of the other: that would show a secret to a server that it is not for.
    is_any = os.environ.get(ANY_ID) or os.environ.get(ANY_SECRET)
    return os.environ.get(name if is_any else spotify_name)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError("must be 0 seconds or more")


def _path(text: str) -> str:
    # No shell expands a tilde behind "--cache=".
    try:
        return str(Path(text).expanduser() if text else _missing("must be a path"))
    except (RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _pairs(name: str, words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if not all(name and equals for name, equals, _ in pairs):
        _missing(f"{name} must be NAME=VALUE")
    given = {name: value for name, _, value in pairs}
    if len(given) < len(pairs):
        _missing(f"{name} must give each name once")
    return given


def _missing(text: str) -> NoReturn:
    raise ValueError(text)


def usage_error(error: ValueError) -> UsageError:
    """Name the option in place of the argument that a ValueError names."""
    return UsageError(re.sub(r"^\w+", lambda name: _OPTIONS.get(name[0], f"--{name[0].replace('_', '-')}"), str(error)))

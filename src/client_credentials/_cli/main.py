"""The command line: prints an access token, or says in one line what to mend; the secret is never an argument."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from .._core.client import SPOTIFY_TOKEN_URL
from .._core.model import AccessToken, ClientAuthentication, RenewalPolicy
from ..configuration import SdkConfiguration
from ..errors import InvalidTokenResponse, TokenEndpointUnreachable, TokenError, TokenRefused
from ..strategy import ClientCredentialsStrategy
from .demo import redacted, show

PROGRAM: Final = "client-credentials"
CLIENT_ID, CLIENT_SECRET = "SPOTIFY_CLIENT_ID", "SPOTIFY_CLIENT_SECRET"
DONE, NO_TOKEN, INTERRUPTED, UNREAD = 0, 1, 130, 141  # the last two as shells count them, from 128

Shown: TypeAlias = tuple[Mapping[str, object], str]
"""What a command prints: with --json, and without."""

# The options behind the arguments that a ValueError names.
_OPTIONS: Final[Mapping[str, str]] = {
    "client_id": "--client-id",
    "client_secret": "the client secret",
    "token_url": "--token-url",
    "scopes": "--scope",
    "audience": "--audience",
    "resources": "--resource",
    "deadline": "--timeout",
    "directory": "--cache",
}

# What to do about the errors of RFC 6749 section 5.2 and RFC 8707 section 2.
_MEND: Final[Mapping[str | None, str]] = {
    "invalid_client": "check the client id and the secret, or try another --auth",
    "unauthorized_client": "have the server allow this client the client_credentials grant",
    "unsupported_grant_type": "check --token-url: what is there does not know this grant",
    "invalid_scope": "check --scope",
    "invalid_target": "check --resource and --audience",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status: 0 a token, 1 none; raises SystemExit with 2 for a usage error."""
    try:
        try:
            return _run(argv)
        finally:
            # Here, and not at the interpreter's exit, where nobody could tell what went wrong.
            print(end="", flush=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # What is left in the buffer goes nowhere, instead of failing once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD if isinstance(error, BrokenPipeError) else _complain(str(error))


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        # Their values are not quoted: one may be a secret that somebody tried to pass.
        names = [word.partition("=")[0] for word in unknown if word.startswith("--")]
        parser.error(" ".join(["unknown arguments", *names]) + "; a secret is never an argument")
    try:
        strategy = _of_spotify() if arguments.command == "demo" else _strategy(arguments)
    except ValueError as error:
        # A message begins with the name of the argument.
        name, *rest = re.split(r"\b", str(error), maxsplit=2)[1:]
        parser.error(_OPTIONS.get(name, name) + "".join(rest))
    with _Remarks() as remarks:
        try:
            if strategy is None or arguments.command == "demo":
                show(strategy)
                return DONE
            held = strategy.get_access_token()
            token = held or strategy.get_or_create_access_token()
        except TokenError as error:
            return _complain(f"{error}; {_mend(error)}")
    for line in remarks:
        _complain(line)
    document, text = _COMMANDS[arguments.command][0](token, "the cache" if held else arguments.token_url)
    print(json.dumps(document) if arguments.json else text.encode("ascii", "backslashreplace").decode())
    return DONE


def _parser() -> argparse.ArgumentParser:
    client = argparse.ArgumentParser(add_help=False)
    add = client.add_argument
    add("--client-id", metavar="ID", help=f"default: {CLIENT_ID} of the environment")
    secret = client.add_mutually_exclusive_group()
    secret.add_argument("--secret-file", metavar="FILE", help=f"where the secret is; default: {CLIENT_SECRET}")
    secret.add_argument("--secret-stdin", action="store_true", help="read the secret from the standard input")
    add("--token-url", metavar="URL", default=SPOTIFY_TOKEN_URL, help="default: %(default)s")
    add("--scope", action="append", default=[], help="several with spaces between, or once for each")
    add("--audience", help="whom the token is for")
    add("--resource", metavar="URI", action="append", default=[], help="whom the token is for (RFC 8707); repeatable")
    add("--auth", choices=[each.value for each in ClientAuthentication], default="basic", help="default: %(default)s")
    add("--cache", metavar="DIR", help="keep the token in this directory for the next call")
    add("--timeout", metavar="SECONDS", type=float, default=10.0, help="retries included; default: %(default)g")
    add("--json", action="store_true", help="print a JSON object")

    parser = argparse.ArgumentParser(
        PROGRAM,
        allow_abbrev=False,
        description="A valid OAuth 2.0 access token for the client-credentials grant.",
        epilog="Exit status: 0 a token, 1 no token, 2 usage. For curl: client-credentials header | curl -H @- URL",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, text) in _COMMANDS.items():
        commands.add_parser(name, parents=[client], allow_abbrev=False, help=text, description=text)
    text = "show the library at work on a token server of its own"
    spotify = f"{text}; with {CLIENT_ID} and {CLIENT_SECRET} set, get a token from Spotify instead"
    commands.add_parser("demo", allow_abbrev=False, help=text, description=spotify)
    return parser


def _strategy(arguments: argparse.Namespace) -> ClientCredentialsStrategy:
    strategy = ClientCredentialsStrategy(
        arguments.client_id or os.environ.get(CLIENT_ID) or _missing(f"client_id: give it, or set {CLIENT_ID}"),
        _secret(arguments) or _missing(f"client_secret: set {CLIENT_SECRET}, or use --secret-file, --secret-stdin"),
        token_url=arguments.token_url,
        scopes=" ".join(arguments.scope).split(),
        audience=arguments.audience,
        resources=arguments.resource,
        client_authentication=ClientAuthentication(arguments.auth),
        policy=RenewalPolicy(deadline=arguments.timeout),
    )
    if arguments.cache is not None:
        from ..caching.file import FileCachingStrategy

        strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(arguments.cache)))
    return strategy


def _of_spotify() -> ClientCredentialsStrategy | None:
    if os.environ.get(CLIENT_ID) and os.environ.get(CLIENT_SECRET):
        return ClientCredentialsStrategy(os.environ[CLIENT_ID], os.environ[CLIENT_SECRET])
    return None


def _missing(text: str) -> str:
    raise ValueError(text)


def _secret(arguments: argparse.Namespace) -> str | None:
    """Read the secret, less the end of its line; a terminal does not show it."""
    if arguments.secret_stdin and os.isatty(0):
        from getpass import getpass

        try:
            return getpass("Client secret: ")
        except EOFError:
            return None
    source = 0 if arguments.secret_stdin else arguments.secret_file
    if source is None:
        return os.environ.get(CLIENT_SECRET)
    try:
        with open(source, encoding="utf-8", closefd=source != 0) as file:
            return file.read().removesuffix("\n")
    except OSError as error:
        raise ValueError(f"client_secret: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("client_secret: not UTF-8 text") from None


def _mend(error: TokenError) -> str:
    """Say what to do about an error."""
    match error:
        case TokenEndpointUnreachable(retryable=False):
            return "check --token-url, its certificate, and the clock of this machine"
        case TokenEndpointUnreachable():
            return "check --token-url, the network and the proxy, or allow more --timeout"
        case TokenRefused(error=code) if code in _MEND:
            return _MEND[code]
        case TokenError(retryable=True):
            return f"try again in {math.ceil(error.retry_after or 1)} s"
        case TokenRefused(status=401 | 403):
            return _MEND["invalid_client"]
        case InvalidTokenResponse():
            return "check --token-url: is it the token endpoint?"
        case _:
            return "check --token-url and what is asked for"


def _complain(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return NO_TOKEN


class _Remarks(logging.Handler):
    """Keeps what the library logs: of no interest to whoever gets an error, which says it all."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one remark."""
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("client_credentials").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("client_credentials").removeHandler(self)


def _token(token: AccessToken, _: str) -> Shown:
    names = ("access_token", "token_type", "expires_in", "expires", "scope")
    return {name: getattr(token, name) for name in names}, token.access_token


def _header(token: AccessToken, _: str) -> Shown:
    return {"Authorization": token.authorization}, f"Authorization: {token.authorization}"


def _inspect(token: AccessToken, source: str) -> Shown:
    document = {**_token(token, source)[0], "access_token": redacted(token), "source": source}
    end = datetime.fromtimestamp(token.expires / 1000, UTC)
    lines = (
        f"token     {document['access_token']}",
        f"type      {token.token_type}",
        f"lifetime  {token.expires_in} s, until {end:%Y-%m-%d %H:%M:%S} UTC",
        f"scope     {token.scope or 'not told'}",
        f"source    {source}",
    )
    return document, "\n".join(lines)


_COMMANDS: Final[Mapping[str, tuple[Callable[[AccessToken, str], Shown], str]]] = {
    "token": (_token, "print the access token"),
    "header": (_header, "print the header that carries the token"),
    "inspect": (_inspect, "tell type, lifetime, scope and source of the token, not the token"),
}

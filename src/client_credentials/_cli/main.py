"""The command line: the commands, their help, and which function runs each."""

from __future__ import annotations

from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from .._core.request import VERSION
from . import commands, demo, doctor, drill, simulate
from .arguments import (
    CLIENT_ID,
    CLIENT_SECRET,
    Parser,
    UsageError,
    cache_option,
    client_options,
    doctor_options,
    unknown_arguments,
)
from .output import PROGRAM, guarded

_EXIT_STATUS = """\
exit status:
  0    done
  1    no token, something bad found, or the output could not be written
  2    wrong usage
  130  interrupted
  141  the reader of the output has gone
"""

Command: TypeAlias = tuple[str, Callable[[Namespace], int], list[Parser], str, str]
"""Name, function, option parsers, and what it does: for the list of commands, and for its own help beside that."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status; raises SystemExit with 2 for a usage error, with 0 for help."""
    return guarded(partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser, parsers = _parsers()
    arguments, unknown = parser.parse_known_args(argv)
    command = parsers[arguments.command]
    if unknown:
        command.error(unknown_arguments(unknown))
    try:
        status: int = arguments.run(arguments)
    except UsageError as error:
        command.error(str(error))
    return status


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    client, cache = client_options(), cache_option()
    parser = Parser(
        PROGRAM,
        allow_abbrev=False,
        description="Gets OAuth 2.0 access tokens for the client-credentials grant.",
        epilog=_EXIT_STATUS,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    spotify = f"with {CLIENT_ID} and {CLIENT_SECRET} set,\nit gets a token from Spotify instead"
    table: tuple[Command, ...] = (
        ("token", commands.print_token, [client, cache], "print the access token", ""),
        ("header", commands.print_header, [client, cache], "print the header that carries the token", ""),
        ("inspect", commands.inspect, [client, cache], "print what is known of the token, but not the token", ""),
        ("doctor", doctor.run, [client, doctor_options()], "say step by step what is wrong with a token endpoint", ""),
        ("drill", drill.run, [drill.drill_options()], "put a token holder of yours through hard situations", ""),
        ("simulate", simulate.run, [simulate.simulate_options()], "say what a fleet of hosts asks of an endpoint", ""),
        ("demo", demo.run, [], "show the library at work on a token server in this process", f";\n{spotify}"),
    )
    parsers: dict[str, Parser] = {}
    for name, run, parents, text, more in table:
        parsers[name] = group.add_parser(
            name,
            parents=parents,
            allow_abbrev=False,
            help=text,
            description=text + more,
            epilog=_EXIT_STATUS,
            formatter_class=RawDescriptionHelpFormatter,
        )
        parsers[name].set_defaults(run=run)
    return parser, parsers

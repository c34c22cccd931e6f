"""The command line: the commands, their help, and which function runs each."""

from __future__ import annotations

from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from .._core.request import VERSION
from . import commands, demo, doctor, drill, simulate
from .arguments import SPOTIFY_ID, SPOTIFY_SECRET, Parser, UsageError, cache_options, client_options, unknown_arguments
from .output import PROGRAM, guarded

_EXIT_STATUS: Final = """\
exit status:
  0    done
  1    no token, something bad found, or the output could not be written
  2    wrong usage
  130  interrupted
  141  the reader of the output has gone
"""

Command: TypeAlias = tuple[str, Callable[[Namespace], int], tuple[Callable[[Parser], None], ...], str, str]
"""Name, function, options, and what it does: in the list of commands, and what its own help adds."""

_CLIENT: Final = (client_options, cache_options)
_SPOTIFY: Final = f";\nwith {SPOTIFY_ID} and {SPOTIFY_SECRET} set,\nit gets a token from Spotify instead"
_COMMANDS: Final[tuple[Command, ...]] = (
    ("token", commands.run, _CLIENT, "print the access token", ""),
    ("header", commands.run, _CLIENT, "print the header that carries the token", ""),
    ("inspect", commands.run, _CLIENT, "describe the token without printing it", ""),
    (
        "doctor",
        doctor.run,
        (client_options, doctor.options),
        "say step by step what is wrong with a token endpoint",
        "",
    ),
    ("drill", drill.run, (drill.options,), "put a token holder of yours through hard situations", ""),
    ("simulate", simulate.run, (simulate.options,), "say what a fleet of hosts asks of an endpoint", ""),
    ("demo", demo.run, (), "show the library at work on a token server in this process", _SPOTIFY),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; raises SystemExit with 2 for a usage error, with 0 for help."""
    return guarded(partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    arguments, unknown = _parser().parse_known_args(argv)
    parser: Parser = arguments.parser
    if unknown:
        parser.error(unknown_arguments(unknown))
    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        parser.error(str(error))


def _parser() -> Parser:
    common: dict[str, Any] = {
        "allow_abbrev": False,
        "epilog": _EXIT_STATUS,
        "formatter_class": RawDescriptionHelpFormatter,
    }
    parser = Parser(PROGRAM, description="Gets OAuth 2.0 access tokens for the client-credentials grant.", **common)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, run, options, text, more in _COMMANDS:
        command = group.add_parser(name, help=text, description=text + more, **common)
        for add in options:
            add(command)
        command.set_defaults(run=run, parser=command)
    return parser

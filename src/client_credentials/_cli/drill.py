"""`client-credentials drill`: puts a program's own token holder through the drills."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .arguments import Parser, UsageError, json_option
from .output import say


def options(parser: Parser) -> None:
    """Add the arguments of the drill."""
    text = "what makes a holder, as package.module:callable; it is called with token URL, client id and secret"
    parser.add_argument("holder", metavar="HOLDER", help=text)
    json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each drill as it ends; the exit status is 1 if one found a fault."""
    from ..testing import drills

    # As pytest and python -m do; an installed script does not look there.
    sys.path.insert(0, str(Path.cwd()))
    try:
        make_holder = drills.load(arguments.holder)
    except ValueError as error:
        reason = f": {type(error.__cause__).__name__}" if error.__cause__ else ""
        raise UsageError(f"HOLDER must name a callable as package.module:callable{reason}") from None
    if arguments.json:
        report = drills.run(make_holder)
        say(report.as_json())
        return report.exit_status
    say(drills.HEADING)
    report = drills.run(make_holder, on_result=lambda result: say(result.row()))
    say(report.summary())
    return report.exit_status

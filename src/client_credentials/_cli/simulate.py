"""`client-credentials simulate`: says how many token requests a fleet makes, and how many of its calls fail."""

from __future__ import annotations

import argparse
import json

import attrs

from .._core.model import RenewalPolicy
from .arguments import Parser, UsageError, json_option
from .output import DONE, say


def options(parser: Parser) -> None:
    """Add the fleet and its policy."""
    add = parser.add_argument
    add("--hosts", metavar="N", type=int, required=True, help="hosts, all of which start within a second")
    add("--lifetime", metavar="SECONDS", type=int, default=3600, help="of a token; default: %(default)d")
    text = "how long the endpoint is down, from the first renewal on; default: %(default)g"
    add("--outage", metavar="SECONDS", type=float, default=0.0, help=text)
    add("--shared", action="store_true", help="the hosts share a cache")
    policy = RenewalPolicy()
    add("--renew-ahead", metavar="SECONDS", type=float, help="this and the next three options: see RenewalPolicy")
    add("--leeway", metavar="SECONDS", type=float, default=policy.leeway, help="default: %(default)g")
    add("--jitter", metavar="SHARE", type=float, default=policy.jitter, help="default: %(default)g")
    text = "retries included; default: %(default)g"
    add("--timeout", dest="deadline", metavar="SECONDS", type=float, default=policy.deadline, help=text)
    json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures of one fleet."""
    from ..testing.simulation import simulate

    given = vars(arguments)
    policy = ("renew_ahead", "leeway", "jitter", "deadline")
    fleet = ("hosts", "lifetime", "outage", "shared")
    try:
        report = simulate(
            policy=RenewalPolicy(**{name: given[name] for name in policy}), **{name: given[name] for name in fleet}
        )
    except ValueError as error:
        raise UsageError.of(error) from None
    if arguments.json:
        say(json.dumps(attrs.asdict(report)))
        return DONE
    for text, figure in (
        (f"token requests in {report.seconds:,.0f} s", report.requests),
        ("at their peak, while the hosts start, in 1 s", report.peak_at_start),
        ("at their peak, after that, in 1 s", report.peak),
        ("calls that failed, of about one a second on each host", report.errors),
    ):
        say(f"{text:<54}{figure:>12,}")
    return DONE

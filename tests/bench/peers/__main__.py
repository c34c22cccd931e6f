"""Compares with the peers and writes table.md and peers.svg: `make bench-peers`; with `quick`, it only prints."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path

from .measures import Scale
from .plot import svg
from .table import collect, markdown

HERE = Path(__file__).parent
BEGAN = time.monotonic()
QUICK = Scale(rounds=3, run=0.01, posts=1, looping=10, calls=100, patience=2, imports=2, objects=100)


def tell(what: str) -> None:
    """Say what is measured now."""
    print(f"{time.monotonic() - BEGAN:4.0f} s: {what}", file=sys.stderr, flush=True)


def main(*arguments: str) -> None:
    """Measure, print, write."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    quick = arguments == ("quick",)
    rows = list(collect(QUICK if quick else Scale(), tell))
    print(markdown(rows))
    if not quick:
        (HERE / "table.md").write_text(markdown(rows), "utf-8")
        (HERE / "peers.svg").write_text(svg(rows), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

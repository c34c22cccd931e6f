"""The comparison as a picture, written as SVG by hand: the less of a bar, the better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from .adapters import LIBRARIES, OURS
from .table import Row, short

# A panel for each: the start of the row's name, after the row whose ratios it may be, its title, and a limit at 1.
PANELS: Final = (
    ("fresh token, one thread", 1, "fresh token, to a bare method that reads one clock", True),
    ("first token over TLS", 1, "first token over TLS, to a POST by hand", True),
    ("a process", 1, "a process for one token, to one that posts by hand", True),
    ("requests for 200 threads, token expired", 0, "requests for 200 threads that find an expired token", False),
    ("slowest call", 0, "slowest call while a token is renewed, ms", False),
    ("errors per", 0, "errors that 1,000 callers see while the endpoint fails", False),
)
WIDTH, NAMES, BARS = 460, 150, 220
PITCH, BAR, TOP = 19, 13, 40
HEIGHT = TOP + PITCH * len(LIBRARIES) + 18

STYLE: Final = (
    "<style>text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#475569;"
    "paint-order:stroke;stroke:#ffffff;stroke-width:3px}.title{font-weight:600;fill:#0f172a}.name{text-anchor:end}"
    "text.ours{font-weight:700;fill:#1d4ed8}rect.ours{fill:#2563eb}rect.peer{fill:#a8b3c4}"
    ".limit{stroke:#dc2626;stroke-dasharray:3 3;fill:none}</style>"
)


def find(rows: Sequence[Row], start: str, after: int) -> Row:
    """Find a row by how its name starts, or one after it."""
    return rows[next(index for index, row in enumerate(rows) if row.what.startswith(start)) + after]


def panel(row: Row, title: str, *, limit: bool) -> Iterator[str]:
    """Draw one figure of all libraries, on a logarithmic scale that has a zero."""
    most = math.log1p(max(row.figures[name] for name in LIBRARIES)) or 1.0
    yield f'<text x="14" y="24" class="title">{escape(title)}</text>'
    texts: list[str] = []
    for line, name in enumerate(LIBRARIES):
        figure, y = row.figures[name], TOP + line * PITCH
        width = max(math.log1p(figure) / most * BARS, 1.0)
        kind = "ours" if name == OURS.name else "peer"
        yield f'<rect x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" class="{kind}"/>'
        texts.append(f'<text x="{NAMES - 8}" y="{y + 11}" class="name {kind}">{escape(name)}</text>')
        texts.append(f'<text x="{NAMES + width + 6:.1f}" y="{y + 11}" class="{kind}">{short(round(figure, 2))}</text>')
    if limit:
        x = NAMES + math.log1p(1) / most * BARS
        yield f'<path d="M{x:.1f} {TOP - 5}V{TOP + PITCH * len(LIBRARIES)}" class="limit"/>'
    yield from texts


def svg(rows: Sequence[Row]) -> str:
    """Draw all panels, two beside each other."""
    width, height = 2 * WIDTH, HEIGHT * ((len(PANELS) + 1) // 2) + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>client-credentials and its peers: less is better, logarithmic</title>",
        STYLE,
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for index, (start, after, title, limit) in enumerate(PANELS):
        lines.append(f'<g transform="translate({index % 2 * WIDTH} {index // 2 * HEIGHT})">')
        lines += [*panel(find(rows, start, after), title, limit=limit), "</g>"]
    legend = "less is better; logarithmic from 0; the dashed line is 1"
    return "\n".join([*lines, f'<text x="14" y="{height - 12}">{legend}</text>', "</svg>", ""])

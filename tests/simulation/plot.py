"""The peak rate of requests against the size of a fleet, as an SVG that needs nothing but a browser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 560, 50, 380
DECADES = 5
# Colours that the colour-blind can tell apart, on white in dark surroundings too.
COLOURS = ("#d55e00", "#0072b2", "#009e73")

HEAD = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" \
font-family="sans-serif" font-size="14" role="img">
<title>Peak token requests per second against the number of hosts</title>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="28" font-size="17" fill="#222222">Peak token requests per second, by hosts in the fleet</text>
<text x="{(LEFT + RIGHT) // 2}" y="{HEIGHT - 14}" text-anchor="middle" fill="#222222">hosts</text>
"""


def draw(sizes: Sequence[int], peaks: Mapping[str, Sequence[int]]) -> str:
    """Draw one line for each name, over the same sizes; both axes are logarithmic, from 1 to 100,000."""
    parts = [HEAD]
    for decade in range(DECADES + 1):
        x, y = _x(10**decade), _y(10**decade)
        parts += [
            f'<path d="M{LEFT} {y:.1f}H{RIGHT}M{x:.1f} {TOP}V{BOTTOM}" stroke="#dddddd"/>\n',
            f'<text x="{LEFT - 10}" y="{y + 5:.1f}" text-anchor="end" fill="#444444">{10**decade:,}</text>\n',
            f'<text x="{x:.1f}" y="{BOTTOM + 22}" text-anchor="middle" fill="#444444">{10**decade:,}</text>\n',
        ]
    for colour, (name, line) in zip(COLOURS, peaks.items(), strict=True):
        points = [(_x(size), _y(max(peak, 1))) for size, peak in zip(sizes, line, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>\n']
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>\n' for x, y in points]
        x, y = points[-1]
        parts += [f'<text x="{x + 12:.1f}" y="{y + 5:.1f}" fill="{colour}">{name}: {line[-1]:,}</text>\n']
    return "".join([*parts, "</svg>\n"])


def _x(value: float) -> float:
    return LEFT + (RIGHT - LEFT) * math.log10(value) / DECADES


def _y(value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * math.log10(value) / DECADES

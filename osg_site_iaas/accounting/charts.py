"""Bar charts as SVG, small and self-contained; every number in them is in a table beside them too."""

from __future__ import annotations

import math
from html import escape
from typing import Sequence

WIDTH, HEIGHT = 880, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 12, 28


def columns(values: Sequence[float], labels: Sequence[str], *, unit: str, title: str) -> str:
    """One column a value, with gridlines; every fifth label is written, and the first and last."""
    top = _round_up(max([*values, 0.0])) or 1.0
    width = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    height = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
    ]
    for step in range(5):
        value = top * step / 4
        y = TOP + height - height * step / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
    for index, (value, label) in enumerate(zip(values, labels)):
        x = LEFT + index * width
        tall = height * value / top
        tip = f"{escape(label)}: {number(value)} {escape(unit)}"
        parts.append(
            f'<rect class="bar" x="{x + width * 0.12:.1f}" y="{TOP + height - tall:.1f}" width="{width * 0.76:.1f}"'
            f' height="{tall:.1f}" rx="2"><title>{tip}</title></rect>'
        )
        if index % 5 == 0 or index == len(values) - 1:
            middle = x + width / 2
            parts.append(
                f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
            )
    return "".join([*parts, "</svg>"])


def share(value: float, whole: float) -> str:
    """A bar in a table's cell: how much of the whole a value is."""
    part = 100 * value / whole if whole else 0
    return f'<span class="share"><span style="width:{part:.1f}%"></span></span>'


def number(value: float) -> str:
    """A number with thousands' separators, and no more digits than it needs."""
    digits = 0 if value == round(value) or value >= 1000 else 1 if value >= 10 else 2 if value >= 0.1 else 5
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def hours(seconds: float, of: float) -> str:
    """Hours for a table's column: all with as many digits after the point as their sum needs, so that they line up."""
    return f"{seconds / 3600:,.{1 if of >= 36_000 else 4}f}"


def _round_up(value: float) -> float:
    """The next number whose quarters are round: 1, 2, 4, 6, 8 or 10 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)

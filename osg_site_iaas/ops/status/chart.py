"""What was used, against what was allowed, over time: an SVG without a script."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import Sequence

from osg_site_iaas.accounting.charts import number

WIDTH, HEIGHT = 880, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 26
Point = tuple[int, int, int]  # when, used, allowed (-1: no limit)


def lines(points: Sequence[Point], *, title: str, start: int, end: int) -> str:
    """Use as an area, the limit as a line that steps; time runs from ``start`` to ``end``."""
    highest = max([1, *(max(used, limit) for _, used, limit in points)])
    top = _round(highest)
    height, span = HEIGHT - TOP - BOTTOM, max(end - start, 1)

    def x(at: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, start), end) - start) / span

    def y(value: float) -> float:
        return TOP + height - height * value / top

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
    for at, label, anchor in _days(start, end):
        parts.append(
            f'<text class="tick" x="{x(at):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{label}</text>'
        )
    if points:
        used = _steps([(x(at), y(value)) for at, value, _ in points], x(end))
        base = y(0)
        parts.append(
            f'<path class="used" d="M{x(points[0][0]):.1f},{base:.1f} L{used} L{x(end):.1f},{base:.1f} Z"/>'
        )
        parts.append(f'<path class="use-line" d="M{used}"/>')
        limits = [(x(at), y(limit)) for at, _, limit in points if limit >= 0]
        if limits:
            parts.append(f'<path class="limit" d="M{_steps(limits, x(end))}"/>')
    return "".join([*parts, "</svg>"])


def _steps(points: Sequence[tuple[float, float]], end: float) -> str:
    """A path that holds each value until the next."""
    path = [f"{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (_, before), (at, value) in zip(points, points[1:]):
        if value != before:
            path += [f"{at:.1f},{before:.1f}", f"{at:.1f},{value:.1f}"]
    path.append(f"{end:.1f},{points[-1][1]:.1f}")
    return " L".join(path)


def _days(start: int, end: int) -> list[tuple[int, str, str]]:
    """Five times along the axis, with their labels and how those are set."""
    form = "%d %b" if end - start > 2 * 86400 else "%d %b %H:%M"
    found = []
    for step in range(5):
        at = start + (end - start) * step // 4
        label = datetime.fromtimestamp(at, timezone.utc).strftime(form)
        found.append((at, label, "start" if step == 0 else "end" if step == 4 else "middle"))
    return found


def _round(value: float) -> int:
    """The next number whose quarters are whole and round."""
    power = 1
    while True:
        for step in (4, 8, 12, 20, 40):
            if step * power >= value:
                return step * power
        power *= 10

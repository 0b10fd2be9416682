"""What was used, against what was allowed, over time: an SVG without a script.

The drawing is stretched to the width of the page; its labels are text of the page beside it, and stay as large as that.
"""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import Optional, Sequence

from osg_site_iaas.accounting.charts import number
from osg_site_iaas.ops.status.series import Run, gaps, thinned

WIDTH, HEIGHT = 1000, 200
STEPS = 4


def lines(runs: Sequence[Run], *, title: str, start: int, end: int) -> str:
    """Use as an area, the limit as a line that steps; time runs from ``start`` to ``end``. Gaps stay empty."""
    top = _round(max([1, *(max(used, limit) for run in runs for _, used, limit in run.points)]))
    span = max(end - start, 1)

    def x(at: int) -> int:
        return round(WIDTH * (min(max(at, start), end) - start) / span)

    def y(value: float) -> int:
        return round(HEIGHT - HEIGHT * value / top)

    drawn = [thinned(run, start, end) for run in runs]
    grid = "".join(f"M0,{HEIGHT * step // STEPS}H{WIDTH}" for step in range(STEPS + 1))
    empty = "".join(
        f'<rect class="gap" x="{x(since)}" y="0" width="{max(x(until) - x(since), 1)}" height="{HEIGHT}"/>'
        for since, until in gaps(runs, end)
    )
    used = "".join(
        _steps([(x(at), y(value)) for at, value, _ in run.points], x(run.end), HEIGHT) for run in drawn
    )
    limit = "".join(
        _steps(part, x(run.end))
        for run in drawn
        if (part := [(x(at), y(limit)) for at, _, limit in run.points if limit >= 0])
    )
    values = "".join(f"<span>{number(top * step / STEPS)}</span>" for step in range(STEPS, -1, -1))
    times = "".join(f"<span>{label}</span>" for label in _times(start, end))
    return (
        f'<div class="plot"><div class="values" aria-hidden="true">{values}</div>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title, quote=True)}">{empty}<path class="used" d="{used}"/>'
        f'<path class="grid" d="{grid}"/>'
        + (f'<path class="limit" d="{limit}"/>' if limit else "")
        + f'</svg><div class="times" aria-hidden="true">{times}</div></div>'
    )


def _steps(points: Sequence[tuple[int, int]], end: int, base: Optional[int] = None) -> str:
    """A path that holds each value until the next; from ``base`` and back to it where it bounds an area."""
    at, value = points[0]
    path = [f"M{at},{base}V{value}" if base is not None else f"M{at},{value}"]
    for (_, before), (at, value) in zip(points, points[1:]):
        if value != before:
            path.append(f"H{at}V{value}")
    path.append(f"H{end}")
    if base is not None:
        path.append(f"V{base}")
    return "".join(path)


def _times(start: int, end: int) -> list[str]:
    """Five times along the axis."""
    form = "%d %b" if end - start > 2 * 86400 else "%d %b %H:%M" if end - start > 86400 else "%H:%M"
    return [
        datetime.fromtimestamp(start + (end - start) * step // STEPS, timezone.utc).strftime(form)
        for step in range(STEPS + 1)
    ]


def _round(value: float) -> int:
    """The next number whose quarters are whole and round."""
    power = 1
    while True:
        for step in (4, 8, 12, 20, 40):
            if step * power >= value:
                return step * power
        power *= 10

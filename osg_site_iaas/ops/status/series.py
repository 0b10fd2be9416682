"""Samples as they are drawn: too far apart, and nothing is known in between; no more of them than a chart can show."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import Sequence

from osg_site_iaas.ops.status.history import FINE, HOUR

QUARTER = 900
NEAR = 300  # looks that are closer together are one: somebody looked by hand
ENOUGH = 3  # spacings, to say what is usual
TIMES = 3  # as far apart as is usual: nothing is known in between
MOST = 200  # points of a chart
Point = tuple[int, int, int]  # when, used, allowed (-1: no limit)


@dataclass(frozen=True)
class Spacing:
    """Seconds between samples as is usual: lately, and before, where older ones are thinned out."""

    lately: int
    before: int
    border: int

    def at(self, when: int) -> int:
        return self.lately if when > self.border else self.before


@dataclass(frozen=True)
class Run:
    """Points without a gap between them; each value holds until the next, the last one until ``end``."""

    points: tuple[Point, ...]
    end: int


def spacing(times: Sequence[int], now: int) -> Spacing:
    """What is usual among these times, the oldest first."""
    apart: list[int] = []
    kept: list[int] = []
    for at in times:
        if not kept or at - kept[-1] >= NEAR:
            kept.append(at)
    border = now - FINE
    apart = [after - at for at, after in zip(kept, kept[1:])]
    late = [step for at, step in zip(kept, apart) if at > border]
    early = [step for at, step in zip(kept, apart) if at <= border]
    lately = median_low(late) if len(late) >= ENOUGH else median_low(apart) if apart else QUARTER
    before = median_low(early) if len(early) >= ENOUGH else lately
    return Spacing(lately, max(before, HOUR), border)


def runs(points: Sequence[Point], usual: Spacing, end: int) -> list[Run]:
    """Cut where samples are missing; what was seen last before a gap holds as long as usual, and no longer."""
    found: list[Run] = []
    held: list[Point] = []
    for index, point in enumerate(points):
        held.append(point)
        after = points[index + 1][0] if index + 1 < len(points) else end
        step = usual.at(point[0])
        gap = after - point[0] > TIMES * step
        if gap or index + 1 == len(points):
            found.append(Run(tuple(held), point[0] + step if gap else max(end, point[0])))
            held = []
    return found


def gaps(found: Sequence[Run], end: int) -> list[tuple[int, int]]:
    """From when to when nothing is known, after the first point."""
    edges = [(run.end, after.points[0][0]) for run, after in zip(found, found[1:])]
    if found and found[-1].end < end:
        edges.append((found[-1].end, end))
    return edges


def thinned(run: Run, start: int, end: int, most: int = MOST) -> Run:
    """A run with one point for each of ``most`` stretches of the chart: the highest use, and the latest limit."""
    width = max((end - start) / most, 1)
    stretches: dict[int, Point] = {}
    for at, used, limit in run.points:
        stretch = int((at - start) / width)
        first, highest, _ = stretches.get(stretch, (at, used, limit))
        stretches[stretch] = (first, max(highest, used), limit)
    return Run(tuple(stretches.values()), run.end)

"""Samples as charts draw them: cut where looks are missing, thinned without losing what was highest."""

from __future__ import annotations

import re
from typing import Sequence

import pytest

from osg_site_iaas.ops.status import series
from osg_site_iaas.ops.status.chart import WIDTH, lines
from osg_site_iaas.ops.status.page import page
from tests.status_picture import DAY, HOUR, NOW, picture, samples

QUARTER = 900
RECENT = list(range(NOW - 2 * DAY + QUARTER, NOW + 1, QUARTER))
WHOLE = [*range(NOW - 35 * DAY, NOW - 2 * DAY + 1, HOUR), *RECENT]


def cut(times: Sequence[int], end: int = NOW) -> list[tuple[int, int]]:
    found = series.runs([(at, 1, 2) for at in times], series.spacing(times, end), end)
    assert [at for run in found for at, _, _ in run.points] == list(times)
    return series.gaps(found, end)


def without(since: int, until: int, times: Sequence[int] = WHOLE) -> list[int]:
    return [at for at in times if not since < at < until]


def test_a_whole_history_has_no_gap() -> None:
    assert cut(WHOLE) == []


def test_looks_of_a_stopped_timer_leave_a_gap() -> None:
    since, until = NOW - 20 * DAY, NOW - 15 * DAY
    assert cut(without(since, until)) == [(since + HOUR, until)]


def test_an_hour_without_a_look_is_a_gap_today_and_none_last_week() -> None:
    today, week = NOW - DAY, NOW - 7 * DAY
    assert cut(without(today, today + HOUR)) == [(today + QUARTER, today + HOUR)]
    assert cut(without(week, week + 2 * HOUR)) == []


def test_nothing_is_known_since_the_last_look_when_that_is_long_ago() -> None:
    last = NOW - 3 * HOUR
    assert cut([at for at in WHOLE if at <= last]) == [(last + QUARTER, NOW)]


def test_a_first_look_after_days_does_not_make_days_usual() -> None:
    before = [at for at in WHOLE if at < NOW - 10 * DAY]
    assert cut([*before, NOW]) == [(before[-1] + HOUR, NOW)]


def test_a_daily_timer_has_no_gaps() -> None:
    assert cut(range(NOW - 30 * DAY, NOW + 1, DAY)) == []


def test_looks_by_hand_between_the_timers_do_not_make_gaps() -> None:
    assert cut(sorted([*WHOLE, *(at + 60 for at in RECENT[:-1])])) == []


def test_a_thinned_run_keeps_what_was_highest_and_the_last_limit() -> None:
    points = tuple(
        (at, 7 if at == NOW - 1000 else 0, 5 if at < NOW else 6) for at in range(NOW - DAY, NOW + 1, 50)
    )
    thinned = series.thinned(series.Run(points, NOW), NOW - DAY, NOW, most=10)
    assert len(thinned.points) <= 11
    assert max(used for _, used, _ in thinned.points) == 7
    assert thinned.points[-1][2] == 6
    assert thinned.points[0][0] == NOW - DAY


def test_a_chart_of_any_history_has_few_points() -> None:
    points = [(at, at % 7, 9) for at in WHOLE]
    drawn = lines([series.Run(tuple(points), NOW)], title="", start=WHOLE[0], end=NOW)
    (path,) = re.findall('class="used" d="([^"]+)"', drawn)
    assert path.count("H") <= series.MOST + 2


def test_neither_area_nor_limit_is_drawn_over_a_gap() -> None:
    since, until = NOW - 20 * DAY, NOW - 15 * DAY
    text = page(picture(), [one for one in samples() if not since < one.at < until], days=35)
    (gap,) = re.findall(r'class="gap" x="(\d+)" y="0" width="(\d+)"', text)
    left, right = int(gap[0]), int(gap[0]) + int(gap[1])
    assert right - left == pytest.approx(WIDTH * 5 / 35, abs=3)
    for kind in ("used", "limit"):
        (path,) = re.findall(f'class="{kind}" d="([^"]+)"', text)
        parts = [part for part in path.split("M") if part]
        assert len(parts) == 2
        xs = [[int(x) for x in re.findall(r"(?:^|H)(\d+)", part)] for part in parts]
        assert max(xs[0]) <= left
        assert min(xs[1]) >= right
    (label,) = re.findall('role="img" aria-label="([^"]+)"', text)
    assert label.endswith("; no data from 04 Nov 01:26 UTC to 09 Nov 00:26 UTC")
    assert text.count(label) == 2  # for who hears the page, and for who sees it

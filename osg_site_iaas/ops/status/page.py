"""The page: one HTML file, no script, nothing loaded from elsewhere; what a chart says is said in words too."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import Iterator, Optional, Sequence

from osg_site_iaas.accounting.charts import number
from osg_site_iaas.ops.finding import FOUND, SKIPPED, UNKNOWN
from osg_site_iaas.ops.status.chart import lines
from osg_site_iaas.ops.status.gather import PUBLIC, Picture
from osg_site_iaas.ops.status.history import HOUR, Sample
from osg_site_iaas.ops.status.series import Point, Spacing, gaps, runs, spacing
from osg_site_iaas.ops.status.style import CSS
from osg_site_iaas.ops.status.tables import BAD, counted, servers, vos

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
NAMED = 3  # gaps that are told one by one


def page(picture: Picture, samples: Sequence[Sample], *, days: int) -> str:
    """The site as HTML."""
    title = f"{picture.site} cloud: status"
    looks = "Services" if picture.public else "Findings"
    body = [
        '<a class="skip" href="#main">Skip to the content</a>',
        f"<header><h1>{escape(picture.site)}: cloud status</h1>",
        f'<p class="soft">{escape(picture.fqdn)}. {_made(picture)} <a href="">Reload</a></p>',
        f'<nav aria-label="On this page"><ul><li><a href="#findings">{looks}</a></li>'
        '<li><a href="#vos">VOs</a></li><li><a href="#time">Quota and use</a></li>'
        '<li><a href="#servers">Servers</a></li><li><a href="#accounting">Accounting</a></li></ul></nav></header>',
        '<main id="main">',
        _cards(picture),
        f'<h2 id="findings">{looks}</h2>',
        *(_services(picture) if picture.public else _findings(picture)),
        '<h2 id="vos">VOs: use of quota</h2>',
        vos(picture),
        f'<h2 id="time">Cores over {counted(days, "day")}</h2>',
        *_charts(picture, samples, days),
        '<h2 id="servers">Servers</h2>',
        *servers(picture),
        '<h2 id="accounting">Accounting</h2>',
        _records(picture),
        f"</main>{_footer(picture)}",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><link rel="icon" href="data:,">'
        f"<style>{CSS}</style></head>\n<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def _made(picture: Picture) -> str:
    """When, and how anybody sees without a script that nothing has been made since."""
    made = f"Made {_time(picture.at)}."
    if picture.next is None or picture.stale is None:
        return f"{made} Nothing tells when the next one is due: compare that with your clock."
    return (
        f"{made} The next one is due at {_time(picture.next, picture.at)}. If it is past "
        f"{_time(picture.stale, picture.at)} by your clock, the timer has stopped, and nothing here is current."
    )


def _footer(picture: Picture) -> str:
    said = "Written by osg-site-iaas status."
    if not picture.public:
        said += (
            " Servers are called as their VOs call them. <code>osg-site-iaas doctor --only page</code> says "
            "whether this page is current."
        )
    old = ""
    if picture.stale is not None:
        seconds = picture.stale - picture.at
        old = (
            f'<p class="old" style="animation-delay:{seconds}s">'
            f"Opened more than {counted(round(seconds / 60), 'minute')} ago: reload this page.</p>"
        )
    return f"<footer><p>{said}</p></footer>{old}"


def _cards(picture: Picture) -> str:
    cores = [use for uses in picture.vos.values() for use in uses if use.name == "cores"]
    bad = sum(states.get(BAD, 0) for states in picture.states.values())
    cards = [
        (len(picture.vos), "VO", "VOs", False),
        (sum(sum(states.values()) for states in picture.states.values()), "server", "servers", False),
        (sum(use.used for use in cores), "core of VOs in use", "cores of VOs in use", False),
    ]
    if bad:
        cards.insert(2, (bad, f"server in {BAD}", f"servers in {BAD}", True))
    if not picture.public:
        cards.append((picture.findings, "finding", "findings", picture.findings > 0))
    if picture.records:
        cards.append((picture.records.sent, "record sent", "records sent", False))
    items = "".join(
        f"<li{' class=look' if look else ''}><b>{number(value)}</b><span>{one if value == 1 else many}</span></li>"
        for value, one, many, look in cards
    )
    return f'<ul class="cards">{items}</ul>'


def _findings(picture: Picture) -> Iterator[str]:
    made = [result for result in picture.results if result.state not in (SKIPPED, UNKNOWN)]
    if not made:
        yield '<p class="mark">Nothing was looked at.</p>'
    elif not picture.findings:
        yield f'<p class="fine">None: {counted(len(made), "check was", "checks were")} made.</p>'
    else:
        yield '<ul class="findings">'
        for result in picture.results:
            for one in result.findings if result.state == FOUND else ():
                where = f"<code>{escape(one.where)}</code>: " if one.where else ""
                todo = f'<br><span class="todo">{escape(one.todo)}</span>' if one.todo else ""
                yield f"<li><b>{escape(result.check)}</b>: {where}{escape(one.what)}{todo}</li>"
        yield "</ul>"
    skipped = [
        f"{escape(result.check)} ({escape(result.said)})" if result.said else escape(result.check)
        for result in picture.results
        if result.state in (SKIPPED, UNKNOWN)
    ]
    if skipped:
        yield f"<details><summary>{len(skipped)} skipped or not known</summary><p>{'; '.join(skipped)}</p></details>"


def _services(picture: Picture) -> Iterator[str]:
    """For everybody: what VOs meet, and no word of why."""
    seen = [result for result in picture.results if result.state not in (SKIPPED, UNKNOWN)]
    bad = [PUBLIC.get(result.check, result.check) for result in seen if result.state == FOUND]
    if not seen:
        yield "<p>Not known now.</p>"
    elif bad:
        yield f'<p class="mark">Not as it should be: {escape(", ".join(bad))}. The site can see why.</p>'
    else:
        names = ", ".join(PUBLIC.get(result.check, result.check) for result in seen)
        yield f'<p class="fine">As they should be: {escape(names)}.</p>'


def _charts(picture: Picture, samples: Sequence[Sample], days: int) -> Iterator[str]:
    end = picture.at
    since = [sample for sample in samples if sample.at >= end - days * 86400]
    usual = spacing([sample.at for sample in since], end)
    # A young history fills the chart, rather than a sliver at its edge.
    start = min([end - HOUR, *(sample.at for sample in since[:1])])
    names = sorted(picture.vos) or sorted(since[-1].vos if since else ())  # what was known last, in an outage
    if not names:
        yield "<p>No history yet.</p>"
        return
    yield (
        '<p class="key"><b>area: cores in use</b>, <i>dashed line: the quota</i>, grey: no data. Times are UTC. '
        "A point is the most that was seen around its time.</p>"
    )
    for vo in names:
        points: list[Point] = [
            (one.at, *one.vos[vo]["cores"]) for one in since if "cores" in one.vos.get(vo, {})
        ]
        yield f'<section aria-labelledby="vo-{escape(vo)}"><h3 id="vo-{escape(vo)}">{escape(vo)}</h3>'
        yield _chart(vo, points, usual, start, end)
        yield "</section>"


def _chart(vo: str, points: Sequence[Point], usual: Spacing, start: int, end: int) -> str:
    if not points:
        return '<p class="soft">No history yet.</p>'
    if len(points) == 1:
        at = points[0][0]
        said = escape(_said(vo, points, seen=_short(at) if end - at > HOUR else ""))
        return f'<p class="soft">{said}. The history begins with this look; a chart is drawn from the next one on.</p>'
    found = runs(points, usual, end)
    empty = gaps(found, end)
    ended = empty and empty[-1][1] == end
    title = _said(vo, points, seen=_short(points[-1][0]) if ended else "")
    if empty:
        longest = sorted(sorted(empty, key=lambda gap: gap[0] - gap[1])[:NAMED])
        title += "; no data " + ", ".join(
            f"from {_short(since)} to {'now' if until == end else _short(until)}" for since, until in longest
        )
        if len(empty) > NAMED:
            title += f" and at {counted(len(empty) - NAMED, 'other time')}"
    return f'{lines(found, title=title, start=start, end=end)}<p class="key">{escape(title)}</p>'


def _said(vo: str, points: Sequence[Point], *, seen: str) -> str:
    """A VO's use in words; ``seen`` is when that was, if it is not now."""
    most = max(used for _, used, _ in points)
    _, used, limit = points[-1]
    allowed = "no limit" if limit < 0 else f"a quota of {number(limit)}"
    when = f"on {seen}" if seen else "now"
    highest = f", {number(most)} at most" if len(points) > 1 else ""
    return f"{vo}: {counted(used, 'core')} in use {when}{highest}, with {allowed}"


def _records(picture: Picture) -> str:
    found = picture.records
    if found is None:
        if picture.public:
            return "<p>Not known now.</p>"
        return "<p>The probe does not run on this host, or its state cannot be read.</p>"
    facts = [
        ("Last run without an error", _maybe(found.success)),
        ("Usage on record up to", _maybe(found.last_slice)),
        ("Records sent", number(found.sent)),
        ("Records that wait", number(found.pending)),
    ]
    cells = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in facts)
    return f'<table class="facts">{cells}</table>'


def _maybe(at: Optional[int]) -> str:
    return _when(at) if at is not None else "never"


def _time(at: int, day_of: Optional[int] = None) -> str:
    """A time that programs can read too; without its day where that is the one of another time."""
    same = day_of is not None and at // 86400 == day_of // 86400
    form = "%H:%M UTC" if same else "%Y-%m-%d %H:%M UTC"
    moment = datetime.fromtimestamp(at, timezone.utc)
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment.strftime(form)}</time>'


def _short(at: int) -> str:
    """As charts write it."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%d %b %H:%M UTC")


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

"""The page: one HTML file, no script, nothing loaded from elsewhere; every number of a chart is in a table too."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import Iterator, Optional, Sequence

from osg_site_iaas.accounting.charts import number, share
from osg_site_iaas.accounting.statement_html import STYLE
from osg_site_iaas.ops.finding import FOUND, SKIPPED, UNKNOWN
from osg_site_iaas.ops.status.chart import lines
from osg_site_iaas.ops.status.gather import Picture
from osg_site_iaas.ops.status.history import Sample
from osg_site_iaas.ops.usage import Use

MORE = """
body { max-width: 66rem }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: .5rem 0 0; list-style: none }
a { color: var(--blue) } a:focus-visible, summary:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px }
.skip { position: absolute; left: -999rem } .skip:focus { position: static }
.chart .used { fill: var(--blue); fill-opacity: .22 }
.chart .use-line { fill: none; stroke: var(--blue); stroke-width: 2 }
.chart .limit { fill: none; stroke: var(--warn); stroke-width: 2; stroke-dasharray: 6 4 }
.key { color: var(--soft); font-size: .85rem; margin: 0 }
.key b { color: var(--blue) } .key i { color: var(--warn); font-style: normal; font-weight: 600 }
h3 { font-size: .95rem; margin: 1.5rem 0 .25rem }
.findings { padding: 0; list-style: none } .findings li { border-left: 4px solid var(--warn); padding: .1rem .8rem;
  margin: .6rem 0; overflow-wrap: anywhere }
.findings code, .todo { color: var(--soft) } .fine { color: #1e6b3a; font-weight: 600 }
.full { color: var(--warn); font-weight: 600 }
details { margin: .75rem 0 } summary { cursor: pointer }
.wide { overflow-x: auto } .wide th, .wide td { overflow-wrap: normal } .wide th[scope=row] { white-space: nowrap }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
COLUMNS = (("compute", "instances", "servers"), ("compute", "cores", "cores"), ("compute", "ram", "memory, GiB"),
           ("volume", "gigabytes", "volumes, GiB"), ("network", "floatingip", "addresses"))  # fmt: skip


def page(picture: Picture, samples: Sequence[Sample], *, days: int, refresh: int = 900) -> str:
    """The site as HTML."""
    title = f"{picture.site} cloud: status"
    body = [
        '<a class="skip" href="#main">Skip to the content</a>',
        f"<header><h1>{escape(picture.site)}: cloud status</h1>",
        f'<p class="soft">{escape(picture.fqdn)}, as of '
        f'<time datetime="{_iso(picture.at)}">{_when(picture.at)}</time></p>',
        '<nav aria-label="On this page"><ul><li><a href="#findings">Findings</a></li><li><a href="#vos">VOs</a></li>'
        '<li><a href="#time">Quota and use</a></li><li><a href="#servers">Servers</a></li>'
        '<li><a href="#accounting">Accounting</a></li></ul></nav></header>',
        '<main id="main">',
        _cards(picture),
        '<h2 id="findings">Findings</h2>',
        *_findings(picture),
        '<h2 id="vos">VOs: use of quota</h2>',
        _vos(picture),
        f'<h2 id="time">Cores over {days} days</h2>',
        '<p class="key"><b>area: cores in use</b>, <i>dashed line: the quota</i>. All times are UTC.</p>',
        *_charts(picture, samples, days),
        '<h2 id="servers">Servers</h2>',
        *_servers(picture),
        '<h2 id="accounting">Accounting</h2>',
        _records(picture),
        "</main><footer><p>Written by osg-site-iaas status. Servers are called as their VOs call them.</p></footer>",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta http-equiv="refresh" content="{refresh}"><link rel="icon" href="data:,">'
        f"<style>{STYLE}{MORE}</style></head>\n"
        f"<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def _cards(picture: Picture) -> str:
    cores = [use for uses in picture.vos.values() for use in uses if use.name == "cores"]
    servers = sum(sum(states.values()) for states in picture.states.values())
    cards = [
        ("VOs", number(len(picture.vos))),
        ("servers", number(servers)),
        ("cores of VOs in use", number(sum(use.used for use in cores))),
        ("findings", number(picture.findings)),
        ("records sent", number(picture.records.sent) if picture.records else "-"),
    ]
    return f'<ul class="cards">{"".join(f"<li><b>{value}</b><span>{name}</span></li>" for name, value in cards)}</ul>'


def _findings(picture: Picture) -> Iterator[str]:
    made = [result for result in picture.results if result.state not in (SKIPPED, UNKNOWN)]
    if not picture.findings:
        yield f'<p class="fine">None: {len(made)} checks were made.</p>'
    else:
        yield '<ul class="findings">'
        for result in picture.results:
            for one in result.findings if result.state == FOUND else ():
                where = f"<code>{escape(one.where)}</code>: " if one.where else ""
                todo = f'<br><span class="todo">{escape(one.todo)}</span>' if one.todo else ""
                yield f"<li><b>{escape(result.check)}</b>: {where}{escape(one.what)}{todo}</li>"
        yield "</ul>"
    skipped = [
        f"{result.check} ({escape(result.said)})" if result.said else result.check
        for result in picture.results
        if result.state in (SKIPPED, UNKNOWN)
    ]
    if skipped:
        yield f"<details><summary>{len(skipped)} skipped</summary><p>{'; '.join(skipped)}</p></details>"


def _vos(picture: Picture) -> str:
    if not picture.vos:
        return "<p>Not known now.</p>"
    head = "".join(f'<th scope="col" class="n">{words}</th>' for _, _, words in COLUMNS)
    rows = []
    for vo, uses in sorted(picture.vos.items()):
        by = {(use.service, use.name): use for use in uses}
        cells = "".join(_use(by.get((service, name))) for service, name, _ in COLUMNS)
        cores = by.get(("compute", "cores"))
        bar = share(min(cores.used, cores.limit), cores.limit) if cores and cores.limit > 0 else ""
        off = " (disabled)" if vo in picture.disabled else ""
        rows.append(
            f'<tr><th scope="row"><a href="#vo-{escape(vo)}">{escape(vo)}</a>{off}</th>{cells}'
            f'<td class="share-cell">{bar}</td></tr>'
        )
    return (
        f'<div class="wide"><table><tr><th scope="col">VO</th>{head}<th scope="col" class="share-cell">cores</th></tr>'
        f"{''.join(rows)}</table></div>"
    )


def _use(use: Optional[Use]) -> str:
    if use is None:
        return '<td class="n">-</td>'
    scale = 1024 if use.name == "ram" else 1
    of = f" of {number(use.limit / scale)}" if use.limit >= 0 else ""
    full = " full" if 0 < use.limit <= use.used else ""
    return f'<td class="n{full}">{number(use.used / scale)}{of}</td>'


def _charts(picture: Picture, samples: Sequence[Sample], days: int) -> Iterator[str]:
    end = picture.at
    since = [sample for sample in samples if sample.at >= end - days * 86400]
    # A young history fills the chart, rather than a sliver at its edge.
    start = min([end - 3600, *(sample.at for sample in since[:1])])
    for vo in sorted(picture.vos):
        points = [(one.at, *one.vos[vo]["cores"]) for one in since if "cores" in one.vos.get(vo, {})]
        yield f'<section aria-labelledby="vo-{escape(vo)}"><h3 id="vo-{escape(vo)}">{escape(vo)}</h3>'
        if points:
            most = max(used for _, used, _ in points)
            _, used, limit = points[-1]
            allowed = "no limit" if limit < 0 else f"a quota of {limit}"
            title = f"{vo}: {used} cores in use now, {most} at most, with {allowed}"
            yield lines(points, title=title, start=start, end=end)
            yield f'<p class="key">{escape(title)}</p>'
        else:
            yield '<p class="soft">No history yet.</p>'
        yield "</section>"


def _servers(picture: Picture) -> Iterator[str]:
    if not picture.states:
        yield "<p>None, or not known now.</p>"
        return
    names = sorted({state for states in picture.states.values() for state in states})
    head = "".join(f'<th scope="col" class="n">{escape(state)}</th>' for state in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(vo)}</th>'
        + "".join(f'<td class="n">{states.get(state, 0)}</td>' for state in names)
        + "</tr>"
        for vo, states in sorted(picture.states.items())
    )
    yield f'<div class="wide"><table><tr><th scope="col">VO</th>{head}</tr>{rows}</table></div>'
    if picture.servers:
        listed = "".join(
            f"<tr><td>{escape(one.name)}</td><td>{escape(one.vo)}</td><td>{escape(one.flavour)}</td>"
            f"<td>{escape(one.state)}</td><td>{escape(one.created)}</td></tr>"
            for one in picture.servers
        )
        yield (
            f"<details><summary>The newest {len(picture.servers)} servers</summary>"
            '<div class="wide"><table><tr><th scope="col">name</th><th scope="col">VO</th><th scope="col">flavour</th>'
            f'<th scope="col">state</th><th scope="col">created</th></tr>{listed}</table></div></details>'
        )


def _records(picture: Picture) -> str:
    found = picture.records
    if found is None:
        return "<p>The probe does not run on this host, or its state cannot be read.</p>"
    rows = [
        ("Last run without an error", _maybe(found.success)),
        ("Usage on record up to", _maybe(found.last_slice)),
        ("Records sent", number(found.sent)),
        ("Records that wait", number(found.pending)),
    ]
    return (
        "<table>"
        + "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
        + "</table>"
    )


def _maybe(at: Optional[int]) -> str:
    return _when(at) if at is not None else "never"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

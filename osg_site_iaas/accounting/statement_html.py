"""A statement as one HTML file, to be mailed or printed: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Iterable, Sequence

from osg_site_iaas.accounting.charts import columns, hours, number, share
from osg_site_iaas.accounting.model import State, iso
from osg_site_iaas.accounting.statement import GB, Statement, Use
from osg_site_iaas.accounting.traffic import add_up

MOST = 15  # rows of a table; what is below them is added up
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip

_WORDS = {
    State.OFFLOADED: "shelved and offloaded",
    State.SOFT_DELETED: "softly deleted",
    State.ERROR: "in error",
}

TRAFFIC = '<th class="n">GB received</th><th class="n">GB transmitted</th>'
COUNTED = (
    "Network traffic is what hypervisors were seen to have counted: what went through between the last reading and a "
    "server's stop, move or end is not in it. It is not reported to OSG."
)
STYLE = """
:root { --ink: #1b2733; --soft: #5b6875; --line: #dde3e9; --blue: #1f6f9f; --pale: #e8f1f6; --warn: #8a4b00 }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: #fff;
  margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 3rem }
header { border-bottom: 3px solid var(--blue); padding-bottom: .75rem; margin-bottom: 1.5rem }
h1 { font-size: 1.6rem; margin: 0; line-height: 1.25 }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
.soft { color: var(--soft); margin: .25rem 0 0 }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; padding: 0; list-style: none }
.cards li { flex: 1 1 9rem; max-width: 14rem; background: var(--pale); border-radius: 6px; padding: .7rem .9rem }
.cards b { display: block; font-size: 1.45rem; line-height: 1.2; font-variant-numeric: tabular-nums }
.cards span { color: var(--soft); font-size: .85rem }
.chart { width: 100%; height: auto; display: block }
.chart .bar { fill: var(--blue) } .chart .grid { stroke: var(--line) }
.chart .tick { fill: var(--soft); font-size: 11px; font-family: inherit }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
th { color: var(--soft); font-weight: 600; font-size: .85rem }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 7rem }
.share { display: block; min-width: 6rem; background: var(--pale); border-radius: 3px; height: .7rem }
.share span { display: block; background: var(--blue); border-radius: 3px; height: 100% }
.share-cell { width: 30% }
.warn { color: var(--warn); font-weight: 600 }
footer { color: var(--soft); font-size: .85rem; border-top: 1px solid var(--line); margin-top: 2.5rem }
@media (max-width: 46rem) { .share-cell { display: none } .cards li { flex-basis: 7rem } }
@media print { body { padding: 0; font-size: 12px } h2 { break-after: avoid } tr, .chart { break-inside: avoid }
  .cards { flex-wrap: nowrap } .cards li { flex: 1 1 0; padding: .5rem .6rem } .cards b { font-size: 1.2rem }
  .cards li, .share { -webkit-print-color-adjust: exact; print-color-adjust: exact } }
"""


def page(statement: Statement, *, site: str, collector: str, closed: int) -> str:
    """The statement as HTML. ``closed``: up to when usage has been counted, in seconds since the epoch."""
    month = f"{MONTHS[statement.month.month - 1]} {statement.month.year}"
    title = f"{statement.vo} at {site}, {month}"
    days = range(1, statement.month.days + 1)
    daily = [statement.by_day.get(day, Use()).core / 3600 for day in days]
    so_far = "" if closed >= statement.month.end else f"; so far, as counted up to {iso(closed)}"
    body = [
        f"<header><h1>{escape(statement.vo)} at {escape(site)}</h1>",
        f'<p class="soft">Cloud usage in {month}, by UTC days{so_far}</p></header>',
        _cards(statement),
        "<h2>Core-hours a day</h2>",
        columns(daily, [str(day) for day in days], unit="core-hours", title=f"Core-hours a day of {title}"),
        "<h2>By flavour</h2>",
        _uses("Flavour", statement.by_flavour.items(), statement.total),
        "<h2>By user</h2>",
        _uses("User", statement.by_user.items(), statement.total),
        "<h2>Reported to OSG</h2>",
        _reported(statement, collector),
        "<h2>By day</h2>",
        _days(statement),
        "<footer><p>A core-hour is one vCPU of a server that was active for an hour. A server that is stopped, "
        "suspended, paused, shelved or rescued is not active. All times are UTC.</p></footer>",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def _cards(statement: Statement) -> str:
    total = statement.total
    cards = [
        ("core-hours", total.core / 3600),
        ("server-hours", total.wall / 3600),
        ("server" if len(total.servers) == 1 else "servers", len(total.servers)),
        ("user" if len(statement.by_user) == 1 else "users", len(statement.by_user)),
    ]
    if total.gpu:
        cards.insert(2, ("GPU-hours", total.gpu / 3600))
    if total.octets:
        cards.append(("GB received", total.octets.received / GB))
        cards.append(("GB transmitted", total.octets.transmitted / GB))
    items = "".join(f"<li><b>{number(value)}</b><span>{name}</span></li>" for name, value in cards)
    return f'<ul class="cards">{items}</ul>'


def _uses(what: str, uses: Iterable[tuple[str, Use]], total: Use) -> str:
    ordered = sorted(uses, key=lambda item: (-item[1].core, item[0]))
    shown: list[tuple[str, Use]] = ordered[:MOST]
    if len(ordered) > MOST:
        shown.append((f"{len(ordered) - MOST} others", _sum([use for _, use in ordered[MOST:]])))
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{len(use.servers)}</td>'
        f'<td class="n">{hours(use.wall, total.core)}</td><td class="n">{hours(use.core, total.core)}</td>'
        f'<td class="share-cell">{share(use.core, total.core)}</td></tr>'
        for name, use in shown
    )
    return (
        f'<table><thead><tr><th>{what}</th><th class="n">servers</th><th class="n">server-hours</th>'
        f'<th class="n">core-hours</th><th class="share-cell">share</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _days(statement: Statement) -> str:
    total = statement.total.core
    traffic = statement.total.octets is not None
    rows = "".join(
        f'<tr><td>{statement.month}-{day:02}</td><td class="n">{len(use.servers)}</td>'
        f'<td class="n">{hours(use.wall, total)}</td><td class="n">{hours(use.core, total)}</td>'
        f"{_moved(use) if traffic else ''}</tr>"
        for day, use in sorted(statement.by_day.items())
    )
    return (
        '<table><thead><tr><th>Day</th><th class="n">servers</th><th class="n">server-hours</th>'
        f'<th class="n">core-hours</th>{TRAFFIC if traffic else ""}</tr></thead><tbody>{rows}</tbody></table>'
        + (f'<p class="soft">{COUNTED}</p>' if traffic else "")
    )


def _moved(use: Use) -> str:
    if use.octets is None:
        return '<td class="n">-</td><td class="n">-</td>'
    return f'<td class="n">{use.octets.received / GB:,.3f}</td><td class="n">{use.octets.transmitted / GB:,.3f}</td>'


def _reported(statement: Statement, collector: str) -> str:
    lines = [
        f"<p>{number(statement.reported / 3600)} of {number(statement.total.core / 3600)} core-hours were "
        f"acknowledged by {escape(collector)}.</p>"
    ]
    if statement.waiting:
        lines.append(f'<p class="warn">{number(statement.waiting / 3600)} core-hours wait to be sent.</p>')
    if statement.refused:
        lines.append(
            f'<p class="warn">{number(statement.refused / 3600)} core-hours are refused by the collector.</p>'
        )
    if statement.assumed:
        lines.append(
            f"<p>{number(statement.assumed / 3600)} core-hours are of days in which something had to be assumed: "
            "such records say what.</p>"
        )
    idle = [
        (state, seconds)
        for state, seconds in statement.others.items()
        if state is not State.BUILDING and seconds
    ]
    if idle:
        words = ", ".join(
            f"{_WORDS.get(state, state.value.lower())} {number(seconds / 3600)} h"
            for state, seconds in sorted(idle, key=lambda item: -item[1])
        )
        lines.append(f'<p class="soft">Servers that were kept and not active, not charged: {words}.</p>')
    return "".join(lines)


def _sum(uses: Sequence[Use]) -> Use:
    total = Use()
    for use in uses:
        total.wall += use.wall
        total.core += use.core
        total.gpu += use.gpu
        total.servers |= use.servers
        total.octets = add_up([total.octets or (None, None), use.octets or (None, None)])
    return total

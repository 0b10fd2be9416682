"""A page for people: what the collector has counted."""

from __future__ import annotations

from html import escape
from typing import Sequence

from osg_site_iaas.sandbox.collector.store import Row, Store

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Collector stand-in</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100%; margin: .5rem 0 2rem }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #d5dbe3 }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.note {{ color: #55606f }}
</style></head><body>
<h1>Collector stand-in</h1>
<p class="note">Not GRACC: it answers and counts as GRACC was seen to do. Nothing leaves this machine.</p>
{body}
</body></html>
"""


def page(store: Store) -> str:
    """The page as HTML."""
    totals = store.totals()
    body = [
        f"<p><b>{_text(totals['core_hours'])}</b> core-hours in {_text(totals['documents'])} documents; "
        f"{_text(totals['arrivals'])} records arrived, {_text(totals['quarantined'])} in quarantine.</p>",
        "<h2>Core-hours by UTC day of EndTime and VO</h2>",
        _table(store.summary(), ("day", "vo", "records", "njobs", "wall_seconds", "core_hours")),
        "<h2>Counted twice</h2>",
        '<p class="note">One GlobalJobId under several checksums.</p>',
        _table(store.duplicates(), ("job", "documents", "core_hours")),
        "<h2>Latest documents</h2>",
        _table(
            store.records(limit=50),
            ("day", "vo", "project", "site", "job", "wall", "core_hours", "arrivals", "quarantine"),
        ),
    ]
    return PAGE.format(body="\n".join(body))


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    if not rows:
        return '<p class="note">none</p>'
    head = "".join(f"<th{_class(rows[0][name])}>{name.replace('_', ' ')}</th>" for name in columns)
    lines = [
        "<tr>" + "".join(f"<td{_class(row[name])}>{_text(row[name])}</td>" for name in columns) + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _class(value: object) -> str:
    return ' class="n"' if isinstance(value, (int, float)) else ""


def _text(value: object) -> str:
    if value is None:
        return ""
    return escape(f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value))

"""How the page looks: by day and by night, on a wall and on a phone."""

from __future__ import annotations

from osg_site_iaas.accounting.statement_html import STYLE

# What is written in ink, soft, blue, warn and good must be legible on paper and on pale.
LIGHT = {
    "paper": "#ffffff", "ink": "#1b2733", "soft": "#55626f", "line": "#dde3e9", "blue": "#1f6f9f", "pale": "#e8f1f6",
    "warn": "#8a4b00", "good": "#1e6b3a", "area": "#c9dfeb", "gap": "#eceff2",
}  # fmt: skip
DARK = {
    "paper": "#12181e", "ink": "#e3e9ee", "soft": "#a3b0bc", "line": "#33404c", "blue": "#6db8e6", "pale": "#1e2a35",
    "warn": "#f0ad5c", "good": "#74cf95", "area": "#1f4257", "gap": "#222b33",
}  # fmt: skip


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


_LOOKS = """
body { max-width: 66rem; background: var(--paper) }
a { color: var(--blue) } a:focus-visible, summary:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: .5rem 0 0; list-style: none }
.skip { position: absolute; left: -999rem } .skip:focus { position: static }
.cards li.look b { color: var(--warn) }
h1, h3, footer { overflow-wrap: anywhere } h3 { font-size: .95rem; margin: 1.5rem 0 .25rem }
.old { visibility: hidden; position: fixed; inset: auto 0 0; margin: 0; padding: .6rem 1rem; text-align: center;
  background: var(--pale); color: var(--warn); font-weight: 600; border-top: 3px solid var(--warn);
  animation: old 1ms linear forwards }
@keyframes old { to { visibility: visible } }
.key { color: var(--soft); font-size: .85rem; margin: 0 } .key b { color: var(--blue) }
.key i { color: var(--warn); font-style: normal; font-weight: 600 }
.findings { padding: 0; list-style: none } .findings li { border-left: 4px solid var(--warn); padding: .1rem .8rem;
  margin: .6rem 0; overflow-wrap: anywhere }
.findings code, .todo { color: var(--soft) } .fine { color: var(--good); font-weight: 600 }
.mark { color: var(--warn); font-weight: 600 }
details { margin: .75rem 0 } summary { cursor: pointer }
"""
_CHARTS = """
.plot { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem .5rem; color: var(--soft);
  font-size: .8rem; line-height: 1rem; font-variant-numeric: tabular-nums; padding-top: .5rem }
.values { display: flex; flex-direction: column; justify-content: space-between; text-align: right; margin: -.5rem 0;
  min-width: 2.7rem }
.times { grid-column: 2; display: flex; justify-content: space-between; margin-top: .25rem }
.chart { width: 100%; height: 11rem; overflow: visible }
.chart path, .chart rect { vector-effect: non-scaling-stroke }
.chart .grid { stroke: var(--ink); stroke-opacity: .13; fill: none }
.chart .used { fill: var(--area); stroke: var(--blue); stroke-width: 1.5 }
.chart .limit { fill: none; stroke: var(--warn); stroke-width: 2; stroke-dasharray: 6 4 }
.chart .gap { fill: var(--gap) }
"""
_TABLES = """
.rows th[scope=row] { max-width: 17rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.rows th a { display: inline-block; max-width: 10rem; overflow: hidden; text-overflow: ellipsis;
  vertical-align: bottom }
.rows .n { width: auto } .rows .share-cell { width: 18% }
.rows td { overflow-wrap: anywhere } .facts td { width: 60% }
@media screen and (max-width: 70rem) {
  .rows, .rows tbody { display: block }
  .rows thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  .rows tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .1rem 1rem;
    border-bottom: 1px solid var(--line); padding: .5rem 0 }
  .rows th, .rows td, .rows .n { border: 0; padding: .1rem 0; text-align: left; width: auto }
  .rows th[scope=row] { grid-column: 1 / -1; max-width: none; white-space: normal; overflow-wrap: anywhere }
  .rows th a { max-width: 100% }
  .rows td::before { content: attr(data-label); display: block; color: var(--soft); font-weight: 400;
    font-size: .8rem; line-height: 1.2 }
  .rows .share-cell, .rows .none { display: none }
}
@media (max-width: 30rem) { body { padding: 1rem .9rem 2rem } .times span:nth-child(even) { display: none }
  .cards li { flex-basis: 6rem } }
"""
CSS = (
    f"{STYLE}\n:root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}"
    f"{_LOOKS}{_CHARTS}{_TABLES}"
)

"""Tables of the page: rows and columns where there is room, a card a row where there is not.

A table that is laid out as cards is none to browsers any more: the roles keep it one for who hears the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Iterable, Iterator, Optional, Sequence

from osg_site_iaas.accounting.charts import number, share
from osg_site_iaas.ops.status.gather import Picture
from osg_site_iaas.ops.usage import Use

COLUMNS = (("compute", "instances", "servers"), ("compute", "cores", "cores"), ("compute", "ram", "memory, GiB"),
           ("volume", "gigabytes", "volumes, GiB"), ("network", "floatingip", "addresses"))  # fmt: skip
BAD = "ERROR"  # Nova's word for servers that somebody should look at


@dataclass(frozen=True)
class Cell:
    """``html`` is markup already; ``kind`` are classes of it."""

    html: str
    kind: str = ""


def rows(
    head: Sequence[tuple[str, str]], body: Iterable[tuple[str, str, Sequence[Cell]]], *, name: str
) -> str:
    """A table: its columns' words and classes after the first, and for each row its name, that as markup, its cells."""
    columns = "".join(_th(words, f' scope="col" role="columnheader"{_class(kind)}') for words, kind in head)
    lines = "".join(
        f'<tr role="row"><th scope="row" role="rowheader" title="{escape(plain, quote=True)}">{title}</th>'
        + "".join(_td(cell, words) for cell, (words, _) in zip(cells, head))
        + "</tr>"
        for plain, title, cells in body
    )
    return (
        f'<table class="rows" role="table"><thead role="rowgroup"><tr role="row">'
        f'<th scope="col" role="columnheader">{escape(name)}</th>{columns}</tr></thead>'
        f'<tbody role="rowgroup">{lines}</tbody></table>'
    )


def vos(picture: Picture) -> str:
    """Each VO's use of its quota."""
    if not picture.vos:
        return "<p>Not known now.</p>"

    def lines() -> Iterator[tuple[str, str, list[Cell]]]:
        for vo, uses in sorted(picture.vos.items()):
            by = {(use.service, use.name): use for use in uses}
            cells = [use_of(by.get((service, name))) for service, name, _ in COLUMNS]
            cores = by.get(("compute", "cores"))
            bar = share(min(cores.used, cores.limit), cores.limit) if cores and cores.limit > 0 else ""
            off = " (disabled)" if vo in picture.disabled else ""
            yield (
                vo,
                f'<a href="#vo-{escape(vo)}">{escape(vo)}</a>{off}',
                [*cells, Cell(bar, "share-cell")],
            )

    head = [*((words, "n") for _, _, words in COLUMNS), ("share of cores", "share-cell")]
    return rows(head, lines(), name="VO")


def use_of(use: Optional[Use]) -> Cell:
    """What is used of a limit; what is used up is said, not only coloured."""
    if use is None:
        return Cell("-", "n none")
    scale = 1024 if use.name == "ram" else 1
    of = f" of {number(use.limit / scale)}" if use.limit >= 0 else ""
    text = f"{number(use.used / scale)}{of}"
    if use.limit < 0 or use.used < max(use.limit, 1):
        return Cell(text, "n")
    return Cell(f"{text}, {'over' if use.used > use.limit else 'full'}", "n mark")


def servers(picture: Picture) -> Iterator[str]:
    """Servers by state, and the newest ones where they may be named."""
    if not picture.states:
        yield "<p>None, or not known now.</p>"
        return
    names = sorted({state for states in picture.states.values() for state in states})
    yield rows(
        [(state, "n") for state in names],
        (
            (vo, escape(vo), [_count(state, states.get(state, 0)) for state in names])
            for vo, states in sorted(picture.states.items())
        ),
        name="VO",
    )
    if picture.servers:
        listed = rows(
            [("VO", ""), ("flavour", ""), ("state", ""), ("created", "")],
            (
                (
                    one.name,
                    escape(one.name),
                    [
                        Cell(escape(one.vo)),
                        Cell(escape(one.flavour)),
                        Cell(escape(one.state), "mark" if one.state == BAD else ""),
                        Cell(escape(one.created.replace("T", " ", 1))),
                    ],
                )
                for one in picture.servers
            ),
            name="name",
        )
        summary = f"The newest {counted(len(picture.servers), 'server')}"
        yield f"<details><summary>{summary}</summary>{listed}</details>"


def counted(value: float, one: str, many: Optional[str] = None) -> str:
    """A number with its noun."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def _count(state: str, servers: int) -> Cell:
    kind = "n none" if not servers else "n mark" if state == BAD else "n"
    return Cell(number(servers), kind)


def _th(words: str, attributes: str) -> str:
    return f"<th{attributes}>{escape(words)}</th>"


def _td(cell: Cell, words: str) -> str:
    return f'<td role="cell"{_class(cell.kind)} data-label="{escape(words, quote=True)}">{cell.html}</td>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

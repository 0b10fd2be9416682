"""The statements of a month as files: for each VO an HTML page to mail, and a CSV with a row a day."""

from __future__ import annotations

import csv
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, TextIO

from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.people import stored
from osg_site_iaas.accounting.settings import Settings
from osg_site_iaas.accounting.statement import Month, Statement, day_rows, statements
from osg_site_iaas.accounting.statement_html import page
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.errors import AccountingError


@dataclass(frozen=True)
class Written:
    """A VO's statement in a folder; the CSV lies beside the page."""

    vo: str
    html: Path
    core_hours: float


def write(
    store: Store, settings: Settings, month: Month, folder: Path, *, vo: Optional[str] = None
) -> list[Written]:
    """The statements of every VO that used something, or of one. AccountingError if that one used nothing."""
    ledger = Ledger(store, Observed(store))
    users = {number: name.name for number, name in stored(store, "user").items()}
    found = statements(ledger.slices(month.start, month.end), month, users)
    closed = store.number("SELECT max(end) FROM slice")
    if vo is not None and vo not in found:
        raise AccountingError(
            f"VO {vo} used nothing in {month}", todo=f"there are {', '.join(found) or 'no VOs at all'}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return [
        _write(statement, settings, folder, closed) for name, statement in found.items() if vo in (None, name)
    ]


def _write(statement: Statement, settings: Settings, folder: Path, closed: int) -> Written:
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in statement.vo)
    html = folder / f"{name}-{statement.month}.html"
    with whole(html) as file:
        file.write(
            page(statement, site=settings.probe.site_name, collector=settings.collector.host, closed=closed)
        )
    rows = day_rows(statement)
    with whole(html.with_suffix(".csv")) as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Written(statement.vo, html, statement.total.core / 3600)


@contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """A file to write, that is there whole in the end or as it was before."""
    new = path.with_name(f".{path.name}.new")
    try:
        with open(new, "w", newline="", encoding="utf-8") as file:
            yield file
        new.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            new.unlink()


def unwritable(path: Path, error: OSError) -> AccountingError:
    """That a place cannot be written to, in words."""
    return AccountingError(
        f"cannot write {path}: {error.strerror or error}", todo="--out names a place that you may write to"
    )

"""Sends archived bytes again, as they were: nothing is computed anew, so the collector knows them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Optional

from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.deliver import fitting
from osg_site_iaas.accounting.ledger import SENT, Ledger
from osg_site_iaas.accounting.send import Fate, Sender
from osg_site_iaas.errors import AccountingError


@dataclass(frozen=True)
class Replayed:
    """What was sent again; ``missing`` slices are no longer in the archive."""

    records: int
    bundles: int
    missing: int
    stopped: Optional[str] = None


def archived(ledger: Ledger, archive: Archive, start: int, end: int) -> Iterator[tuple[int, Optional[str]]]:
    """The archived records of acknowledged slices that end in (start, end]; None for one that was pruned."""
    kept: dict[int, str] = {}
    opened: Optional[int] = None
    for stored in ledger.slices(start, end):
        if stored.state != SENT:
            continue
        if stored.bundle != opened and stored.bundle is not None:
            opened = stored.bundle
            try:
                kept = archive.get(opened)
            except AccountingError:
                kept = {}
        yield stored.id, kept.get(stored.id)


def replay(
    ledger: Ledger,
    archive: Archive,
    sender: Sender,
    start: int,
    end: int,
    *,
    bundle_size: int,
    progress: Callable[[str, int], None] = lambda what, count: None,
) -> Replayed:
    """Send everything again that was acknowledged of a window. May be repeated: it changes nothing here."""
    records = bundles = missing = 0
    batch: list[tuple[int, str]] = []
    stopped: Optional[str] = None

    def flush() -> Optional[str]:
        nonlocal records, bundles
        while batch:
            part = list(fitting(batch[:bundle_size]))
            outcome = sender.send([record for _, record in part], 0)
            if outcome.fate is not Fate.TAKEN:
                return outcome.words
            del batch[: len(part)]
            records += len(part)
            bundles += 1
            progress("records sent again", len(part))
        return None

    for number, record in archived(ledger, archive, start, end):
        if record is None:
            missing += 1
            continue
        batch.append((number, record))
        if len(batch) >= bundle_size:
            stopped = flush()
            if stopped:
                break
    else:
        stopped = flush()
    return Replayed(records, bundles, missing, stopped)

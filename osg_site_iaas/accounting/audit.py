"""Compares what Nova tells with what was charged, and names every gap, overlap and difference."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence

from osg_site_iaas.accounting import ledger as states
from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.ledger import Ledger, Stored
from osg_site_iaas.accounting.model import State, iso
from osg_site_iaas.accounting.observed import Known, Observed
from osg_site_iaas.accounting.reading import OVERLAP, Source
from osg_site_iaas.accounting.replay import archived
from osg_site_iaas.accounting.slices import closed
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.usage import history

PAGE = 500  # servers at a time


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. ``core_seconds`` is what it is about, at most."""

    kind: str  # unknown, missing, twice, differs, pending, held, poison, unarchived
    uuid: str
    start: int
    end: int
    core_seconds: int
    words: str

    def __str__(self) -> str:
        span = f"{iso(self.start)} to {iso(self.end)}"
        return f"{self.kind}: server {self.uuid}, {span}, {self.core_seconds / 3600:.2f} core-hours: {self.words}"


@dataclass(frozen=True)
class Audit:
    """What Nova's history counts for in a window, what was charged of it by state, and the findings."""

    start: int
    end: int
    servers: int
    nova_core_seconds: int
    charged: Mapping[str, int]  # core seconds by what became of the slices
    findings: tuple[Finding, ...]


def audit(
    store: Store, observed: Observed, ledger: Ledger, archive: Archive, start: int, end: int, late: int
) -> Audit:
    """Compare the window [start, end). Records that ended before ``late`` should have been sent by now."""
    servers = nova = 0
    charged: Counter[str] = Counter()
    findings: list[Finding] = []
    for page in _pages(store, observed, start, end):
        by_server = _slices(ledger, page, start, end)
        for known in page:
            servers += 1
            mine = by_server.get(known.id, [])
            nova += _core_seconds(known, start, end)
            for stored in mine:
                charged[stored.state] += stored.found.core_seconds
            findings.extend(compare(known, mine, start, end))
            findings.extend(_unsent(stored, late) for stored in mine if _is_unsent(stored, late))
    findings.extend(_unarchived(ledger, archive, start, end))
    return Audit(start, end, servers, nova, dict(charged), tuple(findings))


def unknown(store: Store, source: Source, start: int) -> list[Finding]:
    """Servers that Nova tells of and that were never read: asked of Nova anew, whatever was read before."""
    found = []
    for page in source.changed(start):
        for one in page.servers:
            if store.number("SELECT count(*) FROM server WHERE uuid = ?", (one.uuid,)) == 0:
                end = one.ended or page.read_at
                cores = (end - one.created) * one.sighting.size.vcpus
                if one.sighting.at < page.read_at - OVERLAP:  # newer ones are for the next run
                    found.append(
                        Finding(
                            "unknown",
                            one.uuid,
                            one.created,
                            end,
                            cores,
                            "Nova knows it, and it was never read",
                        )
                    )
    return found


def compare(known: Known, mine: Sequence[Stored], start: int, end: int) -> Iterator[Finding]:
    """Gaps, overlaps and differences of one server's slices. Pure."""
    uuid = known.server.uuid
    expected = {found.start: found for found in closed(known.server, known.server.created, known.rendered)}
    at = max(start, min(known.server.created, known.rendered))
    until = min(end, known.rendered)
    vcpus = known.server.sightings[-1].size.vcpus
    for stored in sorted(mine, key=lambda one: one.found.start):
        found = stored.found
        if found.start > at:
            seconds = (found.start - at) * vcpus
            yield Finding("missing", uuid, at, found.start, seconds, "no slice covers this time")
        elif found.start < at and found.start >= start:
            seconds = (at - found.start) * found.size.vcpus
            yield Finding(
                "twice", uuid, found.start, min(at, found.end), seconds, "two slices cover this time"
            )
        now = expected.get(found.start)
        if now is not None and now.end == found.end and now.core_seconds != found.core_seconds:
            difference = abs(now.core_seconds - found.core_seconds)
            words = f"charged {found.core_seconds} core-seconds, and Nova tells {now.core_seconds} by now"
            yield Finding("differs", uuid, found.start, found.end, difference, words)
        at = max(at, found.end)
    if at < until:
        yield Finding("missing", uuid, at, until, (until - at) * vcpus, "no slice covers this time")


def _pages(store: Store, observed: Observed, start: int, end: int) -> Iterator[list[Known]]:
    """Servers that lived in the window and have been charged at all."""
    after = 0
    while True:
        rows = list(
            store.rows(
                "SELECT id, uuid FROM server WHERE id > ? AND created < ? AND (ended IS NULL OR ended > ?)"
                " AND rendered > created ORDER BY id LIMIT ?",
                (after, end, start, PAGE),
            )
        )
        if not rows:
            return
        yield observed.known([row["uuid"] for row in rows])
        after = rows[-1]["id"]


def _slices(ledger: Ledger, page: Sequence[Known], start: int, end: int) -> Mapping[int, list[Stored]]:
    found: dict[int, list[Stored]] = {}
    for stored in ledger.of_servers([known.id for known in page], start, end):
        found.setdefault(stored.server, []).append(stored)
    return found


def _core_seconds(known: Known, start: int, end: int) -> int:
    return sum(
        (min(one.end, end) - max(one.start, start)) * one.size.vcpus
        for one in history(known.server, min(end, known.rendered))
        if one.state is State.ACTIVE and one.end > start
    )


def _is_unsent(stored: Stored, late: int) -> bool:
    if stored.state in (states.HELD, states.POISON):
        return True
    return stored.state == states.NEW and stored.found.end <= late


def _unsent(stored: Stored, late: int) -> Finding:
    found = stored.found
    kind = "pending" if stored.state == states.NEW else stored.state
    words = stored.why or "in the outbox, and should have been sent by now"
    return Finding(kind, found.uuid, found.start, found.end, found.core_seconds, words)


def _unarchived(ledger: Ledger, archive: Archive, start: int, end: int) -> Iterator[Finding]:
    gone = {number for number, record in archived(ledger, archive, start, end) if record is None}
    for stored in ledger.slices(start, end):
        if stored.id in gone:
            found = stored.found
            words = "sent, and not in the archive: it cannot be replayed"
            yield Finding("unarchived", found.uuid, found.start, found.end, found.core_seconds, words)

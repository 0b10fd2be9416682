"""The slices of a store: what waits to be sent (the outbox), what was sent, and what is held back and why.

A slice enters once, in the transaction that moves its server's mark forward, so a crash can neither lose nor
double it; its record is made then and stays as it is until a collector has taken it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from types import MappingProxyType
from typing import Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from osg_site_iaas.accounting.model import Assumed, Slice, State
from osg_site_iaas.accounting.observed import Known, Observed
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.traffic import Octets, take

# what can become of a slice
NEW = "new"  # in the outbox
SENT = "sent"  # acknowledged by the collector
IDLE = "idle"  # no active second in it, so no record
HELD = "held"  # its project belongs to no VO; a record is made once it does
POISON = "poison"  # the collector refuses its record
SUPPRESSED = "suppressed"  # never to be sent, by configuration


PAGE = 1000  # rows read at a time
WHOLE = "SELECT slice.*, uuid, project, user, name, image FROM slice JOIN server ON server.id = slice.server"


class Entry(NamedTuple):
    """A slice to be stored: with its record if there is to be one, else with the reason why not."""

    found: Slice
    vo: str
    state: str
    record: Optional[str] = None
    why: str = ""


@dataclass(frozen=True)
class Stored:
    """A slice as it is stored. ``server`` is the number of its server."""

    id: int
    server: int
    found: Slice
    project: str
    user: str
    name: str
    image: str
    vo: str
    state: str
    why: str
    bundle: Optional[int]


class Ledger:
    """The slices of a store."""

    def __init__(self, store: Store, observed: Observed) -> None:
        self._store = store
        self._observed = observed

    def add(self, batches: Iterable[tuple[Known, Sequence[Entry], int, Optional[int]]]) -> None:
        """Store slices of servers; for each, up to when it is now rendered, and when to look at it again."""
        with self._store.transaction() as db:
            metered = db.execute("SELECT EXISTS (SELECT 1 FROM traffic)").fetchone()[0]
            for known, entries, rendered, due in batches:
                traffic: Sequence[Optional[Octets]] = [None] * len(entries)
                if metered:
                    traffic = take(db, known.id, [entry.found for entry in entries])
                db.executemany(
                    "INSERT INTO slice (server, start, end, size, wall, others, last, final, assumed,"
                    " public_ips, volumes, vo, state, why, record, received, transmitted)"
                    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    [
                        (*self._values(known.id, entry), *(octets or (None, None)))
                        for entry, octets in zip(entries, traffic)
                    ],
                )
                db.execute("UPDATE server SET rendered = ?, due = ? WHERE id = ?", (rendered, due, known.id))

    def pending(self, count: int, *, after: int = 0) -> list[tuple[int, str]]:
        """The oldest records in the outbox, each with its slice's number."""
        rows = self._store.rows(
            "SELECT id, record FROM slice WHERE state = 'new' AND id > ? ORDER BY id LIMIT ?", (after, count)
        )
        return [(row["id"], row["record"]) for row in rows]

    def acknowledge(self, numbers: Sequence[int], bundle: int) -> None:
        """The collector has taken these, and the archive has them under ``bundle``."""
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE slice SET state = 'sent', bundle = ?, record = NULL, why = '' WHERE id = ?",
                [(bundle, number) for number in numbers],
            )
            self._store.keep("bundle", bundle)
            self._store.keep("sent", (self._store.note("sent") or 0) + len(numbers))

    def refuse(self, number: int, why: str) -> None:
        """The collector does not take this one; it is kept aside with its record."""
        with self._store.transaction() as db:
            db.execute("UPDATE slice SET state = 'poison', why = ? WHERE id = ?", (why, number))

    def retry(self, state: str) -> int:
        """Put what was refused back into the outbox; how many."""
        with self._store.transaction() as db:
            return db.execute(
                "UPDATE slice SET state = 'new', why = '' WHERE state = ? AND record IS NOT NULL", (state,)
            ).rowcount

    def release(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Give held slices their records."""
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE slice SET vo = ?, state = ?, record = ?, why = ? WHERE id = ? AND state = 'held'",
                [(entry.vo, entry.state, entry.record, entry.why, number) for number, entry in entries],
            )

    def waiting(self) -> Mapping[str, int]:
        """How many slices are in the outbox, held back and refused; what there are none of is left out."""
        counts = {
            state: self._store.number(f"SELECT count(*) FROM slice WHERE state = '{state}'")  # noqa: S608
            for state in (NEW, HELD, POISON)
        }
        return {state: count for state, count in counts.items() if count}

    def slices(self, start: int, end: int) -> Iterator[Stored]:
        """Slices that end in (start, end], by end; read in pages, so writing meanwhile is safe."""
        at, after = start, 1 << 62
        while True:
            rows = list(
                self._store.rows(
                    f"{WHOLE} WHERE (slice.end, slice.id) > (?, ?) AND slice.end <= ?"
                    " ORDER BY slice.end, slice.id LIMIT ?",
                    (at, after, end, PAGE),
                )
            )
            for row in rows:
                yield self._stored(row)
            if len(rows) < PAGE:
                return
            at, after = rows[-1]["end"], rows[-1]["id"]

    def kept(self, state: str) -> Iterator[Stored]:
        """Slices that are held or refused (HELD, POISON), by number; writing meanwhile is safe."""
        after = 0
        while True:
            rows = list(
                self._store.rows(
                    f"{WHOLE} WHERE slice.state = '{state}' AND slice.id > ? ORDER BY slice.id LIMIT ?",
                    (after, PAGE),
                )
            )
            for row in rows:
                yield self._stored(row)
            if len(rows) < PAGE:
                return
            after = rows[-1]["id"]

    def servers(self, start: int, end: int) -> Iterator[list[int]]:
        """The numbers of servers with a slice that ends in (start, end], in pages."""
        after = 0
        while True:
            rows = list(
                self._store.rows(
                    "SELECT DISTINCT server FROM slice WHERE server > ? AND end > ? AND end <= ?"
                    " ORDER BY server LIMIT ?",
                    (after, start, end, PAGE // 2),
                )
            )
            if not rows:
                return
            yield [row["server"] for row in rows]
            after = rows[-1]["server"]

    def of_servers(self, servers: Sequence[int], start: int, end: int) -> Iterator[Stored]:
        """The slices of servers (by number) that reach into [start, end), in order."""
        marks = ",".join("?" * len(servers))
        query = f"{WHOLE} WHERE slice.server IN ({marks}) AND slice.end > ? AND slice.start < ?"
        for row in self._store.rows(f"{query} ORDER BY slice.server, slice.start", (*servers, start, end)):
            yield self._stored(row)

    def _values(self, server: int, entry: Entry) -> tuple[object, ...]:
        found = entry.found
        others = {state.value: seconds for state, seconds in found.others.items()}
        return (
            server, found.start, found.end, self._observed.size_id(found.size), found.wall,
            json.dumps(others, separators=(",", ":")) if others else "", found.last.value, found.final,
            " ".join(sorted(mark.value for mark in found.assumed)), found.public_ips, found.volumes,
            entry.vo, entry.state, entry.why, entry.record,
        )  # fmt: skip

    def _stored(self, row: sqlite3.Row) -> Stored:
        others = json.loads(row["others"]) if row["others"] else {}
        found = Slice(
            uuid=row["uuid"],
            start=row["start"],
            end=row["end"],
            size=self._observed.size(row["size"]),
            wall=row["wall"],
            others=MappingProxyType({State(state): seconds for state, seconds in others.items()}),
            last=State(row["last"]),
            final=bool(row["final"]),
            assumed=frozenset(Assumed(word) for word in row["assumed"].split()),
            public_ips=row["public_ips"],
            volumes=row["volumes"],
            received=row["received"],
            transmitted=row["transmitted"],
        )
        return Stored(
            row["id"], row["server"], found, row["project"], row["user"], row["name"], row["image"], row["vo"],
            row["state"], row["why"], row["bundle"],
        )  # fmt: skip

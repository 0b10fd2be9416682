"""What went through servers' networks: counters of hypervisors, added up for good.

Nova hands on what a hypervisor has counted of each interface since it last began to count, for a server that runs, and
keeps nothing of it. So each reading is compared with the one before it, and what has come to it is kept by UTC day
until the slices of that day are closed. It goes into exports and statements and never into a record: two readings of
the same days give other numbers, and a collector that knows records by their content would count both.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from osg_site_iaas.accounting.model import DAY, Assumed, Slice, State, midnight_after
from osg_site_iaas.accounting.store import Store

PAGE = 200  # servers asked for, and stored, together
RUNS = (State.ACTIVE.value, State.RESCUED.value)  # or resized, which may run: in these hypervisors count
FIRST = "metered"  # the note of when counters were first read: a server created later was counted from its first byte


class Octets(NamedTuple):
    """Bytes that a server has received and transmitted."""

    received: int
    transmitted: int


Counters = Mapping[str, Octets]  # by interface


class Target(NamedTuple):
    """A server whose counters are wanted, and the hypervisor that has them."""

    uuid: str
    host: str
    project: str = ""
    user: str = ""


class Reading(NamedTuple):
    """A server's counters at a time, by Nova's clock."""

    uuid: str
    at: int
    counters: Counters


@dataclass(frozen=True)
class Metered:
    """How many servers were asked about, how many told, and why the others did not if that is worth a word."""

    asked: int = 0
    told: int = 0
    why: str = ""


# The readings of those that told, and why others did not; once ``False`` is handed back there is no use in asking more
Answers = tuple[Sequence[Reading], str, bool]
Meter = Callable[[Sequence[Target]], Answers]


def moved(before: Counters, now: Counters) -> Octets:
    """What went through between two readings, at least.

    A counter that is lower than before began anew, at zero, as it does when a server is stopped or moved; so did one
    that was not there. What was counted between the reading before and that moment nobody knows any more.
    """
    received = transmitted = 0
    for interface, count in now.items():
        last = before.get(interface, Octets(0, 0))
        anew = count.received < last.received or count.transmitted < last.transmitted
        received += count.received - (0 if anew else last.received)
        transmitted += count.transmitted - (0 if anew else last.transmitted)
    return Octets(received, transmitted)


def spread(what: Octets, since: int, until: int) -> Iterator[tuple[int, Octets]]:
    """What went through in that time, by day since the epoch and as evenly as whole bytes allow."""
    done = Octets(0, 0)
    at = since
    while at < until:
        at = min(midnight_after(at), until)
        share = Octets(*(part * (at - since) // (until - since) for part in what))
        yield (at - 1) // DAY, Octets(share.received - done.received, share.transmitted - done.transmitted)
        done = share
    if since >= until:
        yield until // DAY, what


class Traffic:
    """The counters of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def targets(self) -> Iterator[list[Target]]:
        """Servers that run, as far as is known, in pages."""
        after = 0
        while True:
            rows = list(
                self._store.rows(
                    "SELECT server.id, uuid, project, user, host FROM server JOIN sighting ON sighting.id ="
                    " (SELECT id FROM sighting WHERE server = server.id ORDER BY at DESC, id DESC LIMIT 1)"
                    " WHERE ended IS NULL AND server.id > ? AND (state IS NULL OR state IN (?, ?))"
                    " ORDER BY server.id LIMIT ?",
                    (after, *RUNS, PAGE),
                )
            )
            if not rows:
                return
            yield [Target(row["uuid"], row["host"], row["project"], row["user"]) for row in rows]
            after = rows[-1]["id"]

    def begin(self, at: int) -> None:
        """Counters are read now, perhaps for the first time."""
        if self._store.note(FIRST) is None:
            self._store.keep(FIRST, at)

    def learn(self, readings: Iterable[Reading]) -> None:
        """Add what has come to the counters since they were last read: all of these readings, or none."""
        first = self._store.note(FIRST) or 0
        with self._store.transaction() as db:
            for one in readings:
                self._learn(db, one, first)

    def _learn(self, db: sqlite3.Connection, one: Reading, first: int) -> None:
        row = db.execute(
            "SELECT id, created, metered FROM server WHERE uuid = ? AND ended IS NULL", (one.uuid,)
        ).fetchone()
        if row is None:
            return
        number = row["id"]
        if row["metered"] is None and row["created"] < first:
            what, since = Octets(0, 0), one.at  # who knows of which days it is what was counted until now
        else:
            found = db.execute("SELECT * FROM interface WHERE server = ?", (number,))
            before = {last["name"]: Octets(last["received"], last["transmitted"]) for last in found}
            what = moved(before, one.counters)
            since = row["created"] if row["metered"] is None else row["metered"]
        db.executemany(
            "INSERT INTO traffic VALUES (?,?,?,?) ON CONFLICT (server, day) DO UPDATE SET"
            " received = received + excluded.received, transmitted = transmitted + excluded.transmitted",
            [(number, day, *part) for day, part in spread(what, since, one.at)],
        )
        db.execute("DELETE FROM interface WHERE server = ?", (number,))
        db.executemany(
            "INSERT INTO interface VALUES (?,?,?,?)",
            [(number, name, *count) for name, count in one.counters.items()],
        )
        db.execute("UPDATE server SET metered = ? WHERE id = ?", (one.at, number))


def read_traffic(
    store: Store,
    meter: Meter,
    wanted: Callable[[Target], bool],
    read_at: int,
    progress: Callable[[str, int], None],
) -> Metered:
    """Read the counters of every running server that is wanted, as far as hypervisors tell them."""
    traffic = Traffic(store)
    traffic.begin(read_at)
    asked = told = 0
    why = ""
    for page in traffic.targets():
        targets = [one for one in page if wanted(one)]
        readings, words, go_on = meter(targets)
        traffic.learn(readings)
        asked += len(targets)
        told += len(readings)
        why = why or words
        progress("network counters read", len(readings))
        if not go_on:
            break
    return Metered(asked, told, why)


def take(db: sqlite3.Connection, server: int, slices: Sequence[Slice]) -> list[Optional[Octets]]:
    """What goes to each of a server's slices that are closed now, inside the transaction that stores them.

    A slice gets what was kept of its day and of days before; of several of one day the last one does. What is taken is
    kept no more, so that nothing is given twice.
    """
    out: list[Optional[Octets]] = []
    for index, found in enumerate(slices):
        day = (found.end - 1) // DAY
        following = slices[index + 1] if index + 1 < len(slices) else None
        if following is not None and (following.end - 1) // DAY == day:
            out.append(None)
            continue
        last = day if not found.final else 1 << 40
        received, transmitted, count = db.execute(
            "SELECT sum(received), sum(transmitted), count(*) FROM traffic WHERE server = ? AND day <= ?",
            (server, last),
        ).fetchone()
        out.append(Octets(received, transmitted) if count else None)
        if count:
            db.execute("DELETE FROM traffic WHERE server = ? AND day <= ?", (server, last))
        if found.final and Assumed.END not in found.assumed:  # one that vanished may come back, and count on
            db.execute("DELETE FROM interface WHERE server = ?", (server,))
    return out


def add_up(parts: Iterable[tuple[Optional[int], Optional[int]]]) -> Optional[Octets]:
    """The sum of what is known; None if nothing is."""
    known = [Octets(received, transmitted or 0) for received, transmitted in parts if received is not None]
    if not known:
        return None
    return Octets(sum(one.received for one in known), sum(one.transmitted for one in known))

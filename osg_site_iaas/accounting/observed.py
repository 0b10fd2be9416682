"""What was read of servers, kept for good: Nova forgets flavours at a resize, and servers at a purge."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

from osg_site_iaas.accounting.model import Action, Place, Server, Sighting, Size, State, in_order
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.usage import MATTERS

# A row may be written, and its action finished, this long before a read shows it: such servers are read again.
MARGIN = 120  # seconds
# A row that was last changed so soon after the launch has seen no action since. If the launch came soon after the
# creation it was the first one: a rebuild, which sets it anew, takes its time. Then no actions need be asked for.
QUIET = 2  # seconds
SOON = 60  # seconds


@dataclass(frozen=True)
class Seen:
    """A server as one read of Nova showed it. ``image`` is empty for one that boots from a volume."""

    uuid: str
    project: str
    user: str
    name: str
    image: str
    created: int
    sighting: Sighting
    launched: Optional[int] = None
    ended: Optional[int] = None


@dataclass(frozen=True)
class Known:
    """A stored server with what its records need."""

    id: int
    server: Server
    project: str
    user: str
    name: str
    image: str
    rendered: int
    alive: int


class Observed:
    """The servers, sightings and actions of a store. Of a server that ended by ``start`` no actions are asked for."""

    def __init__(self, store: Store, start: int = 0) -> None:
        self._store = store
        self._start = start
        self._sizes: dict[Size, int] = {}
        self._by_id: dict[int, Size] = {}
        self._undone = store.undone

    def see(self, seen: Iterable[Seen], read_at: int) -> int:
        """Store what a page of servers shows, read at ``read_at`` by Nova's clock; how many of them are news."""
        news = 0
        with self._store.transaction() as db:
            for one in seen:
                news += self._see(db, one, read_at)
        return news

    def learn(self, actions: Iterable[tuple[str, Optional[Sequence[Action]], int]]) -> None:
        """Store the actions of servers by uuid, each read at a time; None: Nova has forgotten them."""
        with self._store.transaction() as db:
            for uuid, found, read_at in actions:
                (number,) = db.execute("SELECT id FROM server WHERE uuid = ?", (uuid,)).fetchone()
                if any(a.name == "create" for a in found or ()):  # instead of what stood for it
                    db.execute("DELETE FROM action WHERE server = ? AND request = ''", (number,))
                db.executemany(
                    "INSERT OR REPLACE INTO action VALUES (?,?,?,?,?,?,?)",
                    [
                        (number, a.request, a.name, a.start, a.finish, a.failed, a.rank)
                        for a in found or ()
                        if a.name in MATTERS
                    ],
                )
                db.execute(
                    "UPDATE server SET actions_at = ?, unread = 0, due = 0 WHERE id = ?", (read_at, number)
                )

    def unread(self) -> Iterator[tuple[str, int]]:
        """Servers whose actions must be read, with the time from which on those may be new."""
        after = 0
        while True:
            rows = list(
                self._store.rows(
                    "SELECT id, uuid, CASE WHEN request IS NULL THEN actions_at ELSE 0 END AS read_at FROM server"
                    " LEFT JOIN action ON server = id AND request = ''"
                    " WHERE unread = 1 AND id > ? ORDER BY id LIMIT 500",
                    (after,),
                )
            )
            if not rows:
                return
            for row in rows:
                yield row["uuid"], max(row["read_at"] - MARGIN, 0)
            after = rows[-1]["id"]

    def open_uuids(self) -> set[str]:
        """Servers that have not ended, as far as is known."""
        return {row["uuid"] for row in self._store.rows("SELECT uuid FROM server WHERE ended IS NULL")}

    def vanish(self, uuid: str, checked: int) -> None:
        """Nova has forgotten the server since ``checked``: it ended when it was last known to exist, or later."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE server SET ended = max(alive, rendered, ?), vanished = 1, unread = 0, due = 0"
                " WHERE uuid = ? AND ended IS NULL",
                (checked, uuid),
            )

    def due(self, limit: int, *, after: int = 0, count: int = 1000) -> list[Known]:
        """Servers that may have a slice closed by ``limit``, by id, all of them in pages."""
        rows = self._store.rows(
            "SELECT * FROM server WHERE due <= ? AND unread = 0 AND id > ? ORDER BY id LIMIT ?",
            (limit, after, count),
        )
        return self._whole(list(rows))

    def known(self, uuids: Sequence[str]) -> list[Known]:
        """The named servers, as far as they are known."""
        marks = ",".join("?" * len(uuids))
        rows = self._store.rows(f"SELECT * FROM server WHERE uuid IN ({marks}) ORDER BY id", uuids)  # noqa: S608
        return self._whole(list(rows))

    def numbered(self, numbers: Sequence[int]) -> list[Known]:
        """The servers of these numbers."""
        marks = ",".join("?" * len(numbers))
        rows = self._store.rows(f"SELECT * FROM server WHERE id IN ({marks}) ORDER BY id", numbers)  # noqa: S608
        return self._whole(list(rows))

    def size_id(self, size: Size) -> int:
        """The stored size's number; inside a transaction if it may be new."""
        if self._undone != self._store.undone:
            self._undone = self._store.undone
            self._sizes.clear()
        found = self._sizes.get(size)
        if found is None:
            values = (size.flavour, size.vcpus, size.memory, size.disk, size.gpus)
            self._store.db.execute(
                "INSERT OR IGNORE INTO size (flavour, vcpus, memory, disk, gpus) VALUES (?,?,?,?,?)", values
            )
            found = self._store.number(
                "SELECT id FROM size WHERE flavour=? AND vcpus=? AND memory=? AND disk=? AND gpus=?", values
            )
            self._sizes[size] = found
        return found

    def size(self, number: int) -> Size:
        """The size of that number."""
        if number not in self._by_id:
            row = self._store.one(
                "SELECT flavour, vcpus, memory, disk, gpus FROM size WHERE id = ?", (number,)
            )
            self._by_id[number] = Size(*row) if row is not None else Size("", 0, 0)
        return self._by_id[number]

    def _see(self, db: sqlite3.Connection, one: Seen, read_at: int) -> bool:
        row = db.execute("SELECT * FROM server WHERE uuid = ?", (one.uuid,)).fetchone()
        at = one.sighting.at
        if row is None:
            quiet = _quiet(one)
            past = self._is_past(one)
            number = db.execute(
                "INSERT INTO server (uuid, project, user, name, image, created, launched, ended, updated,"
                " actions_at, unread, alive, rendered, due) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
                (one.uuid, one.project, one.user, one.name, one.image, one.created, one.launched, one.ended,
                 at, read_at if quiet else 0, not quiet and not past, read_at, one.created),
            ).lastrowid  # fmt: skip
            self._sight(db, int(number or 0), one.sighting)
            if quiet:
                db.execute(
                    "INSERT INTO action VALUES (?, '', 'create', ?, ?, 0, 0)",
                    (number, one.created, one.launched),
                )
            return True
        sure = row["actions_at"] > at + MARGIN or _quiet(one) or self._is_past(one)
        if sure and row["updated"] == at and row["ended"] == one.ended and not row["unread"]:
            return False  # read before, and nothing has happened since
        if row["vanished"]:
            one_ended = one.ended  # it is back, as after the restore of a database
        else:
            one_ended = row["ended"] if row["ended"] is not None else one.ended
        db.execute(
            "UPDATE server SET launched = coalesce(launched, ?), ended = ?, vanished = 0, updated = ?,"
            " unread = ?, alive = max(alive, ?), due = 0 WHERE id = ?",
            (one.launched, one_ended, max(row["updated"], at), not self._is_past(one), read_at, row["id"]),
        )
        self._sight(db, row["id"], one.sighting)
        return True

    def _is_past(self, one: Seen) -> bool:
        """Whether nothing of the server is to be sent, so that its actions need not be known."""
        return one.ended is not None and one.ended <= self._start

    def _sight(self, db: sqlite3.Connection, number: int, new: Sighting) -> None:
        row = db.execute(
            "SELECT * FROM sighting WHERE server = ? ORDER BY at DESC, id DESC LIMIT 1", (number,)
        ).fetchone()
        values = (
            new.state.value if new.state else None, self.size_id(new.size), int(new.busy),
            new.place.host, new.place.public_ips, new.place.volumes,
        )  # fmt: skip
        if row is None or tuple(row)[3:] != values:
            db.execute(
                "INSERT INTO sighting (server, at, state, size, busy, host, public_ips, volumes)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (number, new.at, *values),
            )

    def _whole(self, rows: Sequence[sqlite3.Row]) -> list[Known]:
        """Stored servers with their sightings and actions, in two queries for all of them."""
        if not rows:
            return []
        marks = ",".join("?" * len(rows))
        numbers = [row["id"] for row in rows]
        sightings: dict[int, list[Sighting]] = {number: [] for number in numbers}
        actions: dict[int, list[Action]] = {number: [] for number in numbers}
        for row in self._store.rows(
            f"SELECT * FROM sighting WHERE server IN ({marks}) ORDER BY server, at, id",  # noqa: S608
            numbers,
        ):
            state = State(row["state"]) if row["state"] else None
            place = Place(row["host"], row["public_ips"], row["volumes"])
            sightings[row["server"]].append(
                Sighting(row["at"], state, self.size(row["size"]), bool(row["busy"]), place)
            )
        for row in self._store.rows(f"SELECT * FROM action WHERE server IN ({marks})", numbers):  # noqa: S608
            actions[row["server"]].append(
                Action(
                    row["start"], row["finish"], row["name"], row["request"], bool(row["failed"]), row["rank"]
                )
            )
        return [_known(row, sightings[row["id"]], actions[row["id"]]) for row in rows]


def _quiet(one: Seen) -> bool:
    """Whether the row tells that nothing has happened since the launch."""
    return (
        one.ended is None
        and one.launched is not None
        and not one.sighting.busy
        and one.sighting.state is State.ACTIVE
        and 0 <= one.launched - one.created <= SOON
        and -1 <= one.sighting.at - one.launched <= QUIET
    )


def _known(row: sqlite3.Row, sightings: Sequence[Sighting], actions: Iterable[Action]) -> Known:
    server = Server(
        uuid=row["uuid"],
        created=row["created"],
        sightings=tuple(sightings),
        actions=tuple(in_order(actions)),
        ended=row["ended"],
        launched=row["launched"],
        vanished=bool(row["vanished"]),
    )
    return Known(
        row["id"],
        server,
        row["project"],
        row["user"],
        row["name"],
        row["image"],
        row["rendered"],
        row["alive"],
    )

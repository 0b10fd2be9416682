"""The accounting state of a site: one SQLite file, written in transactions that survive a crash."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Iterable, Iterator, Optional, Sequence

from osg_site_iaas.errors import AccountingError

FILE = "accounting.sqlite"
VERSION = 3  # of the schema below; stored in the file as user_version

SCHEMA = """
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE size (
    id INTEGER PRIMARY KEY, flavour TEXT NOT NULL, vcpus INTEGER NOT NULL, memory INTEGER NOT NULL,
    disk INTEGER NOT NULL, gpus INTEGER NOT NULL, UNIQUE (flavour, vcpus, memory, disk, gpus));
CREATE TABLE server (
    id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, project TEXT NOT NULL, user TEXT NOT NULL,
    name TEXT NOT NULL, image TEXT NOT NULL, created INTEGER NOT NULL, launched INTEGER, ended INTEGER,
    vanished INTEGER NOT NULL DEFAULT 0, updated INTEGER NOT NULL,
    actions_at INTEGER NOT NULL DEFAULT 0, unread INTEGER NOT NULL, alive INTEGER NOT NULL,
    rendered INTEGER NOT NULL, due INTEGER, metered INTEGER);
CREATE INDEX server_due ON server (due) WHERE due IS NOT NULL;
CREATE INDEX server_unread ON server (id) WHERE unread = 1;
CREATE INDEX server_open ON server (uuid) WHERE ended IS NULL;
CREATE TABLE sighting (
    id INTEGER PRIMARY KEY, server INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT, size INTEGER NOT NULL,
    busy INTEGER NOT NULL, host TEXT NOT NULL, public_ips INTEGER NOT NULL, volumes INTEGER NOT NULL);
CREATE INDEX sighting_server ON sighting (server, at);
CREATE TABLE action (
    server INTEGER NOT NULL, request TEXT NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL,
    finish INTEGER NOT NULL, failed INTEGER NOT NULL, rank INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (server, request, name)) WITHOUT ROWID;
CREATE TABLE slice (
    id INTEGER PRIMARY KEY, server INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    size INTEGER NOT NULL, wall INTEGER NOT NULL, others TEXT NOT NULL, last TEXT NOT NULL,
    final INTEGER NOT NULL, assumed TEXT NOT NULL, public_ips INTEGER NOT NULL, volumes INTEGER NOT NULL,
    vo TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL DEFAULT '', bundle INTEGER, record TEXT,
    received INTEGER, transmitted INTEGER, UNIQUE (server, start));
CREATE INDEX slice_new ON slice (id) WHERE state = 'new';
CREATE INDEX slice_held ON slice (id) WHERE state = 'held';
CREATE INDEX slice_poison ON slice (id) WHERE state = 'poison';
CREATE INDEX slice_end ON slice (end, id);
CREATE TABLE project (id TEXT PRIMARY KEY, name TEXT NOT NULL, domain TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT NOT NULL, domain TEXT NOT NULL) WITHOUT ROWID;
"""
TRAFFIC = """
CREATE TABLE interface (
    server INTEGER NOT NULL, name TEXT NOT NULL, received INTEGER NOT NULL, transmitted INTEGER NOT NULL,
    PRIMARY KEY (server, name)) WITHOUT ROWID;
CREATE TABLE traffic (
    server INTEGER NOT NULL, day INTEGER NOT NULL, received INTEGER NOT NULL, transmitted INTEGER NOT NULL,
    PRIMARY KEY (server, day)) WITHOUT ROWID;
"""

# what brings a state of an earlier version to the next one
UPGRADES = {
    1: ("ALTER TABLE action ADD COLUMN rank INTEGER NOT NULL DEFAULT 0",),
    2: (
        "ALTER TABLE server ADD COLUMN metered INTEGER",
        "ALTER TABLE slice ADD COLUMN received INTEGER",
        "ALTER TABLE slice ADD COLUMN transmitted INTEGER",
        *(statement for statement in TRAFFIC.split(";\n") if statement.strip()),
    ),
}


class Store:
    """The file, opened. Use as a context manager. Raises AccountingError where SQLite fails."""

    def __init__(self, folder: Path, *, readonly: bool = False) -> None:
        self.undone = 0  # transactions rolled back: what was cached of them is not there
        self.folder = folder
        self.file = folder / FILE
        with self._words():
            if readonly:
                if not self.file.exists():
                    raise AccountingError(
                        "there is no accounting state", where=str(self.file), todo="has the probe run yet?"
                    )
                self.db = sqlite3.connect(
                    f"{self.file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
                )
            else:
                folder.mkdir(parents=True, exist_ok=True, mode=0o750)
                self._share()
                self.db = sqlite3.connect(self.file, isolation_level=None, timeout=60)
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.execute("PRAGMA synchronous=FULL")  # what was committed is on the disk
            self.db.row_factory = sqlite3.Row
            self.db.execute("PRAGMA cache_size=-32768")  # 32 MiB, whatever the size of the file
            self._check_version(readonly)

    def _share(self) -> None:
        """Who may read and write in the folder may do so with the file.

        Whoever reads it has SQLite lay two files beside it, with the file's own mode, and leaves them there: the status
        page's user did so with 0640, and from then on the probe could write nothing. What such a reader has left holds
        no data, and is taken away.
        """
        wal, index = (Path(f"{self.file}{suffix}") for suffix in ("-wal", "-shm"))
        with contextlib.suppress(OSError):  # SQLite has the words for what is wrong then
            self.file.touch()
            mode = 0o600 | (self.folder.stat().st_mode & 0o060)
            if self.file.stat().st_uid == os.geteuid():
                self.file.chmod(mode)
            if index.exists() and not os.access(index, os.W_OK) and not (wal.exists() and wal.stat().st_size):
                index.unlink()
                wal.unlink(missing_ok=True)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is written inside, or nothing."""
        with self._words():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                self.undone += 1
                if self.db.in_transaction:  # a full disk may have ended it already
                    self.db.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """The answer to a query, row by row. Do not write while it is being read: page by id instead."""
        with self._words():
            yield from self.db.execute(query, values)

    def one(self, query: str, values: Sequence[Any] = ()) -> Optional[sqlite3.Row]:
        """The first row of the answer, or None."""
        with self._words():
            row: Optional[sqlite3.Row] = self.db.execute(query, values).fetchone()
        return row

    def number(self, query: str, values: Sequence[Any] = ()) -> int:
        """The first number of the answer; 0 if there is none."""
        row = self.one(query, values)
        return int(row[0] or 0) if row is not None else 0

    def note(self, name: str) -> Optional[int]:
        """A number that was kept under a name."""
        row = self.one("SELECT value FROM note WHERE name = ?", (name,))
        return int(row["value"]) if row is not None else None

    def keep(self, name: str, value: int) -> None:
        """Keep a number under a name; inside or outside of a transaction."""
        with self._words():
            self.db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, str(value)))

    def words(self, name: str) -> str:
        """Words that were kept under a name; empty without any."""
        row = self.one("SELECT value FROM note WHERE name = ?", (name,))
        return str(row["value"]) if row is not None else ""

    def keep_words(self, name: str, words: str) -> None:
        """Keep words under a name; empty ones are as good as none."""
        with self._words():
            self.db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, words))

    def many(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for many rows, inside a transaction."""
        with self._words():
            self.db.executemany(query, rows)

    def _check_version(self, readonly: bool) -> None:
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return
        if version == 0 and not readonly:
            with self.transaction() as db:
                # executescript would commit first: a crash between two tables must leave none
                for statement in (SCHEMA + TRAFFIC).split(";\n"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version={VERSION}")
            return
        if version in UPGRADES and not readonly:
            with self.transaction() as db:
                for older in range(version, VERSION):
                    for statement in UPGRADES[older]:
                        db.execute(statement)
                db.execute(f"PRAGMA user_version={VERSION}")
            return
        if version in UPGRADES:
            raise AccountingError(
                f"the accounting state is of an earlier release (version {version})",
                where=str(self.file),
                todo="the next run of the probe brings it up to date",
            )
        raise AccountingError(
            f"the accounting state has version {version}, and this program knows {VERSION}",
            where=str(self.file),
            todo="use the release that wrote it, or a later one; or restore the backup made before the upgrade",
        )

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise AccountingError(
                f"the accounting state cannot be used: {error}",
                where=str(self.file),
                todo="check the disk's space and the file's owner; what was stored before is safe",
            ) from error
        except sqlite3.DatabaseError as error:
            raise AccountingError(
                f"the accounting state is damaged: {error}",
                where=str(self.file),
                todo="restore it from a backup: docs/accounting.md says what follows from that",
            ) from error

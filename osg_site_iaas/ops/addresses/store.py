"""What was seen of addresses, in one SQLite file that only its owner may read."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

from osg_site_iaas.errors import SiteError

VERSION = 2
SCHEMA = """
CREATE TABLE note (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE server (
    uuid TEXT PRIMARY KEY, project TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, key_pair TEXT NOT NULL,
    created INTEGER NOT NULL, ended INTEGER, ran INTEGER NOT NULL DEFAULT 1);
CREATE TABLE address (
    id INTEGER PRIMARY KEY, ip TEXT NOT NULL, server TEXT NOT NULL, network TEXT NOT NULL, kind TEXT NOT NULL,
    earliest INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, gone INTEGER);
CREATE INDEX address_ip ON address (ip);
CREATE UNIQUE INDEX address_open ON address (ip, server, network) WHERE gone IS NULL;
CREATE TABLE user (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE project (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE ec2_key (
    access TEXT PRIMARY KEY, user TEXT NOT NULL, project TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE network (id TEXT PRIMARY KEY, name TEXT NOT NULL);
"""
# What makes a file of each earlier version one of the next.
LATER = {
    1: """
ALTER TABLE server ADD COLUMN ran INTEGER NOT NULL DEFAULT 1;
CREATE TABLE network (id TEXT PRIMARY KEY, name TEXT NOT NULL);
"""
}


@dataclass(frozen=True)
class Had:
    """An address that a server had. Times are seconds since the epoch.

    It was seen from ``first`` to ``last``. It may have had it since ``earliest``, when it was last looked and not
    seen, and until ``gone``, when it was first not seen any more; None: it still has it, as far as is known.
    """

    ip: str
    server: str
    network: str  # its id: private addresses of two networks may be the same
    kind: str  # fixed or floating
    earliest: int
    first: int
    last: int
    gone: Optional[int] = None


@dataclass(frozen=True)
class Server:
    uuid: str
    project: str
    user: str
    name: str
    key_pair: str
    created: int
    ended: Optional[int] = None
    ran: bool = True  # False: it failed before it was started, or was taken away before that

    @classmethod
    def of(cls, row: sqlite3.Row) -> Server:
        """As it is kept."""
        return cls(**{**dict(row), "ran": bool(row["ran"])})


class Store:
    """The file, opened. Raises SiteError where SQLite fails."""

    def __init__(self, file: Path, *, readonly: bool = False) -> None:
        self.file = file
        with self._words():
            if readonly:
                if not file.exists():
                    raise SiteError(
                        "nobody has looked at addresses yet",
                        where=str(file),
                        todo="start osg-site-iaas-addresses.timer, or run `osg-site-iaas who --observe`",
                    )
                address = f"{file.absolute().as_uri()}?mode=ro"
                self.db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
                if self._version() in LATER:
                    self.db.close()
                    Store(file).db.close()
                    self.db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
            else:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                file.touch(mode=0o600)
                self.db = sqlite3.connect(file, isolation_level=None, timeout=60)
                # No write-ahead log: whoever else may read the file must need nothing beside it.
                self.db.execute(
                    "PRAGMA secure_delete=ON"
                )  # what is forgotten is gone from the disk's file, too
                if self._version() == 0:
                    self.db.executescript(f"BEGIN;{SCHEMA};PRAGMA user_version={VERSION};COMMIT;")
                while (version := self._version()) in LATER:
                    self._to_next(version)
            self.db.row_factory = sqlite3.Row
            if self._version() != VERSION:
                raise SiteError(
                    f"its version is {self._version()}, and this program knows {VERSION}",
                    where=str(file),
                    todo="use the release that wrote it, or a later one; or restore the backup made before the upgrade",
                )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
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
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def note(self, name: str) -> Optional[int]:
        """A number that was kept under a name."""
        found = self.rows("SELECT value FROM note WHERE name = ?", (name,))
        return int(found[0]["value"]) if found else None

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._words():
            return self.db.execute(query, values).fetchall()

    def _to_next(self, version: int) -> None:
        """Another process may have been faster: it is looked again when nobody else writes."""
        self.db.execute("BEGIN EXCLUSIVE")
        if self._version() == version:
            for statement in filter(str.strip, LATER[version].split(";")):
                self.db.execute(statement)
            self.db.execute(f"PRAGMA user_version={version + 1}")
        self.db.execute("COMMIT")

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SiteError(
                f"the record of addresses cannot be used: {error}",
                where=str(self.file),
                todo="check its owner and the disk",
            ) from error

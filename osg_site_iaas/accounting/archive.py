"""What was sent, byte for byte and compressed, in one SQLite file a month: the only source of a replay."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Sequence

from osg_site_iaas.accounting.model import epoch
from osg_site_iaas.errors import AccountingError

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS bundle (id INTEGER PRIMARY KEY, sent INTEGER NOT NULL, data BLOB NOT NULL)"
)


def months_before(now: datetime, months: int) -> datetime:
    """The first instant of the month that was so many months ago."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=timezone.utc)


class Archive:
    """The archive in a folder. A record's text has no line breaks; a bundle is its records, one a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "archive"
        self._open: dict[Path, sqlite3.Connection] = {}

    def close(self) -> None:
        """Close the files."""
        for db in self._open.values():
            db.close()
        self._open.clear()

    def put(self, bundle: int, records: Sequence[tuple[int, str]], now: datetime) -> None:
        """Keep the records, each with its slice's number; on disk when this returns."""
        lines = "\n".join(f"{number} {record}" for number, record in records)
        try:
            db = self._file(self.folder / f"{now:%Y-%m}.sqlite")
            with db:
                db.execute(
                    "INSERT OR REPLACE INTO bundle VALUES (?,?,?)",
                    (bundle, epoch(now), zlib.compress(lines.encode(), 6)),
                )
        except (sqlite3.Error, OSError) as error:
            raise AccountingError(
                f"the archive cannot be written: {error}",
                where=str(self.folder),
                todo="check the disk's space and the folder's owner; the records stay in the outbox until then",
            ) from error

    def get(self, bundle: int) -> dict[int, str]:
        """The records of a bundle by their slices' numbers. Raises AccountingError if it is not there."""
        for path in sorted(self.folder.glob("*.sqlite"), reverse=True):
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                row = db.execute("SELECT data FROM bundle WHERE id = ?", (bundle,)).fetchone()
            if row is not None:
                lines = zlib.decompress(row[0]).decode().split("\n")
                return {int(number): record for number, _, record in (line.partition(" ") for line in lines)}
        raise AccountingError(
            f"bundle {bundle} is not in the archive", where=str(self.folder), todo="it may have been pruned"
        )

    def prune(self, now: datetime, months: int) -> list[str]:
        """Delete whole months that ended more than ``months`` ago; their names."""
        oldest = f"{months_before(now, months):%Y-%m}"
        gone = []
        for path in self.folder.glob("????-??.sqlite"):
            if path.stem < oldest:
                for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                    file.unlink(missing_ok=True)
                gone.append(path.stem)
        return sorted(gone)

    def _file(self, path: Path) -> sqlite3.Connection:
        if path not in self._open:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            db = sqlite3.connect(path, timeout=60)
            db.execute("PRAGMA journal_mode=WAL")  # one write to the disk a bundle instead of four
            db.execute("PRAGMA synchronous=FULL")
            db.execute(SCHEMA)
            self._open[path] = db
        return self._open[path]

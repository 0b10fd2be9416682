"""What the collector has received, in SQLite: one row a document, as GRACC's index has one."""

from __future__ import annotations

import json
import sqlite3
import threading
from datetime import datetime
from pathlib import Path
from typing import Iterable, Mapping

from osg_site_iaas.sandbox.collector.content import document
from osg_site_iaas.sandbox.collector.record import Fields

SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    checksum TEXT PRIMARY KEY, day TEXT NOT NULL, vo TEXT NOT NULL, project TEXT NOT NULL, site TEXT NOT NULL,
    probe TEXT NOT NULL, job TEXT NOT NULL, wall REAL NOT NULL, core_hours REAL NOT NULL,
    njobs INTEGER NOT NULL, quarantine TEXT, first_seen TEXT NOT NULL, arrivals INTEGER NOT NULL,
    fields TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS document_day ON document (day, vo);
CREATE INDEX IF NOT EXISTS document_job ON document (job);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
COUNTERS = ("Records", "RecordErrors", "Requests", "RequestErrors")
Row = dict[str, object]


class Store:
    """Documents and counters. Safe to share between threads; what keep() returned from is on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "collector.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._db.executemany("INSERT OR IGNORE INTO counter VALUES (?, 0)", [(name,) for name in COUNTERS])

    def close(self) -> None:
        """End; nothing is pending."""
        with self._lock:
            self._db.close()

    def keep(self, records: Iterable[Fields], received: datetime) -> None:
        """Store one bundle's records: a known checksum replaces what was there and counts as an arrival."""
        rows = []
        for fields in records:
            kept = document(fields, received)
            rows.append((
                kept.checksum, kept.day, kept.text("ReportableVOName") or kept.text("VOName") or "Unknown",
                kept.text("ProjectName"), kept.text("SiteName"), kept.text("ProbeName"),
                kept.text("GlobalJobId"),
                float(kept.fields.get("WallDuration", 0)), kept.core_hours, int(kept.fields.get("Njobs", 0)),
                kept.quarantine, received.isoformat(timespec="seconds"),
                json.dumps(kept.fields, ensure_ascii=False),
            ))  # fmt: skip
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO document VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1,?) ON CONFLICT (checksum) DO UPDATE"
                " SET vo=excluded.vo, site=excluded.site, arrivals=arrivals+1, fields=excluded.fields",
                rows,
            )
            self._db.execute("COMMIT")

    def count(self, **more: int) -> None:
        """Add to the counters that /stats shows."""
        with self._lock:
            self._db.executemany(
                "UPDATE counter SET value = value + ? WHERE name = ?", [(n, name) for name, n in more.items()]
            )

    def stats(self) -> Mapping[str, int]:
        """The counters, under GRACC's names."""
        return {str(row["name"]): int(str(row["value"])) for row in self._ask("SELECT * FROM counter")}

    def summary(self) -> list[Row]:
        """Records, wall seconds and core-hours of each UTC day and VO; quarantined documents are left out."""
        return self._ask(
            "SELECT day, vo, count(*) AS records, sum(wall) AS wall_seconds, sum(core_hours) AS core_hours,"
            " sum(njobs) AS njobs FROM document WHERE quarantine IS NULL GROUP BY day, vo ORDER BY day, vo"
        )

    def totals(self) -> Row:
        """All that is stored, in one row."""
        return self._ask(
            "SELECT count(*) AS documents, coalesce(sum(arrivals), 0) AS arrivals,"
            " coalesce(sum(CASE WHEN quarantine IS NULL THEN core_hours END), 0) AS core_hours,"
            " count(quarantine) AS quarantined FROM document"
        )[0]

    def duplicates(self) -> list[Row]:
        """Jobs that are counted more than once: one GlobalJobId under several checksums."""
        return self._ask(
            "SELECT job, count(*) AS documents, sum(core_hours) AS core_hours FROM document"
            " WHERE job != '' AND quarantine IS NULL GROUP BY job HAVING count(*) > 1 ORDER BY job"
        )

    def records(self, *, job: str = "", day: str = "", vo: str = "", limit: int = 1000) -> list[Row]:
        """Documents with all their fields, the latest end first; job may name the LocalJobId too."""
        where = [
            "(:job = '' OR job = :job OR json_extract(fields, '$.LocalJobId') = :job)",
            "(:day = '' OR day = :day)",
            "(:vo = '' OR vo = :vo)",
        ]
        rows = self._ask(
            f"SELECT * FROM document WHERE {' AND '.join(where)} ORDER BY day DESC, job LIMIT :limit",  # noqa: S608
            {"job": job, "day": day, "vo": vo, "limit": limit},
        )
        for row in rows:
            row["fields"] = json.loads(str(row["fields"]))
        return rows

    def _ask(self, query: str, values: Mapping[str, object] | None = None) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._db.execute(query, values or {})]

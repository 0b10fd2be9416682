"""What the workers of one host share: a small SQLite file that may be lost at any time without harm.

ClientToken reservations, ids that were resolved, servers changed through the door, terminated ones (shown for
an hour), and rate counters. Nothing here is the truth: that is OpenStack's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

LOG = logging.getLogger(__name__)

GONE_SECONDS = 3600  # how long a terminated instance stays visible, as in EC2
TOKEN_SECONDS = 24 * 3600
PENDING_SECONDS = 90  # after which a reservation whose worker died is taken over
DOUBT_SECONDS = 20  # by then Nova has written down what it was asked for, or has not
CHANGED_SECONDS = 900

_SCHEMA = """
CREATE TABLE IF NOT EXISTS token (project TEXT, token TEXT, digest TEXT, at REAL, answer TEXT,
                                  PRIMARY KEY (project, token));
CREATE TABLE IF NOT EXISTS id (project TEXT, ec2 TEXT, openstack TEXT, PRIMARY KEY (project, ec2));
CREATE TABLE IF NOT EXISTS changed (seq INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT, server TEXT,
                                    at REAL);
CREATE TABLE IF NOT EXISTS unsettled (project TEXT, server TEXT, at REAL, PRIMARY KEY (project, server));
CREATE TABLE IF NOT EXISTS gone (project TEXT, server TEXT, at REAL, document TEXT,
                                 PRIMARY KEY (project, server));
CREATE TABLE IF NOT EXISTS version (project TEXT, kind TEXT, number INTEGER, PRIMARY KEY (project, kind));
CREATE TABLE IF NOT EXISTS rate (who TEXT PRIMARY KEY, level REAL, at REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric (action TEXT, code TEXT, calls INTEGER, seconds REAL, requests INTEGER,
                                   PRIMARY KEY (action, code)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changed_project ON changed (project, seq);
"""


class Store:
    """One connection a thread; every call is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._open()
        except sqlite3.DatabaseError:
            # Worth nothing but speed: start anew rather than fail.
            LOG.warning("%s is not usable and is made anew", path)
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            self._open()

    def _open(self) -> None:
        with self._write() as connection:
            connection.executescript(_SCHEMA)
        self._path.chmod(0o600)

    def _connection(self) -> sqlite3.Connection:
        found: Optional[sqlite3.Connection] = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            found.execute("PRAGMA journal_mode=WAL")
            found.execute("PRAGMA synchronous=OFF")
            self._local.connection = found
        return found

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("ROLLBACK")
            raise
        with contextlib.suppress(sqlite3.OperationalError):  # executescript has committed
            connection.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection().execute(query, values).fetchall()

    # ClientTokens

    def reserve(self, project: str, token: str, digest: str) -> Optional[tuple[str, Optional[Any]]]:
        """None: the token is now this caller's. Else the first's digest and answer (None while it runs)."""
        now = time.time()
        with self._write() as connection:
            connection.execute(
                "DELETE FROM token WHERE at < ? OR (answer IS NULL AND at < ?)",
                (now - TOKEN_SECONDS, now - PENDING_SECONDS),
            )
            row = connection.execute(
                "SELECT digest, answer FROM token WHERE project = ? AND token = ?", (project, token)
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO token VALUES (?, ?, ?, ?, NULL)", (project, token, digest, now)
                )
                return None
        return str(row[0]), json.loads(row[1]) if row[1] is not None else None

    def fulfil(self, project: str, token: str, answer: Any) -> None:
        with self._write() as connection:
            connection.execute(
                "UPDATE token SET answer = ?, at = ? WHERE project = ? AND token = ?",
                (json.dumps(answer), time.time(), project, token),
            )

    def release(self, project: str, token: str) -> None:
        """The reservation is given up: nothing was made."""
        with self._write() as connection:
            connection.execute("DELETE FROM token WHERE project = ? AND token = ?", (project, token))

    def doubt(self, project: str, token: str) -> None:
        """It is not known whether something was made: the token is free when that can be seen in OpenStack."""
        with self._write() as connection:
            connection.execute(
                "UPDATE token SET at = ? WHERE project = ? AND token = ? AND answer IS NULL",
                (time.time() - PENDING_SECONDS + DOUBT_SECONDS, project, token),
            )

    # ids

    def remember(self, project: str, ids: Mapping[str, str]) -> None:
        """Keep EC2 id → OpenStack id."""
        with self._write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO id VALUES (?, ?, ?)",
                [(project, ec2, openstack) for ec2, openstack in ids.items()],
            )
            if connection.execute("SELECT count(*) FROM id").fetchone()[0] > 500_000:
                connection.execute("DELETE FROM id")

    def known(self, project: str, ec2: str) -> Optional[str]:
        rows = self._rows("SELECT openstack FROM id WHERE project = ? AND ec2 = ?", project, ec2)
        return str(rows[0][0]) if rows else None

    # changes made through the door

    def change(self, project: str, servers: Sequence[str]) -> None:
        """Servers that every worker is to read again before its next answer."""
        now = time.time()
        with self._write() as connection:
            connection.executemany(
                "INSERT INTO changed (project, server, at) VALUES (?, ?, ?)",
                [(project, server, now) for server in servers],
            )
            connection.execute("DELETE FROM changed WHERE at < ?", (now - CHANGED_SECONDS,))

    def changes(self, project: str, after: int) -> tuple[int, list[str]]:
        """(newest number, servers) changed since the number ``after``."""
        rows = self._rows("SELECT seq, server FROM changed WHERE project = ? AND seq > ?", project, after)
        return max([after, *(row[0] for row in rows)]), sorted({row[1] for row in rows})

    def unsettle(self, project: str, servers: Sequence[str]) -> None:
        """New servers whose volumes are to be tagged when they are there."""
        now = time.time()
        with self._write() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO unsettled VALUES (?, ?, ?)", [(project, one, now) for one in servers]
            )
            connection.execute("DELETE FROM unsettled WHERE at < ?", (now - CHANGED_SECONDS,))

    def settle(self, project: str, server: str) -> None:
        with self._write() as connection:
            connection.execute("DELETE FROM unsettled WHERE project = ? AND server = ?", (project, server))

    def unsettled(self, project: str) -> list[str]:
        rows = self._rows("SELECT server FROM unsettled WHERE project = ? ORDER BY at LIMIT 100", project)
        return [str(row[0]) for row in rows]

    def bump(self, project: str, kind: str) -> None:
        """A kept list of this kind is out of date for every worker."""
        with self._write() as connection:
            connection.execute(
                "INSERT INTO version VALUES (?, ?, 1) ON CONFLICT (project, kind) DO UPDATE SET number = number + 1",
                (project, kind),
            )

    def version(self, project: str, kind: str) -> int:
        rows = self._rows("SELECT number FROM version WHERE project = ? AND kind = ?", project, kind)
        return int(rows[0][0]) if rows else 0

    # terminated instances

    def bury(self, project: str, documents: Mapping[str, Any]) -> None:
        """Keep what a terminated server was, for the hour that EC2 shows it."""
        now = time.time()
        with self._write() as connection:
            connection.execute("DELETE FROM gone WHERE at < ?", (now - GONE_SECONDS,))
            connection.executemany(
                "INSERT OR IGNORE INTO gone VALUES (?, ?, ?, ?)",
                [(project, server, now, json.dumps(document)) for server, document in documents.items()],
            )

    def buried(self, project: str) -> dict[str, Any]:
        rows = self._rows(
            "SELECT server, document FROM gone WHERE project = ? AND at >= ?",
            project,
            time.time() - GONE_SECONDS,
        )
        return {row[0]: json.loads(row[1]) for row in rows}

    # rates

    def take(self, who: str, rate: float, burst: float) -> bool:
        """Whether one more request fits: a bucket of ``burst`` that refills by ``rate`` a second."""
        now = time.time()
        with self._write() as connection:
            row = connection.execute("SELECT level, at FROM rate WHERE who = ?", (who,)).fetchone()
            level = burst if row is None else min(burst, row[0] + max(0.0, now - row[1]) * rate)
            fits = level >= 1
            connection.execute("INSERT OR REPLACE INTO rate VALUES (?, ?, ?)", (who, level - fits, now))
            if row is None and connection.execute("SELECT count(*) FROM rate").fetchone()[0] > 20_000:
                connection.execute("DELETE FROM rate WHERE at < ?", (now - burst / rate,))
        return fits

    def count(self, action: str, code: str, seconds: float, requests: int) -> None:
        with self._write() as connection:
            connection.execute(
                "INSERT INTO metric VALUES (?, ?, 1, ?, ?) ON CONFLICT (action, code) DO UPDATE SET"
                " calls = calls + 1, seconds = seconds + excluded.seconds, requests = requests + excluded.requests",
                (action, code, seconds, requests),
            )

    def metrics(self, door: str = "ec2", what: str = "EC2 calls") -> str:
        """The counters of all workers since the store was made, as Prometheus reads them."""
        rows = self._rows("SELECT action, code, calls, seconds, requests FROM metric ORDER BY action, code")
        out = []
        for at, (name, text) in enumerate(
            (
                ("calls_total", f"{what} answered"),
                ("seconds_total", "time spent on them"),
                ("backend_requests_total", "requests made to OpenStack for them"),
            ),
            start=2,
        ):
            out.append(
                f"# HELP osg_site_iaas_{door}_{name} {text}\n# TYPE osg_site_iaas_{door}_{name} counter\n"
            )
            out.extend(
                f'osg_site_iaas_{door}_{name}{{action="{row[0]}",code="{row[1]}"}} {row[at]}\n'
                for row in rows
            )
        return "".join(out)

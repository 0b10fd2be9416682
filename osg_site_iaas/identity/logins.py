"""Who logged in with what: so that a ban by FQAN finds the keys that were issued through it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping.credential import Certificate, Credential, Token

log = logging.getLogger(__name__)
_TABLE = """
create table if not exists login (
    user_id text not null, name text not null, vo text not null, credential text not null,
    first text not null, last text not null,
    primary key (user_id, vo, credential)
)"""


@dataclass(frozen=True)
class Login:
    """Somebody came with a credential, at least once; times are UTC, ISO 8601."""

    user_id: str  # as the mapping gives it
    name: str
    vo: str
    credential: Credential
    first: str
    last: str


class Logins:
    """The record. One line a person, VO and set of FQANs (or groups and scopes), however often they come."""

    def __init__(self, file: Path, keep_days: Optional[int] = None) -> None:
        self.file = file
        self._keep = dt.timedelta(days=keep_days) if keep_days else None

    def add(self, user_id: str, name: str, vo: str, credential: Credential, now: dt.datetime) -> None:
        """Remember one login, and forget who has not come for long; SiteError if that is not possible."""
        time = _text(now)
        with self._open() as db:
            db.execute(
                "insert into login values (?, ?, ?, ?, ?, ?)"
                " on conflict (user_id, vo, credential) do update set last = excluded.last",
                (user_id, name, vo, _to_json(credential), time, time),
            )
            if self._keep is not None:
                db.execute("delete from login where last < ?", (_text(now - self._keep),))

    def all(self) -> tuple[Login, ...]:
        """Every line, oldest first."""
        if not self.file.exists():
            return ()
        with self._open() as db:
            rows = db.execute("select user_id, name, vo, credential, first, last from login order by first")
            return tuple(Login(u, n, v, _from_json(c), f, t) for u, n, v, c, f, t in rows)

    def forget_before(self, time: dt.datetime) -> int:
        """Drop who was last here before ``time``; the number of lines."""
        with self._open() as db:
            return db.execute("delete from login where last < ?", (_text(time),)).rowcount

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            db = sqlite3.connect(self.file, timeout=10)
            try:
                self.file.chmod(0o600)
                db.execute("pragma journal_mode = wal")
                with db:
                    db.execute(_TABLE)
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise SiteError(
                f"the record of logins cannot be used: {error}",
                where=str(self.file),
                todo="check its owner and disk",
            ) from error


def _text(time: dt.datetime) -> str:
    return time.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _to_json(credential: Credential) -> str:
    return json.dumps(vars(credential), sort_keys=True)


def _from_json(text: str) -> Credential:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return Certificate(**values) if "dn" in values else Token(**values)


def remember(logins: Optional[Logins], *line: object) -> None:
    """Add a login; a record that fails is logged and stops nobody, as ``ban`` reports what it cannot find."""
    if logins is None:
        return
    try:
        logins.add(*line)  # type: ignore[arg-type]
    except SiteError as error:
        log.error("a login was not recorded: %s", error)

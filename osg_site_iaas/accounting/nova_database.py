"""Reads servers and their actions from Nova's databases, read only: for clouds that outgrow the API, or archive early.

What ``nova-manage db archive_deleted_rows`` has moved to the shadow tables is read too; only a purge hides it. The
values are those that the API shows, so that either reader makes the same slices of the same servers.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.accounting.model import Action, Place, Sighting, Size, epoch, moment
from osg_site_iaas.accounting.nova import CALM, Page, gpus, instant, known_state
from osg_site_iaas.accounting.observed import Seen
from osg_site_iaas.errors import AccountingError

PAGE = 2000  # rows at a time
NAMES = 500  # values in one IN (...): some databases take no more than 999
FLAVOURS = 10_000  # parsed flavours kept

SERVER = """
SELECT i.id, i.uuid, i.project_id, i.user_id, i.display_name, i.image_ref, i.created_at, i.updated_at, i.deleted,
 i.terminated_at, i.launched_at, i.vm_state, i.task_state, i.host, i.vcpus, i.memory_mb, i.root_gb, i.ephemeral_gb,
 x.flavor FROM {shadow}instances i LEFT JOIN {shadow}instance_extra x
 ON x.instance_uuid = i.uuid AND x.flavor IS NOT NULL
"""
CHANGED = (
    SERVER
    + """ WHERE i.id > :after AND (i.updated_at >= :since OR i.deleted_at >= :since OR i.created_at >= :since)
 ORDER BY i.id LIMIT {page}"""
)
FOUND = SERVER + " WHERE i.uuid = :uuid"
EXISTING = "SELECT id, uuid FROM instances WHERE deleted = 0 AND id > :after ORDER BY id LIMIT {page}"
ADDRESSES = "SELECT instance_uuid, network_info FROM instance_info_caches WHERE instance_uuid IN ({names})"
ATTACHED = """
SELECT instance_uuid, count(*) AS n FROM block_device_mapping WHERE deleted = 0 AND destination_type = 'volume'
 AND instance_uuid IN ({names}) GROUP BY instance_uuid
"""
ACTIONS = """
SELECT instance_uuid, request_id, action, start_time, updated_at, message FROM {shadow}instance_actions
 WHERE instance_uuid IN ({names}) ORDER BY id
"""
CLOCKS = {
    "mysql": "SELECT UTC_TIMESTAMP()",
    "postgresql": "SELECT timezone('utc', now())",
    "sqlite": "SELECT datetime('now')",
}
EXAMPLE = "mysql+pymysql://USER:PASSWORD@HOST/nova_cell1?charset=utf8"


class NovaDatabase:
    """The cells' databases, each by a file that holds its connection URL. Use as a context manager."""

    def __init__(self, files: Sequence[str]) -> None:
        if not files:
            raise AccountingError(
                "the database reader needs databases",
                todo="set Databases to files that hold one connection URL each, of every cell and of cell0",
            )
        self._engines = [_engine(Path(file)) for file in files]
        self._flavours: dict[str, Size] = {}
        self.queries = 0

    def __enter__(self) -> NovaDatabase:
        return self

    def __exit__(self, *error: object) -> None:
        for engine in self._engines:
            engine.dispose()

    def changed(self, since: int) -> Iterator[Page]:
        """Every server, deleted and archived ones too, whose row has changed since a time; 0 for all there are."""
        when = moment(since).replace(tzinfo=None)  # as Nova stores it: UTC without saying so
        read_at = self._clock()
        yield Page([], read_at)
        for engine in self._engines:
            for shadow in ("", "shadow_"):
                after = 0
                query = CHANGED.format(shadow=shadow, page=PAGE)
                while rows := self._rows(engine, query, {"after": after, "since": when}):
                    around = (
                        {} if shadow else self._around(engine, [r["uuid"] for r in rows if not r["deleted"]])
                    )
                    yield Page([self._seen(row, around.get(row["uuid"])) for row in rows], read_at)
                    after = rows[-1]["id"]

    def existing(self) -> Iterator[tuple[set[str], int]]:
        """The ids of all servers that are not deleted, page by page."""
        read_at = self._clock()
        for engine in self._engines:
            after = 0
            query = EXISTING.format(page=PAGE * 10)
            while rows := self._rows(engine, query, {"after": after}):
                yield {row["uuid"] for row in rows}, read_at
                after = rows[-1]["id"]
        yield set(), read_at

    def find(self, uuid: str) -> Optional[Seen]:
        """A server, deleted or archived ones too; None if it was purged."""
        for engine in self._engines:
            for shadow in ("", "shadow_"):
                query = FOUND.format(shadow=shadow)
                for row in self._rows(engine, query, {"uuid": uuid}):
                    return self._seen(row, None)
        return None

    def actions(self, wanted: Sequence[tuple[str, int]]) -> list[Optional[Sequence[Action]]]:
        """The actions of servers, all of them: the database gives many at once, and old ones cost nothing."""
        found: dict[str, list[Action]] = {uuid: [] for uuid, _ in wanted}
        for engine in self._engines:
            for shadow in ("", "shadow_"):
                for row in self._named(engine, ACTIONS, list(found), shadow=shadow):
                    known = found[row["instance_uuid"]]
                    known.append(_action(row, len(known)))
        return [found[uuid] for uuid, _ in wanted]

    def _clock(self) -> int:
        engine = self._engines[0]
        (row,) = self._rows(engine, CLOCKS[engine.dialect.name], {})
        return _time(next(iter(row.values())))

    def _around(self, engine: Any, uuids: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Public addresses and attached volumes of servers that exist."""
        ips = {
            row["instance_uuid"]: floating_ips(row["network_info"])
            for row in self._named(engine, ADDRESSES, uuids)
        }
        volumes = {row["instance_uuid"]: row["n"] for row in self._named(engine, ATTACHED, uuids)}
        return {uuid: (ips.get(uuid, 0), volumes.get(uuid, 0)) for uuid in uuids}

    def _named(
        self, engine: Any, query: str, uuids: Sequence[str], *, shadow: str = ""
    ) -> Iterator[Mapping[str, Any]]:
        for first in range(0, len(uuids), NAMES):
            part = {f"n{number}": uuid for number, uuid in enumerate(uuids[first : first + NAMES])}
            marks = ", ".join(f":{name}" for name in part)
            yield from self._rows(engine, query.format(shadow=shadow, names=marks), part)

    def _seen(self, row: Mapping[str, Any], around: Optional[tuple[int, int]]) -> Seen:
        created = _time(row["created_at"])
        updated = _time(row["updated_at"]) if row["updated_at"] else created
        gone = bool(row["deleted"]) or row["vm_state"] == "deleted"
        state = known_state(row["uuid"], row["vm_state"] or "building")
        task = row["task_state"] or ""
        public_ips, volumes = around or (0, 0)
        ended = (_time(row["terminated_at"]) if row["terminated_at"] else updated) if gone else None
        return Seen(
            uuid=row["uuid"],
            project=row["project_id"],
            user=row["user_id"],
            name=row["display_name"] or "",
            image=row["image_ref"] or "",
            created=created,
            sighting=Sighting(
                at=updated,
                state=None if gone else state,
                size=self._size(row),
                busy=bool(task) and not CALM.match(task) and not gone,
                place=Place(row["host"] or "", public_ips, volumes),
            ),
            launched=_time(row["launched_at"]) if row["launched_at"] else None,
            ended=ended,
        )

    def _size(self, row: Mapping[str, Any]) -> Size:
        text = row["flavor"]
        if not text:  # as in very old rows
            disk = (row["root_gb"] or 0) + (row["ephemeral_gb"] or 0)
            return Size("unknown", row["vcpus"] or 0, row["memory_mb"] or 0, disk)
        if text not in self._flavours:
            if len(self._flavours) >= FLAVOURS:
                self._flavours.clear()
            self._flavours[text] = flavour(text)
        return self._flavours[text]

    def _rows(self, engine: Any, query: str, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        from sqlalchemy import DateTime, bindparam, exc, text

        self.queries += 1
        statement = text(query)
        if "since" in values:
            statement = statement.bindparams(bindparam("since", type_=DateTime))
        try:
            with _reading(engine) as connection:
                return list(connection.execute(statement, values).mappings())
        except exc.SQLAlchemyError as error:
            # the error's own words would hold the query and the values
            words = str(getattr(error, "orig", None) or type(error).__name__)
            raise AccountingError(
                f"Nova's database does not answer: {words[:300]}",
                where=engine.url.render_as_string(hide_password=True),
                todo="check the URL, and that its user may SELECT from that database",
            ) from error


def flavour(text: str) -> Size:
    """A flavour as Nova keeps it with a server."""
    data = json.loads(text)["cur"]["nova_object.data"]
    return Size(
        flavour=data["name"],
        vcpus=int(data["vcpus"]),
        memory=int(data["memory_mb"]),
        disk=int(data["root_gb"]) + int(data.get("ephemeral_gb") or 0),
        gpus=gpus(data.get("extra_specs") or {}),
    )


def floating_ips(network_info: Optional[str]) -> int:
    """How many floating addresses a server's cached network information has."""
    return sum(
        len(address.get("floating_ips") or ())
        for port in json.loads(network_info or "[]")
        for subnet in (port.get("network") or {}).get("subnets") or ()
        for address in subnet.get("ips") or ()
    )


def _action(row: Mapping[str, Any], rank: int) -> Action:
    start = _time(row["start_time"])
    finish = _time(row["updated_at"]) if row["updated_at"] else start
    return Action(start, finish, row["action"], row["request_id"], row["message"] == "Error", rank)


def _time(value: Any) -> int:
    """A time of the database, which is UTC; SQLite gives it as text."""
    if isinstance(value, datetime):
        return epoch(value.replace(tzinfo=moment(0).tzinfo))
    return instant(str(value).replace(" ", "T"))


def _engine(file: Path) -> Any:
    try:
        from sqlalchemy import create_engine, exc
    except ImportError as error:
        raise AccountingError(
            "the database reader needs SQLAlchemy",
            todo="install python3-sqlalchemy (and python3-PyMySQL), or set Reader to api",
        ) from error
    try:
        url = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AccountingError(
            f"cannot read {file}: {error.strerror}",
            todo="Databases names files that hold one connection URL each",
        ) from error
    try:
        engine = create_engine(url)
    except (exc.ArgumentError, ImportError) as error:
        what = (
            "the driver it names is not installed"
            if isinstance(error, ImportError)
            else "it is no database URL"
        )
        raise AccountingError(what, where=str(file), todo=EXAMPLE) from None
    if engine.dialect.name not in CLOCKS:
        raise AccountingError(f"{engine.dialect.name} is no database that Nova runs on", where=str(file))
    return engine


@contextmanager
def _reading(engine: Any) -> Iterator[Any]:
    """A connection that the database itself keeps from writing."""
    from sqlalchemy import text

    statement = {
        "mysql": "SET TRANSACTION READ ONLY",
        "postgresql": "SET TRANSACTION READ ONLY",
        "sqlite": "PRAGMA query_only=ON",
    }[engine.dialect.name]
    with engine.connect() as connection:
        connection.execute(text(statement))
        yield connection

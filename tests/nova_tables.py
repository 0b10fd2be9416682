"""Histories of servers as rows of Nova's database: the columns that the database reader looks at."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Iterable, Iterator, Optional

from nova_history import Life

from osg_site_iaas.accounting.model import Size, State, moment
from osg_site_iaas.accounting.nova import STATES

TABLES = """
CREATE TABLE {shadow}instances (id INTEGER PRIMARY KEY, uuid TEXT, project_id TEXT, user_id TEXT, display_name TEXT,
 image_ref TEXT, created_at TEXT, updated_at TEXT, deleted_at TEXT, deleted INTEGER, terminated_at TEXT,
 launched_at TEXT, vm_state TEXT, task_state TEXT, host TEXT, vcpus INTEGER, memory_mb INTEGER, root_gb INTEGER,
 ephemeral_gb INTEGER);
CREATE TABLE {shadow}instance_extra (id INTEGER PRIMARY KEY, instance_uuid TEXT, flavor TEXT);
CREATE TABLE {shadow}instance_actions (id INTEGER PRIMARY KEY, instance_uuid TEXT, request_id TEXT, action TEXT,
 start_time TEXT, updated_at TEXT, message TEXT);
CREATE TABLE {shadow}instance_info_caches (instance_uuid TEXT, network_info TEXT);
CREATE TABLE {shadow}block_device_mapping (instance_uuid TEXT, deleted INTEGER, destination_type TEXT);
CREATE INDEX {shadow}extra ON {shadow}instance_extra (instance_uuid);
CREATE INDEX {shadow}actions ON {shadow}instance_actions (instance_uuid);
CREATE INDEX {shadow}uuids ON {shadow}instances (uuid);
"""
NAMES = {state: name for name, state in STATES.items() if state is not None}


def create(file: Path) -> sqlite3.Connection:
    """An empty database of a cell."""
    db = sqlite3.connect(file)
    for shadow in ("", "shadow_"):
        db.executescript(TABLES.format(shadow=shadow))
    return db


def write(db: sqlite3.Connection, lives: Iterable[Life], now: int, *, archived: bool = False) -> None:
    """The rows of lives as they are at a time; with ``archived``, in the shadow tables."""
    shadow = "shadow_" if archived else ""
    for life in lives:
        seen = life.seen(now)
        sight = seen.sighting
        state: Optional[State] = sight.state
        gone = seen.ended is not None
        number = db.execute(
            f"INSERT INTO {shadow}instances (uuid, project_id, user_id, display_name, image_ref, created_at,"
            " updated_at, deleted_at, deleted, terminated_at, launched_at, vm_state, task_state, host, vcpus,"
            " memory_mb, root_gb, ephemeral_gb) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
            (
                seen.uuid, seen.project, seen.user, seen.name, seen.image, stored(seen.created), stored(sight.at),
                stored(seen.ended), 0, stored(seen.ended), stored(seen.launched),
                "deleted" if gone else NAMES[state] if state else "resized", "powering-off" if sight.busy else None,
                sight.place.host, sight.size.vcpus, sight.size.memory, sight.size.disk,
            ),
        ).lastrowid  # fmt: skip
        if gone:
            db.execute(f"UPDATE {shadow}instances SET deleted = id WHERE id = ?", (number,))
        db.execute(
            f"INSERT INTO {shadow}instance_extra (instance_uuid, flavor) VALUES (?, ?)",
            (seen.uuid, flavor(sight.size)),
        )
        db.executemany(
            f"INSERT INTO {shadow}instance_actions (instance_uuid, request_id, action, start_time, updated_at)"
            " VALUES (?,?,?,?,?)",
            [(seen.uuid, a.request, a.name, stored(a.start), stored(a.finish)) for a in life.actions(now)],
        )
    db.commit()


def flavor(size: Size) -> str:
    """A flavour as Nova keeps it with a server."""
    specs = {"pci_passthrough:alias": f"gpu:{size.gpus}"} if size.gpus else {}
    data = {
        "name": size.flavour, "vcpus": size.vcpus, "memory_mb": size.memory, "root_gb": size.disk, "ephemeral_gb": 0,
        "extra_specs": specs,
    }  # fmt: skip
    return json.dumps(
        {"cur": {"nova_object.name": "Flavor", "nova_object.data": data}, "old": None, "new": None}
    )


def stored(seconds: Optional[int]) -> Optional[str]:
    """A time as SQLAlchemy stores it in SQLite."""
    return None if seconds is None else moment(seconds).strftime("%Y-%m-%d %H:%M:%S.000000")


def url_files(folder: Path, databases: Iterable[Path]) -> Iterator[str]:
    """Files that hold the databases' URLs."""
    for database in databases:
        file = folder / f"{database.name}.url"
        file.write_text(f"sqlite:///{database}\n")
        yield str(file)

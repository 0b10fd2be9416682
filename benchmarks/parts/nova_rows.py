"""Many servers in a sandbox's Nova without starting them: the rows of one that was started, written again and again.

The copies are ACTIVE, of the same project, flavour, image and addresses, on a host that no compute service has, so that
none looks after them. They have no port in Neutron.
"""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path
from typing import Any, Callable, Mapping

# database, table, the column that names the server
TABLES = (
    ("nova.db", "instances", "uuid"),
    ("nova.db", "instance_extra", "instance_uuid"),
    ("nova.db", "instance_info_caches", "instance_uuid"),
    ("nova.db", "instance_metadata", "instance_uuid"),
    ("nova.db", "instance_system_metadata", "instance_uuid"),
    ("nova.db", "block_device_mapping", "instance_uuid"),
    ("nova_api.db", "instance_mappings", "instance_uuid"),
)
OWN = {"instances": {"host": "copies", "node": "copies", "compute_id": None}}


def copy(
    folder: Path,
    server: str,
    count: int,
    own: Callable[[int], Mapping[str, Any]] = lambda number: {},
) -> list[str]:
    """The ids of so many copies of a server; ``own`` gives columns of a copy's row in ``instances`` by its number."""
    made = [str(uuid.uuid4()) for _ in range(count)]
    for file in sorted({table[0] for table in TABLES}):
        with sqlite3.connect(folder / file, timeout=120) as database:
            for _, table, key in (one for one in TABLES if one[0] == file):
                database.row_factory = sqlite3.Row
                rows = [
                    dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {key} = ?", (server,))
                ]
                for row in rows:
                    del row["id"]
                    row.update(OWN.get(table, {}))
                    if table == "block_device_mapping":
                        row["uuid"] = None
                    names = ", ".join(row)
                    marks = ", ".join("?" for _ in row)
                    database.executemany(
                        f"INSERT INTO {table} ({names}) VALUES ({marks})",
                        (
                            tuple({**row, key: one, **(own(number) if table == "instances" else {})}.values())
                            for number, one in enumerate(made)
                        ),
                    )
    return made


def remove(folder: Path, servers: list[str]) -> None:
    """Take the copies away again."""
    for file, table, key in reversed(TABLES):
        with sqlite3.connect(folder / file, timeout=120) as database:
            database.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(one,) for one in servers])

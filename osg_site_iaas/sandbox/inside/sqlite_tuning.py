"""Imported by every process that opens SQLite: readers go on while one writes, and writers queue.

A transaction that starts as a reader and then writes cannot wait for its turn on SQLite: it fails at once.
So every transaction asks for the write lock when it begins.
"""

from sqlalchemy import event
from sqlalchemy.engine import Engine

WAIT_MS = 30000


@event.listens_for(Engine, "connect")
def _on_connect(connection, _record):
    if not type(connection).__module__.startswith("sqlite3"):
        return
    level = connection.isolation_level
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={WAIT_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    # Safe when a process dies; only a power cut could lose the last writes, and a sandbox is not for keeping.
    connection.execute("PRAGMA synchronous=OFF")
    connection.isolation_level = level


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _on_execute(connection, _cursor, statement, parameters, _context, _many):
    if statement == "BEGIN" and connection.dialect.name == "sqlite":
        statement = "BEGIN IMMEDIATE"
    return statement, parameters

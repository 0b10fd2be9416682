"""Imported by every process that opens SQLite: readers go on while one writes, and writers queue.

A transaction that starts as a reader and then writes cannot wait for its turn on SQLite: it fails at once. So a
transaction asks for the write lock when it begins, unless the code that opened it declared it a reader, which
oslo.db then holds it to.

Connections are kept: oslo.db would open the file anew for each transaction, which costs more than most of them.
"""

import sqlalchemy
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool, QueuePool

WAIT_MS = 30000
READS = "sandbox_reads"
KEPT = 20
#: Whether what refers to a row goes with it, as in any other database. Set by a program whose service rests on that.
foreign_keys = False

_create_engine = sqlalchemy.create_engine


def _engine(url, **options):
    if options.get("poolclass") is NullPool and sqlalchemy.make_url(url).drivername.startswith("sqlite"):
        options.update(poolclass=QueuePool, pool_size=KEPT, max_overflow=-1)
    return _create_engine(url, **options)


sqlalchemy.create_engine = _engine


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
    if foreign_keys:
        connection.execute("PRAGMA foreign_keys=ON")
    connection.isolation_level = level


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _on_execute(connection, _cursor, statement, parameters, _context, _many):
    if (
        statement == "BEGIN"
        and connection.dialect.name == "sqlite"
        and not connection.get_execution_options().get(READS)
    ):
        statement = "BEGIN IMMEDIATE"
    return statement, parameters


_Factory = enginefacade._TransactionFactory
_create_session, _create_connection = _Factory._create_session, _Factory._create_connection


def _session(self, mode, bind=None):
    session = _create_session(self, mode, bind)
    if mode is not enginefacade._WRITER and not bind:
        session.bind = session.bind.execution_options(**{READS: True})
    return session


def _connection(self, mode):
    connection = _create_connection(self, mode)
    return connection if mode is enginefacade._WRITER else connection.execution_options(**{READS: True})


_Factory._create_session, _Factory._create_connection = _session, _connection

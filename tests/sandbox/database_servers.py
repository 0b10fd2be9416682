"""Real MariaDB and PostgreSQL servers, started by a test from Debian's packages, with Nova's own tables in them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import site
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest
from nova_history import Life
from nova_tables import flavor
from sqlalchemy import MetaData, create_engine, insert

from osg_site_iaas.accounting.model import State, moment
from osg_site_iaas.accounting.nova import STATES

KINDS = ("mariadb", "postgresql")
PATIENCE = 120  # seconds
NAMES = {state: name for name, state in STATES.items() if state is not None}


@contextmanager
def server(kind: str) -> Iterator[str]:
    """A server of its own; the SQLAlchemy address of a database, with {name} for the database's name."""
    folder = Path(tempfile.mkdtemp(prefix="osg-db-", dir="/tmp"))  # a socket's path must be short
    user = "postgres" if kind == "postgresql" and os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    try:
        start, url = (_mariadb if kind == "mariadb" else _postgresql)(folder, user)
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(start, stdout=log, stderr=log, user=user, cwd=folder)
        try:
            _wait(url.format(name="" if kind == "mariadb" else "postgres"), process, folder / "log")
            yield url
        finally:
            # PostgreSQL waits for its clients otherwise
            process.send_signal(signal.SIGINT if kind == "postgresql" else signal.SIGTERM)
            process.wait(PATIENCE)
    finally:
        shutil.rmtree(folder)


def _mariadb(folder: Path, user: str | None) -> tuple[Sequence[str], str]:
    (folder / "data").mkdir()
    start = (
        _program("mariadbd", "mariadb-server-core"), "--no-defaults", f"--datadir={folder}/data",
        f"--user={pwd.getpwuid(os.geteuid()).pw_name}", f"--socket={folder}/s", f"--pid-file={folder}/pid",
        "--skip-networking", "--skip-grant-tables",
    )  # fmt: skip
    return start, f"mysql+pymysql://root@localhost/{{name}}?unix_socket={folder}/s&charset=utf8mb4"


def _postgresql(folder: Path, user: str | None) -> tuple[Sequence[str], str]:
    _run([_program("initdb", "postgresql-15"), "-A", "trust", "-U", "nova", "-D", f"{folder}/data"], user)
    start = (_program("postgres", "postgresql-15"), "-D", f"{folder}/data", "-k", str(folder), "-h", "")
    return start, f"postgresql+psycopg2://nova@/{{name}}?host={folder}"


def _program(name: str, package: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, versions)]))
    if found is None:
        pytest.fail(f"{name} is not here: install {package}")
    return found


def _run(command: Sequence[str], user: str | None = None) -> None:
    done = subprocess.run(command, user=user, capture_output=True, text=True, cwd="/tmp")
    assert done.returncode == 0, done.stdout + done.stderr


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            engine.connect().close()
            engine.dispose()
            return
        except Exception:  # noqa: BLE001 - each database has errors of its own until it listens
            time.sleep(0.2)
    pytest.fail(f"the database server does not start:\n{log.read_text()[-2000:]}")


class NovaTables:
    """Nova's databases on a server, made by its own migrations, and ``nova-manage`` for them."""

    def __init__(self, box: Any, url: str, folder: Path) -> None:
        self._box = box
        self._conf = folder / "nova.conf"
        self._drivers = folder / "drivers"  # the services' Python has none for these databases
        self._drivers.mkdir()
        for name in ("pymysql", "psycopg2", "psycopg2_binary.libs"):
            module = next((Path(p) / name for p in site.getsitepackages() if (Path(p) / name).exists()), None)
            if module:
                (self._drivers / name).symlink_to(module)
        for name in ("nova", "nova_api"):
            engine = create_engine(url.format(name="" if "mysql" in url else "postgres"))
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            engine.dispose()
        self.url = url.format(name="nova")
        api = url.format(name="nova_api")
        self._conf.write_text(f"[database]\nconnection = {self.url}\n[api_database]\nconnection = {api}\n")
        self.manage("api_db", "sync")
        self.manage("db", "sync", "--local_cell")
        self.engine = create_engine(self.url)
        self._tables = MetaData()
        self._tables.reflect(self.engine)

    def manage(self, *arguments: str, ok: Sequence[int] = (0,)) -> str:
        """Run nova-manage."""
        command = self._box.manage("nova.cmd.manage:main", "--config-file", str(self._conf), *arguments)
        env = {**os.environ, **command.env, "PYTHONPATH": str(self._drivers)}
        done = subprocess.run(command.argv, env=env, capture_output=True, text=True)
        assert done.returncode in ok, done.stdout + done.stderr
        return done.stdout

    def write(self, lives: Sequence[Life], now: int) -> None:
        """The rows of lives as they are at a time."""
        table = self._tables.tables
        with self.engine.begin() as connection:
            for life in lives:
                seen = life.seen(now)
                sight = seen.sighting
                state: State | None = sight.state
                gone = seen.ended is not None
                row = {
                    "uuid": seen.uuid, "project_id": seen.project, "user_id": seen.user, "display_name": seen.name,
                    "image_ref": seen.image, "created_at": _time(seen.created), "updated_at": _time(sight.at),
                    "terminated_at": _time(seen.ended), "deleted_at": _time(seen.ended), "deleted": 0,
                    "launched_at": _time(seen.launched), "host": sight.place.host, "vcpus": sight.size.vcpus,
                    "memory_mb": sight.size.memory, "root_gb": sight.size.disk, "ephemeral_gb": 0,
                    "vm_state": "deleted" if gone else NAMES[state] if state else "resized",
                    "task_state": "powering-off" if sight.busy else None,
                }  # fmt: skip
                number = connection.execute(insert(table["instances"]), row).inserted_primary_key[0]
                if gone:
                    rows = table["instances"]
                    connection.execute(rows.update().where(rows.c.id == number).values(deleted=number))
                extra = {
                    "instance_uuid": seen.uuid,
                    "flavor": flavor(sight.size),
                    "deleted": number if gone else 0,
                }
                if gone:
                    extra["deleted_at"] = _time(seen.ended)
                connection.execute(insert(table["instance_extra"]), extra)
                connection.execute(
                    insert(table["instance_actions"]),
                    [
                        {
                            "instance_uuid": seen.uuid, "request_id": a.request, "action": a.name, "deleted": 0,
                            "start_time": _time(a.start), "updated_at": _time(a.finish), "created_at": _time(a.start),
                        }
                        for a in life.actions(now)
                    ],
                )  # fmt: skip

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def _time(seconds: int | None) -> Any:
    return None if seconds is None else moment(seconds).replace(tzinfo=None)

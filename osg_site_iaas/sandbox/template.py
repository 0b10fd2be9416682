"""Databases with every table and nothing in them, made once and copied into each new sandbox."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Callable

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, processes, releases
from osg_site_iaas.sandbox.model import Box, inside
from osg_site_iaas.sandbox.render import write_configuration
from osg_site_iaas.sandbox.service import Service

AT_ONCE = 2
LAST_LINES = 20


def folder_of(service: Service, release: str) -> Path:
    """Where the service's template is; another release, lock file or way to make it gives another folder."""
    source = Path(__file__).parent / "services" / f"{service.name}.py"
    makers = [inside(name, release) for name in ("manage.py", "sqlite_tuning.py", "neutron_schema.py")]
    digest = folders.digest(source, *makers, extra=releases.made_with(release))
    return folders.cache() / "templates" / digest / service.name


def ensure(box: Box, services: tuple[Service, ...], progress: Callable[[str], None]) -> None:
    """Make what templates are missing; a minute the first time, nothing later."""
    if not any(s.databases and not folder_of(s, box.release).exists() for s in services):
        return
    with folders.only_one(folders.cache() / "templates.lock"):
        missing = [s for s in services if s.databases and not folder_of(s, box.release).exists()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name in pool.map(lambda service: _make(box, service, services), missing):
                progress(f"database of {name} made")


def _make(box: Box, service: Service, services: tuple[Service, ...]) -> str:
    target = folder_of(service, box.release)
    work = target.with_name(f".{service.name}-making")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    scratch = replace(box, folder=work)
    write_configuration(scratch, (service,))
    (work / "db").mkdir(mode=0o700)
    for command in service.migrations(scratch):
        code, said = processes.run(command, work)
        if code:
            shutil.rmtree(work, ignore_errors=True)
            end = "\n".join(f"    {line}" for line in said[-LAST_LINES:])
            raise SandboxError(f"its database could not be made; it said:\n{end}", where=service.name)
    finished = target.with_name(f".{service.name}-finished")
    shutil.rmtree(finished, ignore_errors=True)
    finished.mkdir(mode=0o700)
    for name in service.databases:
        # A backup is one whole file, with nothing left in a write-ahead log beside it.
        with (
            closing(sqlite3.connect(work / f"db/{name}.db")) as made,
            closing(sqlite3.connect(finished / f"{name}.db")) as kept,
        ):
            made.backup(kept)
    finished.rename(target)
    shutil.rmtree(work)
    return service.name


def copy(box: Box, services: tuple[Service, ...]) -> None:
    """Give the box the databases that it does not have yet."""
    base = box.folder / "db"
    base.mkdir(mode=0o700, exist_ok=True)
    for service in services:
        for name in service.databases:
            target = base / f"{name}.db"
            if not target.exists():
                fresh = base / f".{name}.copy"
                shutil.copyfile(folder_of(service, box.release) / f"{name}.db", fresh)
                fresh.chmod(0o600)
                fresh.rename(target)
        service.adopt(box)

"""What a run opens: the lock of its folder, where usage is read, and the way to the collector."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Iterator

from osg_site_iaas.accounting.gratia_sender import ThroughGratia
from osg_site_iaas.accounting.nova import NovaApi
from osg_site_iaas.accounting.nova_database import NovaDatabase
from osg_site_iaas.accounting.reading import Source
from osg_site_iaas.accounting.send import Direct, Sender
from osg_site_iaas.accounting.settings import Settings
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.errors import AccountingError, Locked


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder's lock: one run at a time, and nothing left behind by one that was killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        file = open(folder / "lock", "a+")  # noqa: SIM115 - closed below
    except OSError as error:
        raise AccountingError(
            f"the accounting state cannot be kept there: {error.strerror}",
            where=str(folder),
            todo="run as the probe's user, or name another folder: --state, or DataFolder in the ProbeConfig",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise Locked(
                f"another run is under way (process {file.read().strip() or 'unknown'})",
                where=str(folder),
                todo="wait until it has ended",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def open_source(settings: Settings, cloud: Cloud, now: datetime) -> Iterator[Source]:
    """Where the settings say that usage is read."""
    if settings.reader == "database":
        with NovaDatabase(settings.databases) as database:
            yield database
        return
    yield NovaApi(cloud, now, workers=settings.workers)


@contextmanager
def open_sender(settings: Settings) -> Iterator[Sender]:
    """The way to the collector that the settings choose."""
    if settings.sender == "gratia":
        with ThroughGratia(settings) as library:
            yield library
        return
    with Direct(settings.collector, settings.probe.probe_name, settings.bundle_size) as sender:
        yield sender

"""One archive of all that this host alone knows: settings, logins, VOs' keys, and what the services keep.

Databases in use are copied by SQLite, so that each copy is whole. The archive holds secrets as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import sqlite3
import tarfile
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, Mapping

from osg_site_iaas import __version__
from osg_site_iaas.accounting.settings import STATE as PROBE_STATE
from osg_site_iaas.accounting.settings import from_probe_config
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError, trouble
from osg_site_iaas.mapping import bans
from osg_site_iaas.ops.finding import NotHere
from osg_site_iaas.ops.subject import Subject

FORMAT = 1
MANIFEST = "osg-site-iaas-backup.json"  # the archive's first file
FILES = "files"  # the others lie there by their absolute paths
_DATABASE = ".sqlite"
_PASSING = ("-wal", "-shm", "-journal", ".lock", ".tmp")  # ends of names of what is of no use in a copy
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Saved:
    """What is in an archive: files by path with size in bytes, SHA-256, owner, group and mode; the same of folders."""

    host: str
    made: str
    version: str
    files: Mapping[str, Mapping[str, Any]]
    folders: Mapping[str, Mapping[str, str]]
    missing: tuple[str, ...]  # what such a host may have and this one has not


def folders(subject: Subject) -> dict[str, Path]:
    """Where things lie that are to be saved, by what they are; also where none are."""
    places = subject.places
    found = {
        "settings, logins and keys": places.etc,
        "site.yml": subject.file.absolute(),
        "bans.yml": bans.file_beside(subject.file.absolute()),
        "what services keep": places.state,
        "ProbeConfig": places.probe_config,
    }
    try:
        site: Site = subject.site()
    except NotHere:
        return found
    found["the VOs' keys and passwords"] = site.cloud.secrets
    config = places.probe_config
    found["the probe's state"] = from_probe_config(site, config).folder if config.exists() else PROBE_STATE
    return {what: place.absolute() for what, place in found.items()}  # as the archive names them


def write(path: Path, subject: Subject, progress: Progress = lambda *_: None) -> Saved:
    """Write an archive (mode 0600) that is whole or not there; SiteError if it cannot be, or if there is one."""
    if path.exists():
        raise SiteError(
            "it exists already: a backup replaces none", where=str(path), todo="name another file"
        )
    wanted = folders(subject)
    files = list(dict.fromkeys(file for place in wanted.values() for file in _files(place)))
    missing = tuple(f"{what} ({place})" for what, place in wanted.items() if not place.exists())
    if not files:
        raise SiteError("there is nothing to save on this host", where=", ".join(map(str, wanted.values())))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            aside = Path(folder) / "archive"
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as out:
                saved = _archive(out, files, missing, subject.now, Path(folder), progress)
                out.flush()
                os.fsync(out.fileno())
            _name(aside, path)
    except FileExistsError as error:
        raise SiteError("it exists already", where=str(path), todo="name another file") from error
    except OSError as error:
        todo = "run this as root, where there is room for a second copy of the databases"
        raise trouble(error, todo, "the backup cannot be made: ", str(path)) from error
    return saved


def _name(aside: Path, path: Path) -> None:
    """Give the archive its name, and never over what came there meanwhile where the file system can do that."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links there
        aside.replace(path)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in sorted(place.rglob("*")) if place.is_dir() else ():
        if path.is_file() and not path.is_symlink() and not path.name.endswith(_PASSING):
            yield path


def _archive(
    out: BinaryIO,
    files: list[Path],
    missing: tuple[str, ...],
    now: datetime,
    folder: Path,
    progress: Progress,
) -> Saved:
    copies = folder / "copies"
    copies.mkdir(mode=0o700)
    told: dict[str, dict[str, Any]] = {}
    sources: dict[str, Path] = {}
    for number, path in enumerate(files):
        progress(path.name, number, len(files))
        source = copies / str(number)
        _copy(path, source)
        told[str(path)] = {"size": source.stat().st_size, "sha256": digest(source), **_whose(path)}
        sources[str(path)] = source
    around = {parent for path in files for parent in path.parents[:-1]}
    whose = {str(one): _whose(one) for one in sorted(around)}
    saved = Saved(socket.gethostname(), now.isoformat(timespec="seconds"), __version__, told, whose, missing)
    text = json.dumps({"format": FORMAT, **saved.__dict__}, indent=1).encode()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mtime, head.mode = len(text), int(time.time()), 0o600
        archive.addfile(head, io.BytesIO(text))
        for name, source in sources.items():
            info = archive.gettarinfo(str(source), f"{FILES}{name}")
            info.mode = int(told[name]["mode"], 8)
            info.uname, info.gname = told[name]["owner"], told[name]["group"]
            with source.open("rb") as data:
                archive.addfile(info, data)
    return saved


def _whose(path: Path) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as names:  # it knows owners by their names
        info = names.gettarinfo(str(path))
    owner, group = info.uname or str(info.uid), info.gname or str(info.gid)
    return {"owner": owner, "group": group, "mode": f"{info.mode & 0o7777:04o}"}


def _copy(path: Path, target: Path) -> None:
    """A copy that is whole, of a database also while somebody writes into it."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if path.suffix != _DATABASE:
        with os.fdopen(handle, "wb") as out, path.open("rb") as data:
            for piece in iter(lambda: data.read(1 << 20), b""):
                out.write(piece)
        return
    os.close(handle)
    try:
        source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)
        copy = sqlite3.connect(target)
        try:
            source.backup(copy)
            wrong = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            copy.close()
            source.close()
    except sqlite3.Error as error:
        raise SiteError(
            f"it cannot be copied: {error}", where=str(path), todo="look at it with sqlite3"
        ) from error
    if wrong != "ok":
        raise SiteError(f"the database is damaged: {wrong}", where=str(path), todo="restore it from a backup")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    made = hashlib.sha256()
    with path.open("rb") as data:
        for piece in iter(lambda: data.read(1 << 20), b""):
            made.update(piece)
    return made.hexdigest()

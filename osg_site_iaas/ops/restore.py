"""Puts back what a backup holds: all of it or, if anything is wrong with it, nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.errors import SiteError, trouble
from osg_site_iaas.ops.backup import FILES, FORMAT, MANIFEST, Saved, digest

ASIDE = ".restoring"  # end of a file's name until all are there
UNITS = ("osg-site-iaas-*", "gratia-probe-openstack*")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Target:
    """One file of the archive, where it goes, and what becomes of it: new, same, or replaced."""

    name: str
    path: Path
    state: str


def targets(saved: Saved, allowed: Sequence[Path], root: Path) -> list[Target]:
    """Where each file would go; SiteError for one that is not below ``allowed`` (folders, or files)."""
    found = []
    for name, about in saved.files.items():
        path = Path(name)
        if (
            not path.is_absolute()
            or ".." in path.parts
            or not any(path == one or one in path.parents for one in allowed)
        ):
            raise SiteError(
                f"{name} is not where things of ours lie",
                todo="if you trust the archive and want it there, say --also with its folder",
            )
        there = root / name.lstrip("/")
        if there.is_symlink() or (there.exists() and not there.is_file()):
            raise SiteError("it is not a plain file, and would be replaced", where=str(there))
        if not there.exists():
            state = "new"
        else:
            state = "same" if digest(there) == about["sha256"] else "replaced"
        found.append(Target(name, there, state))
    return found


def read(archive: Path) -> Saved:
    """What an archive says is in it; SiteError if it is none of ours."""
    with _open(archive) as tar:
        member = tar.next()
        stream = tar.extractfile(member) if member is not None and member.name == MANIFEST else None
        if stream is None:
            raise SiteError("this is no backup of osg-site-iaas", where=str(archive))
        try:
            data = json.loads(stream.read())
            if data.pop("format") != FORMAT:
                raise SiteError(
                    "it was made by a later version", where=str(archive), todo="update osg-site-iaas"
                )
            for about in (*data["files"].values(), *data["folders"].values()):
                _ = int(about["mode"], 8), about["owner"] + about["group"]
            for about in data["files"].values():
                bytes.fromhex(about["sha256"])
            return Saved(**{**data, "missing": tuple(data["missing"])})
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise SiteError("its table of contents cannot be read", where=str(archive)) from error


def make_root(root: Path) -> None:
    """The folder below which all is put; one that is not there yet is only its owner's, as what comes is secret."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise trouble(error, "--root names a folder", "it cannot be made: ", str(root)) from error


def put_back(
    archive: Path, saved: Saved, found: Sequence[Target], progress: Progress = lambda *_: None
) -> list[str]:
    """Write what is new or replaced; the owners that this host does not know. Only when all are there, names change."""
    wanted = {f"{FILES}{one.name}": one for one in found if one.state != "same"}
    made: list[tuple[Path, Path]] = []
    unknown: set[str] = set()
    try:
        with _open(archive) as tar:
            for member in tar:
                target = wanted.pop(member.name, None)
                if target is None:
                    continue
                progress(target.path.name, len(made), len(made) + len(wanted) + 1)
                aside = target.path.with_name(target.path.name + ASIDE)
                unknown.update(_make_folders(Path(target.name), target.path, saved))
                made.append((aside, target.path))
                _extract(tar, member, aside, saved.files[target.name])
                unknown.update(_give(aside, saved.files[target.name]))
        if wanted:
            raise SiteError(f"{len(wanted)} files are not in it: it is cut off", where=str(archive))
        for aside, path in made:
            for end in ("-wal", "-shm"):  # of the database that was there: they do not fit the one that comes
                path.with_name(path.name + end).unlink(missing_ok=True)
            aside.replace(path)
    except OSError as error:
        raise trouble(error, "run this as root", "it cannot be put back: ", str(archive)) from error
    except (EOFError, LookupError) as error:
        raise SiteError(f"it cannot be put back: {error}", where=str(archive)) from error
    finally:
        for aside, _ in made:
            aside.unlink(missing_ok=True)
    return sorted(unknown)


def _make_folders(name: Path, path: Path, saved: Saved) -> Iterator[str]:
    """The folders that are not there yet, each as it was."""
    pairs = list(zip(name.parents, path.parents))[:-1]
    for was, folder in reversed(pairs):
        if not folder.exists():
            folder.mkdir(mode=0o700)
            yield from _give(folder, saved.folders[str(was)])


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, aside: Path, about: Mapping[str, Any]) -> None:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        raise SiteError(f"{member.name} is not a plain file in it")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    if digest(aside) != about["sha256"]:
        raise SiteError(f"{member.name} is damaged in it: its sum is another", todo="take an older backup")


def _give(path: Path, about: Mapping[str, Any]) -> Iterator[str]:
    """Owner, group and mode as they were; names of those that this host does not know."""
    if os.geteuid() == 0:
        for option, word in (("user", "owner"), ("group", "group")):
            try:
                shutil.chown(path, **{option: _name(about[word])})
            except LookupError:
                yield f"{word} {about[word]}"
    path.chmod(int(str(about["mode"]), 8))


def _name(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def running() -> list[str]:
    """Units of ours that run now; none where systemd does not."""
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        return []
    words = ["systemctl", "list-units", "--state=active,activating", "--plain", "--no-legend", *UNITS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return [line.split()[0] for line in done.stdout.splitlines() if line.split()]


def in_use(found: Sequence[Target]) -> Optional[Path]:
    """A database that would be replaced and that somebody writes into now, or None."""
    for one in found:
        if one.state == "replaced" and one.path.suffix == ".sqlite":
            with contextlib.closing(sqlite3.connect(one.path, timeout=1)) as database:
                try:
                    database.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    return one.path
                except sqlite3.DatabaseError:
                    continue  # damaged: what a restore is for
    return None


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, mode="r|gz") as tar:
            yield tar
    except (tarfile.TarError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.filename not in (None, str(archive), archive):
            raise  # of another file
        if isinstance(error, OSError) and error.strerror:
            raise trouble(error, "name the archive", "it cannot be read: ", str(archive)) from error
        raise SiteError(
            f"it cannot be read: {error}", where=str(archive), todo="name what `osg-site-iaas backup` wrote"
        ) from error

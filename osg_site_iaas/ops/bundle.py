"""The archive for those who help: findings, settings, versions and logs, with secrets and people taken out."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Collection, Iterable, Iterator, Mapping, Sequence

from osg_site_iaas import __version__
from osg_site_iaas.errors import SiteError, trouble
from osg_site_iaas.ops import encodings, host_secrets, redact
from osg_site_iaas.ops.finding import Result
from osg_site_iaas.ops.subject import Subject

FOLDER = "osg-site-iaas-support"  # in the archive
LOG_LINES = 2000
LIBRARIES = (
    "openstacksdk", "keystoneauth1", "requests", "cryptography", "PyJWT", "PyYAML", "jsonschema", "botocore",
    "gunicorn", "cheroot", "rich", "SQLAlchemy",
)  # fmt: skip
UNITS = ("osg-site-iaas-*", "gratia-probe-openstack*")


def write(path: Path, subject: Subject, results: Sequence[Result]) -> list[str]:
    """Write the archive (mode 0600), whole or not at all; the names of what is in it.

    SiteError if it cannot be written, if another file has the name, or if a secret of this host were still in it.
    """
    if path.is_symlink() or (path.exists() and not _is_ours(path)):
        raise SiteError(
            "it exists, and is no earlier archive of doctor's",
            where=str(path),
            todo="name another file: nothing else is replaced",
        )
    found = dict(_members(subject, results))
    known = [*host_secrets.find(subject), *_learnt(found)]
    redactor = redact.Redactor(known, host_secrets.people(subject))
    members = {name: _clean(text, redactor) for name, text in found.items()}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            aside = Path(folder) / "archive"
            _pack(aside, members)
            verify(aside, redactor.secrets, str(path))
            aside.replace(path)
    except OSError as error:
        raise trouble(error, "name another file", "cannot write the archive: ", str(path)) from error
    return list(members)


def verify(archive: Path, secrets: Collection[str], where: str) -> None:
    """Read the archive again; SiteError if one of the secrets is in it, plainly or in another writing."""
    with tarfile.open(archive) as opened:
        for one in opened:
            file = opened.extractfile(one)
            text = file.read().decode("utf-8", "replace") if file else ""
            if encodings.holds(_unmarked(text), secrets) or encodings.holds(one.name, secrets):
                name = one.name.partition("/")[2]
                raise SiteError(
                    f"the archive was not kept: a secret of this host would be in its {name}",
                    where=where,
                    todo=f"send what is needed by hand, without {name}, and tell the developers what was not seen",
                )


def _pack(path: Path, members: Mapping[str, str]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in members.items():
            data = text.encode("utf-8", "replace")
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
            archive.addfile(info, io.BytesIO(data))


def _is_ours(path: Path) -> bool:
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            first = archive.next()
    except (OSError, EOFError, tarfile.TarError):
        return False
    return first is not None and first.name.startswith(f"{FOLDER}/")


def _learnt(found: Mapping[str, str]) -> Iterator[str]:
    """What texts name as secret, for the other texts; our own findings only talk of such things."""
    for name, text in found.items():
        if name.startswith(("files/", "logs/")):
            yield from redact.learn(text, settings=name.startswith("files/"))


def _clean(text: str, redactor: redact.Redactor) -> str:
    """The text without secrets and people; where a secret is still to be seen, also without that line."""
    text = redactor.text(text)
    if encodings.holds(_unmarked(text), redactor.secrets) is None:
        return text
    return encodings.without(text, redactor.secrets, redact.GONE)


def _unmarked(text: str) -> str:
    return redact.MARKS.sub("\n", text)


def _members(subject: Subject, results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    yield "findings.json", json.dumps([result.as_data() for result in results], indent=1)
    yield "versions.json", json.dumps(_versions(), indent=1)
    for path in (*host_secrets.settings(subject), subject.places.drift):
        text = host_secrets.read(path)
        if text is not None:
            yield f"files/{path.name}", text
    for path in host_secrets.logins(subject):  # of a clouds.yaml only what says where it leads
        yield f"files/clouds-{path.stem}.json", json.dumps(_where_to(path), indent=1)
    for name, words in _commands():
        yield f"logs/{name}", words


def _where_to(path: Path) -> Any:
    data = host_secrets.parsed(path)
    entries = data.get("clouds") if isinstance(data, dict) else None
    said = ("auth_url", "username", "user_domain_name", "project_name", "project_domain_name", "system_scope")
    found = {}
    for name, entry in (entries or {}).items():
        auth = entry.get("auth") if isinstance(entry, dict) else None
        found[name] = {key: value for key, value in (auth or {}).items() if key in said}
    return found


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {
        "osg-site-iaas": __version__,
        "python": sys.version,
        "system": platform.platform(),
    }
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _commands() -> Iterator[tuple[str, str]]:
    if shutil.which("journalctl"):
        units = [word for unit in UNITS for word in ("--unit", unit)]
        yield "journal.txt", _said(["journalctl", "--no-pager", "--lines", str(LOG_LINES), *units])
    if shutil.which("systemctl"):
        yield "units.txt", _said(["systemctl", "list-units", "--all", "--no-pager", *UNITS])


def _said(words: Iterable[str]) -> str:
    try:
        done = subprocess.run(
            list(words), capture_output=True, text=True, timeout=60, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout + done.stderr

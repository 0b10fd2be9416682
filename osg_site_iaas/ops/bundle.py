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
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Sequence

import yaml

from osg_site_iaas import __version__
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import bans
from osg_site_iaas.ops import redact
from osg_site_iaas.ops.finding import NotHere, Result
from osg_site_iaas.ops.subject import Subject

LOG_LINES = 2000
LIBRARIES = (
    "openstacksdk", "keystoneauth1", "requests", "cryptography", "PyJWT", "PyYAML", "jsonschema", "botocore",
    "gunicorn", "cheroot", "rich", "SQLAlchemy",
)  # fmt: skip
UNITS = ("osg-site-iaas-*", "gratia-probe-openstack*")


def write(path: Path, subject: Subject, results: Sequence[Result]) -> list[str]:
    """Write the archive (mode 0600); the names of what is in it. SiteError if it cannot be written."""
    found = dict(_members(subject, results))
    known = {*_secrets(subject), *(one for text in found.values() for one in redact.learn(text))}
    members = {name: redact.text(text, known) for name, text in found.items()}
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in members.items():
                data = text.encode("utf-8", "replace")
                info = tarfile.TarInfo(f"osg-site-iaas-support/{name}")
                info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
                archive.addfile(info, io.BytesIO(data))
    except OSError as error:
        raise SiteError(f"cannot write the archive: {error.strerror}", where=str(path)) from error
    return list(members)


def _members(subject: Subject, results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    yield "findings.json", json.dumps([result.as_data() for result in results], indent=1)
    yield "versions.json", json.dumps(_versions(), indent=1)
    places = subject.places
    files = [
        subject.file,
        bans.file_beside(subject.file),
        places.ec2,
        places.identity,
        places.probe_config,
        places.drift,
    ]
    files += sorted(places.etc.glob("*.env")) if places.etc.is_dir() else []
    for path in files:
        text = _read(path)
        if text is not None:
            yield f"files/{path.name}", text
    for path in _clouds(subject):  # of a clouds.yaml only what says where it leads
        yield f"files/clouds-{path.stem}.json", json.dumps(_where_to(path), indent=1)
    for name, words in _commands():
        yield f"logs/{name}", words


def _secrets(subject: Subject) -> Iterator[str]:
    """Every secret that can be found on this host, so that it is taken out wherever it may have got to."""
    folders = [subject.places.secrets, subject.places.clouds]
    try:
        site = subject.site()
        folders.append(site.cloud.secrets)
    except NotHere:
        pass
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            text = _read(path) or ""
            if "clouds" not in path.name and folder != subject.places.clouds:
                yield text.strip()
                yield from (
                    part for line in text.splitlines() for part in [line.partition("=")[2].strip()] if part
                )
    for path in _clouds(subject):
        yield from redact.secrets_in(_yaml(path))


def _clouds(subject: Subject) -> list[Path]:
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    found = (
        [Path(named)]
        if named
        else [
            Path("clouds.yaml"),
            Path("/etc/openstack/clouds.yaml"),
            Path.home() / ".config/openstack/clouds.yaml",
        ]
    )
    if subject.places.clouds.is_dir():
        found += sorted(subject.places.clouds.glob("*.yaml"))
    found += [path.with_name("secure.yaml") for path in found]
    return [path for path in found if path.is_file()]


def _where_to(path: Path) -> Any:
    data = _yaml(path)
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


def _read(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(_read(path) or "")
    except yaml.YAMLError:
        return None

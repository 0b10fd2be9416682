"""What can be seen without asking anybody: the declaration, disks, modes of files, failed units, the last drift."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import DeclarationError, SiteError
from osg_site_iaas.mapping import bans
from osg_site_iaas.mapping.table import Table, unreachable
from osg_site_iaas.ops.finding import Finding, NotHere
from osg_site_iaas.ops.subject import Subject
from osg_site_iaas.plan.model import Op

LEAST_FREE = 0.05  # of a disk
LEAST_BYTES = 1 << 30
DRIFT_STALE = 12 * 3600  # seconds; its timer runs every four hours


def declaration(subject: Subject) -> Iterator[Finding]:
    """site.yml and bans.yml can be read, and every line of site.yml can decide."""
    try:
        site = load(subject.file)
    except DeclarationError as error:
        for one in error.problems:
            yield Finding(f"{one.path}: {one.what}", one.todo or "mend it", f"{one.file}:{one.line}")
        return
    for one in unreachable(Table.of(site)):
        yield Finding(one.what, one.todo, f"{one.file}:{one.line}")
    bans.load(bans.file_beside(subject.file))


def disk(subject: Subject) -> Iterator[Finding]:
    """There is room where state is kept."""
    seen = set()
    for folder in (subject.places.state, Path("/var/lib/gratia"), Path("/var/log"), Path("/run")):
        if not folder.exists() or folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        usage = shutil.disk_usage(folder)
        if usage.free < min(LEAST_BYTES, usage.total * LEAST_FREE):
            yield Finding(
                f"{usage.free >> 20} MiB are free of {usage.total >> 20} MiB",
                "make room: records, logins and logs are kept there",
                str(folder),
            )


def secrets(subject: Subject) -> Iterator[Finding]:
    """Nobody but their owner may read the files that hold secrets."""
    folders = {subject.places.clouds, subject.places.secrets}
    with contextlib.suppress(NotHere):
        folders.add(subject.site().cloud.secrets)
    present = [folder for folder in folders if folder.is_dir()]
    if not present:
        raise NotHere("no folder of secrets is on this host")
    for folder in sorted(present):
        for path in (folder, *sorted(folder.iterdir())):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                right = "0700" if path.is_dir() else "0600"
                yield Finding(f"has mode {mode:04o}: others may read it", f"chmod {right} {path}", str(path))


def units(subject: Subject) -> Iterator[Finding]:
    """No unit of ours has failed."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        raise NotHere("systemd does not run here")
    words = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"]
    said = subprocess.run(
        [*words, "osg-site-iaas-*", "gratia-probe-openstack*"],
        capture_output=True, text=True, timeout=30, check=False,
    ).stdout  # fmt: skip
    for line in said.splitlines():
        name = line.split()[0]
        if (
            name != "osg-site-iaas-drift.service"
        ):  # it fails where there is drift, which has a check of its own
            yield Finding(f"{name} has failed", f"journalctl -u {name} -n 50 tells why", name)


def drift(subject: Subject) -> Iterator[Finding]:
    """OpenStack is what site.yml says, as the drift timer saw it last."""
    path = subject.places.drift
    if not path.exists():
        raise NotHere("no drift timer has run here")
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        todo = {op.value: int(plan["summary"].get(op.value, 0)) for op in Op}
        conflicts = len(plan["conflicts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError(f"the last plan cannot be read: {error}", where=str(path)) from error
    age = subject.now - datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    if age.total_seconds() > DRIFT_STALE:
        hours = int(age.total_seconds()) // 3600
        yield Finding(
            f"the last plan is {hours} hours old",
            "does osg-site-iaas-drift.timer run? journalctl -u osg-site-iaas-drift",
            str(path),
        )
    if plan["changes"] or conflicts:
        words = ", ".join(f"{number} to {name}" for name, number in sorted(todo.items()) if number)
        yield Finding(
            f"OpenStack is not what site.yml says: {words or f'{conflicts} in the way'}",
            f"osg-site-iaas plan {subject.file} shows it, apply mends it",
            str(path),
        )

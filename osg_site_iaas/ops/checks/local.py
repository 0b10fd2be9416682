"""What can be seen without asking anybody: the declaration, disks, modes of files, failed units, the last drift."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import stat
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator, Optional

from osg_site_iaas.accounting.probeconfig import read_attributes
from osg_site_iaas.cloud.kinds import RULES
from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import settings as identity_settings
from osg_site_iaas.mapping import bans
from osg_site_iaas.mapping.table import Table, unreachable
from osg_site_iaas.ops.finding import Finding, NotHere
from osg_site_iaas.ops.subject import Subject
from osg_site_iaas.plan.model import Op

LEAST_FREE = 0.05  # of a disk
LEAST_BYTES = 1 << 30
DRIFT_STALE = 12 * 3600  # seconds; its timer runs every four hours
PAGE_STALE = 35 * 60  # seconds, of a page that does not say when it is stale


def declaration(subject: Subject) -> Iterator[Finding]:
    """site.yml and bans.yml can be read, and every line of site.yml can decide."""
    site = load(subject.file)
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
        usage, nodes = shutil.disk_usage(folder), os.statvfs(folder)
        if nodes.f_files and nodes.f_favail < nodes.f_files * LEAST_FREE / 5:
            yield Finding(
                f"{nodes.f_favail} of {nodes.f_files} files can still be made",
                "remove files that nobody needs: df -i",
                str(folder),
            )
        if usage.free < min(LEAST_BYTES, usage.total * LEAST_FREE):
            yield Finding(
                f"{usage.free >> 20} MiB are free of {usage.total >> 20} MiB",
                f"make room: records, logins and logs are kept there; du -xh {folder} | sort -h | tail tells what is"
                " large, journalctl --vacuum-size=500M shrinks the journal",
                str(folder),
            )


def secrets(subject: Subject) -> Iterator[Finding]:
    """Nobody but their owner, or root, may read the files that hold secrets, or write where they lie."""
    looked = 0
    for path in dict.fromkeys(_secret_files(subject)):
        looked += 1
        try:
            found = path.stat()
        except FileNotFoundError:
            yield Finding("it leads to nothing", f"remove it, or make what it names: ls -l {path}", str(path))
            continue
        mode, right = stat.S_IMODE(found.st_mode), "0700" if path.is_dir() else "0600"
        if mode & 0o077 and not (path.is_dir() and path == subject.places.etc):
            yield Finding(f"has mode {mode:04o}: others may read it", f"chmod {right} {path}", str(path))
        elif found.st_uid not in (0, os.geteuid(), _owner(path.parent)):
            who = _named(found.st_uid)
            yield Finding(f"belongs to {who}, who may read it", f"chown root: {path}", str(path))
    if not looked:
        raise NotHere("no file of secrets is on this host")


def _secret_files(subject: Subject) -> Iterator[Path]:
    """Folders of secrets with all that is below, and single files elsewhere: keys, logins, records of people."""
    places = subject.places
    folders = [places.clouds, places.secrets]
    with contextlib.suppress(NotHere):
        folders.append(subject.site().cloud.secrets)
    for folder in folders:
        if folder.is_dir():
            yield folder
            yield from sorted(folder.rglob("*"))
    files = [places.grid / "hostkey.pem", places.addresses]
    used = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if used:
        files += [Path(used), Path(used).with_name("secure.yaml")]
    if places.identity.exists():
        with contextlib.suppress(SiteError):
            settings = identity_settings.load(places.identity)
            files += [path for path in (settings.signing_key, settings.logins) if path is not None]
    with contextlib.suppress(SiteError, NotHere):
        key = probe_key(subject)
        files += [key] if key is not None else []
    yield from (path for path in files if path.exists())


def probe_key(subject: Subject) -> Optional[Path]:
    """The key that the probe shows the collector, where it has one of its own."""
    config = subject.places.probe_config
    key = read_attributes(config).get("KeyFile") if config.exists() else None
    return Path(key) if key else None


def _owner(folder: Path) -> int:
    return folder.stat().st_uid


def _named(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the user {number}"


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
        ways = [item for item in plan["unmanaged"] if RULES[item["kind"]].grants]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError(
            f"the last plan cannot be read: {error}",
            where=str(path),
            todo="systemctl start osg-site-iaas-drift makes it anew",
        ) from error
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
    if ways:
        yield Finding(
            f"{len(ways)} members or roles were not given by site.yml",
            f"osg-site-iaas plan {subject.file} --unmanaged lists them",
            str(path),
        )


def page(subject: Subject) -> Iterator[Finding]:
    """The status page is as recent as its timer should make it."""
    if not subject.places.page_wanted:
        raise NotHere("osg-site-iaas-status.timer is not enabled here")
    path, logs = subject.places.page / "status.json", "journalctl -u osg-site-iaas-status -n 50 tells why"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        made, stale = int(data["at"]), data.get("stale")
        late = _seconds(stale) if stale else made + PAGE_STALE
    except FileNotFoundError:
        yield Finding(
            "no status page has been written", f"systemctl start osg-site-iaas-status; {logs}", str(path)
        )
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError(
            f"the status page's data cannot be read: {error}",
            where=str(path),
            todo="systemctl start osg-site-iaas-status makes it anew",
        ) from error
    if subject.now.timestamp() > late:
        age = int(subject.now.timestamp() - made) // 60
        yield Finding(
            f"the status page is {age // 60} h {age % 60} min old, and looks as if it were current",
            f"does osg-site-iaas-status.timer run? {logs}",
            str(path),
        )


def _seconds(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()

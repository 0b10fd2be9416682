"""A real HTCondor in a Debian root of its own: master, collector and schedd, enough for grid jobs of the EC2 kind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from osg_site_iaas.sandbox import debian_root, folders

# Probes are as quick as they can be without being another thing; how long a call may take is left as HTCondor has it.
CONFIG = """
DAEMON_LIST = MASTER, COLLECTOR, SCHEDD
CONDOR_HOST = 127.0.0.1
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
SHARED_PORT_PORT = {port}
COLLECTOR_HOST = 127.0.0.1:{port}
ENABLE_KERNEL_TUNING = False
ALLOW_WRITE = *
ALLOW_ADMINISTRATOR = *
ALLOW_DAEMON = *
GRIDMANAGER_JOB_PROBE_INTERVAL = 5
GRIDMANAGER_RESOURCE_PROBE_INTERVAL = 5
GRIDMANAGER_CHECKPROXY_INTERVAL = 5
GRIDMANAGER_CONTACT_SCHEDD_DELAY = 1
SCHEDD_INTERVAL = 5
"""
USER = "pilot"
DEBIAN = debian_root.DebianRelease("condor", "trixie", ("condor",))


@dataclass(frozen=True)
class Pool:
    root: Path
    port: int

    def inside(self, *words: str, user: str = USER, text: str = "", check: bool = True) -> str:
        """What a command in the root says."""
        command = ["chroot", f"--userspec={user}:{user}", str(self.root), "env", f"HOME=/home/{USER}", *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd="/")
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, name: str, text: str) -> str:
        """Put a file into the user's home; its path inside."""
        path = self.root / "home" / USER / name
        path.write_text(text)
        path.chmod(0o600)
        shutil.chown(path, *self._owner())
        return f"/home/{USER}/{name}"

    def _owner(self) -> tuple[int, int]:
        found = (self.root / "home" / USER).stat()
        return found.st_uid, found.st_gid

    def submit(self, description: str) -> str:
        """The cluster that was submitted."""
        name = self.write(f"job-{secrets.token_hex(3)}.sub", description)
        said = self.inside("condor_submit", "-terse", name)
        return said.split(".")[0].strip()

    def job(self, cluster: str, *names: str) -> list[str]:
        """Attributes of a cluster's first job, in the queue or in the history; empty strings where undefined."""
        found = self.jobs(cluster, *names)
        return found[0] if found else [""] * len(names)

    def jobs(self, cluster: str, *names: str) -> list[list[str]]:
        """The same of all of its jobs."""
        found = []
        for command in (["condor_q", "-allusers"], ["condor_history"]):
            said = self.inside(*command, cluster, "-af:,", *names, check=False)
            found += [
                ["" if word.strip() == "undefined" else word.strip() for word in line.split(",")]
                for line in said.strip().splitlines()
            ]
        return found

    def gridmanagers(self) -> list[int]:
        """The pids of the gridmanagers of this root, by their root directory."""
        return self._processes("condor_gridmanager")

    def _processes(self, name: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                own = (entry / "comm").read_text().strip() == name[:15]
                if own and (entry / "root").readlink() == self.root:
                    found.append(int(entry.name))
        return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(what: Callable[[], Any], seconds: float) -> Any:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = what()
        if found:
            return found
        time.sleep(1)
    raise AssertionError(f"not within {seconds} s")


@contextlib.contextmanager
def pool(**settings: str) -> Iterator[Pool]:
    """A pool in a root that is made the first time (a minute, 370 MB in the cache) and serves one session at a time."""
    debian_root.ensure(DEBIAN, print)
    place = debian_root.path(DEBIAN)
    with folders.only_one(place / "in-use.lock"), running(place / "root", **settings) as started:
        yield started


@contextlib.contextmanager
def running(root: Path, **settings: str) -> Iterator[Pool]:
    """The pool, up; all of its processes end with it."""
    port = free_port()
    for stale in ("var/spool/condor", "var/log/condor", "var/lib/condor"):
        shutil.rmtree(root / stale, ignore_errors=True)
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (root / "etc/condor/config.d/50-pool.config").write_text(CONFIG.format(port=port) + more)
    if not (root / "home" / USER).exists():
        subprocess.run(["chroot", str(root), "useradd", "-m", USER], check=True)
    made = [f"/var/{name}/condor" for name in ("lib", "log", "spool", "lock")]
    made += ["/run/condor", "/var/lib/condor/execute"]
    subprocess.run(["chroot", str(root), "mkdir", "-p", *made], check=True)
    subprocess.run(["chroot", str(root), "chown", "-R", "condor:condor", *made], check=True)
    # The root must be a mount point, and what is mounted in it goes away with the namespace.
    script = (
        'mount --make-rprivate / && mount --rbind "$1" "$1" && mount -t proc proc "$1/proc"'
        ' && mount --rbind /dev "$1/dev" && exec chroot "$1" condor_master -f'
    )
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", str(root)], start_new_session=True)
    started = Pool(root, port)
    try:
        until(
            lambda: "Scheduler" in started.inside("condor_status", "-schedd", "-af", "MyType", check=False),
            120,
        )
        yield started
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

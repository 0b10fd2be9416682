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
GRIDMANAGER_GAHP_CALL_TIMEOUT = 120
SCHEDD_INTERVAL = 5
"""
USER = "pilot"


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
        for command in (["condor_q", "-allusers"], ["condor_history"]):
            said = self.inside(*command, cluster, "-af:,", *names, check=False).strip().splitlines()
            if said:
                return ["" if word.strip() == "undefined" else word.strip() for word in said[0].split(",")]
        return [""] * len(names)

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


def build(root: Path, mirror: str) -> None:
    """A Debian 13 with HTCondor; a minute, and 350 MB."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(root), mirror],
        check=True,
    )
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    command = ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"]
    subprocess.run([*command, "--no-install-recommends", "install", "condor"], check=True)


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
def running(root: Path) -> Iterator[Pool]:
    """The pool, up; all of its processes end with it."""
    port = free_port()
    for stale in ("var/lib/condor/spool", "var/log/condor", "var/lib/condor/execute"):
        shutil.rmtree(root / stale, ignore_errors=True)
    (root / "etc/condor/config.d/50-pool.config").write_text(CONFIG.format(port=port))
    if not (root / "home" / USER).exists():
        subprocess.run(["chroot", str(root), "useradd", "-m", USER], check=True)
    folders = ["/var/lib/condor", "/var/log/condor", "/run/condor", "/var/lock/condor"]
    made = [*folders, "/var/lib/condor/spool", "/var/lib/condor/execute"]
    subprocess.run(["chroot", str(root), "mkdir", "-p", *made], check=True)
    subprocess.run(["chroot", str(root), "chown", "-R", "condor:condor", *folders], check=True)
    # The root must be a mount point, and what is mounted in it goes away with the namespace.
    script = (
        'mount --make-rprivate / && mount --rbind "$1" "$1" && mount -t proc proc "$1/proc"'
        ' && mount --rbind /dev "$1/dev" && exec chroot "$1" condor_master -f'
    )
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", str(root)], start_new_session=True)
    pool = Pool(root, port)
    try:
        until(
            lambda: (
                "Schedd" in pool.inside("condor_status", "-schedd", "-af", "MyType", check=False)
                or pool.inside("condor_q", check=False)
            ),
            90,
        )
        yield pool
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

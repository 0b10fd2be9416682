"""The services' own Python environment: made once from the lock file, shared by all sandboxes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, processes

LOCK_FILE = Path(__file__).parent / "requirements.txt"
OLDEST_PYTHON = (3, 11)
Progress = Callable[[str], None]
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
_SAID = 25


@dataclass(frozen=True)
class Pin:
    """One line of the lock file."""

    name: str
    version: str
    hashes: int


def read_lock(text: str) -> tuple[Pin, ...]:
    """The pins of a lock file. SandboxError on a line that is not name==version with hashes."""
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PIN.match(line)
        hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line))
        if not match or not hashes:
            raise SandboxError(f"not a pinned line with its hash: {line[:80]!r}", where=str(LOCK_FILE))
        pins.append(Pin(match[1], match[2], hashes))
    return tuple(pins)


def path() -> Path:
    """Where the environment for this lock file and this Python is, or will be."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return folders.cache() / f"venv-{folders.digest(LOCK_FILE, extra=sys.base_prefix)}-py{version}"


def python() -> Path:
    """The services' interpreter."""
    return path() / "bin" / "python"


def ensure(progress: Progress) -> Path:
    """The services' interpreter, with everything installed; minutes the first time, nothing later.

    Another process that does the same at once waits; a broken install leaves nothing behind.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise SandboxError(
            f"the sandbox's services need Python 3.11 or later, and this is {sys.version.split()[0]}",
            todo="install osg-site-iaas under a later Python, for the sandbox only",
        )
    target = path()
    done = target / "complete"
    if done.exists():
        return python()
    with folders.only_one(
        target.with_suffix(".lock"), lambda: progress("another process installs the services")
    ):
        if done.exists():
            return python()
        shutil.rmtree(target, ignore_errors=True)
        try:
            _install(target, progress)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        done.write_text("")
    return python()


def _install(target: Path, progress: Progress) -> None:
    pins = read_lock(LOCK_FILE.read_text())
    progress(f"installing {len(pins)} packages of OpenStack (the first time only)")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    venv.create(target, with_pip=True, symlinks=True)
    command = [
        str(target / "bin/python"), "-m", "pip", "install",
        "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes",
        "--progress-bar", "off", "-r", str(LOCK_FILE),
    ]  # fmt: skip
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=processes.dies_with_parent(),
    ) as process:
        try:
            for line in process.stdout or ():
                said = [*said[-_SAID:], line.rstrip()]
                if line.startswith(("Collecting", "Installing", "Building")):
                    progress(line.split("(")[0].strip()[:90])
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SandboxError(
            "the services could not be installed; pip said:\n" + "\n".join(f"    {line}" for line in said),
            where=str(target),
            todo="the first `up` needs a package index: check the network and pip's settings, then try again",
        )

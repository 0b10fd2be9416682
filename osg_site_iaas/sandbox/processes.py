"""Processes that must not outlive their parent, and the lock by which one that owns something is known."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
from pathlib import Path
from typing import IO, Callable, Mapping, Optional

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders
from osg_site_iaas.sandbox.model import Command

_PR_SET_PDEATHSIG = 1
_FLOCK = "@hhqqi"  # struct flock of Linux: type, whence, start, length, pid
_LIBC = ctypes.CDLL(None, use_errno=True)


def dies_with_parent() -> Callable[[], None]:
    """For preexec_fn: the kernel ends the new process when the thread that starts it ends, however it does."""
    parent = os.getpid()

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return before_exec


def plain_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what would change which configuration or libraries a service finds, and ``more``."""
    drop = ("OS_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    # A proxy of the user's is for the world outside; services speak with one another.
    direct = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
    return {**kept, **direct, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", **more}


def run(command: Command, folder: Path) -> tuple[int, list[str]]:
    """Run a command to its end; exit code and what it said."""
    done = subprocess.run(
        command.argv,
        cwd=folder,
        env=plain_environment(command.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        umask=0o077,
        preexec_fn=dies_with_parent(),
    )
    return done.returncode, done.stdout.splitlines()


def own(path: Path) -> IO[str]:
    """Hold the lock file until this process ends; SandboxError if another one does."""
    folders.make_private(path.parent)
    file = open(path, "a", opener=folders.private)  # noqa: SIM115 - held for life
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SandboxError(f"process {owner(path)} owns it already", where=str(path)) from error
    return file


def owner(path: Path) -> Optional[int]:
    """The process that owns the lock file, or None. Asking takes no lock, so it never stands in the way."""
    try:
        with open(path, "r+b") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    if kind == fcntl.F_UNLCK:
        return None
    if pid <= 0:  # as the kernel says of a process that it does not show to us
        raise SandboxError(
            "a process of another container, or of another machine, owns it",
            where=str(path),
            todo="use the sandbox from there, or choose another folder with --state",
        )
    return int(pid)

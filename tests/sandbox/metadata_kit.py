"""The metadata door as a process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator

from ec2_fixtures import wait_for


def answers(where: str) -> bool:
    """Whether something listens at ``host:port``, or at a socket's path."""
    kind = socket.AF_UNIX if where.startswith("/") else socket.AF_INET
    with socket.socket(kind) as client, contextlib.suppress(OSError):
        client.connect(where if where.startswith("/") else (where.split(":")[0], int(where.split(":")[1])))
        return True
    return False


@contextlib.contextmanager
def running_metadata_door(
    clouds: Path, folder: Path, secret: str, where: str, *options: str
) -> Iterator[Path]:
    """Its log. ``where`` is what it is bound to: ``host:port``, or the path of the agent's socket."""
    (folder / "secret").write_text(secret)
    place = "--socket" if where.startswith("/") else "--bind"
    command = [sys.executable, "-m", "osg_site_iaas.cli.ec2_metadata", "--cloud", "sandbox", "--workers", "1"]
    command += [place, where, "--secret-file", str(folder / "secret"), "--state", str(folder / "state")]
    command += options
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds)}, stdout=log, stderr=log
        )

    def up() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        return answers(where)

    try:
        wait_for(up)
        yield folder / "log"
    finally:
        process.terminate()
        process.wait(30)

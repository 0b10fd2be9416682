"""From a settled box to a running sandbox: its files, its databases, its supervisor."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterable

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, processes, render, template
from osg_site_iaas.sandbox.model import Box
from osg_site_iaas.sandbox.service import choose, registry
from osg_site_iaas.sandbox.status import FILE, UP, ServiceStatus, Status, tail

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 30
LOG_LIMIT_BYTES = 50_000_000
Progress = Callable[[str], None]


def prepare(box: Box, progress: Progress) -> None:
    """Everything on disk that the services need. What is there and still right stays."""
    services = choose(box.services, registry())
    template.ensure(box, services, progress)
    for folder in (box.logs, box.pki, box.etc, box.data, box.folder / "run"):
        folders.make_private(folder)
    for log in box.logs.glob("*.log"):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".old"))
    code, said = processes.run(box.inside("make_pki.py", str(box.pki)), box.folder)
    if code:
        raise SandboxError("the test certificates could not be made:\n" + "\n".join(said), where=str(box.pki))
    template.copy(box, services)
    render.write_configuration(box, services)
    render.write_user_files(box)


def start(box: Box, status: Callable[[], Status], progress: Progress) -> Status:
    """A supervisor with every service answering; if that fails or is interrupted, nothing is left running."""
    (box.folder / FILE).unlink(missing_ok=True)
    with open(box.log("supervisor"), "ab", opener=folders.private) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "osg_site_iaas.sandbox.supervisor", str(box.folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    assert process.stdin is not None  # noqa: S101
    try:
        reached = _wait(process, box, status, progress)
        process.stdin.write(b"k")  # the supervisor ends when this pipe does, unless it has been told to stay
        process.stdin.flush()
        return reached
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _wait(
    process: subprocess.Popen[bytes], box: Box, status: Callable[[], Status], progress: Progress
) -> Status:
    told: set[str] = set()
    limit = time.monotonic() + START_TIMEOUT_S
    while True:
        if process.poll() is not None:
            said = "\n".join(f"    {line}" for line in tail(box.log("supervisor")))
            raise SandboxError(
                f"the supervisor ended (exit code {process.returncode}) before everything was up:\n{said}",
                where=str(box.folder),
                todo="somebody may have stopped it; otherwise try again",
            )
        now = status()
        if now.dead:
            raise died(now.dead, box, "everything was stopped again; `logs` has the rest")
        for service in now.services:
            if service.state == UP and service.name not in told:
                told.add(service.name)
                progress(f"{service.name} is up after {service.seconds} s")
        if now.state == "up":
            return now
        if time.monotonic() > limit:
            late = ", ".join(s.name for s in now.services if s.state != UP)
            raise SandboxError(
                f"no answer within {START_TIMEOUT_S} s from {late}",
                where=str(box.folder),
                todo=f"read their logs in {box.logs}; everything was stopped again",
            )
        time.sleep(0.1)


def died(dead: Iterable[ServiceStatus], box: Box, todo: str) -> SandboxError:
    """The error that names what died and shows the end of its log."""
    parts = []
    for service in dead:
        said = "\n".join(f"    {line}" for line in service.said)
        parts.append(
            f"{service.name} died (exit code {service.exit}); the end of {box.log(service.name)}:\n{said}"
        )
    return SandboxError("\n".join(parts), where=f"sandbox {box.name}", todo=todo)


def remove_content(folder: Path) -> None:
    """Take away databases, data and logs; what is halfway removed is not taken for whole by the next start."""
    for part in ("db", "data", "logs"):
        path = folder / part
        if path.exists():
            gone = folder / f".{part}-gone"
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

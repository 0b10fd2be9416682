"""A sandbox from outside: start it, stop it, ask it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterable, Optional, Union

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import access, environment, folders, render, settings, template
from osg_site_iaas.sandbox.access import Mark, Request
from osg_site_iaas.sandbox.model import Box, Endpoint
from osg_site_iaas.sandbox.service import choose, registry
from osg_site_iaas.sandbox.settings import Wishes
from osg_site_iaas.sandbox.status import DIED, FILE, UP, ServiceStatus, Status, read, tail

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 30
Progress = Callable[[str], None]
NO_WISHES = Wishes()


def _silent(_message: str) -> None:
    pass


class Sandbox:
    """One sandbox, by the folder of its state."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    @classmethod
    def open(cls, name: Optional[str] = None, state: Union[str, Path, None] = None) -> Sandbox:
        """The sandbox of that name, or in that folder, whether it exists yet or not."""
        if state is not None:
            folder = Path(state).expanduser().absolute()
            return cls(folder, name or folder.name)
        name = name or folders.DEFAULT_NAME
        if "/" in name or name.startswith("."):
            raise SandboxError(
                f"{name!r} cannot be a sandbox's name", todo="use --state for a folder elsewhere"
            )
        return cls(folders.home() / name, name)

    @classmethod
    def all(cls) -> list[Sandbox]:
        """Every sandbox of this user that has been started once and not been removed."""
        return [cls.open(state=folder) for folder in folders.known(folders.cache() / "sandboxes.json")]

    def box(self) -> Box:
        """Its facts. SandboxError if it was never started."""
        box = settings.load(self.folder, environment.python())
        if box is None:
            raise SandboxError(
                "there is no sandbox",
                where=str(self.folder),
                todo=f"osg-site-iaas sandbox up --name {self.name}",
            )
        return box

    @property
    def running(self) -> bool:
        """Whether its supervisor lives."""
        return folders.is_held(self.folder / "run/supervisor.lock")

    @property
    def clouds_yaml(self) -> Path:
        """Entries ``sandbox`` (admin, with project) and ``sandbox-system`` (admin of the system)."""
        return self.folder / "clouds.yaml"

    @property
    def admin_password(self) -> str:
        """Of user ``admin`` in domain ``default``."""
        return self.box().secrets["admin"]

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each service answers, by its name, and Keystone with TLS as ``keystone-tls``."""
        box = self.box()
        found = {e.name: e.url for s in choose(box.services, registry()) for e in s.endpoints(box)}
        return {**found, "keystone-tls": box.url("keystone-tls", "/v3", scheme="https")}

    def catalogue(self) -> tuple[Endpoint, ...]:
        """The endpoints as Keystone lists them."""
        box = self.box()
        return tuple(e for s in choose(box.services, registry()) for e in s.endpoints(box))

    def env(self) -> dict[str, str]:
        """What to export to use it."""
        return render.environment(self.box())

    def up(self, progress: Progress = _silent, wishes: Wishes = NO_WISHES) -> Status:
        """Everything answering; at once if it does already.

        Raises SandboxError that names what died and shows the end of its log, with nothing left running of a
        start that failed.
        """
        environment.ensure(progress)
        with folders.only_one(self.folder / "run/up.lock"):
            if self.running:
                status = self.status()
                if status.dead:
                    raise _died(status.dead, self, "stop it with `down` before the next `up`")
                if wishes != NO_WISHES:
                    raise SandboxError(
                        "it runs already, and cannot change while it does",
                        where=f"sandbox {self.name}",
                        todo="stop it with `down` first; nothing in it is lost",
                    )
                return status
            old = settings.load(self.folder, environment.python())
            box = settings.settle(self.folder, environment.python(), name=self.name, old=old, wishes=wishes)
            template.ensure(box, choose(box.services, registry()), progress)
            self._prepare(box)
            return self._start(progress)

    def _prepare(self, box: Box) -> None:
        chosen = choose(box.services, registry())
        for folder in (box.logs, box.pki, box.etc, box.data, self.folder / "run"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = subprocess.run(
            box.inside("make_pki.py", str(box.pki)).argv, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SandboxError(
                f"the test certificates could not be made: {done.stderr[-400:]}", where=str(box.pki)
            )
        template.copy(box, chosen)
        render.write_configuration(box, chosen)
        render.write_user_files(box)

    def _start(self, progress: Progress) -> Status:
        (self.folder / FILE).unlink(missing_ok=True)
        with open(self.folder / "logs/supervisor.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "osg_site_iaas.sandbox.supervisor", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        assert process.stdin is not None  # noqa: S101
        try:
            status = self._await(process, progress)
            process.stdin.write(b"k")
            process.stdin.flush()
            return status
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            raise
        finally:
            process.stdin.close()

    def _await(self, process: subprocess.Popen[bytes], progress: Progress) -> Status:
        told: set[str] = set()
        limit = time.monotonic() + START_TIMEOUT_S
        while True:
            if process.poll() is not None:
                said = tail(self.folder / "logs/supervisor.log")
                raise SandboxError("the supervisor ended:\n" + "\n".join(said), where=str(self.folder))
            status = self.status()
            if status.dead:
                raise _died(status.dead, self, "everything was stopped again")
            for service in status.services:
                if service.state == UP and service.name not in told:
                    told.add(service.name)
                    progress(f"{service.name} is up ({service.seconds} s)")
            if status.state == "up":
                return status
            if time.monotonic() > limit:
                late = ", ".join(s.name for s in status.services if s.state != UP)
                raise SandboxError(
                    f"no answer within {START_TIMEOUT_S} s from {late}",
                    where=str(self.folder),
                    todo=f"read their logs in {self.folder / 'logs'}; everything was stopped again",
                )
            time.sleep(0.1)

    def mark(self) -> Mark:
        """Now, as a place in every access log."""
        return access.mark(self.box().logs)

    def requests(self, since: Mark, until: Optional[Mark] = None) -> list[Request]:
        """What the services were asked between two marks, oldest first."""
        return access.requests(self.box().logs, since, until)

    def down(self) -> bool:
        """Nothing of it running; False if nothing was."""
        if not self.running:
            return False
        pid = read(self.folder).get("pid")
        if isinstance(pid, int):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + STOP_TIMEOUT_S
        while self.running:
            if time.monotonic() > limit:
                raise SandboxError(
                    f"process {pid} does not end", where=str(self.folder), todo=f"kill -9 {pid}"
                )
            time.sleep(0.1)
        return True

    def reset(self, progress: Progress = _silent) -> bool:
        """As when first started, with the same ports and passwords; up again if it was running."""
        self.box()
        was_running = self.down()
        for part in ("db", "data", "logs"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        if was_running:
            self.up(progress)
        return was_running

    def status(self) -> Status:
        """How it and each of its services are."""
        box = settings.load(self.folder, environment.python())
        if box is None:
            return Status(self.name, self.folder, "absent", None, ())
        running = self.running
        seen = read(self.folder) if running else {}
        services = []
        for service in choose(box.services, registry()):
            facts = seen.get("services", {}).get(service.name, {"state": "starting" if running else "down"})
            dead = facts["state"] == DIED
            services.append(
                ServiceStatus(
                    name=service.name,
                    state=facts["state"],
                    pid=facts.get("pid", 0),
                    exit=facts.get("exit"),
                    seconds=facts.get("seconds", 0.0),
                    url=service.health(box),
                    said=tail(box.log(service.name)) if dead else (),
                )
            )
        states = {service.state for service in services}
        if not running:
            state = "down"
        elif DIED in states:
            state = "broken"
        else:
            state = "up" if states == {UP} else "starting"
        return Status(box.name, self.folder, state, seen.get("pid"), tuple(services))


def _died(dead: Iterable[ServiceStatus], sandbox: Sandbox, todo: str) -> SandboxError:
    parts = []
    for service in dead:
        said = "\n".join(f"    {line}" for line in service.said)
        parts.append(f"{service.name} died (exit code {service.exit}); the end of its log:\n{said}")
    return SandboxError("\n".join(parts), where=f"sandbox {sandbox.name}", todo=todo)

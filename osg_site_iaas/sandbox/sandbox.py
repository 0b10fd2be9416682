"""A sandbox from outside: start it, stop it, ask it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional, Union

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import access, folders, processes, releases, render, settings, start
from osg_site_iaas.sandbox.access import Mark, Request
from osg_site_iaas.sandbox.model import CURRENT, Box, Endpoint
from osg_site_iaas.sandbox.service import choose, registry
from osg_site_iaas.sandbox.settings import Wishes
from osg_site_iaas.sandbox.status import DIED, LOCK, UP, ServiceStatus, Status, read, tail

Progress = Callable[[str], None]
NO_WISHES = Wishes()
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PATH = re.compile(r"[A-Za-z0-9/._@+-]+")


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
        else:
            name = name or folders.DEFAULT_NAME
            folder = folders.home() / name
        if not _NAME.fullmatch(name or folder.name):
            raise SandboxError(
                f"{name or folder.name!r} cannot be a sandbox's name",
                todo="use letters, digits, dots, dashes and underscores; --state takes a folder elsewhere",
            )
        if not _PATH.fullmatch(str(folder)):
            raise SandboxError(
                "configuration files cannot hold this path",
                where=str(folder),
                todo="use --state with a path of letters, digits and /._-",
            )
        return cls(folder, name or folder.name)

    @classmethod
    def all(cls) -> list[Sandbox]:
        """Every sandbox of this user that has been started once and not been removed."""
        return [cls.open(state=folder) for folder in folders.known(folders.cache() / "sandboxes.json")]

    def box(self) -> Box:
        """Its facts. SandboxError if it was never started."""
        box = settings.load(self.folder)
        if box is None:
            raise SandboxError(
                "there is no sandbox",
                where=str(self.folder),
                todo=f"start it with: osg-site-iaas sandbox up {self.as_option}",
            )
        return box

    @property
    def as_option(self) -> str:
        """What names it on the command line."""
        by_name = self.folder == folders.home() / self.name
        return f"--name {self.name}" if by_name else f"--state {self.folder}"

    @property
    def running(self) -> bool:
        """Whether its supervisor lives."""
        return processes.owner(self.folder / LOCK) is not None

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
        return render.environment(self.box(), os.environ)

    def up(self, progress: Progress = _silent, wishes: Wishes = NO_WISHES) -> Status:
        """Everything answering; at once if it does already.

        Raises SandboxError that names what died and shows the end of its log, with nothing left running of a
        start that failed.
        """
        folders.refuse_foreign(self.folder)
        with folders.only_one(self.folder / "run/up.lock", lambda: progress("waiting for another `up`")):
            if self.running:
                return self._as_it_runs(wishes)
            old = settings.load(self.folder)
            python = releases.ensure(wishes.release or (old.release if old else CURRENT), progress)
            box = settings.settle(self.folder, python, name=self.name, old=old, wishes=wishes)
            start.prepare(box, progress)
            return start.start(box, self.status, progress)

    def _as_it_runs(self, wishes: Wishes) -> Status:
        status = self.status()
        if status.dead:
            raise start.died(status.dead, self.box(), "stop it with `down` before the next `up`")
        if wishes != NO_WISHES:
            raise SandboxError(
                "it runs already, and cannot change while it does",
                where=f"sandbox {self.name}",
                todo="stop it with `down` first; nothing in it is lost",
            )
        return status

    def mark(self) -> Mark:
        """Now, as a place in every access log."""
        return access.mark(self.box().logs)

    def requests(self, since: Mark, until: Optional[Mark] = None) -> list[Request]:
        """What the services were asked between two marks, oldest first."""
        return access.requests(self.box().logs, since, until)

    def down(self) -> bool:
        """Nothing of it running; False if nothing was."""
        lock = self.folder / LOCK
        pid = processes.owner(lock)
        if pid is None:
            return False
        limit = time.monotonic() + start.STOP_TIMEOUT_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        while processes.owner(lock) == pid:
            if time.monotonic() > limit:
                raise SandboxError(
                    f"process {pid} does not end", where=str(self.folder), todo=f"kill -9 {pid}"
                )
            time.sleep(0.05)
        return True

    def reset(self, progress: Progress = _silent) -> bool:
        """As when first started, with the same ports and passwords; up again if it was running."""
        box = self.box()
        was_running = self.down()
        with folders.only_one(self.folder / "run/up.lock", lambda: progress("waiting for another `up`")):
            start.remove_content(self.folder)
            settings.save(replace(box, made_with=""))
        if was_running:
            self.up(progress)
        return was_running

    def status(self) -> Status:
        """How it and each of its services are."""
        box = settings.load(self.folder)
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

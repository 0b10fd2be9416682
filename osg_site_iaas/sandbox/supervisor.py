"""The one process that owns a sandbox's services: starts them, watches them, ends them.

Run as ``python -m osg_site_iaas.sandbox.supervisor FOLDER``. It holds run/supervisor.lock while it lives and
tells what it sees in run/status.json. The kernel ends its children when it dies, however it dies. Until
whoever started it says on standard input that the sandbox is wanted, the end of that process ends it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from osg_site_iaas.sandbox import folders, processes, settings
from osg_site_iaas.sandbox.model import Box
from osg_site_iaas.sandbox.service import Service, choose, registry
from osg_site_iaas.sandbox.status import DIED, FILE, LOCK, STARTING, STOPPED, UP, Seen

TICK_S = 0.2
HEALTH_TIMEOUT_S = 30
STOP_TIMEOUT_S = 5
# Whether something answers, not who: certificates here are the sandbox's own.
_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE
# Never through a proxy: what is asked is on this machine.
_OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_ANY)
)


class Supervisor:
    """Owns the services of one box."""

    def __init__(self, box: Box, services: tuple[Service, ...]) -> None:
        self.box = box
        self.services = services
        self.seen = {service.name: Seen() for service in services}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = threading.Event()
        self.began = time.monotonic()
        self.wanted = False
        self._written = ""

    def run(self) -> None:
        """Start everything, then watch until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            self._write()
            for service in self.services:
                self._start(service)
            while not self.stopping.is_set():
                self._watch()
                self._write()
                self._heed_starter()
        finally:
            self._stop()

    def _start(self, service: Service) -> None:
        command = service.command(self.box)
        with open(self.box.log(service.name), "ab") as log:
            log.write(f"--- {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ} {service.name} starts\n".encode())
            log.flush()
            process = subprocess.Popen(
                command.argv,
                cwd=self.box.folder,
                env=processes.plain_environment(command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=processes.dies_with_parent(),
            )
        self.processes[service.name] = process
        self.seen[service.name].pid = process.pid
        threading.Thread(target=self._wait_healthy, args=(service,), daemon=True).start()

    def _wait_healthy(self, service: Service) -> None:
        seen = self.seen[service.name]
        while not self.stopping.is_set() and seen.state == STARTING:
            if answers(service.health(self.box)) and seen.state == STARTING:
                seen.seconds = round(time.monotonic() - self.began, 1)
                seen.state = UP
                return
            time.sleep(TICK_S)

    def _watch(self) -> None:
        for name, process in self.processes.items():
            code = process.poll()
            if code is not None and self.seen[name].state != DIED:
                self.seen[name].exit = code
                self.seen[name].state = DIED

    def _heed_starter(self) -> None:
        if self.wanted:
            self.stopping.wait(1.0 if all(s.state != STARTING for s in self.seen.values()) else TICK_S)
            return
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], TICK_S)
        if readable:
            if os.read(sys.stdin.fileno(), 1):
                self.wanted = True
            else:
                self.stopping.set()

    def _write(self) -> None:
        status = {
            "pid": os.getpid(),
            "services": {name: asdict(seen) for name, seen in self.seen.items()},
        }
        text = json.dumps(status, indent=1)
        if text != self._written:
            folders.write_private(self.box.folder / FILE, text)
            self._written = text

    def _stop(self) -> None:
        self.stopping.set()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        limit = time.monotonic() + STOP_TIMEOUT_S
        for name, process in self.processes.items():
            try:
                process.wait(max(0.1, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if self.seen[name].state != DIED:
                self.seen[name].state = STOPPED
        self._write()


def answers(url: str) -> bool:
    """Whether the URL gives anything but a server's error."""
    try:
        with _OPENER.open(url, timeout=HEALTH_TIMEOUT_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def main() -> None:
    """Own the sandbox in the folder given as the only argument."""
    os.umask(0o077)
    folder = Path(sys.argv[1])
    box = settings.load(folder)
    if box is None:
        raise SystemExit(f"no sandbox in {folder}")
    lock = processes.own(folder / LOCK)
    Supervisor(box, choose(box.services, registry())).run()
    lock.close()


if __name__ == "__main__":
    main()

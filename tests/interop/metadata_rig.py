"""The way from a guest to the metadata door as at a site: a namespace, Neutron's proxy in it, its agent or none."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

from ec2_fixtures import Vo, free_port, wait_for
from metadata_kit import answers, running_metadata_door

from osg_site_iaas.sandbox import Sandbox
from tests.interop.guest import METADATA, Network

PARTS = Path(__file__).parent / "neutron_parts.py"
SECRET = "a secret that hosts of networks share"


@dataclass(frozen=True)
class Way:
    """``log`` is the metadata door's own."""

    log: Path


@contextlib.contextmanager
def process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "wb") as out:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def way(
    box: Sandbox, admin: Any, network: Network, behind: dict[str, str], *options: str, agent: bool = False
) -> Iterator[Way]:
    """Open it. ``behind`` is the network or router that the proxy stands for, as ``{"network": id}``."""
    python = str(box.box().python)
    with contextlib.ExitStack() as stack:
        # A socket's path is short; pytest's folders are not.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="osg-metadata-")))
        socket, port = str(folder / "socket"), free_port()
        where = f"127.0.0.1:{port}" if agent else socket
        door = running_metadata_door(box.clouds_yaml, folder, SECRET, where, *options)
        log = stack.enter_context(door)
        if agent:
            words = ["agent", "--socket", socket, "--door", str(port), "--secret", SECRET]
            words += ["--ports", f"{admin.network.get_endpoint()}/ports", "--token", admin.auth_token]
            started = stack.enter_context(process([python, str(PARTS), *words], folder / "agent.log"))
            wait_for(lambda: answers(socket) or _ended(started, folder / "agent.log"))
        ((kind, key),) = behind.items()
        words = ["proxy", f"--{kind}", key, "--address", METADATA, "--port", "80", "--socket", socket]
        asked = [python, str(PARTS), *words, "--folder", str(folder)]
        said = subprocess.run(asked, check=True, capture_output=True, text=True)
        haproxy = network.words("haproxy", "-db", "-f", said.stdout.strip())
        started = stack.enter_context(process(haproxy, folder / "haproxy.log"))

        def listens() -> bool:
            _ended(started, folder / "haproxy.log")
            return ":80 " in network.run("ss", "-lnt").stdout

        wait_for(listens)
        try:
            yield Way(log)
        except BaseException:
            for file in folder.glob("*log"):  # goes with the folder; pytest shows it
                print(f"== {file.name}\n{file.read_text()[-6000:]}")
            raise


def _ended(started: subprocess.Popen[bytes], log: Path) -> bool:
    assert started.poll() is None, log.read_text()
    return False


def port_of(vo: Vo, instance: str) -> Any:
    """The Neutron port of an instance, as soon as it has one."""
    server = next(
        one for one in vo.cloud.compute.servers() if one.id.replace("-", "").startswith(instance[2:])
    )
    return wait_for(lambda: next(iter(vo.cloud.network.ports(device_id=server.id)), None))

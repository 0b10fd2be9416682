"""The command of the Python front as its unit runs it: health, metrics and log lines of real connections."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest
import requests

from osg_site_iaas import journal
from tests.interop.test_identity_fronts import PLAIN, ROOT, Front, free_port, prepare, wait_for
from tests.voms_ac import voms_proxy


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Front, str, Path]]:
    """A front, where it tells of itself, and the file of its log."""
    world, files, older = prepare(tmp_path)
    port, status = free_port(), free_port()
    words = ["--address", "127.0.0.1", "--port", str(port), "--status", f"127.0.0.1:{status}"]
    words += ["--cert", str(files.certificate), "--key", str(files.key)]
    words += ["--settings", str(tmp_path / "identity.yml"), "--app", "tests.interop.identity_echo:echo"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "osg_site_iaas.cli.grid_front", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), journal.VARIABLE: "json"},
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(port)
        wait_for(status)
        yield Front(f"https://localhost:{port}", world, tmp_path, older), f"http://127.0.0.1:{status}", log
    finally:
        process.terminate()
        process.wait(60)


def until(answer: Callable[[], bool]) -> bool:
    limit = time.monotonic() + 60
    while not answer() and time.monotonic() < limit:
        time.sleep(0.1)
    return answer()


def test_logins_are_counted_and_logged_and_health_names_what_is_wrong(
    running: tuple[Front, str, Path],
) -> None:
    front, status, log = running
    assert front.ask(voms_proxy(front.world.jane, front.world.server, [PLAIN])).status_code == 201
    refused = front.ask(None)
    assert refused.status_code == 401

    def metrics() -> str:
        return requests.get(f"{status}/metrics", timeout=30).text

    def broken() -> int:
        return int(re.findall(r"^osg_site_iaas_front_tls_failures_total (\d+)", metrics(), re.MULTILINE)[0])

    before = broken()
    with socket.create_connection(("127.0.0.1", int(front.url.rpartition(":")[2]))) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert until(lambda: broken() > before)
    counted = re.findall(
        r'front_requests_total\{way="(\w+)",outcome="(\w+)",status="(\d+)"\} (\d+)', metrics()
    )
    assert counted == [("x509", "admitted", "201", "1"), ("x509", "refused", "401", "1")]

    lines = [json.loads(line) for line in log.read_text().splitlines()]  # all of them are objects
    (said,) = [line for line in lines if line.get("outcome") == "refused"]
    assert said["request_id"] == refused.headers["x-openstack-request-id"]
    (why,) = [line for line in lines if line.get("message", "").startswith("refused")]
    assert why["request_id"] == said["request_id"]
    assert "no certificate was presented" in why["message"]

    assert requests.get(f"{status}/health", timeout=30).json() == {"status": "ok"}
    (front.root / "identity.yml").write_text("certificates: [wrong\n")
    failing = requests.get(f"{status}/health", timeout=30)
    assert failing.status_code == 503
    assert "identity.yml" in failing.json()["why"]

"""A sandbox of the smallest kind, Keystone alone, through everything that can happen to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Sandbox, Wishes
from osg_site_iaas.sandbox.render import read_overrides
from tests.sandbox.reconcile_kit import takes_ctrl_c

SMALL = Wishes(services=("keystone",))
COMMAND = [sys.executable, "-m", "osg_site_iaas", "sandbox"]


def processes_of(folder: Path) -> list[int]:
    """Living processes whose command line speaks of the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and int(each.name) != os.getpid():
            found.append(int(each.name))
    return found


def wait_until_gone(folder: Path) -> list[int]:
    """What is still there after ten seconds."""
    for _ in range(100):
        if not processes_of(folder):
            break
        time.sleep(0.1)
    return processes_of(folder)


def token(sandbox: Sandbox, password: str | None = None) -> int:
    """The status of a login as admin."""
    user = {"name": "admin", "domain": {"id": "default"}, "password": password or sandbox.admin_password}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    return requests.post(sandbox.endpoints["keystone"] + "/auth/tokens", json=body, timeout=60).status_code


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox that does not exist yet, and is gone after the test."""
    made = Sandbox.open(state=tmp_path / "box")
    yield made
    made.down()
    assert wait_until_gone(made.folder) == []


def test_up_again_changes_nothing(sandbox):
    first = sandbox.up(wishes=SMALL)
    assert first.state == "up"
    assert sandbox.up() == first
    assert token(sandbox) == 201


def test_nothing_of_it_can_be_read_by_others_and_no_secret_is_on_a_command_line(sandbox):
    before = os.umask(0o022)
    sandbox.up(wishes=SMALL)
    assert os.umask(before) == 0o022  # whoever calls keeps its own
    open_to_others = [
        path for path in [sandbox.folder, *sandbox.folder.rglob("*")] if path.stat().st_mode & 0o077
    ]
    assert open_to_others == []
    secrets = [secret.encode() for secret in sandbox.box().secrets.values()]
    pids = processes_of(sandbox.folder)
    assert len(pids) == 2
    for pid in pids:
        words = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not [secret for secret in secrets if secret in words]


def test_two_live_side_by_side_and_know_nothing_of_each_other(sandbox, tmp_path):
    other = Sandbox.open(state=tmp_path / "other")
    try:
        sandbox.up(wishes=SMALL)
        other.up(wishes=SMALL)
        assert token(sandbox) == token(other) == 201
        assert token(sandbox, other.admin_password) == 401
        sandbox.down()
        assert token(other) == 201
    finally:
        other.down()


def test_what_was_made_is_there_after_a_restart_and_gone_after_a_reset(sandbox):
    sandbox.up(wishes=SMALL)
    before = sandbox.box()
    assert make_project(sandbox, "kept") == 201
    assert sandbox.down()
    assert sandbox.status().state == "down"
    sandbox.up()
    assert make_project(sandbox, "kept") == 409
    sandbox.reset()
    assert sandbox.status().state == "up"
    assert sandbox.box() == before
    assert make_project(sandbox, "kept") == 201


def make_project(sandbox: Sandbox, name: str) -> int:
    user = {"name": "admin", "domain": {"id": "default"}, "password": sandbox.admin_password}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"system": {"all": True}},
        }
    }
    url = sandbox.endpoints["keystone"]
    login = requests.post(url + "/auth/tokens", json=body, timeout=60).headers["X-Subject-Token"]
    made = {"project": {"name": name, "domain_id": "default"}}
    return requests.post(
        url + "/projects", json=made, headers={"X-Auth-Token": login}, timeout=60
    ).status_code


def test_no_process_outlives_a_supervisor_that_is_killed(sandbox):
    pid = sandbox.up(wishes=SMALL).pid
    os.kill(pid, signal.SIGKILL)
    assert wait_until_gone(sandbox.folder) == []
    assert sandbox.status().state == "down"
    assert sandbox.up().state == "up"


def test_a_service_that_died_is_named_with_the_end_of_its_log(sandbox):
    (keystone,) = sandbox.up(wishes=SMALL).services
    log = sandbox.folder / "logs/keystone.log"
    log.write_text(log.read_text() + "the last words\n")
    os.kill(keystone.pid, signal.SIGKILL)
    for _ in range(100):
        status = sandbox.status()
        if status.dead:
            break
        time.sleep(0.1)
    assert status.state == "broken"
    assert [(s.name, s.exit, s.said[-1]) for s in status.dead] == [("keystone", -9, "the last words")]
    with pytest.raises(SandboxError, match=r"(?s)keystone died \(exit code -9\).*the last words.*`down`"):
        sandbox.up()
    shown = subprocess.run(
        [*COMMAND, "status", "--state", sandbox.folder], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 2
    assert "keystone died" in shown.stdout
    assert "the last words" in shown.stdout


def test_a_service_that_cannot_start_fails_up_and_leaves_nothing(sandbox):
    broken = read_overrides(["keystone/keystone.conf:database.connection=nonsense://"])
    with pytest.raises(
        SandboxError, match=r"(?s)keystone died \(exit code 1\); the end of .*keystone\.log:.*nonsense"
    ):
        sandbox.up(wishes=Wishes(services=("keystone",), overrides=broken))
    assert wait_until_gone(sandbox.folder) == []
    assert sandbox.up(wishes=Wishes(overrides={})).state == "up"


def test_a_taken_port_is_named_before_anything_starts(sandbox):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"taken by another program: port {port} \(keystone\)"):
            sandbox.up(wishes=Wishes(services=("keystone",), base_port=port))
    assert processes_of(sandbox.folder) == []


def test_an_interrupted_up_leaves_nothing_running(sandbox):
    up = subprocess.Popen(
        [*COMMAND, "up", "--state", str(sandbox.folder), "--services", "keystone"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=takes_ctrl_c,
    )
    while not sandbox.running:
        assert up.poll() is None
        time.sleep(0.05)
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=60)
    assert (up.returncode, said.strip()) == (130, "interrupted")
    assert wait_until_gone(sandbox.folder) == []


def test_a_killed_up_leaves_nothing_running(sandbox):
    up = subprocess.Popen([*COMMAND, "up", "--state", str(sandbox.folder), "--services", "keystone"])
    while not sandbox.running:
        assert up.poll() is None
        time.sleep(0.05)
    up.kill()
    up.wait()
    assert wait_until_gone(sandbox.folder) == []


def test_two_ups_at_once_make_one_sandbox(sandbox):
    command = [*COMMAND, "up", "--json", "--state", str(sandbox.folder)]
    one = subprocess.Popen([*command, "--services", "keystone"], stdout=subprocess.PIPE, text=True)
    while not sandbox.running:
        time.sleep(0.05)
    two = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    first, second = one.communicate(timeout=120)[0], two.communicate(timeout=120)[0]
    assert first == second
    assert len(processes_of(sandbox.folder)) == 2


def test_a_running_one_is_not_changed_behind_its_users_backs(sandbox):
    sandbox.up(wishes=SMALL)
    with pytest.raises(SandboxError, match="runs already"):
        sandbox.up(wishes=Wishes(computes=9))


def test_what_was_never_started_says_how_to_start_it(sandbox):
    assert sandbox.status().state == "absent"
    with pytest.raises(SandboxError, match=r"there is no sandbox\n.*sandbox up"):
        sandbox.env()
    assert sandbox.down() is False

"""A newcomer with docs/install.md: every command of the page, word by word and in its order, on a fresh Debian 13.

The host is a container with systemd; the cloud is the sandbox, at this machine's loopback, which the container shares.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.long, pytest.mark.sandbox, pytest.mark.timeout(2400)]
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/install.md"
PORTS = {8773: "nginx", 8788: "the EC2 door"}
# as molecule/shared/create.yml starts its hosts, and why
BOOT = ["/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init"]
HERE = "/root/site"
# A command that fails ends the run. 2 is what plan answers where there is something to do.
STOP = """trap 'code=$?
case "$code $BASH_COMMAND" in "2 osg-site-iaas plan "*) ;;
*) echo "FAILED ($code): $BASH_COMMAND"; exit $code ;; esac' ERR
"""


def commands() -> list[str]:
    """The page's blocks of commands: those that name no language."""
    return re.findall(r"^```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def podman():
    """Runs podman as the roles' tests do."""
    ready = subprocess.run(
        [sys.executable, ROOT / "scripts/containers", "--image-only"], capture_output=True, text=True
    )
    if ready.returncode:
        pytest.fail(ready.stderr, pytrace=False)
    environment = {**os.environ, "CONTAINERS_CONF": str(ROOT / ".config/molecule/containers.conf")}

    def run(*words, **more):
        return subprocess.run(
            ["podman", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )

    return run


@pytest.fixture(scope="module")
def host(podman, cloud, tmp_path_factory):
    """A fresh host with what the page says that one needs: the repository, and clouds.yaml."""
    for port, what in PORTS.items():
        with socket.socket() as taken:
            if taken.connect_ex(("127.0.0.1", port)) == 0:
                pytest.fail(
                    f"something listens at port {port} already, where {what} is to listen", pytrace=False
                )
    name = f"osg-install-{os.getpid()}"
    began = podman(
        "run", "--detach", "--name", name, "--network", "host", "--systemd=always", "--cap-add", "SYS_ADMIN",
        "localhost/osg-debian:13", *BOOT,
    )  # fmt: skip
    assert began.returncode == 0, began.stdout
    try:
        wait = "until systemctl is-system-running --wait | grep -E 'running|degraded'; do sleep 1; done"
        podman("exec", name, "sh", "-c", f"{wait}; mkdir {HERE}", check=True, timeout=300)
        scratch = tmp_path_factory.mktemp("site")
        archive = [
            "git",
            "-C",
            str(ROOT),
            "archive",
            "--prefix=osg-site-iaas/",
            "-o",
            str(scratch / "r.tar"),
            "HEAD",
        ]
        subprocess.run(archive, check=True)
        entry = yaml.safe_load(cloud.clouds_yaml.read_text())["clouds"]["sandbox"]
        (scratch / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"mycloud": entry}}))
        for file in ("r.tar", "clouds.yaml"):
            podman("cp", str(scratch / file), f"{name}:{HERE}/{file}", check=True)
        podman("exec", "-w", HERE, name, "tar", "xf", "r.tar", check=True)
        yield name
    finally:
        podman("rm", "--force", "--time", "2", "--volumes", name)


def test_the_page_leads_to_a_server_started_through_the_endpoint(podman, host):
    script = STOP + "\n".join(commands())
    done = podman("exec", "--interactive", "-w", HERE, host, "bash", "-Eu", "-c", script, timeout=1800)
    said = done.stdout
    if done.returncode:
        journal = podman(
            "exec", host, "journalctl", "--no-pager", "--output", "short", "--lines", "60"
        ).stdout
        pytest.fail(f"{said[-3000:]}\nThe host's journal:\n{journal}", pytrace=False)
    assert re.search(r"\|\s+i-[0-9a-f]+\s+\|\s+running\s+\|\s+10\.20\.\d+\.\d+\s+\|", said), said[-4000:]
    assert "shutting-down" in said or "terminated" in said
    assert "Traceback" not in said

    # what the page promises beyond its last answer
    again = podman("exec", "-w", HERE, host, "ansible-playbook", "host.yml")
    assert re.search(r"changed=0 .*failed=0", again.stdout), again.stdout[-4000:]
    secrets = podman(
        "exec", host, "sh", "-c", "stat -c %a /etc/osg/site-iaas/secrets /root/site/door.password"
    )
    assert secrets.stdout.split() == ["700", "600"]
    for unit in ("osg-site-iaas-ec2.service", "osg-site-iaas-drift.timer", "nginx.service"):
        assert podman("exec", host, "systemctl", "is-active", unit).stdout.strip() == "active"
    plan = podman("exec", host, "systemctl", "start", "osg-site-iaas-drift.service")
    assert plan.returncode == 0, "the cloud is not what the declaration says: " + plan.stdout

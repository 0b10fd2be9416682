"""The RPMs at work: a site from site.yml to a usage record, by the files that rpm has laid, in Python 3.9.

The libraries are those that docs/packages.md names for EL9. The door and the probe are started as their units say.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

import boto3
import pytest
import requests
import yaml
from botocore.config import Config
from ec2_fixtures import free_port, wait_for

from osg_site_iaas import __version__
from osg_site_iaas.sandbox.collector.server import Collector
from tests.collection import run_ansible
from tests.interop.packages_kit import EC2, ROOT, SITE_PACKAGES, Python39, python39, sh
from tests.sandbox.reconcile_kit import Rig, clean, make_rig
from tests.sandbox_cloud import Cloud

pytest_plugins = ("ec2_fixtures",)
UNITS = "usr/lib/systemd/system"
COLLECTIONS = "usr/share/ansible/collections"


@dataclass
class Host:
    """A host that has the packages: programs run in its Python, and find there what a host has in /etc."""

    root: Path
    python: Python39
    rig: Rig
    door_clouds: Path
    cloud: Cloud
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def inside(self, path: str) -> str:
        return self.python.inside(self.root / path.lstrip("/"))

    def argv(self, line: str) -> list[str]:
        """A command line of a unit, with what it names of the host."""
        program, *words = shlex.split(line)
        program = program if program.startswith("/") else f"/usr/bin/{program}"
        # the first line of what rpm has laid names EL's Python
        assert (self.root / program.lstrip("/")).read_text().startswith("#!/usr/bin/python3")
        words = [
            self.inside(word) if word.startswith(("/etc/", "/usr/", "/var/")) else word for word in words
        ]
        return self.python.command(self.inside(program), *words)

    def environment(self, clouds: str = "etc/clouds.yaml") -> dict[str, str]:
        return self.python.environment(self.root, OS_CLIENT_CONFIG_FILE=self.inside(clouds))

    def run(self, line: str, *codes: int) -> str:
        done = subprocess.run(
            self.argv(line),
            env=self.environment(), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode in (codes or (0,)), f"{done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def exec_start(self, unit: str) -> str:
        text = (self.root / UNITS / unit).read_text(encoding="utf-8")
        return re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0]


@pytest.fixture(scope="module")
def host(
    installed: Path, debian11: Path, cloud: Cloud, door_users: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    rig = make_rig(cloud.clouds_yaml, tmp_path_factory.mktemp("site"))
    made = Host(installed, python39(debian11, EC2), rig, door_users, cloud)
    for name, source in (("clouds.yaml", cloud.clouds_yaml), ("door.yaml", door_users)):
        (installed / "etc" / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (installed / "srv").mkdir()
    (installed / "srv/worker.raw").write_bytes(b"x" * 1024)
    tag = rig.tag
    rig.write(
        flavours={f"{tag}.small": {"vcpus": 1, "ram": "64 MiB", "disk": "1 GiB", "vos": ["cms"]}},
        networks={f"{tag}-net": {"vo": "cms", "subnets": {f"{tag}-v4": {"cidr": "10.44.0.0/24"}}}},
        images={
            f"{tag}-worker": {
                "source": f"file:{made.inside('srv/worker.raw')}",
                "disk_format": "raw",
                "visibility": "public",
            }
        },
        vos={
            "cms": {
                "access": [{"fqan": "/cms/*"}],
                "quota": {"compute": {"instances": 5, "cores": 5}},
                "service_users": {"pilot": {"ec2_key": True}},
            }
        },
    )
    declared = yaml.safe_load(rig.site.read_text())
    declared["cloud"]["secrets"] = made.inside("etc/osg/site-iaas/secrets")
    (installed / "etc/osg/site-iaas/site.yml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    try:
        yield made
    finally:
        made.ends.close()
        rig.say["cloud"]["secrets"] = str(installed / "etc/osg/site-iaas/secrets")
        clean(rig)


def test_the_package_is_the_installed_one_and_the_python_is_els(host: Host) -> None:
    script = "import sys, osg_site_iaas; print(sys.version_info[:2], osg_site_iaas.__file__)"
    told = sh(*host.python.command("-c", script), env=host.environment())
    assert told.split()[:2] == ["(3,", "9)"]
    assert host.inside(SITE_PACKAGES) in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("osg-site-iaas --version", f"osg-site-iaas {__version__}"),
        ("osg-site-iaas plan --help", "Show what would change"),
        ("osg-iaas --help", "usage: osg-iaas"),
        ("osg-site-iaas-ec2 --help", "usage: osg-site-iaas-ec2"),
        ("osg-site-iaas-ec2-reaper --help", "usage: osg-site-iaas-ec2-reaper"),
        ("osg-site-iaas-metadata --help", "usage: osg-site-iaas-metadata"),
        ("osg-site-iaas-front --help", "usage: osg-site-iaas-front"),
        ("/usr/share/gratia/openstack/openstack_meter --version", __version__),
    ],
)
def test_each_command_starts(host: Host, line: str, told: str) -> None:
    assert told in host.run(line)


def test_the_examples_of_the_documentation_are_good(host: Host) -> None:
    for example in ("minimal", "complete"):
        (path,) = (host.root / "usr/share/doc").glob(f"osg-site-iaas*/{example}.yml")
        host.run(f"osg-site-iaas check /{path.relative_to(host.root)}")


def test_a_site_goes_from_its_declaration_to_a_server_and_its_record(host: Host, tmp_path: Path) -> None:
    """check, plan, apply; a signed call of boto3 to the door; the probe and what its collector got."""
    site = "/etc/osg/site-iaas/site.yml"
    host.run(f"osg-site-iaas check {site}")
    assert json.loads(host.run(f"osg-site-iaas plan --json {site}", 2))["summary"]["create"] > 5
    host.run(f"osg-site-iaas apply --yes {site}")
    assert json.loads(host.run(f"osg-site-iaas plan --json {site}"))["changes"] == []

    client = started_door(host)
    named = [{"Name": "name", "Values": [f"{host.rig.tag}-worker"]}]
    (image,) = client.describe_images(Filters=named)["Images"]
    made = client.run_instances(
        ImageId=image["ImageId"], InstanceType=f"{host.rig.tag}.small", MinCount=1, MaxCount=1
    )["Instances"][0]["InstanceId"]

    def state() -> str:
        found = client.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    wait_for(lambda: state() == "running")
    time.sleep(2)  # so that it ran for a second, which is what a record counts in
    client.terminate_instances(InstanceIds=[made])
    wait_for(lambda: state() == "terminated")

    with Collector(tmp_path / "collector") as collector:
        config = host.root / "etc/gratia/openstack/ProbeConfig"
        text = config.read_text(encoding="utf-8")
        for name, value in {
            "EnableProbe": "1",
            "CollectorHost": collector.address,
            "SiteFile": host.inside(site),
            "DataFolder": host.inside("var/lib/gratia/openstack") + "/",
            "SettleMinutes": "0",
        }.items():
            text, count = re.subn(rf'(?m)^( *{name})=".*"$', rf'\1="{value}"', text)
            assert count == 1, name
        config.with_name("edited").write_text(
            text, encoding="utf-8"
        )  # the other is as packed, which rpm checks
        line = host.exec_start("gratia-probe-openstack.service")

        def records() -> list[dict[str, Any]]:
            host.run(f"{line} -c /etc/gratia/openstack/edited")
            rows = [dict(row) for row in collector.store.records()]
            return [row for row in rows if row["fields"].get("Queue") == f"{host.rig.tag}.small"]

        (record,) = wait_for(records)
    assert record["fields"]["VOName"] == "/cms/Role=NULL"
    assert record["fields"]["SiteName"] == "Test"


def started_door(host: Host) -> Any:
    """A client of the door that runs as its unit starts it, with the VO's key that apply has written."""
    port = free_port()
    settings = {
        "cloud": "door",
        "bind": f"127.0.0.1:{port}",
        "state": host.inside("run/door"),
        "workers": 1,
    }
    (host.root / "etc/osg/site-iaas/ec2.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (host.root / "run").mkdir(exist_ok=True)
    log = open(host.root / "door.log", "wb")  # noqa: SIM115 - until the module's end
    process = subprocess.Popen(
        host.argv(host.exec_start("osg-site-iaas-ec2.service")),
        env=host.environment("etc/door.yaml"), stdout=log, stderr=log,
    )  # fmt: skip

    def ended() -> None:
        process.terminate()
        process.wait(60)
        log.close()

    host.ends.callback(ended)

    def up() -> bool:
        assert process.poll() is None, (host.root / "door.log").read_text()
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        return False

    wait_for(up, 120)
    (file,) = (host.root / "etc/osg/site-iaas/secrets").glob("*.ec2")
    key = dict(re.findall(r"^(\w+) *= *(\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE))
    return boto3.client(
        "ec2",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="RegionOne",
        aws_access_key_id=key["aws_access_key_id"],
        aws_secret_access_key=key["aws_secret_access_key"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_ansible_finds_the_collection_where_rpm_has_laid_it_and_its_plugins_work(
    host: Host, tmp_path: Path
) -> None:
    """Ansible is the test's own here; the library comes from the installed files, as PYTHONPATH has them."""
    collections = host.root / COLLECTIONS
    environment = {
        "PYTHONPATH": str(host.root / SITE_PACKAGES),
        "OS_CLIENT_CONFIG_FILE": str(host.cloud.clouds_yaml),
    }

    def run(command: str, *words: object) -> str:
        done = run_ansible(tmp_path, collections, command, *words, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    listed = run("ansible-galaxy", "collection", "list")
    assert re.search(rf"osg\.site_iaas +{re.escape(__version__)}", listed), listed
    told = run("ansible-doc", "-t", "role", "--json", "-l", "osg.site_iaas")
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert {f"osg.site_iaas.{role}" for role in roles} <= set(json.loads(told[told.index("{") :])), told
    play = [
        {"hosts": "localhost", "roles": [f"osg.site_iaas.{role}" for role in sorted(roles)]},
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [
                {"ansible.builtin.debug": {"msg": "{{ lookup('osg.site_iaas.site', 'site.fqdn') }}"}},
                {"ansible.builtin.debug": {"msg": "{{ '4 GiB' | osg.site_iaas.size_in('MiB') }}"}},
                {"osg.site_iaas.site": {"site": "site.yml"}, "check_mode": True, "register": "plan"},
                {"ansible.builtin.debug": {"msg": "{{ plan.changes | length }} changes"}},
            ],
        },
    ]
    host.rig.write(**{key: value for key, value in host.rig.say.items() if key not in ("version", "site")})
    (tmp_path / "site.yml").write_text(host.rig.site.read_text())
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    run("ansible-playbook", "--syntax-check", "play.yml")
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play[1:]))
    said = run("ansible-playbook", "play.yml")
    assert "cloud.example.org" in said
    assert "4096" in said
    assert re.search(r'"\d+ changes"', said)

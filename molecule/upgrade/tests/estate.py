"""What a host has to lose when it is upgraded: servers started by EC2, records that were sent and records that wait.

estate.py cloud   start the sandbox, and write the declaration and the logins that the roles are given
estate.py use     work with the site as the earlier program put it there, and note what there is afterwards
estate.py end     stop the sandbox
"""

from __future__ import annotations

import configparser
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import boto3
import requests
import yaml
from botocore.config import Config

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from osg_site_iaas.sandbox import Sandbox  # noqa: E402

HOST = "osg-upgrade"
SCRATCH = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "."))
BEFORE = SCRATCH / "before.json"
DOOR = "http://127.0.0.1:8788"
SITE = """\
version: 1
site: {{resource: Molecule, fqdn: cloud.example.org}}
cloud: {{name: sandbox, domain: upgrade, secrets: secrets}}
accounting: {{collector: "{collector}"}}
flavours:
  osg.small: {{vcpus: 1, ram: 64 MiB, disk: 1 GiB}}
networks:
  workers:
    shared: true
    subnets:
      workers-v4: {{cidr: 10.20.0.0/16}}
images:
  worker: {{source: "file:/root/worker.raw", disk_format: raw, visibility: public}}
vos:
  cms:
    access:
      - fqan: /cms/*
    quota: {{compute: {{instances: 9, cores: 9, ram: 8 GiB}}}}
    service_users:
      pilot: {{ec2_key: true}}
"""
RECORDS = """
import json, sqlite3
db = sqlite3.connect("/var/lib/gratia/openstack/accounting.sqlite")
rows = "select server.uuid, slice.start, slice.end, slice.record from slice join server on server.id = slice.server"
print(json.dumps({"records": [list(row) for row in db.execute(rows + " order by slice.id")]}))
"""
TOKENS = """
import glob, json, sqlite3
file, = glob.glob("/run/osg-site-iaas-ec2/*.sqlite")
rows = sqlite3.connect(file).execute("select project, token, digest, answer from token order by token")
print(json.dumps({"tokens": [list(row) for row in rows]}))
"""


def sandbox() -> Sandbox:
    return Sandbox.open("molecule-upgrade")


def collector() -> str:
    return sandbox().box().url("collector", "").rstrip("/")


def on_host(*words: str, fails: bool = False) -> str:
    """What a command says on the host."""
    done = subprocess.run(["podman", "exec", HOST, *words], capture_output=True, text=True)
    if done.returncode and not fails:
        if words[:2] == ("systemctl", "start"):
            words = ("journalctl", "--no-pager", "--lines", "30", "--unit", words[2])
            done = subprocess.run(["podman", "exec", HOST, *words], capture_output=True, text=True)
        raise SystemExit(f"{' '.join(words)[:200]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def door():
    """EC2 with the key that apply made for the VO."""
    key = configparser.ConfigParser()
    key.read_string(on_host("cat", "/etc/osg/site-iaas/secrets/cms-pilot.ec2"))
    return boto3.client(
        "ec2",
        endpoint_url=DOOR,
        region_name="RegionOne",
        config=Config(retries={"total_max_attempts": 1}),
        **dict(key["cms-pilot"]),
    )


def launch(ec2, token: str) -> str:
    """A server that runs, started with this ClientToken."""
    (image,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["worker"]}])["Images"]
    answer = ec2.run_instances(
        ImageId=image["ImageId"], InstanceType="osg.small", MinCount=1, MaxCount=1, ClientToken=token
    )
    server = answer["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(
        InstanceIds=[server], WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )
    return server


def launch_and_end(ec2, token: str) -> None:
    """A server that ran for some seconds, and so has a record."""
    server = launch(ec2, token)
    time.sleep(3)  # not for something to happen: it is the usage
    ec2.terminate_instances(InstanceIds=[server])
    ec2.get_waiter("instance_terminated").wait(
        InstanceIds=[server], WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )


def collector_fails(fails: bool) -> None:
    fault = {"kind": "unavailable", "count": -1 if fails else 0}
    requests.post(f"{collector()}/faults", json=fault, timeout=60).raise_for_status()


def query(what: str) -> list:
    """What the collector tells of what it got."""
    answer = requests.get(f"{collector()}/query/{what}", timeout=60)
    answer.raise_for_status()
    return list(answer.json())


def state() -> dict:
    """What the host keeps."""
    told: dict = {"program": on_host("readlink", "/opt/osg-site-iaas/current").strip()}
    for script in (RECORDS, TOKENS):
        told.update(json.loads(on_host("python3", "-c", script)))
    return told


def cloud() -> None:
    if sandbox().status().state != "absent":
        sandbox().reset()  # of a run that was broken off
    sandbox().up()
    admin = yaml.safe_load(sandbox().clouds_yaml.read_text())["clouds"]["sandbox"]
    word = secrets.token_hex(20)
    with sandbox_connection() as connection:
        service = connection.identity.find_project("service") or connection.identity.create_project(
            name="service"
        )
        role = connection.identity.find_role("service") or connection.identity.create_role(name="service")
        user = connection.identity.create_user(name="upgrade-door", domain_id="default", password=word)
        connection.identity.assign_project_role_to_user(service, user, role)
    door = {
        "region_name": admin["region_name"],
        "auth": {
            "auth_url": admin["auth"]["auth_url"],
            "username": "upgrade-door",
            "password": word,
            "user_domain_name": "Default",
            "project_name": "service",
            "project_domain_name": "Default",
        },
    }
    (SCRATCH / "site.yml").write_text(SITE.format(collector=collector().partition("//")[2]))
    logins = SCRATCH / "logins.yml"
    logins.touch(mode=0o600)
    logins.write_text(yaml.safe_dump({"logins": {"admin": admin, "door": door}}))


def sandbox_connection():
    from openstack import connection
    from openstack.config import OpenStackConfig

    config = OpenStackConfig(config_files=[str(sandbox().clouds_yaml)], load_envvars=False)
    return connection.Connection(config=config.get_one("sandbox"))


def use() -> None:
    on_host("osg-site-iaas", "apply", "--yes", "/etc/osg/site-iaas/site.yml")
    ec2 = door()
    kept = launch(ec2, "kept")
    launch_and_end(ec2, "record-sent")
    on_host("systemctl", "start", "gratia-probe-openstack.service")
    sent = query("records")
    collector_fails(True)
    launch_and_end(ec2, "record-waits")
    on_host("systemctl", "start", "gratia-probe-openstack.service", fails=True)
    on_host("systemctl", "start", "osg-site-iaas-drift.service")
    BEFORE.write_text(json.dumps({**state(), "kept": kept, "sent": sent}))


def end() -> None:
    if sandbox().running:
        sandbox().down()


if __name__ == "__main__":
    {"cloud": cloud, "use": use, "end": end}[sys.argv[1]]()

"""The reaper as a process against the sandbox's Nova: a guest's own shutdown ends its server, a stop does not."""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from ec2_fixtures import REGION, connect, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def forget_who(box, server: str) -> None:
    """Make the stop nobody's, as Nova writes it when it finds that a guest has shut down; a fake guest cannot."""
    with sqlite3.connect(box.folder / "db" / "nova.db", timeout=30) as database:
        database.execute(
            "UPDATE instance_actions SET user_id = NULL, project_id = NULL WHERE action = 'stop' AND instance_uuid = ?",
            (server,),
        )


def reap(clouds: Path, cloud: str = "sandbox") -> dict:
    command = [sys.executable, "-m", "osg_site_iaas.cli.ec2_reaper", "--cloud", cloud, "--once", "--json"]
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_only_a_guests_own_shutdown_of_a_marked_instance_is_reaped(box, ec2, vo, image):
    def launch(behaviour: str) -> str:
        asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
        made = ec2.run_instances(**asked, InstanceInitiatedShutdownBehavior=behaviour)
        return made["Instances"][0]["InstanceId"]

    ended, stopped, kept = launch("terminate"), launch("terminate"), launch("stop")
    every = [ended, stopped, kept]

    def states() -> set:
        found = ec2.describe_instances(InstanceIds=every)["Reservations"]
        return {i["State"]["Name"] for r in found for i in r["Instances"]}

    wait_for(lambda: states() == {"running"})
    ec2.stop_instances(InstanceIds=every)
    wait_for(lambda: states() == {"stopped"})
    uuids = {
        one: next(s.id for s in vo.cloud.compute.servers() if s.id.replace("-", "").startswith(one[2:]))
        for one in every
    }
    forget_who(box, uuids[ended])
    forget_who(box, uuids[kept])
    assert uuids[ended] in reap(box.clouds_yaml)["deleted"]
    left = {one.id for one in wait_for(lambda: _without(vo, uuids[ended]))}
    assert {uuids[stopped], uuids[kept]} <= left
    assert uuids[stopped] not in reap(box.clouds_yaml)["deleted"]
    ec2.terminate_instances(InstanceIds=[stopped, kept])


def _without(vo, server: str) -> list:
    found = list(vo.cloud.compute.servers())
    return [] if server in {one.id for one in found} else found


ROLE = "ec2-reaper"
DOCS = Path(__file__).parents[2] / "docs/ec2.md"


def put(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file)


@pytest.fixture
def least(box, admin, tmp_path):
    """clouds.yaml of a reaper that has its own role only, with the policies that docs/ec2.md gives a site."""
    blocks = re.findall(r"```yaml\n# /etc/(\w+)/policy.yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    blocks = [(service, text) for service, text in blocks if "reaper" in text]
    assert {service for service, _ in blocks} == {"nova", "neutron", "cinder"}
    identity, password = admin.identity, secrets.token_hex(8)
    role = identity.find_role(ROLE) or identity.create_role(name=ROLE)
    user = identity.create_user(name=f"reaper-{secrets.token_hex(3)}", password=password, domain_id="default")
    identity.assign_project_role_to_user(identity.find_project("service"), user, role)
    identity.put(f"/OS-INHERIT/domains/default/users/{user.id}/roles/{role.id}/inherited_to_projects")
    home = {
        "auth_url": box.endpoints["keystone"],
        "username": user.name,
        "password": password,
        "user_domain_id": "default",
        "project_name": "service",
        "project_domain_id": "default",
    }
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {"reaper": {"auth": home, "region_name": REGION}}}))
    files = [box.box().etc / service / "policy.yaml" for service, _ in blocks]
    for file, (_, text) in zip(files, blocks):
        put(file, text)
    yield clouds, functools.partial(connect, box, "sandbox", username=user.name, password=password)
    # A service whose policy file goes away looks for it at each request, and refuses some meanwhile.
    for file in files:
        put(file, "{}\n")
    identity.delete_user(user)
    identity.delete_role(role)


def test_a_role_of_its_own_is_enough_for_a_server_with_its_port_and_its_volume(box, least, ec2, vo, image):
    clouds, as_reaper = least
    disk = {"DeviceName": "/dev/vdb", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}}
    made = ec2.run_instances(
        ImageId=image,
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        InstanceInitiatedShutdownBehavior="terminate",
        BlockDeviceMappings=[disk],
    )
    name = made["Instances"][0]["InstanceId"]

    def state() -> str:
        found = ec2.describe_instances(InstanceIds=[name])["Reservations"][0]
        return found["Instances"][0]["State"]["Name"]

    wait_for(lambda: state() == "running")
    server = next(
        one.id for one in vo.cloud.compute.servers() if one.id.replace("-", "").startswith(name[2:])
    )

    def volumes() -> set[str]:  # the project may have others
        listed = vo.cloud.block_storage.volumes()
        return {one.id for one in listed if any(part["server_id"] == server for part in one.attachments)}

    (volume,) = volumes()
    assert len(list(vo.cloud.network.ports(device_id=server))) == 1
    ec2.stop_instances(InstanceIds=[name])
    wait_for(lambda: state() == "stopped")
    forget_who(box, server)
    assert server in reap(clouds, "reaper")["deleted"]
    wait_for(lambda: server not in {one.id for one in vo.cloud.compute.servers()})
    assert list(vo.cloud.network.ports(device_id=server)) == []
    wait_for(lambda: volume not in {one.id for one in vo.cloud.block_storage.volumes()})
    # What else a member of the project may, it may not.
    there = as_reaper(project_name=vo.name)
    asked = {"name": "x", "imageRef": str(uuid.uuid4()), "flavorRef": "1"}
    assert there.compute.post("/servers", json={"server": asked}).status_code == 403
    assert there.compute.get("/os-simple-tenant-usage").status_code == 403
    assert there.network.post("/networks", json={"network": {"name": "x"}}).status_code == 403
    assert there.block_storage.post("/volumes", json={"volume": {"size": 1}}).status_code == 403
    assert there.identity.get("/credentials").json()["credentials"] == []

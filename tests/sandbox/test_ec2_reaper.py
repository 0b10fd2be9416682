"""The reaper as a process against the sandbox's Nova: a guest's own shutdown ends its server, a stop does not."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys

import pytest
from ec2_fixtures import wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def forget_who(box, server: str) -> None:
    """Make the stop nobody's, as Nova writes it when it finds that a guest has shut down; a fake guest cannot."""
    with sqlite3.connect(box.folder / "db" / "nova.db", timeout=30) as database:
        database.execute(
            "UPDATE instance_actions SET user_id = NULL, project_id = NULL WHERE action = 'stop' AND instance_uuid = ?",
            (server,),
        )


def reap(box) -> dict:
    command = [sys.executable, "-m", "osg_site_iaas.cli.ec2_reaper", "--cloud", "sandbox", "--once", "--json"]
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(box.clouds_yaml)}
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
    assert uuids[ended] in reap(box)["deleted"]
    left = {one.id for one in wait_for(lambda: _without(vo, uuids[ended]))}
    assert {uuids[stopped], uuids[kept]} <= left
    assert uuids[stopped] not in reap(box)["deleted"]
    ec2.terminate_instances(InstanceIds=[stopped, kept])


def _without(vo, server: str) -> list:
    found = list(vo.cloud.compute.servers())
    return [] if server in {one.id for one in found} else found

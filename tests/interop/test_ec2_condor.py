"""HTCondor's own gahp against the door: a grid job's whole life, and what happens to it when things break.

Needs root and a Debian 13 root with HTCondor: OSG_SITE_IAAS_CONDOR_ROOT names one that is there, or is made.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
sys.path.insert(0, str(Path(__file__).parent))

import condor_pool
from ec2_fixtures import running_door
from ec2_proxy import faulty_region

pytest_plugins = ("ec2_fixtures",)
pytestmark = [pytest.mark.sandbox, pytest.mark.long]

RUNNING, COMPLETED, HELD = "2", "4", "5"


@pytest.fixture(scope="module")
def pool():
    given = os.environ.get("OSG_SITE_IAAS_CONDOR_ROOT")
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a root file system of its own needs root and unshare")
    if not given or not (Path(given) / "usr/sbin/condor_master").exists():
        mirror = os.environ.get("OSG_SITE_IAAS_DEBIAN_MIRROR")
        if not given or not mirror or not shutil.which("debootstrap"):
            pytest.skip("OSG_SITE_IAAS_CONDOR_ROOT names no root, and none can be made without a mirror")
        condor_pool.build(Path(given), mirror)
    with condor_pool.running(Path(given)) as started:
        yield started


@pytest.fixture(scope="module")
def faults(admin):
    with faulty_region(admin) as found:
        yield found


@pytest.fixture(scope="module")
def frail(faults, door_users, tmp_path_factory):
    with running_door(
        door_users, tmp_path_factory.mktemp("condor"), region=faults.region, timeout=30.0
    ) as started:
        yield started


@pytest.fixture
def submit(pool, frail, vo, image):
    """Submit one EC2 job; whatever is left of it is removed in the end."""
    access, secret = pool.write("access", vo.access), pool.write("secret", vo.secret)
    clusters = []

    def one(**more: str) -> str:
        lines = {
            "universe": "grid",
            "grid_resource": f"ec2 {frail.url}/",
            "executable": "osg-pilot",
            "transfer_executable": "false",
            "ec2_access_key_id": access,
            "ec2_secret_access_key": secret,
            "ec2_ami_id": image,
            "ec2_instance_type": "m1.tiny",
            "ec2_user_data": "glidein_entry=x",
            "ec2_security_groups": "default",
            "ec2_tag_names": "Name,VO",
            "ec2_tag_Name": "pilot",
            "ec2_tag_VO": "osg",
            "log": f"/home/{condor_pool.USER}/ec2.log",
            **more,
        }
        clusters.append(pool.submit("\n".join(f"{k} = {v}" for k, v in lines.items()) + "\nqueue\n"))
        return clusters[-1]

    yield one
    for cluster in clusters:
        pool.inside("condor_rm", cluster, check=False)
    condor_pool.until(lambda: not servers(vo), 120)


def servers(vo) -> list:
    return [one for one in vo.cloud.compute.servers() if one.name in ("pilot", "instance")]


def status(pool, cluster: str) -> str:
    return pool.job(cluster, "JobStatus")[0]


def runs(pool, cluster: str) -> bool:
    found, reason = pool.job(cluster, "JobStatus", "HoldReason")[:2]
    assert found != HELD, reason
    return found == RUNNING


def test_a_job_is_submitted_held_released_and_removed(pool, submit, vo):
    cluster = submit()
    condor_pool.until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    instance = pool.job(cluster, "EC2InstanceName")[0]
    assert server.id.replace("-", "").startswith(instance[2:])
    condor_pool.until(lambda: pool.job(cluster, "EC2RemoteVirtualMachineName")[0].startswith("10.20."), 60)

    def tagged() -> bool:
        return {"Name": "pilot", "VO": "osg"}.items() <= vo.cloud.compute.get_server(
            server.id
        ).metadata.items()

    condor_pool.until(tagged, 60)
    assert list(vo.cloud.compute.keypairs()) == [], "a server of the type Amazon gets no key pair per job"

    pool.inside("condor_hold", cluster)
    condor_pool.until(lambda: not servers(vo), 120)
    condor_pool.until(lambda: status(pool, cluster) == HELD, 60)
    pool.inside("condor_release", cluster)
    condor_pool.until(lambda: runs(pool, cluster), 180)
    (second,) = servers(vo)
    assert second.id != server.id
    pool.inside("condor_rm", cluster)
    condor_pool.until(lambda: not servers(vo), 120)


def test_a_throttled_launch_is_tried_again(pool, submit, vo, faults):
    with faults.set(only="POST /v2.1/servers", compute=429):
        cluster = submit()
        condor_pool.until(lambda: any("POST /v2.1/servers" in line for line in faults.seen), 120)
        assert servers(vo) == []
    condor_pool.until(lambda: runs(pool, cluster), 180)
    assert len(servers(vo)) == 1


def test_a_gridmanager_killed_in_mid_launch_makes_no_second_server(pool, submit, vo, faults):
    faults.seen.clear()
    with faults.set(only="POST /v2.1/servers", compute=("slow", 10)):
        cluster = submit()
        condor_pool.until(lambda: any("POST /v2.1/servers " in f"{line} " for line in faults.seen), 120)
        killed = pool.gridmanagers()
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
    condor_pool.until(lambda: runs(pool, cluster), 300)
    assert len(servers(vo)) == 1
    instance = pool.job(cluster, "EC2InstanceName")[0]
    assert servers(vo)[0].id.replace("-", "").startswith(instance[2:])


def test_a_nova_that_fails_while_a_job_runs_costs_neither_the_job_nor_the_server(pool, submit, vo, faults):
    cluster = submit()
    condor_pool.until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    faults.seen.clear()
    with faults.set(only="GET", compute=500):
        # HTCondor polls once a minute: wait for a poll that met the failure.
        condor_pool.until(lambda: any("/servers/detail" in line for line in faults.seen), 130)
        assert status(pool, cluster) == RUNNING
    assert [server.id] == [one.id for one in servers(vo)]
    assert status(pool, cluster) == RUNNING


def test_a_guest_that_shuts_itself_down_completes_the_job_and_is_deleted(pool, submit, vo):
    cluster = submit()
    condor_pool.until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    vo.cloud.compute.stop_server(server)  # as Nova sees it, whoever stops it
    condor_pool.until(lambda: not servers(vo), 200)
    condor_pool.until(lambda: status(pool, cluster) == COMPLETED, 120)


def test_what_cannot_be_launched_holds_the_job_with_the_reason(pool, submit, vo):
    cluster = submit(ec2_instance_type="no.such")
    condor_pool.until(lambda: status(pool, cluster) == HELD, 120)
    assert "InvalidParameterValue" in pool.inside("condor_q", cluster, "-af", "HoldReason")
    spot = submit(ec2_spot_price="0.10")
    condor_pool.until(lambda: status(pool, spot) == HELD, 120)
    assert "UnsupportedOperation" in pool.inside("condor_q", spot, "-af", "HoldReason")
    assert servers(vo) == []

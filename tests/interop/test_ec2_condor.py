"""HTCondor's own gahp against the door: a grid job's whole life, and what becomes of it when things break.

Needs root: HTCondor lives in a Debian 13 root of its own, which is made the first time and kept. The first test runs
always, the others in the long suite.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.interop.condor_fixtures import COMPLETED, HELD, RUNNING, is_of, runs, servers, states, status
from tests.interop.condor_pool import until

pytest_plugins = ("tests.interop.condor_fixtures", "ec2_fixtures")
pytestmark = pytest.mark.sandbox


def test_jobs_run_with_their_tags_and_leave_nothing(pool, submit, vo):
    cluster = submit(count=3, ec2_keypair_file="/home/pilot/key.$(Process)")
    until(lambda: states(pool, cluster) == [RUNNING] * 3, 240)
    instances = [found for (found,) in pool.jobs(cluster, "EC2InstanceName")]
    left = servers(vo)
    assert len(left) == len(set(instances)) == 3
    assert all(any(is_of(server, one) for server in left) for one in instances)
    assert len(list(vo.cloud.compute.keypairs())) == 3
    until(
        lambda: all({"Name": "pilot", "VO": "osg"}.items() <= one.metadata.items() for one in servers(vo)), 60
    )
    pool.inside("condor_rm", cluster)
    until(lambda: not servers(vo), 120)
    until(lambda: not list(vo.cloud.compute.keypairs()), 60)


@pytest.mark.long
def test_a_job_is_submitted_held_released_and_removed(pool, submit, vo):
    cluster = submit()
    until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    instance = pool.job(cluster, "EC2InstanceName")[0]
    assert is_of(server, instance)
    until(lambda: pool.job(cluster, "EC2RemoteVirtualMachineName")[0].startswith("10.20."), 60)

    def tagged() -> bool:
        return {"Name": "pilot", "VO": "osg"}.items() <= vo.cloud.compute.get_server(
            server.id
        ).metadata.items()

    until(tagged, 60)
    assert list(vo.cloud.compute.keypairs()) == [], "a server of the type Amazon gets no key pair per job"

    pool.inside("condor_hold", cluster)
    until(lambda: not servers(vo), 120)
    until(lambda: status(pool, cluster) == HELD, 60)
    pool.inside("condor_release", cluster)
    until(lambda: runs(pool, cluster), 180)
    (second,) = servers(vo)
    assert second.id != server.id
    pool.inside("condor_rm", cluster)
    until(lambda: not servers(vo), 120)


@pytest.mark.long
def test_a_throttled_launch_is_tried_again(pool, submit, vo, faults):
    with faults.set(only="POST /v2.1/servers", compute=429):
        cluster = submit()
        until(lambda: any("POST /v2.1/servers" in line for line in faults.seen), 120)
        assert servers(vo) == []
    until(lambda: runs(pool, cluster), 180)
    assert len(servers(vo)) == 1


@pytest.mark.long
def test_a_gridmanager_killed_in_mid_launch_makes_no_second_server(pool, submit, vo, faults):
    faults.seen.clear()
    with faults.set(only="POST /v2.1/servers", compute=("slow", 10)):
        cluster = submit()
        until(lambda: any("POST /v2.1/servers " in f"{line} " for line in faults.seen), 120)
        killed = pool.gridmanagers()
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
    until(lambda: runs(pool, cluster), 300)
    assert len(servers(vo)) == 1
    instance = pool.job(cluster, "EC2InstanceName")[0]
    assert is_of(servers(vo)[0], instance)


@pytest.mark.long
def test_a_nova_that_fails_while_a_job_runs_costs_neither_the_job_nor_the_server(pool, submit, vo, faults):
    cluster = submit()
    until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    faults.seen.clear()
    with faults.set(only="GET", compute=500):
        # HTCondor polls once a minute: wait for a poll that met the failure.
        until(lambda: any("/servers/detail" in line for line in faults.seen), 130)
        assert status(pool, cluster) == RUNNING
    assert [server.id] == [one.id for one in servers(vo)]
    assert status(pool, cluster) == RUNNING


@pytest.mark.long
def test_a_guest_that_shuts_itself_down_completes_the_job_and_is_deleted(pool, submit, vo):
    cluster = submit()
    until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    vo.cloud.compute.stop_server(server)  # as Nova sees it, whoever stops it
    until(lambda: not servers(vo), 200)
    until(lambda: status(pool, cluster) == COMPLETED, 120)


@pytest.mark.long
def test_what_cannot_be_launched_holds_the_job_with_the_reason(pool, submit, vo):
    cluster = submit(ec2_instance_type="no.such")
    until(lambda: status(pool, cluster) == HELD, 120)
    assert "InvalidParameterValue" in pool.inside("condor_q", cluster, "-af", "HoldReason")
    spot = submit(ec2_spot_price="0.10")
    until(lambda: status(pool, spot) == HELD, 120)
    assert "UnsupportedOperation" in pool.inside("condor_q", spot, "-af", "HoldReason")
    assert servers(vo) == []

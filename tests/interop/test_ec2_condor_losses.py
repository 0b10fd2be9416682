"""HTCondor and what is lost: an answer on its way, servers that Nova cannot start or loses, and many jobs at once.

Each of these takes minutes, as HTCondor's own waits are long.
"""

from __future__ import annotations

import pytest
from ec2_fixtures import running_door
from ec2_proxy import before_door

from tests.interop.condor_fixtures import COMPLETED, HELD, RUNNING, is_of, runs, servers, states, status
from tests.interop.condor_pool import until

pytest_plugins = ("tests.interop.condor_fixtures", "ec2_fixtures")
pytestmark = [pytest.mark.sandbox, pytest.mark.long]


def used(vo) -> tuple[int, int]:
    """What Nova has charged to the VO's quota: (instances, cores)."""
    limits = vo.cloud.compute.get_limits().absolute
    return limits.instances_used, limits.total_cores_used


def test_a_launch_whose_answer_is_lost_is_sent_again_and_makes_no_second_server(pool, submit, vo, frail):
    with before_door(frail.url) as (faults, url):
        with faults.set(only="RunInstances", door="lost"):
            cluster = submit(url)
            until(lambda: any("RunInstances" in line for line in faults.seen), 120)
            until(lambda: len(servers(vo)) == 1, 60)
        until(lambda: runs(pool, cluster), 600)
        launches = [line for line in faults.seen if "RunInstances" in line]
        assert len(launches) >= 2
        assert len(set(launches)) == 1, "every one with the same ClientToken"
        (server,) = servers(vo)
        assert is_of(server, pool.job(cluster, "EC2InstanceName")[0])
        pool.inside("condor_rm", cluster)
        until(lambda: not servers(vo), 120)


@pytest.fixture
def unplaceable(admin):
    """A flavour that no host has room for; its quota is granted all the same."""
    name = "m1.nowhere"
    made = admin.compute.create_flavor(name=name, vcpus=1, ram=64, disk=100_000_000)
    yield name
    admin.compute.delete_flavor(made)


def test_a_server_that_no_host_takes_is_said_terminated_and_holds_no_quota(pool, submit, vo, unplaceable):
    before = used(vo)
    cluster = submit(ec2_instance_type=unplaceable)
    until(lambda: status(pool, cluster) in (HELD, COMPLETED), 240)
    reason = pool.inside("condor_q", cluster, "-af", "HoldReason")
    assert "Server.InsufficientInstanceCapacity" in reason, (status(pool, cluster), reason)
    until(lambda: not servers(vo), 120)
    until(lambda: used(vo) == before, 60)


def test_a_running_server_that_goes_to_error_holds_its_job_and_goes_with_it(pool, submit, vo, admin):
    before = used(vo)
    cluster = submit()
    until(lambda: runs(pool, cluster), 180)
    (server,) = servers(vo)
    admin.compute.reset_server_state(server.id, "error")
    until(lambda: status(pool, cluster) in (HELD, COMPLETED), 240)
    until(lambda: not servers(vo), 120)
    until(lambda: used(vo) == before, 60)


@pytest.fixture(scope="module")
def bounded(door_users, tmp_path_factory):
    """The door as a site runs it, with its rates."""
    folder = tmp_path_factory.mktemp("bounded")
    with running_door(door_users, folder, workers=2, rate=20, burst=100) as door:
        yield door


def test_150_jobs_on_one_key_leave_no_server_and_no_key_pair(pool, bounded, submit, vo):
    # Half of them ask for a key pair each, as glideinWMS's do. HTCondor makes one request at a time, 600 of them, so
    # that this takes as long as the sandbox's Nova takes for 150 launches and ends, one after the other.
    plain = submit(bounded.url, count=75)
    keyed = submit(bounded.url, count=75, ec2_keypair_file="/home/pilot/key.$(Process)")

    def all_run() -> bool:
        return states(pool, plain) + states(pool, keyed) == [RUNNING] * 150

    until(all_run, 2400)
    names = [name for one in (plain, keyed) for (name,) in pool.jobs(one, "EC2InstanceName")]
    left = servers(vo)
    assert (len(set(names)), len(left)) == (150, 150)
    assert {one.id.replace("-", "")[:17] for one in left} == {name[2:] for name in names}
    assert len(list(vo.cloud.compute.keypairs())) == 75
    pool.inside("condor_rm", plain, keyed)
    until(lambda: not servers(vo), 1800)
    until(lambda: not list(vo.cloud.compute.keypairs()), 600)
    until(lambda: pool.inside("condor_q", "-allusers", "-af", "ClusterId").strip() == "", 300)

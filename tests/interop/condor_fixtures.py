"""A pool, a door whose OpenStack can be told to fail, and jobs that a VO submits; one of each for a test file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ec2_fixtures import Door, Vo, running_door
from ec2_proxy import Faults, faulty_region

from tests.interop import condor_pool
from tests.interop.condor_pool import Pool, until

RUNNING, REMOVED, COMPLETED, HELD = "2", "3", "4", "5"
NAMES = ("pilot", "instance")


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with condor_pool.pool(GRIDMANAGER_MAX_SUBMITTED_JOBS_PER_RESOURCE_EC2="200") as started:
        yield started


@pytest.fixture(scope="module")
def faults(admin: Any) -> Iterator[Faults]:
    with faulty_region(admin) as found:
        yield found


@pytest.fixture(scope="module")
def frail(faults: Faults, door_users: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("condor")
    with running_door(door_users, folder, region=faults.region, timeout=30.0) as started:
        yield started


def description(pool: Pool, vo: Vo, url: str, image: str, *, count: int = 1, **more: str) -> str:
    """A submit file."""
    lines = {
        "universe": "grid",
        "grid_resource": f"ec2 {url}/",
        "executable": "osg-pilot",
        "transfer_executable": "false",
        "ec2_access_key_id": pool.write("access", vo.access),
        "ec2_secret_access_key": pool.write("secret", vo.secret),
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
    return "\n".join(f"{key} = {value}" for key, value in lines.items()) + f"\nqueue {count}\n"


@pytest.fixture
def submit(pool: Pool, frail: Door, vo: Vo, image: str) -> Iterator[Callable[..., str]]:
    """Submit EC2 jobs; whatever is left of them is removed in the end, and nothing else is left over."""
    clusters = []

    def one(url: str = "", count: int = 1, **more: str) -> str:
        clusters.append(pool.submit(description(pool, vo, url or frail.url, image, count=count, **more)))
        return clusters[-1]

    yield one
    for cluster in clusters:
        pool.inside("condor_rm", cluster, check=False)
    until(lambda: not servers(vo), 180)
    until(lambda: not list(vo.cloud.compute.keypairs()), 60)


def servers(vo: Vo) -> list[Any]:
    return [one for one in vo.cloud.compute.servers() if one.name in NAMES]


def is_of(server: Any, instance: str) -> bool:
    """Whether an EC2 id is this server's."""
    return instance[:2] == "i-" and server.id.replace("-", "").startswith(instance[2:])


def status(pool: Pool, cluster: str) -> str:
    return pool.job(cluster, "JobStatus")[0]


def runs(pool: Pool, cluster: str) -> bool:
    found, reason = pool.job(cluster, "JobStatus", "HoldReason")[:2]
    assert found != HELD, reason
    return found == RUNNING


def states(pool: Pool, cluster: str) -> list[str]:
    """Of all of a cluster's jobs; none of them may be held."""
    found = pool.jobs(cluster, "JobStatus", "HoldReason")
    assert all(one[0] != HELD for one in found), found
    return [one[0] for one in found]

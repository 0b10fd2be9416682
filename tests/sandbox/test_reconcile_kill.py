"""apply is killed at points that hurt, and at random ones; the same command finishes the job, and nothing is twice."""

from __future__ import annotations

import configparser
import random
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import boto3
import pytest
from botocore.config import Config

from tests.sandbox.fault_proxy import Answer, Call, Dropped, Proxy, Rule, clouds_yaml, running
from tests.sandbox.reconcile_cases import CASES, whole
from tests.sandbox.reconcile_kit import Rig, clean, log_in, make_rig, ops

pytestmark = pytest.mark.sandbox
SEED = 20261122


@dataclass(frozen=True)
class Point:
    """Where to kill: at the n-th write that fits; before it reaches the service, half-way, or after it has."""

    when: str
    fits: str = ""
    number: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.fits or 'write'} {self.number}"


# what leaves most behind, if anything does; in the order in which one worker comes to them
HURTS = (
    Point("after", "POST compute .*/flavors"),  # without its properties
    Point("after", "POST image .*/images"),  # an empty image
    Point("halfway", "PUT image .*/file"),
    Point("after", "PUT image .*/file"),
    Point("after", "POST network .*/(networks|routers|security-groups)"),  # without its tag
    Point("after", "POST identity .*/users"),  # a password that is not in its place
    Point(
        "before", "POST identity .*/credentials"
    ),  # the key is in its file, and Keystone knows nothing of it
    Point("after", "POST identity .*/credentials"),
)


class Killer(Rule):
    """Kills a process at a point."""

    def __init__(self, point: Point, process: Callable[[], Optional[subprocess.Popen[str]]]) -> None:
        self.point = point
        self.process = process
        self.seen = 0
        self.struck = False

    def _now(self, call: Call, when: str) -> None:
        if self.struck:
            raise Dropped
        words = f"{call.method} {call.service} {call.path.split('?')[0]}"
        if not call.writes or when != self.point.when or not re.fullmatch(self.point.fits or ".*", words):
            return
        process = self.process()
        if process is None:
            return  # a late answer to the run that was killed before
        self.seen += 1
        if self.seen == self.point.number:
            self.struck = True
            process.send_signal(signal.SIGKILL)
            raise Dropped

    def before(self, call: Call) -> Optional[Answer]:
        self._now(call, "before")
        return None

    def halfway(self, call: Call) -> None:
        self._now(call, "halfway")

    def after(self, call: Call, status: int, body: bytes) -> Optional[Answer]:
        self._now(call, "after")
        return None


def apply_until_killed(rig: Rig, proxy: Proxy, point: Point, *words: str) -> bool:
    """Whether the run was killed; else it came to its end first, and went well."""
    started: list[subprocess.Popen[str]] = []
    proxy.rule = killer = Killer(point, lambda: started[0] if started else None)
    process = rig.start("apply", "--yes", *words)
    started.append(process)
    out, err = process.communicate(timeout=300)
    proxy.rule = Rule()
    if killer.struck:
        assert process.returncode == -signal.SIGKILL
        return True
    assert process.returncode == 0, f"{point}: {out}\n{err}"
    return False


@pytest.fixture
def behind(cloud: Any, tmp_path: Path) -> Iterator[tuple[Rig, Proxy]]:
    rig = make_rig(cloud.clouds_yaml, tmp_path)
    with running(rig.hand) as proxy:
        rig.clouds = clouds_yaml(proxy, cloud.clouds_yaml, tmp_path / "clouds.yaml")
        yield rig, proxy
    clean(rig)


def test_killed_where_it_hurts_and_at_random_it_converges(behind: tuple[Rig, Proxy], cloud: Any):
    rig, proxy = behind
    rig.write(**whole(rig))
    hurt = [point for point in HURTS if apply_until_killed(rig, proxy, point, "--workers", "1")]
    assert hurt == list(HURTS)
    rig.rewrite(lambda data: declare_otherwise(data, rig.tag))
    choice = random.Random(SEED)
    points = [Point(choice.choice(("before", "after")), "", choice.randint(1, 4)) for _ in range(4)]
    killed = [point for point in points if apply_until_killed(rig, proxy, point)]
    assert len(killed) > 2
    converged(rig, cloud)


@pytest.mark.long
def test_killed_at_many_random_points_of_a_sites_whole_life_it_converges(
    behind: tuple[Rig, Proxy], cloud: Any
):
    rig, proxy = behind
    choice = random.Random(SEED)

    def life(*words: str, most: int) -> int:
        kills = 0
        while apply_until_killed(
            rig, proxy, Point(choice.choice(("before", "after")), "", choice.randint(1, most)), *words
        ):
            kills += 1
        return kills

    rig.write(**whole(rig))
    kills = life(most=6)
    converged(rig, cloud)

    rig.rewrite(lambda data: declare_otherwise(data, rig.tag))
    kills += life(most=3)
    converged(rig, cloud)
    rig.write(vos={"icecube": {"access": [{"fqan": "/icecube/*"}]}})
    for _ in range(3):  # in stages
        kills += life("--prune", "--force", most=3)
    last = rig.plan("--prune")
    assert (ops(last), last["held"]) == ([], [])
    assert kills > 20


def declare_otherwise(data: dict[str, Any], tag: str) -> None:
    for case in CASES:
        if case.declare and (case.kind != "volume_quota" or "volume" in data["vos"]["cms"]["quota"]):
            case.declare(data, tag)


def converged(rig: Rig, cloud: Any) -> None:
    """The site is whole, nothing is there twice, and its secrets open what they should."""
    rig.run("apply", "--yes", expect=0)
    assert ops(rig.plan("--prune")) == []
    hand, t = rig.hand, rig.tag
    for service, path, member in (
        ("network", "/networks", "networks"),
        ("network", "/subnets", "subnets"),
        ("network", "/routers", "routers"),
        ("network", "/security-groups", "security_groups"),
        ("image", "/images?limit=1000", "images"),
        ("compute", "/flavors?is_public=none", "flavors"),
    ):
        names = [item["name"] for item in hand.get(service, path)[member] if t in item["name"]]
        assert sorted(set(names)) == sorted(names)
        assert names
    image = hand.named("image", "/images?limit=1000", "images", f"{t}-disk")
    assert (image["status"], image["size"]) == ("active", (rig.folder / "disk.raw").stat().st_size)
    names = sorted(path.name for path in rig.secrets.iterdir() if path.name != ".apply.lock")
    assert names == ["cms-bot.password", "cms-pilot.ec2"]
    assert {path.stat().st_mode & 0o777 for path in rig.secrets.iterdir()} == {0o600}
    users = {u["name"]: u["id"] for u in hand.get("identity", f"/users?domain_id={rig.domain_id}")["users"]}
    keys = [
        key
        for key in hand.get("identity", "/credentials?type=ec2")["credentials"]
        if key["user_id"] in users.values()
    ]
    assert [key["user_id"] for key in keys] == [users["cms-pilot"]]
    log_in(rig, "cms-bot", (rig.secrets / "cms-bot.password").read_text().strip())
    s3(rig, cloud, "cms-pilot").list_buckets()


def s3(rig: Rig, cloud: Any, user: str) -> Any:
    """A boto3 client as anybody would make it from the file that apply wrote."""
    kept = configparser.ConfigParser()
    kept.read(rig.secrets / f"{user}.ec2")
    return boto3.client(
        "s3",
        endpoint_url=rig.hand.url("object").split("/v1/")[0],
        region_name="RegionOne",
        config=Config(retries={"total_max_attempts": 1}),
        **kept[user],
    )

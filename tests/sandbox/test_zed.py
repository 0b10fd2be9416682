"""What is true of the current OpenStack, on Zed: Debian 12's packages, which sites still run.

Needs root and debootstrap, and some minutes more the first time. With OSG_SITE_IAAS_TEST_ZED=NAME (or the folder of
its state) the tests use a sandbox of that release that runs already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from osg_site_iaas.sandbox import Sandbox, Wishes
from tests.sandbox.reconcile_kit import Hand, Rig, clean, make_rig

pytestmark = pytest.mark.long
HERE = Path(__file__).parent
NAMED = "OSG_SITE_IAAS_TEST_ZED"

# Each runs there as it does on the current release, with not a line of its own.
SAME = (
    "test_reconcile_kinds.py",
    "test_reconcile_destroy.py::test_destroy_takes_exactly_the_named_vo_with_all_it_holds",
    "test_demo.py::test_every_step_does_what_it_says_and_the_second_time_there_is_less_to_do",
    "test_ec2_instances.py::test_an_instance_lives_its_life",
)


@pytest.fixture(scope="module")
def zed() -> Iterator[Sandbox]:
    """A sandbox of Zed, up."""
    named = os.environ.get(NAMED)
    if named:
        sandbox = Sandbox.open(state=named) if "/" in named else Sandbox.open(named)
        assert (sandbox.status().state, sandbox.box().release) == ("up", "zed")
        yield sandbox
        return
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    folder = Path(tempfile.mkdtemp(prefix="osg-sandbox-zed-"))
    sandbox = Sandbox.open(state=folder)
    try:
        sandbox.up(wishes=Wishes(release="zed"))
        yield sandbox
    finally:
        sandbox.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rig(zed: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """A site of its own."""
    made = make_rig(zed.clouds_yaml, tmp_path)
    yield made
    clean(made)


def test_it_is_zed_that_runs(rig: Rig):
    assert newest(rig.hand, "compute") == "2.93"
    assert newest(rig.hand, "volume") == "3.70"
    assert {role["name"] for role in rig.hand.get("identity", "/roles")["roles"]} == {
        "admin", "member", "reader", "service", "ResellerAdmin",
    }  # fmt: skip


def newest(hand: Hand, service: str) -> str:
    """The newest microversion that a service knows."""
    answer = hand.http.get(hand.url(service) + "/", timeout=60).json()
    version = answer["version"] if "version" in answer else answer["versions"][0]
    return str(version["version"])


@pytest.mark.parametrize("tests", SAME)
def test_it_is_as_on_the_current_release(tests: str, zed: Sandbox):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", str(HERE / tests)],
        cwd=HERE.parents[1],
        env={**os.environ, "OSG_SITE_IAAS_TEST_SANDBOX": str(zed.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20000:]


def test_a_role_that_zed_has_not_is_a_conflict_until_it_is_made(rig: Rig):
    rig.write(vos={"cms": {"access": [{"fqan": "/cms/*", "role": "manager"}]}})
    (conflict,) = rig.plan()["conflicts"]
    assert "Keystone has no role 'manager'" in conflict["why"]
    role = rig.hand.post("identity", "/roles", {"role": {"name": "manager"}})["role"]["id"]
    try:
        rig.apply()
        assert rig.run("plan", expect=0).err == ""
    finally:
        rig.hand.send("DELETE", "identity", f"/roles/{role}")


def test_a_provider_with_dots_in_its_name_has_its_mapping(rig: Rig):
    provider = f"ce.{rig.tag}.example.org"
    rig.write(identity_providers={provider: {"type": "x509"}}, vos={"cms": {"access": [{"fqan": "/cms"}]}})
    rig.apply()
    path = f"/OS-FEDERATION/identity_providers/{provider}/protocols"
    (protocol,) = rig.hand.get("identity", path)["protocols"]
    assert protocol["mapping_id"].startswith(f"osg-site-iaas-ce-{rig.tag}-example-org-")
    rig.run("plan", expect=0)

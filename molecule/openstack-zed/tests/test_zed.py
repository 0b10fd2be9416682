"""What is Zed's own: linuxbridge in the kernel, and a VO's site that a host beside it makes there and serves by EC2."""

import json
from pathlib import Path

import pytest
from cloud import OPENSTACK, USER_DATA, Cloud, wait_for

testinfra_hosts = ["podman://osg-openstack-zed-control"]
MEMBER = (Path(__file__).parents[2] / "site/files/member.py").read_text()
KEY = (
    "AWS_PROFILE=cms-pilot AWS_SHARED_CREDENTIALS_FILE=/etc/osg/site-iaas/secrets/cms-pilot.ec2"
    " AWS_ENDPOINT_URL=https://control.example.org:8773/"
)
SITE = "/etc/osg/site-iaas/site.yml"


@pytest.fixture(scope="module")
def zed(host):
    """The cloud's host."""
    return host.get_host("podman://osg-openstack-zed")


@pytest.fixture(scope="module")
def applied(host):
    """What the first `apply` said; a second `molecule verify` finds nothing to do."""
    return host.run(f"osg-site-iaas apply --yes {SITE}")


@pytest.fixture(scope="module")
def member(host, applied):
    """Does what a member of the VO would, and says what the EC2 door answered."""
    host.check_output(f"cat > /root/member.py <<'END'\n{MEMBER}\nEND")
    host.check_output(f"cat > /root/user-data <<'END'\n{USER_DATA}\nEND")
    return lambda *words: json.loads(host.check_output(f"{KEY} python3 /root/member.py {' '.join(words)}"))


@pytest.fixture(scope="module")
def instance(zed, member):
    """An instance of the VO's, started by EC2, as the door tells of it once it runs."""
    Cloud(zed).image(OPENSTACK)
    name = member("run", "1")[0]["InstanceId"]

    def runs():
        (one,) = member("describe", name)
        assert one["State"]["Name"] in ("pending", "running"), one
        return one["State"]["Name"] == "running" and one

    return wait_for(runs, 900)


def test_nothing_is_to_be_done_after_the_first_apply(host, applied):
    assert applied.rc == 0, applied.stdout + applied.stderr
    plan = host.run(f"osg-site-iaas plan {SITE}")
    assert plan.rc == 0, plan.stdout + plan.stderr


def test_the_vos_network_is_vxlan_in_the_kernel(zed, applied, instance):
    network = Cloud(zed).ask("network show cms")
    assert network["provider:network_type"] == "vxlan"
    bridge = f"brq{network['id'][:11]}"
    tunnel = f"vxlan-{network['provider:segmentation_id']}"
    assert f" id {network['provider:segmentation_id']} " in zed.check_output(
        f"ip -details link show {tunnel}"
    )
    assert f" master {bridge} " in zed.check_output(f"ip link show {tunnel}")
    taps = zed.check_output(f"ls /sys/class/net/{bridge}/brif").split()
    assert len([tap for tap in taps if tap.startswith("tap")]) == 2, taps  # the guest's, and that of DHCP


def test_user_data_runs_in_a_guest_that_was_started_by_ec2_and_it_asks_for_a_login(member, instance):
    def said():
        lines = [
            line
            for line in member("console", instance["InstanceId"]).splitlines()
            if line.startswith("SAW {")
        ]
        return lines and json.loads(lines[-1][4:])

    def asks():
        return " login:" in member("console", instance["InstanceId"])

    assert wait_for(said)["address"] == instance["PrivateIpAddress"]
    assert wait_for(asks)


def test_what_ec2_ends_is_gone(zed, member, instance):
    member("terminate", instance["InstanceId"])

    def gone():
        return not Cloud(zed).ask("server list --all-projects")

    assert wait_for(gone, 600)
    assert zed.check_output("virsh --quiet list --all") == ""

"""The other clients: awscli, libcloud with both signatures and an old API version, and HTCondor's own requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ec2_fixtures import wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


@pytest.fixture
def environment(vo, tmp_path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": vo.access,
        "AWS_SECRET_ACCESS_KEY": vo.secret,
        "AWS_DEFAULT_REGION": "RegionOne",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }


@pytest.fixture
def aws(door, environment):
    """awscli as a command; what it prints, decoded."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}

    def run(*words: str) -> dict:
        command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", door.url, "--output", "json"]
        done = subprocess.run(
            [*command, *words], env={**clean, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    return run


@pytest.fixture
def quick(door, environment, monkeypatch, capsys):
    """awscli's own main in this process, for many calls: a command starts for a second."""
    from awscli.clidriver import create_clidriver

    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(line: str, *more: str) -> Any:
        capsys.readouterr()
        driver = create_clidriver()  # one call's options stay with it
        status = driver.main(["--endpoint-url", door.url, "--output", "json", "ec2", *line.split(), *more])
        said = capsys.readouterr()
        assert status == 0, f"{line}: {said.err}"
        return json.loads(said.out) if said.out.strip() else {}

    return run


def test_awscli_starts_tags_and_ends_an_instance(aws, quick, image, tmp_path):
    data = tmp_path / "user-data"
    data.write_text("#!/bin/sh\n")
    quick("create-key-pair --key-name cli")
    made = aws(
        *("ec2", "run-instances", "--image-id", image, "--instance-type", "m1.tiny", "--key-name", "cli"),
        *("--user-data", f"file://{data}", "--instance-initiated-shutdown-behavior", "terminate"),
        *("--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=cli}]"),
    )
    instance = made["Instances"][0]["InstanceId"]

    def state() -> str:
        found = quick("describe-instances --filters Name=tag:Name,Values=cli")
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]

    wait_for(lambda: state() == "running")
    quick(f"create-tags --resources {instance} --tags Key=VO,Value=cms")
    quick(f"terminate-instances --instance-ids {instance}")
    wait_for(lambda: state() == "terminated")
    quick("delete-key-pair --key-name cli")
    assert aws("sts", "get-caller-identity")["Account"]


def test_awscli_has_groups_images_types_and_what_there_is(quick, image, vo):
    name = f"cli-{uuid.uuid4().hex[:6]}"
    group = quick(f"create-security-group --group-name {name} --description words")["GroupId"]
    quick(
        f"authorize-security-group-ingress --group-id {group} --protocol tcp --port 22-23 --cidr 192.0.2.0/24"
    )
    quick(f"authorize-security-group-egress --group-id {group} --protocol icmp --port -1 --cidr 192.0.2.0/24")
    (found,) = quick(f"describe-security-groups --group-names {name}")["SecurityGroups"]
    rule = found["IpPermissions"][0]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 23)
    quick(f"revoke-security-group-ingress --group-id {group} --protocol tcp --port 22-23 --cidr 192.0.2.0/24")
    quick(f"create-tags --resources {group} --tags Key=colour,Value=red")
    tags = quick(f"describe-tags --filters Name=resource-id,Values={group}")["Tags"]
    assert [(tag["Key"], tag["Value"], tag["ResourceType"]) for tag in tags] == [
        ("colour", "red", "security-group")
    ]
    quick(f"delete-tags --resources {group} --tags Key=colour")
    quick(f"delete-security-group --group-id {group}")
    assert quick(f"describe-images --image-ids {image} --query Images[].State") == ["available"]
    quick(f"modify-image-attribute --image-id {image} --description words")
    assert quick(f"describe-image-attribute --image-id {image} --attribute description")["Description"]
    types = quick("describe-instance-types --instance-types m1.tiny")["InstanceTypes"]
    assert types[0]["VCpuInfo"]["DefaultVCpus"] == 1
    assert quick("describe-instance-type-offerings --filters Name=instance-type,Values=m1.tiny")
    (network,) = quick(f"describe-vpcs --filters Name=owner-id,Values={vo.project}")["Vpcs"]
    subnets = quick(f"describe-subnets --filters Name=vpc-id,Values={network['VpcId']}")["Subnets"]
    assert [one["CidrBlock"] for one in subnets] == ["10.20.0.0/20"]
    for call in ("regions", "availability-zones", "account-attributes", "internet-gateways", "route-tables"):
        assert quick(f"describe-{call}"), call
    assert isinstance(quick("describe-addresses")["Addresses"], list)


@pytest.mark.long  # thirty starts of awscli; the other two awscli tests are in every run
def test_awscli_waits_stops_looks_into_and_ends_an_instance(box, quick, image, tmp_path):
    public = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "key.pub").write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    name = f"cli-{uuid.uuid4().hex[:6]}"
    quick(f"import-key-pair --key-name {name} --public-key-material fileb://{tmp_path / 'key.pub'}")
    assert quick(f"describe-key-pairs --key-names {name}")["KeyPairs"][0]["KeyType"] == "ed25519"
    made = quick(f"run-instances --image-id {image} --instance-type m1.tiny --key-name {name}")
    instance = made["Instances"][0]["InstanceId"]
    quick(f"wait instance-running --instance-ids {instance}")
    quick(f"wait instance-status-ok --instance-ids {instance}")
    assert "Output" in quick(f"get-console-output --instance-id {instance}")
    asked = (
        f"modify-instance-attribute --instance-id {instance} --instance-initiated-shutdown-behavior terminate"
    )
    quick(asked)
    attribute = "instanceInitiatedShutdownBehavior"
    told = quick(f"describe-instance-attribute --instance-id {instance} --attribute {attribute}")
    assert told["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    quick(f"reboot-instances --instance-ids {instance}")
    (port,) = quick(f"describe-network-interfaces --filters Name=attachment.instance-id,Values={instance}")[
        "NetworkInterfaces"
    ]
    assert port["PrivateIpAddress"].startswith("10.20.")
    if "cinder" in box.endpoints:
        volume = quick("create-volume --availability-zone nova --size 1")["VolumeId"]
        quick(f"wait volume-available --volume-ids {volume}")
        quick(f"attach-volume --volume-id {volume} --instance-id {instance} --device /dev/vdb")
        quick(f"wait volume-in-use --volume-ids {volume}")
        quick(f"detach-volume --volume-id {volume}")
        quick(f"wait volume-available --volume-ids {volume}")
        snapshot = quick(f"create-snapshot --volume-id {volume}")["SnapshotId"]
        quick(f"wait snapshot-completed --snapshot-ids {snapshot}")
        quick(f"delete-snapshot --snapshot-id {snapshot}")
        wait_for(lambda: not quick("describe-snapshots --owner-ids self")["Snapshots"])
        quick(f"delete-volume --volume-id {volume}")
    quick(f"stop-instances --instance-ids {instance}")
    wait_for(
        lambda: (
            quick(
                f"describe-instances --instance-ids {instance} --query Reservations[].Instances[].State.Name"
            )
            == ["stopped"]
        )
    )
    quick(f"start-instances --instance-ids {instance}")
    quick(f"terminate-instances --instance-ids {instance}")
    wait_for(
        lambda: (
            quick(
                f"describe-instances --instance-ids {instance} --query Reservations[].Instances[].State.Name"
            )
            == ["terminated"]
        )
    )
    quick(f"delete-key-pair --key-name {name}")


LIBCLOUD = [
    ("EC2", {"region": "us-east-1", "signature_version": "4"}),
    ("EC2", {"region": "us-east-1", "signature_version": "2"}),
    ("EUCALYPTUS", {"path": "/services/Eucalyptus"}),  # signature 2, and an API version of its own
]


def libclouds_other_calls(driver, node, image) -> None:
    """What libcloud has besides nodes: keys, groups, tags, volumes, zones, networks."""
    assert image in {one.id for one in driver.list_images(ex_owner="self")}
    name = f"libcloud-{uuid.uuid4().hex[:6]}"
    key = driver.create_key_pair(name)
    assert key.private_key.startswith("-----BEGIN")
    assert name in {one.name for one in driver.list_key_pairs()}
    assert driver.delete_key_pair(key)
    group = driver.ex_create_security_group(name, "words")["group_id"]
    assert driver.ex_authorize_security_group_ingress(group, 22, 22, cidr_ips=["192.0.2.0/24"])
    assert name in driver.ex_list_security_groups()
    assert driver.ex_delete_security_group_by_id(group)
    assert driver.ex_create_tags(node, {"colour": "red"})
    assert driver.ex_describe_tags(node)["colour"] == "red"
    assert driver.ex_delete_tags(node, {"colour": "red"})
    assert driver.ex_list_networks()
    assert driver.ex_list_subnets()
    assert driver.reboot_node(node)
    assert driver.ex_get_console_output(node)["output"] is not None


@pytest.mark.parametrize("name, options", LIBCLOUD, ids=["v4", "v2", "eucalyptus"])
def test_libcloud_starts_and_ends_a_node(door, vo, image, name, options):
    from libcloud.compute.base import NodeImage, NodeSize
    from libcloud.compute.providers import get_driver
    from libcloud.compute.types import Provider

    url = urlsplit(door.url)
    driver = get_driver(getattr(Provider, name))(
        vo.access, vo.secret, secure=False, host=url.hostname, port=url.port, **options
    )
    disk = NodeImage(image, "disk", driver)
    size = NodeSize("m1.tiny", "m1.tiny", 64, 1, None, None, driver)
    node = driver.create_node(name="libcloud", image=disk, size=size)
    assert node.id.startswith("i-")

    def found():
        return next(one for one in driver.list_nodes() if one.id == node.id)

    wait_for(lambda: found().state == "running")
    assert found().private_ips[0].startswith("10.20.")
    if name == "EC2":
        libclouds_other_calls(driver, node, image)
    assert driver.destroy_node(node)
    wait_for(lambda: found().state == "terminated")


class Condor:
    """Requests as HTCondor's ec2_gahp sends them: its version, its lists from 0, its scope from the host name."""

    def __init__(self, door, vo) -> None:
        self.door, self.vo = door, vo

    def send(self, action: str, **more: str) -> requests.Response:
        form = {
            "Action": action,
            "Version": "2012-10-01",
            **{k.replace("__", "."): v for k, v in more.items()},
        }
        request = AWSRequest(
            "POST", f"{self.door.url}/", data=form, headers={"Host": urlsplit(self.door.url).netloc}
        )
        SigV4Auth(Credentials(self.vo.access, self.vo.secret), "127", "0").add_auth(request)
        prepared = request.prepare()
        return requests.post(prepared.url, data=prepared.body, headers=dict(prepared.headers), timeout=60)


def test_a_job_of_condors_in_the_order_of_its_requests(door, vo, image):
    condor = Condor(door, vo)
    ping = condor.send("DescribeKeyPairs")
    assert (ping.status_code, ping.headers["Server"]) == (200, "AmazonEC2")
    assert condor.send("DescribeInstances").status_code == 200
    token = str(uuid.uuid4())
    job = {
        "ImageId": image,
        "MinCount": "1",
        "MaxCount": "1",
        "InstanceInitiatedShutdownBehavior": "terminate",
        "ClientToken": token,
        "InstanceType": "m1.tiny",
        "UserData": "Z2xpZGVpbg==",
        "SecurityGroup__0": "default",
        "BlockDeviceMapping__1__VirtualName": "ephemeral0",
        "BlockDeviceMapping__1__DeviceName": "/dev/sdb",
    }
    made = condor.send("RunInstances", **job)
    assert made.status_code == 200, made.text
    instance = made.text.partition("<instanceId>")[2].partition("<")[0]
    again = condor.send("RunInstances", **job)
    assert instance in again.text

    def poll() -> str:
        text = condor.send("DescribeInstances").text
        return text.partition(f"<instanceId>{instance}")[2].partition("</instanceState>")[0]

    wait_for(lambda: "<name>running" in poll())
    tagged = condor.send(
        "CreateTags",
        ResourceId__0=instance,
        Tag__0__Key="Name",
        Tag__0__Value="pilot",
        Tag__1__Key="VO",
        Tag__1__Value="osg",
    )
    assert "<return>true</return>" in tagged.text
    text = condor.send("DescribeInstances").text
    assert f"<clientToken>{token}</clientToken>" in text
    assert "<dnsName>10.20." in text
    assert condor.send("TerminateInstances", InstanceId__1=instance).status_code == 200
    wait_for(lambda: "<name>terminated" in poll())
    # Whatever it asks of a spot instance is refused in a way that holds the job, with a reason that can be read.
    spot = condor.send("RequestSpotInstances", SpotPrice="0.1", InstanceCount="1", LaunchGroup=token)
    assert (spot.status_code, True) == (400, "<Code>UnsupportedOperation</Code>" in spot.text)

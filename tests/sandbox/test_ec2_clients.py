"""The other clients: awscli, libcloud with both signatures and an old API version, and HTCondor's own requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ec2_fixtures import wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


@pytest.fixture
def aws(door, vo, tmp_path):
    """awscli as a command; what it prints, decoded."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": vo.access,
        "AWS_SECRET_ACCESS_KEY": vo.secret,
        "AWS_DEFAULT_REGION": "RegionOne",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }

    def run(*words: str) -> dict:
        command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", door.url, "--output", "json"]
        done = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    return run


def test_awscli_starts_tags_and_ends_an_instance(aws, image, tmp_path):
    data = tmp_path / "user-data"
    data.write_text("#!/bin/sh\n")
    aws("ec2", "create-key-pair", "--key-name", "cli")
    made = aws(
        *("ec2", "run-instances", "--image-id", image, "--instance-type", "m1.tiny", "--key-name", "cli"),
        *("--user-data", f"file://{data}", "--instance-initiated-shutdown-behavior", "terminate"),
        *("--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=cli}]"),
    )
    instance = made["Instances"][0]["InstanceId"]

    def state() -> str:
        found = aws("ec2", "describe-instances", "--filters", "Name=tag:Name,Values=cli")
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]

    wait_for(lambda: state() == "running")
    aws("ec2", "create-tags", "--resources", instance, "--tags", "Key=VO,Value=cms")
    aws("ec2", "terminate-instances", "--instance-ids", instance)
    wait_for(lambda: state() == "terminated")
    aws("ec2", "delete-key-pair", "--key-name", "cli")
    assert aws("sts", "get-caller-identity")["Account"]


LIBCLOUD = [
    ("EC2", {"region": "us-east-1", "signature_version": "4"}),
    ("EC2", {"region": "us-east-1", "signature_version": "2"}),
    ("EUCALYPTUS", {"path": "/services/Eucalyptus"}),  # signature 2, and an API version of its own
]


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
    assert image in {one.id for one in driver.list_images(ex_owner="self")} if name == "EC2" else True
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

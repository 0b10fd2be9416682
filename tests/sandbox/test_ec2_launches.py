"""What a launch can ask for besides one plain instance, and what can be changed of it later, through boto3."""

from __future__ import annotations

import contextlib
import secrets

import pytest
from botocore.exceptions import ClientError
from ec2_fixtures import running_door, wait_for
from openstack.exceptions import BadRequestException

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def one(ec2, instance) -> dict:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def state(ec2, instance) -> str:
    return one(ec2, instance)["State"]["Name"]


def server_of(vo, instance):
    return next(s for s in vo.cloud.compute.servers() if s.id.replace("-", "").startswith(instance[2:]))


@pytest.fixture
def launch(ec2, image):
    """Launch one instance and wait until it runs; it is terminated in the end."""
    launched: list[str] = []

    def started(**more) -> str:
        asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, **more}
        launched.append(ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
        wait_for(lambda: state(ec2, launched[-1]) == "running")
        return launched[-1]

    yield started
    if launched:
        ec2.terminate_instances(InstanceIds=launched)


def test_a_stopped_instance_gets_another_type_and_starts_with_it(ec2, vo, launch):
    instance = launch()
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m1.small"})
    ec2.stop_instances(InstanceIds=[instance])
    wait_for(lambda: state(ec2, instance) == "stopped")
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "no.such"})
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m1.small"})
    assert (state(ec2, instance), one(ec2, instance)["InstanceType"]) == ("stopped", "m1.small")
    # What took longer than a call may is confirmed by the start.
    server = server_of(vo, instance)
    vo.cloud.compute.resize_server(server, vo.cloud.compute.find_flavor("m1.tiny"))
    wait_for(lambda: vo.cloud.compute.get_server(server).status == "VERIFY_RESIZE")
    assert state(ec2, instance) == "stopped"
    ec2.start_instances(InstanceIds=[instance])
    wait_for(lambda: state(ec2, instance) == "running")
    assert one(ec2, instance)["InstanceType"] == "m1.tiny"


@pytest.fixture(scope="module")
def fast(admin):
    """A volume type of the site's."""
    made = admin.block_storage.create_type(name=f"fast-{secrets.token_hex(3)}")
    yield made.name

    def gone() -> bool:
        with contextlib.suppress(BadRequestException):  # its last volume is on its way
            admin.block_storage.delete_type(made)
            return True
        return False

    wait_for(gone)


def test_volumes_of_a_launch_have_their_tags_size_and_type(ec2, vo, image, fast, door_users, tmp_path):
    tags = [{"Key": "of", "Value": "volumes"}]
    made = ec2.run_instances(
        ImageId=image,
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/vda", "Ebs": {"VolumeSize": 2, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/vdb", "Ebs": {"VolumeSize": 1, "VolumeType": fast}},
        ],
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": tags},
            {"ResourceType": "instance", "Tags": [{"Key": "of", "Value": "instances"}]},
        ],
    )
    instance, tagged = made["Instances"][0]["InstanceId"], [{"Name": "tag:of", "Values": ["volumes"]}]
    # Who looks at nothing but volumes sees them, too.
    found = wait_for(lambda: ec2.describe_volumes(Filters=tagged)["Volumes"])
    assert {(each["Size"], each["VolumeType"] == fast) for each in found} == {(2, False), (1, True)}
    assert {a["InstanceId"] for each in found for a in each["Attachments"]} == {instance}
    assert one(ec2, instance)["Tags"] == [{"Key": "of", "Value": "instances"}]
    # A tag that its owner takes away stays away, whoever looks.
    ec2.delete_tags(Resources=[each["VolumeId"] for each in found])
    with running_door(door_users, tmp_path) as another:
        client = another.client(vo)
        assert one(client, instance)
        assert client.describe_tags(Filters=[{"Name": "value", "Values": ["volumes"]}])["Tags"] == []
        # The server carries them: a host that has not launched it, or has lost its store, makes them as well.
        vo.cloud.compute.set_server_metadata(server_of(vo, instance), **{"osg-ec2:volumes": "pending"})

        def again() -> bool:  # within fresh_seconds it answers from what it has
            client.describe_instances()
            return len(client.describe_volumes(Filters=tagged)["Volumes"]) == 2

        wait_for(again)
    ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.parametrize(
    "change, code",
    [
        (
            {
                "BlockDeviceMappings": [
                    {"DeviceName": "/dev/vdb", "Ebs": {"VolumeSize": 1, "VolumeType": "x"}}
                ]
            },
            "InvalidParameterValue",
        ),
        ({"TagSpecifications": [{"ResourceType": "fleet", "Tags": []}]}, "InvalidParameterValue"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}], "SecurityGroups": ["default"]},
            "InvalidParameterCombination",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-1", "Groups": ["sg-1"]}]},
            "InvalidParameterCombination",
        ),
    ],
)
def test_what_contradicts_itself_starts_nothing(ec2, vo, image, change, code):
    before = {one.id for one in vo.cloud.compute.servers()}
    asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, **change}
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**asked)
    assert code == caught.value.response["Error"]["Code"]
    assert {one.id for one in vo.cloud.compute.servers()} <= before


def test_interfaces_of_a_launch_are_new_ones_or_those_that_are_there(ec2, vo, launch):
    network = next(iter(vo.cloud.network.networks(project_id=vo.project)))
    port = vo.cloud.network.create_port(network_id=network.id, name="mine")
    eni = f"eni-{port.id.replace('-', '')[:17]}"
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "owner-id", "Values": [vo.project]}])["Subnets"]
    group = ec2.create_security_group(GroupName="of-interfaces", Description="x")["GroupId"]
    instance = launch(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": eni}])
    assert one(ec2, instance)["PrivateIpAddress"] == port.fixed_ips[0]["ip_address"]
    by_instance = {"Name": "attachment.instance-id", "Values": [instance]}
    (found,) = ec2.describe_network_interfaces(Filters=[by_instance])["NetworkInterfaces"]
    assert (eni, "in-use") == (found["NetworkInterfaceId"], found["Status"])
    new = {
        "DeviceIndex": 0,
        "SubnetId": subnet["SubnetId"],
        "Groups": [group],
        "PrivateIpAddress": "10.20.3.3",
    }
    other = launch(NetworkInterfaces=[new])
    found = one(ec2, other)
    assert ("10.20.3.3", [group]) == (
        found["PrivateIpAddress"],
        [g["GroupId"] for g in found["SecurityGroups"]],
    )
    ec2.terminate_instances(InstanceIds=[other])
    wait_for(lambda: state(ec2, other) == "terminated")
    ec2.delete_security_group(GroupId=group)

"""Volumes, snapshots, tags, attributes and images' life through boto3, against what the services then have."""

from __future__ import annotations

import secrets

import pytest
from botocore.exceptions import ClientError
from ec2_fixtures import backend_requests, make_image, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def state(ec2, instance) -> str:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]


@pytest.fixture(scope="module")
def running(ec2, image):
    """One instance for the whole file."""
    launched = ec2.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=1, MaxCount=1)["Instances"][
        0
    ]
    wait_for(lambda: state(ec2, launched["InstanceId"]) == "running")
    yield launched["InstanceId"]
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])


@pytest.fixture(scope="module")
def cinder(box):
    if "cinder" not in box.endpoints:
        pytest.skip("this sandbox runs without Cinder")


def volume_state(ec2, volume) -> str:
    return ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]


def test_a_volume_lives_its_life(cinder, ec2, running):
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}]
    made = ec2.create_volume(Size=1, AvailabilityZone="nova", TagSpecifications=tags)
    volume = made["VolumeId"]
    again = {"Size": 1, "AvailabilityZone": "nova", "ClientToken": secrets.token_hex(8)}
    assert ec2.create_volume(**again)["VolumeId"] == ec2.create_volume(**again)["VolumeId"]
    wait_for(lambda: volume_state(ec2, volume) == "available")
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/vdb")
    assert (volume, running) == (attached["VolumeId"], attached["InstanceId"])
    on_instance = [{"Name": "attachment.instance-id", "Values": [running]}]
    (found,) = wait_for(lambda: ec2.describe_volumes(Filters=on_instance)["Volumes"])
    assert backend_requests(ec2.describe_volumes()) == 1
    assert (found["State"], found["Attachments"][0]["State"]) == ("in-use", "attached")
    assert found["Attachments"][0]["Device"].startswith("/dev/")
    assert found["Tags"] == [{"Key": "Name", "Value": "data"}]
    instance = ec2.describe_instances(InstanceIds=[running])["Reservations"][0]["Instances"][0]
    assert [volume] == [one["Ebs"]["VolumeId"] for one in instance["BlockDeviceMappings"]]
    with pytest.raises(ClientError, match="VolumeInUse"):
        ec2.delete_volume(VolumeId=volume)
    ec2.detach_volume(VolumeId=volume)
    wait_for(lambda: volume_state(ec2, volume) == "available")
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.detach_volume(VolumeId=volume)

    snapshot = ec2.create_snapshot(VolumeId=volume, Description="of data")["SnapshotId"]
    wait_for(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")
    (found,) = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [volume]}])[
        "Snapshots"
    ]
    assert (found["Description"], found["VolumeSize"]) == ("of data", 1)
    copy = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone="nova")["VolumeId"]
    wait_for(lambda: volume_state(ec2, copy) == "available")
    assert snapshot == ec2.describe_volumes(VolumeIds=[copy])["Volumes"][0]["SnapshotId"]
    for one in (copy, volume):
        wait_for(lambda one=one: deleted(ec2, snapshot, one))


def deleted(ec2, snapshot, volume) -> bool:
    """Whether a volume is gone; its snapshot goes first."""
    for call in (
        lambda: ec2.delete_snapshot(SnapshotId=snapshot),
        lambda: ec2.delete_volume(VolumeId=volume),
    ):
        try:
            call()
        except ClientError as error:
            if "NotFound" not in error.response["Error"]["Code"]:
                return False
    try:
        ec2.describe_volumes(VolumeIds=[volume])
    except ClientError as error:
        return error.response["Error"]["Code"] == "InvalidVolume.NotFound"
    return False


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda ec2: ec2.create_volume(AvailabilityZone="nova"), "MissingParameter"),
        (lambda ec2: ec2.create_volume(Size=0, AvailabilityZone="nova"), "MissingParameter"),
        (lambda ec2: ec2.create_volume(Size=1, AvailabilityZone="mars"), "InvalidZone.NotFound"),
        (
            lambda ec2: ec2.create_volume(Size=1, AvailabilityZone="nova", Encrypted=True),
            "UnsupportedOperation",
        ),
        (lambda ec2: ec2.delete_volume(VolumeId="vol-0123456789abcdef0"), "InvalidVolume.NotFound"),
        (lambda ec2: ec2.create_snapshot(VolumeId="vol-0123456789abcdef0"), "InvalidVolume.NotFound"),
        (lambda ec2: ec2.delete_snapshot(SnapshotId="snap-0123456789abcdef0"), "InvalidSnapshot.NotFound"),
    ],
)
def test_what_cannot_be_done_with_volumes_is_ec2s_error(cinder, ec2, call, code):
    with pytest.raises(ClientError) as caught:
        call(ec2)
    assert code == caught.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def taggable(ec2, running, vo):
    group = ec2.create_security_group(GroupName=f"t-{secrets.token_hex(3)}", Description="x")["GroupId"]
    vpc = next(one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"])
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
    yield {
        "instance": running,
        "image": make_image(vo, "tagged"),
        "security-group": group,
        "vpc": vpc,
        "subnet": subnet,
    }
    ec2.delete_security_group(GroupId=group)


@pytest.mark.parametrize("kind", ["instance", "image", "security-group", "vpc", "subnet"])
def test_tags_are_made_described_and_deleted(ec2, taggable, kind):
    resource = taggable[kind]
    tags = {"Name": "a b", "VO": "cms", "path/é": "x=y,z/ü %41"}
    ec2.create_tags(Resources=[resource], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def found() -> dict:
        described = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])["Tags"]
        assert {kind} >= {one["ResourceType"] for one in described}
        return {one["Key"]: one["Value"] for one in described}

    assert tags == found()
    ec2.create_tags(Resources=[resource], Tags=[{"Key": "VO", "Value": "atlas"}])
    assert found()["VO"] == "atlas"
    ec2.delete_tags(Resources=[resource], Tags=[{"Key": "VO", "Value": "not this"}, {"Key": "path/é"}])
    assert found() == {"Name": "a b", "VO": "atlas"}
    ec2.delete_tags(Resources=[resource])
    assert found() == {}


def test_condors_tags_reach_the_instance_and_are_filtered(ec2, running):
    ec2.create_tags(Resources=[running], Tags=[{"Key": "Name", "Value": "pilot-1"}])
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["pilot-*"]}])["Reservations"]
    assert [running] == [i["InstanceId"] for r in found for i in r["Instances"]]
    ec2.delete_tags(Resources=[running])


@pytest.mark.parametrize(
    "resources, tags, code",
    [
        (["i-0123456789abcdef0"], [{"Key": "a", "Value": "b"}], "InvalidInstanceID.NotFound"),
        (["lt-0123456789abcdef0"], [{"Key": "a", "Value": "b"}], "UnsupportedOperation"),
        (["i-0123456789abcdef0"], [{"Key": "a", "Value": "b" * 256}], "InvalidParameterValue"),
        (["i-0123456789abcdef0"], [{"Key": "aws:a", "Value": "b"}], "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_tagged_is_ec2s_error(ec2, resources, tags, code):
    with pytest.raises(ClientError) as caught:
        ec2.create_tags(Resources=resources, Tags=tags)
    assert code == caught.value.response["Error"]["Code"]


def attribute(ec2, instance, name) -> dict:
    return ec2.describe_instance_attribute(InstanceId=instance, Attribute=name)


def test_an_instance_can_be_protected(ec2, running):
    assert attribute(ec2, running, "disableApiTermination")["DisableApiTermination"]["Value"] is False
    ec2.modify_instance_attribute(InstanceId=running, DisableApiTermination={"Value": True})
    assert attribute(ec2, running, "disableApiTermination")["DisableApiTermination"]["Value"] is True
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=[running])
    ec2.modify_instance_attribute(InstanceId=running, Attribute="disableApiTermination", Value="false")
    assert attribute(ec2, running, "disableApiTermination")["DisableApiTermination"]["Value"] is False


def test_shutdown_behaviour_and_groups_can_be_changed(ec2, running):
    name = "instanceInitiatedShutdownBehavior"
    member = "InstanceInitiatedShutdownBehavior"
    assert attribute(ec2, running, name)[member]["Value"] == "stop"
    ec2.modify_instance_attribute(
        InstanceId=running, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    assert attribute(ec2, running, name)[member]["Value"] == "terminate"
    ec2.modify_instance_attribute(InstanceId=running, InstanceInitiatedShutdownBehavior={"Value": "stop"})
    before = [one["GroupId"] for one in attribute(ec2, running, "groupSet")["Groups"]]
    made = ec2.create_security_group(GroupName=f"m-{secrets.token_hex(3)}", Description="x")["GroupId"]
    ec2.modify_instance_attribute(InstanceId=running, Groups=[made])
    assert [made] == [one["GroupId"] for one in attribute(ec2, running, "groupSet")["Groups"]]
    ec2.modify_instance_attribute(InstanceId=running, Groups=before)
    ec2.delete_security_group(GroupId=made)


def fill(vo, ami) -> None:
    """Give a server's snapshot content: the sandbox's hypervisor is a fake one and uploads none."""
    images = vo.cloud.image
    found = next(
        one for one in images.images(owner=vo.project) if one.id.replace("-", "").startswith(ami[4:])
    )
    kinds = [{"op": "add", "path": "/disk_format", "value": "raw"}]
    kinds.append({"op": "add", "path": "/container_format", "value": "bare"})
    patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert images.patch(f"/images/{found.id}", json=kinds, headers=patch).ok
    raw = {"Content-Type": "application/octet-stream"}
    assert images.put(f"/images/{found.id}/file", data=b"\0" * 512, headers=raw).ok


def test_an_image_is_made_shared_and_withdrawn(ec2, door, vo, other_vo, running):
    made = ec2.create_image(InstanceId=running, Name="snap", Description="of a test")["ImageId"]
    assert ec2.describe_images(ImageIds=[made])["Images"][0]["State"] == "pending"
    fill(vo, made)
    wait_for(lambda: ec2.describe_images(ImageIds=[made])["Images"][0]["State"] == "available")
    stranger = door.client(other_vo)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        stranger.describe_images(ImageIds=[made])
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": other_vo.project}]})
    permissions = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")[
        "LaunchPermissions"
    ]
    assert [{"UserId": other_vo.project}] == permissions
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Remove": [{"UserId": other_vo.project}]})
    assert ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")["LaunchPermissions"] == []
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    assert made == stranger.describe_images(ImageIds=[made])["Images"][0]["ImageId"]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        stranger.deregister_image(ImageId=made)
    ec2.modify_image_attribute(ImageId=made, Description={"Value": "other words"})
    found = ec2.describe_images(ImageIds=[made])
    assert found["Images"][0]["Description"] == "other words"
    assert backend_requests(found) <= 2
    ec2.deregister_image(ImageId=made)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        ec2.describe_images(ImageIds=[made])


def test_an_image_of_a_snapshot_is_registered_copied_and_launched(cinder, ec2, vo):
    volume = ec2.create_volume(Size=1, AvailabilityZone="nova")["VolumeId"]
    wait_for(lambda: volume_state(ec2, volume) == "available")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    wait_for(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")
    root = {"DeviceName": "/dev/vda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 2}}
    tags = [{"ResourceType": "image", "Tags": [{"Key": "of", "Value": "test"}]}]
    made = ec2.register_image(Name="of-snapshot", BlockDeviceMappings=[root], TagSpecifications=tags)
    assert backend_requests(made) <= 3
    copy = {
        "Name": "copy",
        "SourceImageId": made["ImageId"],
        "SourceRegion": "RegionOne",
        "CopyImageTags": True,
    }
    copied = ec2.copy_image(**copy, ClientToken="copy-once")
    assert backend_requests(copied) <= 4
    assert copied["ImageId"] == ec2.copy_image(**copy, ClientToken="copy-once")["ImageId"] != made["ImageId"]
    found = ec2.describe_images(ImageIds=[made["ImageId"], copied["ImageId"]])["Images"]
    for one in found:
        assert (
            one["State"],
            one["RootDeviceType"],
            one["RootDeviceName"],
        ) == ("available", "ebs", "/dev/vda")
        assert one["BlockDeviceMappings"] == [
            {"DeviceName": "/dev/vda", "Ebs": {**root["Ebs"], "DeleteOnTermination": True}}
        ]
        assert one["Tags"] == [{"Key": "of", "Value": "test"}]
    launched = ec2.run_instances(ImageId=copied["ImageId"], InstanceType="m1.tiny", MinCount=1, MaxCount=1)[
        "Instances"
    ][0]["InstanceId"]
    wait_for(lambda: state(ec2, launched) == "running")
    of_snapshot = [{"Name": "snapshot-id", "Values": [snapshot]}]
    (root_volume,) = ec2.describe_volumes(Filters=of_snapshot)["Volumes"]
    assert (2, launched) == (root_volume["Size"], root_volume["Attachments"][0]["InstanceId"])
    ec2.terminate_instances(InstanceIds=[launched])
    wait_for(lambda: not ec2.describe_volumes(Filters=of_snapshot)["Volumes"])
    for one in found:
        ec2.deregister_image(ImageId=one["ImageId"])
    wait_for(lambda: deleted(ec2, snapshot, volume))


@pytest.mark.parametrize(
    "call, code, says",
    [
        (
            lambda ec2, ami: ec2.register_image(Name="x-y", ImageLocation="bucket/manifest.xml"),
            "UnsupportedOperation",
            "ImageLocation",
        ),
        (
            lambda ec2, ami: ec2.register_image(Name="x-y"),
            "InvalidParameterCombination",
            "openstack image create",
        ),
        (
            lambda ec2, ami: ec2.copy_image(Name="x-y", SourceImageId=ami, SourceRegion="RegionOne"),
            "UnsupportedOperation",
            "ModifyImageAttribute",
        ),
        (
            lambda ec2, ami: ec2.copy_image(Name="x-y", SourceImageId=ami, SourceRegion="mars"),
            "UnsupportedOperation",
            "RegionOne",
        ),
        (
            lambda ec2, ami: ec2.copy_image(
                Name="x-y", SourceImageId="ami-0123456789abcdef0", SourceRegion="RegionOne"
            ),
            "InvalidAMIID.NotFound",
            "does not exist",
        ),
    ],
    ids=["location", "no-snapshot", "with-data", "other-region", "absent"],
)
def test_an_image_that_cannot_be_had_is_refused_with_what_to_do(ec2, vo, image, call, code, says):
    before = {one.id for one in vo.cloud.image.images(owner=vo.project)}
    with pytest.raises(ClientError) as caught:
        call(ec2, image)
    assert code == caught.value.response["Error"]["Code"]
    assert says in caught.value.response["Error"]["Message"]
    assert before == {one.id for one in vo.cloud.image.images(owner=vo.project)}

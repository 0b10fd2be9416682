"""Security groups, addresses and what can be read of networks, through boto3, against what Neutron then has."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3

import pytest
from botocore.exceptions import ClientError
from ec2_fixtures import backend_requests, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


@pytest.fixture
def group(ec2):
    made = ec2.create_security_group(GroupName=f"g-{secrets.token_hex(3)}", Description="for a test")[
        "GroupId"
    ]
    yield made
    ec2.delete_security_group(GroupId=made)


def described(ec2, group) -> dict:
    return ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}


@pytest.mark.parametrize(
    "permission",
    [
        SSH,
        {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        {"IpProtocol": "udp", "FromPort": 1, "ToPort": 9, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]},
        {
            "IpProtocol": "icmp",
            "FromPort": 8,
            "ToPort": -1,
            "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "p"}],
        },
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "198.51.100.7/32"}]},
        {"IpProtocol": "50", "IpRanges": [{"CidrIp": "198.51.100.7/32"}]},
    ],
)
def test_a_rule_comes_back_as_it_was_given_and_goes(ec2, group, permission):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    (found,) = described(ec2, group)["IpPermissions"]
    assert permission == {key: value for key, value in found.items() if value != []}
    with pytest.raises(ClientError, match=r"InvalidPermission\.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert described(ec2, group)["IpPermissions"] == []
    with pytest.raises(ClientError, match=r"InvalidPermission\.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])


def test_a_rule_can_name_a_group_and_the_old_form_still_works(ec2, vo, group):
    name = described(ec2, group)["GroupName"]
    ec2.authorize_security_group_ingress(GroupName=name, SourceSecurityGroupName=name)
    ec2.authorize_security_group_ingress(
        GroupName=name, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="192.0.2.0/24"
    )
    found = described(ec2, group)["IpPermissions"]
    pairs = [pair for one in found for pair in one["UserIdGroupPairs"]]
    assert [(group, vo.project)] == [(pair["GroupId"], pair["UserId"]) for pair in pairs]
    assert 80 in {one.get("FromPort") for one in found}


def test_egress_is_open_at_first_and_can_be_closed(ec2, group):
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    assert [r for one in described(ec2, group)["IpPermissionsEgress"] for r in one["IpRanges"]] == []
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[SSH])
    assert 22 in {one.get("FromPort") for one in described(ec2, group)["IpPermissionsEgress"]}


@pytest.mark.parametrize(
    "permission, code",
    [
        (
            {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            "InvalidParameterValue",
        ),
        (
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 70000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            "InvalidParameterValue",
        ),
        (
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "nowhere"}]},
            "InvalidParameterValue",
        ),
        (
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "2001:db8::/32"}]},
            "InvalidParameterValue",
        ),
        ({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2}, "InvalidParameterCombination"),
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "MissingParameter"),
        ({"IpProtocol": "carrier-pigeon", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "InvalidParameterValue"),
        (
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]},
            "InvalidGroup.NotFound",
        ),
        ({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}, "UnsupportedOperation"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_changes_nothing(ec2, group, permission, code):
    with pytest.raises(ClientError) as caught:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH, permission])
    assert code == caught.value.response["Error"]["Code"]
    assert described(ec2, group)["IpPermissions"] == []


def test_groups_are_found_by_filters_and_names_are_one_of_a_kind(ec2, group):
    name = described(ec2, group)["GroupName"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    for filters in (
        {"Name": "group-name", "Values": [name]},
        {"Name": "ip-permission.cidr", "Values": ["192.0.2.0/24"]},
        {"Name": "ip-permission.from-port", "Values": ["22"]},
    ):
        found = ec2.describe_security_groups(Filters=[filters])
        assert group in {one["GroupId"] for one in found["SecurityGroups"]}
        assert backend_requests(found) == 1
    with pytest.raises(ClientError, match=r"InvalidGroup\.Duplicate"):
        ec2.create_security_group(GroupName=name, Description="again")
    with pytest.raises(ClientError, match="CannotDelete"):
        ec2.delete_security_group(GroupName="default")


def test_a_group_in_use_is_not_deleted(ec2, image):
    made = ec2.create_security_group(GroupName=f"used-{secrets.token_hex(3)}", Description="x")["GroupId"]
    launched = ec2.run_instances(
        ImageId=image, InstanceType="m1.tiny", MinCount=1, MaxCount=1, SecurityGroupIds=[made]
    )["Instances"][0]
    assert [made] == [one["GroupId"] for one in launched["SecurityGroups"]]
    wait_for(lambda: state(ec2, launched["InstanceId"]) == "running")
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=made)
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    wait_for(lambda: state(ec2, launched["InstanceId"]) == "terminated")
    ec2.delete_security_group(GroupId=made)


def state(ec2, instance) -> str:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]


def test_networks_are_vpcs_and_subnets(ec2, vo, image):
    (vpc,) = [one for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"]]
    assert vpc["CidrBlock"] == "10.20.0.0/20"
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    launched = ec2.run_instances(
        ImageId=image,
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet["SubnetId"],
        PrivateIpAddress="10.20.7.7",
    )["Instances"][0]["InstanceId"]
    wait_for(lambda: state(ec2, launched) == "running")
    found = ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]
    assert ("10.20.7.7", subnet["SubnetId"], vpc["VpcId"]) == (
        found["PrivateIpAddress"],
        found["SubnetId"],
        found["VpcId"],
    )
    by_instance = [{"Name": "attachment.instance-id", "Values": [launched]}]
    (interface,) = ec2.describe_network_interfaces(Filters=by_instance)["NetworkInterfaces"]
    assert (interface["PrivateIpAddress"], interface["Status"]) == ("10.20.7.7", "in-use")
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]
    assert "10.20.0.0/20" in {route["DestinationCidrBlock"] for route in tables[0]["Routes"]}
    ec2.terminate_instances(InstanceIds=[launched])


def test_an_address_goes_from_allocation_to_release(way_out, ec2, vo, image, door):
    ec2 = door.client(vo)
    launched = ec2.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=1, MaxCount=1)["Instances"][
        0
    ]
    instance = launched["InstanceId"]
    wait_for(lambda: state(ec2, instance) == "running")
    made = ec2.allocate_address(Domain="vpc")
    assert made["PublicIp"].startswith("203.0.113.")
    associated = ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=instance)
    (found,) = ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]
    assert (instance, associated["AssociationId"]) == (found["InstanceId"], found["AssociationId"])
    seen = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert (made["PublicIp"], made["PublicIp"]) == (seen["PublicIpAddress"], seen["PublicDnsName"])
    with pytest.raises(ClientError, match=r"InvalidIPAddress\.InUse"):
        ec2.release_address(AllocationId=made["AllocationId"])
    ec2.disassociate_address(AssociationId=associated["AssociationId"])
    seen = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert "PublicIpAddress" not in seen
    ec2.release_address(AllocationId=made["AllocationId"])
    with pytest.raises(ClientError, match=r"InvalidAllocationID\.NotFound"):
        ec2.describe_addresses(AllocationIds=[made["AllocationId"]])
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    assert gateway["Attachments"][0]["State"] == "available"
    ec2.terminate_instances(InstanceIds=[instance])


def guest_posts_password(box, instance: str, text: str) -> None:
    """What Nova's metadata service does with a password that a guest posts: it keeps parts of 255 characters."""
    prefix = f"{instance[2:10]}-{instance[10:14]}-{instance[14:18]}-{instance[18:]}%"
    database = sqlite3.connect(box.folder / "db" / "nova.db", timeout=60)
    with contextlib.closing(database), database:
        ((server,),) = database.execute("SELECT uuid FROM instances WHERE uuid LIKE ?", (prefix,))
        database.executemany(
            "INSERT INTO instance_system_metadata (instance_uuid, key, value, deleted) VALUES (?, ?, ?, 0)",
            [(server, f"password_{at}", text if at == 0 else "") for at in range(4)],
        )


def test_the_basics(box, ec2, vo, door, admin, image):
    (region,) = ec2.describe_regions()["Regions"]
    assert region["RegionName"] == "RegionOne"
    zones = ec2.describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])
    assert [one["ZoneName"] for one in zones["AvailabilityZones"]] == ["nova"]
    found = ec2.describe_account_attributes(AttributeNames=["max-instances"])["AccountAttributes"]
    assert found[0]["AttributeValues"][0]["AttributeValue"] == "400"
    launched = ec2.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=1, MaxCount=1)["Instances"][
        0
    ]
    wait_for(lambda: state(ec2, launched["InstanceId"]) == "running")
    said = ec2.get_console_output(InstanceId=launched["InstanceId"])
    assert said["InstanceId"] == launched["InstanceId"]
    assert "FAKE CONSOLE" in said["Output"]
    assert ec2.get_password_data(InstanceId=launched["InstanceId"])["PasswordData"] == ""
    guest_posts_password(box, launched["InstanceId"], "c2VjcmV0")
    assert ec2.get_password_data(InstanceId=launched["InstanceId"])["PasswordData"] == "c2VjcmV0"
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])


def test_an_action_that_is_not_served_says_so(ec2):
    for call in (
        lambda: ec2.describe_fleets(),
        lambda: ec2.request_spot_instances(InstanceCount=1),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"

"""Every filter of the table in docs/ec2.md, and paging, against a cloud that holds something of each kind."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any

import jmespath
import pytest
from ec2_fixtures import make_image, wait_for

from osg_site_iaas.ec2.actions import load_actions
from tests.cases.ec2_filters import DESCRIBES

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def text(value: Any) -> str:
    """A value as a filter's is written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.000Z"
    return str(value)


def values(path: str, element: Any) -> list[str]:
    found = jmespath.search(path, element)
    many = found if isinstance(found, list) else [found]
    return [text(one) for one in many if one is not None]


@pytest.fixture(scope="module")
def furnished(box, ec2, vo, image, way_out):
    """An instance with a volume, an address, a key, a group of its own and a tag; the volume has a snapshot."""
    tags = [{"Key": "colour", "Value": "red"}]
    name = f"filters-{secrets.token_hex(3)}"
    described = make_image(vo, name, description="words", hw_architecture="x86_64")
    ec2.create_key_pair(KeyName=name, KeyType="ed25519")
    group = ec2.create_security_group(GroupName=name, Description="for filters")["GroupId"]
    ports = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {**ports, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]},
            {**ports, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/64"}]},
            {**ports, "UserIdGroupPairs": [{"GroupId": group}]},
        ],
    )
    launched = ec2.run_instances(
        ImageId=image,
        InstanceType="m1.tiny",
        MinCount=1,
        MaxCount=1,
        KeyName=name,
        SecurityGroupIds=[group],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"][0]["InstanceId"]
    wait_for(
        lambda: ec2.describe_instance_status(InstanceIds=[launched])["InstanceStatuses"], 240
    )  # lists what runs only
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    association = ec2.associate_address(AllocationId=address, InstanceId=launched)["AssociationId"]
    tagged = [address, group, described]
    volume = snapshot = None
    if "cinder" in box.endpoints:
        volume = ec2.create_volume(AvailabilityZone="nova", Size=1)["VolumeId"]
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
        snapshot = ec2.create_snapshot(VolumeId=volume, Description="of filters")["SnapshotId"]
        wait_for(
            lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed"
        )
        ec2.attach_volume(VolumeId=volume, InstanceId=launched, Device="/dev/vdb")
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "in-use")
        tagged += [volume, snapshot]
    subnet = ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]["SubnetId"]
    ec2.create_tags(Resources=[*tagged, subnet], Tags=tags)
    yield launched
    ec2.delete_tags(Resources=[subnet], Tags=tags)  # it is not ours alone
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address)
    if volume:
        ec2.detach_volume(VolumeId=volume, InstanceId=launched)
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
        ec2.delete_snapshot(SnapshotId=snapshot)
        wait_for(lambda: not ec2.describe_snapshots()["Snapshots"])
        ec2.delete_volume(VolumeId=volume)
    ec2.terminate_instances(InstanceIds=[launched])
    ec2.delete_key_pair(KeyName=name)
    ec2.deregister_image(ImageId=described)


def elements(action: str, answer: Any) -> list[Any]:
    """The list of an answer; what a reservation knows of its instances is put into each."""
    for one in answer.get("Reservations") or ():
        for instance in one["Instances"]:
            instance.update(ReservationId=one["ReservationId"], OwnerId=one["OwnerId"])
    return jmespath.search(DESCRIBES[action][0], answer) or []


def test_the_cases_are_the_filters_that_are_served():
    served = {}
    for action in load_actions().values():
        if action.filters:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", action.name).lower()
            served[name] = {"tag:colour" if one == "tag:<key>" else one for one in action.filters}
    assert served == {name: set(paths) for name, (_, _, paths) in DESCRIBES.items()}


@pytest.mark.parametrize("action", DESCRIBES)
def test_all_filters_at_once_find_what_has_all_the_values_and_nothing_else(ec2, furnished, action):
    """A filter that looks at another field loses the element; each by itself is tried in the long suite."""
    _, identity, paths = DESCRIBES[action]
    call = getattr(ec2, action)
    whole = elements(action, call())
    assert whole
    has = {
        text(jmespath.search(identity, one)): {
            name: found for name, path in paths.items() if path and (found := values(path, one))
        }
        for one in whole
    }
    chosen = max(has, key=lambda key: len(has[key]))
    wanted = {name: found[0] for name, found in has[chosen].items()}
    same = {key for key, of in has.items() if all(wanted[name] in of.get(name, ()) for name in wanted)}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    got = [ids(action, call(Filters=filters[at : at + 25])) for at in range(0, len(filters), 25)]
    assert set.intersection(*got) == same
    for name in (next(iter(paths)), *(name for name, path in paths.items() if path is None)):
        assert elements(action, call(Filters=[{"Name": name, "Values": ["no-such-value"]}])) == []


def ids(action: str, answer: Any) -> set[str]:
    return {text(jmespath.search(DESCRIBES[action][1], one)) for one in elements(action, answer)}


@pytest.mark.long
@pytest.mark.parametrize("action", DESCRIBES)
def test_a_filter_finds_what_has_the_value_and_nothing_else(box, ec2, furnished, action):
    if action in ("describe_volumes", "describe_snapshots") and "cinder" not in box.endpoints:
        pytest.fail("the sandbox has no Cinder", pytrace=False)
    _, identity, paths = DESCRIBES[action]
    call = getattr(ec2, action)
    whole = elements(action, call())
    assert whole
    for name, path in paths.items():
        known = {text(jmespath.search(identity, one)): values(path, one) if path else [] for one in whole}
        wanted = next((found[0] for found in known.values() if found), "no-such-value")
        found = elements(action, call(Filters=[{"Name": name, "Values": [wanted]}]))
        got = {text(jmespath.search(identity, one)) for one in found}
        assert got == {key for key, has in known.items() if wanted in has}, (name, wanted)
    nothing = call(Filters=[{"Name": next(iter(paths)), "Values": ["no-such-value"]}])
    assert elements(action, nothing) == []


def test_values_are_alternatives_with_wildcards_and_filters_add_up(ec2, furnished, vo):
    def found(*filters: tuple[str, list[str]]) -> set[str]:
        given = [{"Name": name, "Values": wanted} for name, wanted in filters]
        answer = ec2.describe_instances(Filters=given)
        return {i["InstanceId"] for r in answer["Reservations"] for i in r["Instances"]}

    red = ("tag:colour", ["blue", "r?d"])
    assert found(red) == {furnished}
    assert found(red, ("instance-state-name", ["run*"])) == {furnished}
    assert found(red, ("instance-state-name", ["stopped"])) == set()
    assert found(("tag:colour", ["r\\?d"])) == set(), "an escaped wildcard is the character"


# what tells the elements of each paged call apart, or nearly
KEYS = {"ImageId", "InstanceId", "InstanceType", "InternetGatewayId", "NetworkInterfaceId", "RouteTableId"}
KEYS |= {"GroupId", "SnapshotId", "SubnetId", "ResourceId", "VolumeId", "VpcId"}
UNPAGED = ("describe_addresses", "describe_availability_zones", "describe_key_pairs", "describe_regions")


@pytest.mark.parametrize("action", [name for name in DESCRIBES if name not in UNPAGED])
def test_pages_together_are_the_whole(ec2, furnished, action):
    _, identity, _ = DESCRIBES[action]

    def names(answers: Any) -> list[str]:
        return [
            text(jmespath.search(identity, one)) for answer in answers for one in elements(action, answer)
        ]

    whole = getattr(ec2, action)()
    pages = list(ec2.get_paginator(action).paginate(PaginationConfig={"PageSize": 5}))
    assert all(len(elements(action, page)) <= 5 for page in pages)
    assert names(pages) == names([whole])
    # The pages of what passes a filter, here of all but one.
    usual = ("availability-zone", "AvailabilityZone")
    filtered, path = next(
        ((name, path) for name, path in DESCRIBES[action][2].items() if path in KEYS), usual
    )
    every = [values(path, one)[0] for one in elements(action, whole)]
    some = [{"Name": filtered, "Values": every[1:]}] if len(every) > 1 else []
    pages = list(ec2.get_paginator(action).paginate(Filters=some, PaginationConfig={"PageSize": 5}))
    assert [len(elements(action, page)) for page in pages[:-1]] == [5] * (len(pages) - 1)
    assert names(pages) == names([getattr(ec2, action)(Filters=some)])

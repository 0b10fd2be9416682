"""Instances through boto3, from launch to terminated, against what Nova then has."""

from __future__ import annotations

import base64
import contextlib
import secrets
import sqlite3
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Optional

import pytest
from botocore.exceptions import ClientError
from ec2_fixtures import backend_requests, running_door, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox

FRESH = 2.1  # seconds: what the door calls fresh, and a little


def run(ec2, image, count=1, **more):
    return ec2.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=count, MaxCount=count, **more)


def ids(answer) -> list[str]:
    return [one["InstanceId"] for one in answer["Instances"]]


def one(ec2, instance: str) -> dict:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def in_state(ec2, instances, state):
    def check():
        found = ec2.describe_instances(InstanceIds=instances)["Reservations"]
        return all(i["State"]["Name"] == state for r in found for i in r["Instances"])

    wait_for(check)


def server_of(vo, instance):
    return next(s for s in vo.cloud.compute.servers() if s.id.replace("-", "").startswith(instance[2:]))


@pytest.fixture
def started(ec2, image):
    """Launch, and terminate all of it in the end."""
    launched: list[str] = []

    def launch(*arguments, **options):
        answer = run(ec2, image, *arguments, **options)
        launched.extend(ids(answer))
        return answer

    yield launch
    if launched:
        ec2.terminate_instances(InstanceIds=launched)


def test_an_instance_lives_its_life(ec2, vo, image, started):
    tags = [
        {
            "ResourceType": "instance",
            "Tags": [{"Key": "Name", "Value": "pilot"}, {"Key": "VO/é", "Value": "a=b"}],
        }
    ]
    answer = started(UserData="#!/bin/sh\necho hi\n", TagSpecifications=tags, SecurityGroups=["default"])
    (launched,) = answer["Instances"]
    assert (launched["State"]["Name"], launched["State"]["Code"]) == ("pending", 0)
    instance = launched["InstanceId"]
    in_state(ec2, [instance], "running")
    found = one(ec2, instance)
    assert (image, "m1.tiny") == (found["ImageId"], found["InstanceType"])
    assert found["PrivateIpAddress"].startswith("10.20.")
    assert found["PublicDnsName"] == found["PrivateIpAddress"]
    assert found["SubnetId"].startswith("subnet-")
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"Name": "pilot", "VO/é": "a=b"}
    assert [group["GroupName"] for group in found["SecurityGroups"]] == ["default"]
    server = server_of(vo, instance)
    assert server.name == "pilot"

    stopping = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]) == ("running", "stopping")
    in_state(ec2, [instance], "stopped")
    assert one(ec2, instance)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    ec2.start_instances(InstanceIds=[instance])
    in_state(ec2, [instance], "running")
    ec2.reboot_instances(InstanceIds=[instance])
    in_state(ec2, [instance], "running")

    ended = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert (ended["PreviousState"]["Name"], ended["CurrentState"]["Name"]) == ("running", "shutting-down")
    in_state(ec2, [instance], "terminated")
    wait_for(lambda: server.id not in {one.id for one in vo.cloud.compute.servers()})
    found = one(ec2, instance)
    assert "pilot" in {tag["Value"] for tag in found["Tags"]}
    again = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert (again["PreviousState"]["Name"], again["CurrentState"]["Name"]) == ("terminated", "terminated")


def nova_writes(box, server: str, **columns: Optional[str]) -> None:
    """Put a server into a state that passes too fast to be met: Nova's own API cannot set a task."""
    names = ", ".join(f"{name} = ?" for name in columns)
    with contextlib.closing(sqlite3.connect(box.folder / "db" / "nova.db", timeout=60)) as database, database:
        database.execute(f"UPDATE instances SET {names} WHERE uuid = ?", (*columns.values(), server))


def test_what_nova_is_about_already_is_done(box, ec2, vo, started):
    """EC2 takes a reboot of what is being rebooted; the door may not yet know that it is."""
    (launched,) = started()["Instances"]
    asked = {"InstanceIds": [launched["InstanceId"]]}
    in_state(ec2, asked["InstanceIds"], "running")
    server = server_of(vo, launched["InstanceId"]).id
    for task, call in (
        ("reboot_started", ec2.reboot_instances),
        ("reboot_pending_hard", ec2.reboot_instances),
        ("powering-off", ec2.stop_instances),
    ):
        nova_writes(box, server, task_state=task)
        call(**asked)
    nova_writes(box, server, task_state="image_uploading")
    for call in (ec2.reboot_instances, ec2.stop_instances):
        with pytest.raises(ClientError, match=r"IncorrectInstanceState.*image_uploading"):
            call(**asked)
    nova_writes(box, server, task_state=None)


def test_novas_states_are_ec2s(ec2, vo, started):
    """Each state that a member can bring a server into by Nova's own API; the table in docs/ec2.md."""
    (launched,) = started()["Instances"]
    instance, nova = launched["InstanceId"], vo.cloud.compute
    in_state(ec2, [instance], "running")
    server = server_of(vo, instance)

    def now(status: str, expected: str) -> None:
        wait_for(lambda: nova.get_server(server).status == status)
        in_state(ec2, [instance], expected)

    for change, status, expected in (
        (nova.pause_server, "PAUSED", "stopped"),
        (nova.unpause_server, "ACTIVE", "running"),
        (nova.suspend_server, "SUSPENDED", "stopped"),
    ):
        change(server)
        now(status, expected)
    ec2.start_instances(InstanceIds=[instance])
    now("ACTIVE", "running")
    nova.rescue_server(server)
    now("RESCUE", "running")
    nova.unrescue_server(server)
    now("ACTIVE", "running")
    nova.shelve_server(server)
    in_state(ec2, [instance], "stopped")
    wait_for(lambda: nova.get_server(server).status in ("SHELVED", "SHELVED_OFFLOADED"))
    ec2.start_instances(InstanceIds=[instance])
    now("ACTIVE", "running")


def test_one_of_several_that_fails_to_start_is_terminated_and_the_others_run(box, ec2, vo, started):
    """What fails after Nova has taken the launch: written into its database, as no fake hypervisor fails by itself."""
    answer = started(3)
    in_state(ec2, ids(answer), "running")
    failed, *others = ids(answer)
    key = server_of(vo, failed).id
    later = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}"
    nova_writes(box, key, vm_state="error", launched_at=None, updated_at=later)
    in_state(ec2, [failed], "terminated")
    assert one(ec2, failed)["StateReason"]["Code"] == "Server.InternalError"
    wait_for(lambda: key not in {s.id for s in vo.cloud.compute.servers()})
    in_state(ec2, others, "running")
    assert one(ec2, failed)["State"]["Name"] == "terminated"


def test_user_data_and_key_reach_the_server(ec2, vo, started, admin):
    ec2.create_key_pair(KeyName="for-run", KeyType="ed25519")
    text = "#cloud-config\n"
    (launched,) = started(UserData=text, KeyName="for-run")["Instances"]
    assert launched["KeyName"] == "for-run"
    server = admin.compute.get(
        f"/servers/{server_of(vo, launched['InstanceId']).id}", microversion="2.3"
    ).json()
    assert text == base64.b64decode(server["server"]["OS-EXT-SRV-ATTR:user_data"]).decode()
    ec2.delete_key_pair(KeyName="for-run")


def test_requests_to_openstack_are_what_the_table_says(ec2, started, image):
    started()  # everything that is kept is warm
    ec2.describe_instances()
    assert backend_requests(started()) == 2  # boto3 sends a ClientToken of its own
    many = started(3)
    assert backend_requests(many) == 3
    assert [i["AmiLaunchIndex"] for i in many["Instances"]] == [0, 1, 2]
    in_state(ec2, ids(many), "running")
    assert {0, 1, 2} == {one(ec2, i)["AmiLaunchIndex"] for i in ids(many)}
    # Two calls within fresh_seconds, which a busy machine does not always manage.
    wait_for(lambda: backend_requests(ec2.describe_instances()) == 0)


def test_a_client_token_makes_one_instance(ec2, vo, started):
    token = uuid.uuid4().hex
    first, second = started(ClientToken=token), started(ClientToken=token)
    assert ids(first) == ids(second)
    assert first["ReservationId"] == second["ReservationId"]
    found = ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [token]}])["Reservations"]
    assert len(found) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        started(2, ClientToken=token)


def test_a_client_token_of_a_terminated_instance_makes_no_new_one(ec2, started):
    token = uuid.uuid4().hex
    first = started(ClientToken=token)
    ec2.terminate_instances(InstanceIds=ids(first))
    in_state(ec2, ids(first), "terminated")
    second = started(ClientToken=token)
    assert ids(first) == ids(second)
    assert second["Instances"][0]["State"]["Name"] == "terminated"


def test_two_at_once_with_one_client_token_make_one_instance(door, vo, ec2, image):
    token, found, clients = uuid.uuid4().hex, [], [door.client(vo) for _ in range(4)]

    def launch(client):
        found.append(ids(run(client, image, ClientToken=token)))

    threads = [threading.Thread(target=launch, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({tuple(one) for one in found}) == 1
    ec2.terminate_instances(InstanceIds=found[0])


def test_another_host_finds_ids_and_a_client_token_in_nova(box, ec2, vo, image, door_users, tmp_path):
    token = uuid.uuid4().hex
    first = run(ec2, image, ClientToken=token)
    with running_door(door_users, tmp_path) as second_host:
        mark = box.mark()
        found = second_host.client(vo).describe_instances(InstanceIds=ids(first))
        assert ids(found["Reservations"][0]) == ids(first)
        asked = [one for one in box.requests(mark) if "/servers" in one.path]
        assert len(asked) == 2, asked
        assert not any("/servers/detail" in one.path for one in asked), "no list with details for one id"
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            second_host.client(vo).describe_instances(InstanceIds=["i-0123456789abcdef0"])
        again = run(second_host.client(vo), image, ClientToken=token)
        assert ids(first) == ids(again)
        with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
            run(second_host.client(vo), image, 2, ClientToken=token)
    ec2.terminate_instances(InstanceIds=ids(first))


def test_a_change_made_elsewhere_is_seen_within_seconds(ec2, vo, started):
    (launched,) = started()["Instances"]
    instance = launched["InstanceId"]
    in_state(ec2, [instance], "running")
    ec2.describe_instances()
    server = server_of(vo, instance)
    colour = secrets.token_hex(4)  # other tests' instances stay in the VO
    vo.cloud.compute.set_server_metadata(server, colour=colour)

    time.sleep(FRESH)
    found = ec2.describe_instances(Filters=[{"Name": "tag:colour", "Values": [colour]}])["Reservations"]
    assert [instance] == [i["InstanceId"] for r in found for i in r["Instances"]]
    vo.cloud.compute.delete_server(server)
    wait_for(lambda: server.id not in {one.id for one in vo.cloud.compute.servers()})
    time.sleep(FRESH)
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["terminated"]}])
    assert instance in [i["InstanceId"] for r in found["Reservations"] for i in r["Instances"]]


def test_another_project_sees_and_touches_nothing(door, other_vo, ec2, started):
    (launched,) = started()["Instances"]
    stranger = door.client(other_vo)
    assert stranger.describe_instances()["Reservations"] == []
    for call in (stranger.terminate_instances, stranger.stop_instances, stranger.describe_instances):
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            call(InstanceIds=[launched["InstanceId"]])


@pytest.mark.parametrize(
    "change, code",
    [
        ({"ImageId": "ami-00000042"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "i-00000042"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "no.such"}, "InvalidParameterValue"),
        ({"MinCount": 2, "MaxCount": 1}, "InvalidParameterValue"),
        ({"KeyName": "absent"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroups": ["absent"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"Placement": {"AvailabilityZone": "mars"}}, "InvalidParameterValue"),
        ({"Placement": {"Tenancy": "dedicated"}}, "UnsupportedOperation"),
        ({"IamInstanceProfile": {"Name": "x"}}, "UnsupportedOperation"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue"),
        ({"MaxCount": 1000, "MinCount": 900}, "InstanceLimitExceeded"),
        ({"DryRun": True}, "DryRunOperation"),
        ({"InstanceInitiatedShutdownBehavior": "sleep"}, "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_launched_is_ec2s_error(ec2, vo, image, change, code):
    before = {one.id for one in vo.cloud.compute.servers()}
    asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, **change}
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**asked)
    assert code == caught.value.response["Error"]["Code"]
    assert {one.id for one in vo.cloud.compute.servers()} <= before


def test_quota_gives_up_to_max_count(ec2, vo, other_vo, admin, door):
    from ec2_fixtures import make_image

    client, image = door.client(other_vo), make_image(other_vo, "quota")
    admin.set_compute_quotas(other_vo.project, instances=3)
    with pytest.raises(ClientError, match="InstanceLimitExceeded"):
        client.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=4, MaxCount=5)
    assert list(other_vo.cloud.compute.servers()) == []
    answer = client.run_instances(ImageId=image, InstanceType="m1.tiny", MinCount=2, MaxCount=5)
    assert len(answer["Instances"]) == 3
    in_state(client, ids(answer), "running")  # Nova counts a server when its conductor has written it down
    with pytest.raises(ClientError, match="InstanceLimitExceeded"):
        run(client, image)
    client.terminate_instances(InstanceIds=ids(answer))
    in_state(client, ids(answer), "terminated")
    admin.set_compute_quotas(other_vo.project, instances=400)


def test_a_flavour_that_was_replaced_is_found_at_once(ec2, admin, image):
    """The door keeps flavours; one of a new name, or of the old name and another id, is not waited for."""
    name = f"m1.new-{uuid.uuid4().hex[:6]}"
    for _ in range(2):
        made = admin.compute.create_flavor(name=name, vcpus=1, ram=64, disk=1)
        answer = ec2.run_instances(ImageId=image, InstanceType=name, MinCount=1, MaxCount=1)
        assert name == answer["Instances"][0]["InstanceType"]
        ec2.terminate_instances(InstanceIds=ids(answer))
        admin.compute.delete_flavor(made)


def test_what_finds_no_host_is_terminated_and_holds_no_quota(ec2, vo, admin, image):
    if admin.compute.find_flavor("m1.nowhere") is None:
        admin.compute.create_flavor(name="m1.nowhere", vcpus=1, ram=64, disk=90_000_000)
    answer = ec2.run_instances(ImageId=image, InstanceType="m1.nowhere", MinCount=1, MaxCount=1)
    instance = ids(answer)[0]
    in_state(ec2, [instance], "terminated")
    assert one(ec2, instance)["StateReason"]["Code"] == "Server.InsufficientInstanceCapacity"
    wait_for(lambda: "m1.nowhere" not in {s.flavor["original_name"] for s in vo.cloud.compute.servers()})


def test_pages_are_whole_and_in_order(ec2, started):
    launched = set(ids(started(6)))
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=filters, PaginationConfig={"PageSize": 5}
    )
    seen = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    assert len(seen) == len(set(seen))
    assert launched <= set(seen)


def test_status_types_and_images(ec2, started, image, vo):
    (launched,) = started()["Instances"]
    in_state(ec2, [launched["InstanceId"]], "running")
    status = ec2.describe_instance_status(InstanceIds=[launched["InstanceId"]])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "ok"
    types = {one["InstanceType"]: one for one in ec2.describe_instance_types()["InstanceTypes"]}
    assert (
        types["m1.tiny"]["VCpuInfo"]["DefaultVCpus"],
        types["m1.tiny"]["MemoryInfo"]["SizeInMiB"],
    ) == (1, 64)
    offered = ec2.describe_instance_type_offerings(LocationType="availability-zone")["InstanceTypeOfferings"]
    assert ("m1.tiny", "nova") in {(one["InstanceType"], one["Location"]) for one in offered}
    (found,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["dis*"]}])["Images"]
    assert (image, "available", vo.project) == (found["ImageId"], found["State"], found["OwnerId"])
    with pytest.raises(ClientError, match="InvalidInstanceType"):
        ec2.describe_instance_types(InstanceTypes=["nope"])


def test_the_caller_is_who_keystone_says(door, vo):
    found = door.client(vo, "sts").get_caller_identity()
    assert (vo.project, vo.user) == (found["Account"], found["UserId"])

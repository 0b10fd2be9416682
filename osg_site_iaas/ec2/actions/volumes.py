"""Volumes: Cinder's. A cloud without Cinder answers that it has no volume service; everything else works."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.once import mismatch, once
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed, openstack_id
from osg_site_iaas.ec2.actions.volume_tags import tag_new_volumes
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, combination, missing, not_found
from osg_site_iaas.ec2.filters import Table, compile_filters, no_paging_with_ids, page
from osg_site_iaas.ec2.ids import check_id, ec2_id
from osg_site_iaas.ec2.instances import moment, stamp
from osg_site_iaas.ec2.launch import USUAL

STATES = {
    "available": "available",
    "in-use": "in-use",
    "attaching": "in-use",
    "detaching": "in-use",
    "reserved": "in-use",
    "creating": "creating",
    "downloading": "creating",
    "deleting": "deleting",
    "managing": "creating",
    "extending": "available",
    "retyping": "available",
    "backing-up": "available",
    "restoring-backup": "creating",
    "maintenance": "in-use",
}
ATTACHMENT = {"attaching": "attaching", "detaching": "detaching"}

FILTERS: Table = {
    "attachment.delete-on-termination": lambda one: [a["DeleteOnTermination"] for a in one["Attachments"]],
    "attachment.device": lambda one: [a["Device"] for a in one["Attachments"]],
    "attachment.instance-id": lambda one: [a["InstanceId"] for a in one["Attachments"]],
    "attachment.status": lambda one: [a["State"] for a in one["Attachments"]],
    "availability-zone": lambda one: one["AvailabilityZone"],
    "create-time": lambda one: stamp(one["CreateTime"]),
    "encrypted": lambda one: one["Encrypted"],
    "multi-attach-enabled": lambda one: one["MultiAttachEnabled"],
    "size": lambda one: one["Size"],
    "snapshot-id": lambda one: one["SnapshotId"],
    "status": lambda one: one["State"],
    "volume-id": lambda one: one["VolumeId"],
    "volume-type": lambda one: one["VolumeType"],
}
TAGS = "TagSpecifications.ResourceType TagSpecifications.Tags.Key TagSpecifications.Tags.Value"


def _state(volume: Mapping[str, Any]) -> str:
    status = str(volume["status"])
    return "error" if status.startswith("error") else STATES.get(status, "in-use")


def as_ec2(volume: Mapping[str, Any]) -> dict[str, Any]:
    deleted_with = volume.get("metadata", {}).get(f"{marks.OWN}with-instance") == "true"
    return {
        "VolumeId": ec2_id("vol", volume["id"]),
        "Size": volume["size"],
        "State": _state(volume),
        "CreateTime": moment(volume.get("created_at")),
        "AvailabilityZone": volume.get("availability_zone"),
        "SnapshotId": ec2_id("snap", volume["snapshot_id"]) if volume.get("snapshot_id") else "",
        "VolumeType": volume.get("volume_type") or "standard",
        "Encrypted": bool(volume.get("encrypted")),
        "MultiAttachEnabled": bool(volume.get("multiattach")),
        "Attachments": [
            {
                "VolumeId": ec2_id("vol", volume["id"]),
                "InstanceId": ec2_id("i", one["server_id"]),
                "Device": one.get("device"),
                "State": ATTACHMENT.get(str(volume["status"]), "attached"),
                "AttachTime": moment(one.get("attached_at")),
                "DeleteOnTermination": deleted_with,
            }
            for one in volume.get("attachments") or ()
            if one.get("server_id")
        ],
        "Tags": marks.as_ec2(marks.tags_of(volume.get("metadata") or {})),
    }


def tags_in(one: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one["Tags"]}


def chosen(
    parameters: Parameters, every: list[dict[str, Any]], prefix: str, asked: str, field: str, table: Table
) -> tuple[Any, Optional[str]]:
    """What a Describe call with ids, filters and pages asks for."""
    no_paging_with_ids(parameters, asked)
    wanted = parameters.get(asked)
    if wanted:
        have = {one[field] for one in every}
        for one in wanted:
            check_id(prefix, one)
            if one not in have:
                raise not_found(prefix, one)
        every = [one for one in every if one[field] in wanted]
    passes = compile_filters(parameters, table, tags_in)
    every = sorted((one for one in every if passes(one)), key=lambda one: str(one[field]))
    return page(parameters, every, lambda one: str(one[field]))


@action(
    "VolumeIds MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    only={"IncludeManagedResources": (False,)},
    requests="1; after a RunInstances that tags volumes 1 to look at it, and once 1 a volume and 1 more",
)
def describe_volumes(call: Call, parameters: Parameters) -> Answer:
    tag_new_volumes(call)
    every = [as_ec2(one) for one in listed(call, "vol")]
    found, token = chosen(parameters, every, "vol", "VolumeIds", "VolumeId", FILTERS)
    return {"Volumes": found, "NextToken": token}


@action(
    f"Size SnapshotId AvailabilityZone VolumeType ClientToken {TAGS}",
    only={"Encrypted": (False,), "MultiAttachEnabled": (False,)},
    requests="1, and 1 more with a ClientToken; by snapshot 1 more where it is not known yet",
    notes="VolumeType standard, gp2 or gp3 is the site's default type; another one must be Cinder's.",
)
def create_volume(call: Call, parameters: Parameters) -> Answer:
    size = parameters.get("Size")
    if not size and not parameters.get("SnapshotId"):
        raise missing("Size")
    if size is not None and size < 1:
        raise Ec2Error("InvalidParameterValue", f"Volume of {size}GiB is too small; minimum is 1GiB.")
    (made, *_), _ = once(
        call,
        parameters,
        lambda token, digest: _by_token(call, token, digest),
        lambda digest: [_make(call, parameters, digest)],
    )
    return as_ec2(made)


def _by_token(call: Call, token: str, digest: str) -> list[dict[str, Any]]:
    query = {"metadata": str({marks.TOKEN: token})}
    found = list(call.cloud.pages("volume", "/volumes/detail", "volumes", query))
    if any(one["metadata"].get(marks.REQUEST) != digest for one in found):
        raise mismatch()
    return found


def _make(call: Call, parameters: Parameters, digest: str) -> dict[str, Any]:
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "volume")
    metadata = marks.tags_as_metadata(tags)
    if parameters.get("ClientToken"):
        metadata.update({marks.TOKEN: parameters["ClientToken"], marks.REQUEST: digest})
    kind, snapshot = parameters.get("VolumeType"), parameters.get("SnapshotId")
    body = {
        "size": parameters.get("Size"),
        "name": tags.get("Name"),
        "snapshot_id": openstack_id(call, "snap", snapshot) if snapshot else None,
        "availability_zone": parameters.get("AvailabilityZone"),
        "volume_type": None if kind in USUAL else kind,
        "metadata": metadata,
    }
    sent = {"volume": {key: value for key, value in body.items() if value is not None}}
    try:
        made: dict[str, Any] = call.cloud.json("POST", "volume", "/volumes", body=sent)["volume"]
    except RefusedError as error:
        if error.status in (400, 404) and "zone" in error.message.lower():
            zone = str(parameters.get("AvailabilityZone"))
            raise Ec2Error("InvalidZone.NotFound", f"The zone '{zone[:60]}' does not exist.") from error
        raise translate(error) from error
    call.store.remember(call.project, {ec2_id("vol", made["id"]): made["id"]})
    return made


@action("VolumeId", requests="1; 2 where the id is not known yet")
def delete_volume(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "VolumeId")
    volume = openstack_id(call, "vol", name)
    try:
        call.cloud.request("DELETE", "volume", f"/volumes/{volume}")
    except RefusedError as error:
        if error.status == 404:
            raise not_found("vol", name) from error
        if error.status == 400:
            raise Ec2Error("VolumeInUse", f"Volume {name} cannot be deleted now: {error.message}") from error
        raise translate(error) from error
    return None


def required(parameters: Parameters, name: str) -> str:
    if not parameters.get(name):
        raise missing(name)
    return str(parameters[name])


@action("VolumeId InstanceId Device", requests="2")
def attach_volume(call: Call, parameters: Parameters) -> Answer:
    name, device = required(parameters, "VolumeId"), required(parameters, "Device")
    volume = openstack_id(call, "vol", name)
    server = next(iter(find_servers(call, [required(parameters, "InstanceId")])))
    body = {"volumeAttachment": {"volumeId": volume, "device": device}}
    try:
        made = call.cloud.json("POST", "compute", f"/servers/{server}/os-volume_attachments", body=body)
    except RefusedError as error:
        if error.status == 404:
            raise not_found("vol", name) from error
        if error.status in (400, 409):
            code = "IncorrectInstanceState" if "instance" in error.message.lower() else "VolumeInUse"
            raise Ec2Error(code, error.message) from error
        raise translate(error) from error
    call.store.change(call.project, [server])
    attached: Mapping[str, Any] = made["volumeAttachment"]
    return {
        "VolumeId": name,
        "InstanceId": ec2_id("i", server),
        "Device": attached.get("device") or device,
        "State": "attaching",
        "DeleteOnTermination": False,
    }


@action(
    "VolumeId InstanceId Device",
    only={"Force": (False,)},
    requests="2",
)
def detach_volume(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "VolumeId")
    try:
        volume = call.cloud.get("volume", f"/volumes/{openstack_id(call, 'vol', name)}")["volume"]
    except RefusedError as error:
        if error.status == 404:
            raise not_found("vol", name) from error
        raise
    attachments = [one for one in volume.get("attachments") or () if one.get("server_id")]
    if parameters.get("InstanceId"):
        attachments = [
            one for one in attachments if ec2_id("i", one["server_id"]) == parameters["InstanceId"]
        ]
    if not attachments:
        raise Ec2Error("IncorrectState", f"Volume '{name}' is in the 'available' state.")
    if len(attachments) > 1:
        raise combination("The volume is attached to several instances: name one with InstanceId.")
    server = attachments[0]["server_id"]
    try:
        call.cloud.request("DELETE", "compute", f"/servers/{server}/os-volume_attachments/{volume['id']}")
    except RefusedError as error:
        if error.status in (400, 403, 409):
            raise Ec2Error("OperationNotPermitted", error.message) from error
        raise translate(error) from error
    call.store.change(call.project, [server])
    return {
        "VolumeId": name,
        "InstanceId": ec2_id("i", server),
        "Device": attachments[0].get("device"),
        "State": "detaching",
    }

"""Snapshots of volumes: Cinder's."""

from __future__ import annotations

from typing import Any, Mapping

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed, openstack_id
from osg_site_iaas.ec2.actions.volumes import TAGS, chosen, required
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, not_found
from osg_site_iaas.ec2.filters import Table
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.instances import moment, stamp

STATES = {"available": "completed", "creating": "pending", "backing-up": "pending", "deleting": "pending"}

FILTERS: Table = {
    "description": lambda one: one["Description"],
    "encrypted": lambda one: False,
    "owner-id": lambda one: one["OwnerId"],
    "progress": lambda one: one["Progress"],
    "snapshot-id": lambda one: one["SnapshotId"],
    "start-time": lambda one: stamp(one["StartTime"]),
    "status": lambda one: one["State"],
    "volume-id": lambda one: one["VolumeId"],
    "volume-size": lambda one: one["VolumeSize"],
}


def as_ec2(call: Call, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    state = STATES.get(str(snapshot["status"]), "error")
    progress = snapshot.get("os-extended-snapshot-attributes:progress")
    return {
        "SnapshotId": ec2_id("snap", snapshot["id"]),
        "VolumeId": ec2_id("vol", snapshot["volume_id"]),
        "VolumeSize": snapshot["size"],
        "State": state,
        "Progress": "100%" if state == "completed" else progress or "0%",
        "StartTime": moment(snapshot.get("created_at")),
        "Description": snapshot.get("description") or "",
        "OwnerId": snapshot.get("os-extended-snapshot-attributes:project_id") or call.account,
        "Encrypted": False,
        "Tags": marks.as_ec2(marks.tags_of(snapshot.get("metadata") or {})),
    }


@action(
    "SnapshotIds OwnerIds RestorableByUserIds MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    requests="1",
    notes="The project's own: Cinder shares none.",
)
def describe_snapshots(call: Call, parameters: Parameters) -> Answer:
    every = [as_ec2(call, one) for one in listed(call, "snap")]
    for asked in ("OwnerIds", "RestorableByUserIds"):
        if parameters.get(asked):
            owners = {call.account if one == "self" else one for one in parameters[asked]}
            every = [one for one in every if one["OwnerId"] in owners]
    found, token = chosen(parameters, every, "snap", "SnapshotIds", "SnapshotId", FILTERS)
    return {"Snapshots": found, "NextToken": token}


@action(
    f"VolumeId Description {TAGS}",
    requests="1; 2 where the volume's id is not known yet",
    notes="A volume in use is snapshot as it is, as in EC2.",
)
def create_snapshot(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "VolumeId")
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "snapshot")
    body = {
        "volume_id": openstack_id(call, "vol", name),
        "description": parameters.get("Description"),
        "name": tags.get("Name"),
        "metadata": marks.tags_as_metadata(tags),
    }
    try:
        made = call.cloud.json("POST", "volume", "/snapshots", body={"snapshot": body}, microversion="3.66")
    except RefusedError as error:
        if error.status == 404:
            raise not_found("vol", name) from error
        if error.status == 400:
            raise Ec2Error("IncorrectState", error.message) from error
        raise translate(error) from error
    snapshot: Mapping[str, Any] = made["snapshot"]
    call.store.remember(call.project, {ec2_id("snap", snapshot["id"]): snapshot["id"]})
    return as_ec2(call, snapshot)


@action("SnapshotId", requests="1; 2 where the id is not known yet")
def delete_snapshot(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "SnapshotId")
    try:
        call.cloud.request("DELETE", "volume", f"/snapshots/{openstack_id(call, 'snap', name)}")
    except RefusedError as error:
        if error.status == 404:
            raise not_found("snap", name) from error
        if error.status in (400, 409):
            raise Ec2Error("InvalidSnapshot.InUse", error.message) from error
        raise translate(error) from error
    return None

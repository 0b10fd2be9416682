"""Images of volume snapshots: they hold no data of their own, so Glance can make and copy them at once."""

from __future__ import annotations

import json
from typing import Any, Mapping

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.images import TAG, devices_of, tags_of_image
from osg_site_iaas.ec2.actions.once import mismatch, once
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import image_id, snapshot_ids
from osg_site_iaas.ec2.actions.volumes import TAGS, required
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, combination, invalid_value, missing, not_found, unsupported
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.launch import USUAL

TOKEN, DIGEST = (
    "ec2_token",
    "ec2_request",
)  # properties of an image: what a ClientToken made, and of what request
# Properties that a copy has too. Those that Glance sets itself, and whose the image is, are not among them.
COPIED = (
    "architecture",
    "bdm_v2",
    "block_device_mapping",
    "os_type",
    "os_distro",
    "os_version",
    "hw_disk_bus",
    "hw_vif_model",
    "hw_firmware_type",
    "min_disk",
    "min_ram",
    "root_device_name",
)


def _create(call: Call, properties: Mapping[str, Any]) -> str:
    """The id of a new image without data. Glance calls one active only when something was uploaded: nothing is."""
    body = {"disk_format": "raw", "container_format": "bare", **properties}
    try:
        made: str = call.cloud.json("POST", "image", "/images", body=body)["id"]
    except RefusedError as error:
        raise translate(error) from error
    try:
        call.cloud.request(
            "PUT",
            "image",
            f"/images/{made}/file",
            data=b"",
            headers={"Content-Type": "application/octet-stream"},
        )
    except (RefusedError, Ec2Error) as error:
        try:
            call.cloud.request("DELETE", "image", f"/images/{made}")
        finally:
            raise (translate(error) if isinstance(error, RefusedError) else error) from error
    call.store.remember(call.project, {ec2_id("ami", made): made})
    return made


def _devices(call: Call, parameters: Parameters, root: str) -> list[dict[str, Any]]:
    """Nova's block devices of the new image: every one of them from a snapshot or blank, and the root from one."""
    mappings = parameters.get("BlockDeviceMappings") or ()
    snapshots = snapshot_ids(call, [(one.get("Ebs") or {}).get("SnapshotId") for one in mappings])
    devices = []
    for one in mappings:
        name, ebs = one.get("DeviceName"), one.get("Ebs")
        if not name:
            raise missing("BlockDeviceMapping.DeviceName")
        if not ebs:
            raise missing("BlockDeviceMapping.Ebs")
        snapshot, size = ebs.get("SnapshotId"), ebs.get("VolumeSize")
        if not snapshot and not size:
            raise missing("BlockDeviceMapping.Ebs.VolumeSize")
        device = {
            "device_name": name,
            "boot_index": 0 if name == root else None,
            "source_type": "snapshot" if snapshot else "blank",
            "destination_type": "volume",
            "device_type": "disk",
            "delete_on_termination": ebs.get("DeleteOnTermination", True),
            "snapshot_id": snapshots[snapshot] if snapshot else None,
            "volume_size": size,
            "volume_type": None if ebs.get("VolumeType") in USUAL else ebs["VolumeType"],
        }
        devices.append({key: value for key, value in device.items() if value is not None})
    if not any(one.get("boot_index") == 0 and "snapshot_id" in one for one in devices):
        raise combination(
            f"An image needs a snapshot for its root device {root}: give one in BlockDeviceMapping.Ebs.SnapshotId."
            " An image of a file is made with Glance: openstack image create --file FILE NAME."
        )
    return devices


@action(
    "Name Description Architecture RootDeviceName BlockDeviceMappings.DeviceName"
    " BlockDeviceMappings.Ebs.SnapshotId BlockDeviceMappings.Ebs.VolumeSize"
    f" BlockDeviceMappings.Ebs.VolumeType BlockDeviceMappings.Ebs.DeleteOnTermination {TAGS}",
    only={"VirtualizationType": ("hvm",)},
    ignores={"EnaSupport": "there is no such adapter here"},
    requests="2, and 1 where a snapshot was not named before",
    notes="Of volume snapshots only. An ImageLocation is a manifest in S3, which Glance cannot read: upload the file"
    " with Glance.",
)
def register_image(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "Name")
    root = parameters.get("RootDeviceName") or "/dev/vda"
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "image")
    properties = {
        "name": name,
        "architecture": parameters.get("Architecture") or "x86_64",
        "root_device_name": root,
        "bdm_v2": "True",
        "block_device_mapping": json.dumps(_devices(call, parameters, root)),
        **{f"{TAG}{key}": value for key, value in tags.items()},
    }
    if parameters.get("Description"):
        properties["description"] = parameters["Description"]
    return {"ImageId": ec2_id("ami", _create(call, properties))}


def _source(call: Call, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = call.cloud.get("image", f"/images/{image_id(call, name)}")
    except RefusedError as error:
        if error.status in (403, 404):
            raise not_found("ami", name) from error
        raise
    return found


def _by_token(call: Call, token: str, digest: str) -> list[dict[str, Any]]:
    query = {TOKEN: token, "owner": call.project, "limit": 1000}
    found = list(call.cloud.pages("image", "/images", "images", query))
    if any(one.get(DIGEST) != digest for one in found):
        raise mismatch()
    return found[:1]


@action(
    f"ClientToken Name Description SourceImageId SourceRegion CopyImageTags {TAGS}",
    only={"Encrypted": (False,)},
    requests="3; 1 more with a ClientToken",
    notes="Of an image of volume snapshots, in this region. Glance copies no data between images: one that has data is"
    " refused, and can be shared with ModifyImageAttribute instead.",
)
def copy_image(call: Call, parameters: Parameters) -> Answer:
    for name in ("Name", "SourceImageId", "SourceRegion"):
        required(parameters, name)
    if parameters["SourceRegion"] != call.settings.region:
        raise unsupported(f"Images can be copied within the region {call.settings.region} only.")
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "image")

    def make(digest: str) -> list[dict[str, Any]]:
        source = _source(call, parameters["SourceImageId"])
        if source.get("status") != "active":
            raise invalid_value("sourceImageId", parameters["SourceImageId"], "It is not available")
        if source.get("size") or not devices_of(source):
            raise unsupported(
                "This cloud copies only images of volume snapshots, which hold no data. Launch this image as it is:"
                " its owner can share it with ModifyImageAttribute. Or copy it with Glance: openstack image save,"
                " openstack image create."
            )
        kept = {key: source[key] for key in COPIED if source.get(key) is not None}
        given = {**(tags_of_image(source) if parameters.get("CopyImageTags") else {}), **tags}
        text = parameters.get("Description") or source.get("description")
        token = parameters.get("ClientToken")
        properties = {
            **kept,
            "name": parameters["Name"],
            **{f"{TAG}{key}": value for key, value in given.items()},
            **({"description": text} if text else {}),
            **({TOKEN: token, DIGEST: digest} if token else {}),
        }
        return [{"id": _create(call, properties)}]

    made, _ = once(call, parameters, lambda token, digest: _by_token(call, token, digest), make)
    return {"ImageId": ec2_id("ami", made[0]["id"])}

"""Images: Glance's, with launch permissions as its members."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import image_id, listed
from osg_site_iaas.ec2.backend.http import RefusedError
from osg_site_iaas.ec2.errors import not_found
from osg_site_iaas.ec2.filters import Table, compile_filters, no_paging_with_ids, page
from osg_site_iaas.ec2.ids import check_id, ec2_id

STATES = {
    "active": "available",
    "queued": "pending",
    "saving": "pending",
    "uploading": "pending",
    "importing": "pending",
    "deactivated": "disabled",
    "killed": "failed",
    "pending_delete": "deregistered",
    "deleted": "deregistered",
}
TAG = "ec2tag:"  # an image property that is an EC2 tag
KINDS = {"aki": "kernel", "ari": "ramdisk"}


def _devices(one: Mapping[str, Any], name: str) -> list[Any]:
    return [mapping["Ebs"].get(name) for mapping in one["BlockDeviceMappings"]]


FILTERS: Table = {
    "architecture": lambda one: one["Architecture"],
    "block-device-mapping.delete-on-termination": lambda one: _devices(one, "DeleteOnTermination"),
    "block-device-mapping.device-name": lambda one: [m["DeviceName"] for m in one["BlockDeviceMappings"]],
    "block-device-mapping.snapshot-id": lambda one: _devices(one, "SnapshotId"),
    "block-device-mapping.volume-size": lambda one: _devices(one, "VolumeSize"),
    "creation-date": lambda one: one["CreationDate"],
    "description": lambda one: one["Description"],
    "ena-support": lambda one: False,
    "hypervisor": lambda one: one["Hypervisor"],
    "image-id": lambda one: one["ImageId"],
    "image-type": lambda one: one["ImageType"],
    "is-public": lambda one: one["Public"],
    "kernel-id": lambda one: one["KernelId"],
    "manifest-location": lambda one: one["ImageLocation"],
    "name": lambda one: one["Name"],
    "owner-alias": lambda one: None,
    "owner-id": lambda one: one["OwnerId"],
    "platform": lambda one: one["Platform"],
    "ramdisk-id": lambda one: one["RamdiskId"],
    "root-device-name": lambda one: one["RootDeviceName"],
    "root-device-type": lambda one: one["RootDeviceType"],
    "state": lambda one: one["State"],
    "virtualization-type": lambda one: "hvm",
}


def tags_of_image(image: Mapping[str, Any]) -> dict[str, str]:
    return {key[len(TAG) :]: str(value) for key, value in sorted(image.items()) if key.startswith(TAG)}


def _related(prefix: str, openstack_id: Optional[str]) -> Optional[str]:
    return ec2_id(prefix, openstack_id) if openstack_id else None


def devices_of(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The block devices that Nova or the door wrote into an image of volume snapshots; none for other images."""
    try:
        devices = json.loads(image.get("block_device_mapping") or "[]")
    except ValueError:
        return []
    return [one for one in devices if isinstance(one, dict)] if isinstance(devices, list) else []


def _mappings(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": one.get("device_name"),
            "Ebs": {
                "SnapshotId": ec2_id("snap", one["snapshot_id"]) if one.get("snapshot_id") else None,
                "VolumeSize": one.get("volume_size"),
                "DeleteOnTermination": bool(one.get("delete_on_termination")),
            },
        }
        for one in devices
        if one.get("device_name") and one.get("destination_type") == "volume"
    ]


def as_ec2(image: Mapping[str, Any]) -> dict[str, Any]:
    devices = devices_of(image)
    created = str(image.get("created_at") or "").rstrip("Z")
    return {
        "ImageId": ec2_id("ami", image["id"]),
        "Name": image.get("name") or "",
        "Description": image.get("description") or "",
        "ImageLocation": f"{image.get('owner')}/{image.get('name') or image['id']}",
        "OwnerId": image.get("owner"),
        "Public": image.get("visibility") in ("public", "community"),
        "State": STATES.get(str(image.get("status")), "pending"),
        "Architecture": image.get("architecture") or "x86_64",
        "ImageType": KINDS.get(str(image.get("disk_format")), "machine"),
        "KernelId": _related("ami", image.get("kernel_id")),
        "RamdiskId": _related("ami", image.get("ramdisk_id")),
        "Platform": "windows" if image.get("os_type") == "windows" else None,
        "CreationDate": f"{created}.000Z" if created else None,
        "RootDeviceType": "ebs" if devices else "instance-store",
        "RootDeviceName": image.get("root_device_name") or "/dev/vda",
        "VirtualizationType": "hvm",
        "Hypervisor": "kvm",
        "EnaSupport": False,
        "BlockDeviceMappings": _mappings(devices),
        "Tags": marks.as_ec2(tags_of_image(image)),
    }


def _executable_by(call: Call, image: Mapping[str, Any], users: Any) -> bool:
    for user in users:
        if user == "all" and image.get("visibility") in ("public", "community"):
            return True
        if user in ("self", call.account) and image.get("visibility") == "shared":
            return bool(image.get("owner") != call.account)
    return False


def _asked(call: Call, given: str) -> Mapping[str, Any]:
    """An image that Glance does not list unasked, or that is remembered and gone."""
    try:
        found: Mapping[str, Any] = call.cloud.get("image", f"/images/{image_id(call, given)}")
    except RefusedError as error:
        if error.status in (403, 404):
            raise not_found("ami", given) from error
        raise
    return found


@action(
    "ImageIds Owners ExecutableUsers MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    ignores={"IncludeDeprecated": "there are no deprecated images", "IncludeDisabled": "all are listed"},
    requests="1; 2 where an id is a community image's",
    notes="Owners can be self or a project's id.",
)
def describe_images(call: Call, parameters: Parameters) -> Answer:
    no_paging_with_ids(parameters, "ImageIds")
    passes = compile_filters(
        parameters, FILTERS, lambda one: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    )
    images: dict[str, Mapping[str, Any]] = {ec2_id("ami", one["id"]): one for one in listed(call, "ami")}
    wanted = parameters.get("ImageIds")
    if wanted:
        for one in wanted:
            check_id("ami", one)
            if one not in images:
                images[one] = _asked(call, one)
        images = {one: images[one] for one in wanted}
    if parameters.get("Owners"):
        owners = {call.account if one == "self" else one for one in parameters["Owners"]}
        images = {key: one for key, one in images.items() if one.get("owner") in owners}
    if parameters.get("ExecutableUsers"):
        users = parameters["ExecutableUsers"]
        images = {key: one for key, one in images.items() if _executable_by(call, one, users)}
    every = [as_ec2(images[key]) for key in sorted(images)]
    chosen, token = page(parameters, [one for one in every if passes(one)], lambda one: str(one["ImageId"]))
    return {"Images": chosen, "NextToken": token}

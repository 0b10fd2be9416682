"""Images made, shared and withdrawn: snapshots of servers, and Glance's members as launch permissions."""

from __future__ import annotations

import json
from typing import Any, Mapping

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.images import TAG
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import image_id
from osg_site_iaas.ec2.actions.volumes import TAGS, required
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, missing, not_found, unauthorized
from osg_site_iaas.ec2.ids import ec2_id

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def _own(call: Call, parameters: Parameters) -> Mapping[str, Any]:
    """The image that a request names; only its owner may change it."""
    name = required(parameters, "ImageId")
    try:
        image: Mapping[str, Any] = call.cloud.get("image", f"/images/{image_id(call, name)}")
    except RefusedError as error:
        if error.status == 404:
            raise not_found("ami", name) from error
        raise
    if image.get("owner") != call.account:
        raise unauthorized(f"Not authorized for image:{name}")
    return image


@action("ImageId", ignores={"DeleteAssociatedSnapshots": "Glance knows none"}, requests="2")
def deregister_image(call: Call, parameters: Parameters) -> Answer:
    image = _own(call, parameters)
    try:
        call.cloud.request("DELETE", "image", f"/images/{image['id']}")
    except RefusedError as error:
        if error.status in (403, 409):
            raise Ec2Error("OperationNotPermitted", error.message) from error
        raise translate(error) from error
    return {"Return": True}


@action(
    f"InstanceId Name Description {TAGS}",
    ignores={"NoReboot": "Nova never reboots for it"},
    requests="2, with a description or tags 3",
    notes="A snapshot of the running server. No block devices.",
)
def create_image(call: Call, parameters: Parameters) -> Answer:
    name = required(parameters, "Name")
    instance = required(parameters, "InstanceId")
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "image")
    server = next(iter(find_servers(call, [instance])))
    metadata = {f"{TAG}{key}": value for key, value in tags.items()}
    if parameters.get("Description"):
        metadata["description"] = parameters["Description"]
    body = {"createImage": {"name": name, "metadata": metadata}}
    try:
        made = call.cloud.json("POST", "compute", f"/servers/{server}/action", body=body)
    except RefusedError as error:
        if error.status == 409:
            raise Ec2Error("IncorrectInstanceState", error.message) from error
        raise translate(error) from error
    call.store.remember(call.project, {ec2_id("ami", made["image_id"]): made["image_id"]})
    return {"ImageId": ec2_id("ami", made["image_id"])}


@action(
    "ImageId Attribute",
    requests="3",
    notes="launchPermission and description.",
)
def describe_image_attribute(call: Call, parameters: Parameters) -> Answer:
    name = parameters.get("Attribute")
    if not name:
        raise missing("Attribute")
    image = _own(call, parameters)
    found: dict[str, Any] = {"ImageId": ec2_id("ami", image["id"])}
    if name == "description":
        found["Description"] = {"Value": image.get("description") or ""}
    elif name == "launchPermission":
        found["LaunchPermissions"] = []
        if image.get("visibility") in ("public", "community"):
            found["LaunchPermissions"].append({"Group": "all"})
        elif image.get("visibility") == "shared":
            members = call.cloud.get("image", f"/images/{image['id']}/members")["members"]
            found["LaunchPermissions"] += [
                {"UserId": one} for one in sorted(str(one["member_id"]) for one in members)
            ]
    else:
        raise invalid_value("attribute", name[:60], "It can be launchPermission or description")
    return found


def _permissions(parameters: Parameters) -> tuple[set[str], set[str]]:
    """(to add, to remove): project ids, and ``all``."""
    add: set[str] = set()
    remove: set[str] = set()
    given = parameters.get("LaunchPermission") or {}
    for target, listed in ((add, given.get("Add")), (remove, given.get("Remove"))):
        for one in listed or ():
            target.add(str(one.get("UserId") or one.get("Group")))
    old = {*(parameters.get("UserIds") or ()), *(parameters.get("UserGroups") or ())}
    if old:
        kind = parameters.get("OperationType")
        if kind not in ("add", "remove"):
            raise invalid_value("operationType", kind, "It must be add or remove")
        (add if kind == "add" else remove).update(old)
    return add, remove


@action(
    "ImageId Attribute Value Description.Value OperationType UserIds UserGroups LaunchPermission.Add.UserId"
    " LaunchPermission.Add.Group LaunchPermission.Remove.UserId LaunchPermission.Remove.Group",
    requests="2 and one a permission",
    notes="A user id is a project's. The group all makes a community image: listed to nobody unasked,"
    " launched by everybody.",
)
def modify_image_attribute(call: Call, parameters: Parameters) -> Answer:
    image = _own(call, parameters)
    if "Description" in parameters or parameters.get("Attribute") == "description":
        value = (parameters.get("Description") or {}).get("Value") or parameters.get("Value") or ""
        _patch(call, image, "description", value)
        return None
    add, remove = _permissions(parameters)
    if not add and not remove:
        raise missing("LaunchPermission")
    if "all" in add:
        _patch(call, image, "visibility", "community")
    elif "all" in remove and image.get("visibility") in ("public", "community"):
        _patch(call, image, "visibility", "shared")
    if add - {"all"} and image.get("visibility") == "private":
        _patch(call, image, "visibility", "shared")
    for member in sorted(add - {"all"}):
        _member(call, "POST", f"/images/{image['id']}/members", {"member": member}, member)
    for member in sorted(remove - {"all"}):
        _member(call, "DELETE", f"/images/{image['id']}/members/{member}", None, member)
    return None


def _member(call: Call, method: str, path: str, body: Any, member: str) -> None:
    if not member.isalnum():
        raise Ec2Error("InvalidAMIAttributeItemValue", f"Invalid attribute item value '{member[:60]}'")
    try:
        call.cloud.request(method, "image", path, body=body)
    except RefusedError as error:
        if error.status == 409 or (error.status == 404 and method == "DELETE"):
            return  # it is so already
        if error.status == 403:
            raise Ec2Error("OperationNotPermitted", error.message) from error
        raise translate(error) from error


def _patch(call: Call, image: Mapping[str, Any], name: str, value: str) -> None:
    change = [{"op": "replace" if name in image else "add", "path": f"/{name}", "value": value}]
    call.cloud.request("PATCH", "image", f"/images/{image['id']}", data=json.dumps(change), headers=PATCH)

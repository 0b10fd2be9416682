"""RunInstances: one request to Nova whatever the count, and one more to look for the ClientToken."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.describe import around
from osg_site_iaas.ec2.actions.flavours import pick_flavour
from osg_site_iaas.ec2.actions.once import mismatch, once
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import image_id, port_ids, snapshot_ids
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.backend.servers import Document
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, missing, not_found
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.instances import instance
from osg_site_iaas.ec2.launch import (
    Launch,
    block_devices,
    counts,
    group_ids,
    new_reservation,
    server_marks,
    user_data,
)
from osg_site_iaas.ec2.launch_network import check_interfaces, interface_groups, interfaces

# How much longer than usual a kept list does for a launch: Nova refuses what is gone, and then all are read anew.
DAY = 24 * 3600.0
MINUTES = 480.0  # networks: a second one that was made elsewhere would want to be chosen from
PARAMETERS = """
ImageId InstanceType MinCount MaxCount KeyName UserData SecurityGroups SecurityGroupIds SubnetId PrivateIpAddress
ClientToken InstanceInitiatedShutdownBehavior DisableApiTermination Placement.AvailabilityZone
TagSpecifications.ResourceType TagSpecifications.Tags.Key TagSpecifications.Tags.Value
BlockDeviceMappings.DeviceName BlockDeviceMappings.VirtualName BlockDeviceMappings.NoDevice
BlockDeviceMappings.Ebs.VolumeSize BlockDeviceMappings.Ebs.SnapshotId BlockDeviceMappings.Ebs.DeleteOnTermination
BlockDeviceMappings.Ebs.VolumeType
NetworkInterfaces.DeviceIndex NetworkInterfaces.SubnetId NetworkInterfaces.Groups
NetworkInterfaces.NetworkInterfaceId NetworkInterfaces.PrivateIpAddress
"""


@action(
    PARAMETERS,
    only={
        "Monitoring.Enabled": (False,),
        "EbsOptimized": (False,),
        "Placement.Tenancy": ("default",),
        "NetworkInterfaces.AssociatePublicIpAddress": (False,),
        "NetworkInterfaces.DeleteOnTermination": (True,),
        "DisableApiStop": (False,),
    },
    requests="1 for one instance, 2 for several; 1 more with a ClientToken",
    notes="Nova starts from MinCount to MaxCount as the quota allows, or none. A later failure of an instance makes"
    " it terminated, and it is deleted. Without InstanceType m1.small, or the smallest. Tags for instances and their"
    " volumes; the volumes have theirs when the instance runs and is described. VolumeType as in CreateVolume.",
)
def run_instances(call: Call, parameters: Parameters) -> Answer:
    counts(parameters)
    servers, earlier = once(
        call,
        parameters,
        lambda token, digest: _by_token(call, token, digest),
        lambda digest: _launch(call, parameters, digest),
    )
    return _answer(call, _as_they_are(call, servers) if earlier else servers, earlier=earlier)


def _as_they_are(call: Call, servers: list[Document]) -> list[Document]:
    """The servers that an earlier request started, as they are now."""
    gone = call.store.buried(call.project)
    reads = call.cloud.gather(*(_reader(call, one["id"]) for one in servers))
    return [
        found or gone.get(one["id"]) or {**one, "status": "DELETED"} for one, found in zip(servers, reads)
    ]


def _reader(call: Call, key: str) -> Any:
    return lambda: call.views.one(call.cloud, key)


def _by_token(call: Call, token: str, digest: str) -> list[Document]:
    """The servers that Nova knows of this token: the host's own memory of it may be lost, or be another host's.

    Nearly always there is none, and Nova says so in half the time where it is not asked for details.
    """
    query = {"tags": marks.token_tag(token)}
    if not list(call.cloud.pages("compute", "/servers", "servers", query)):
        return []
    found = list(call.cloud.pages("compute", "/servers/detail", "servers", query))
    for server in found:
        if server["metadata"].get(marks.REQUEST) not in (None, digest):
            raise mismatch()
    return sorted(found, key=lambda one: str(one["id"]))


def _resolve(call: Call, parameters: Parameters, digest: str) -> Launch:
    if not parameters.get("ImageId"):
        raise missing("ImageId")
    minimum, maximum = counts(parameters)
    check_interfaces(parameters)
    data = user_data(parameters)
    reservation = new_reservation()
    metadata, tags = server_marks(parameters, digest, reservation)
    flavours = call.lookups.flavours(call.cloud, call.project, older=DAY)
    flavour = pick_flavour(flavours, parameters.get("InstanceType"))
    groups = call.lookups.groups(call.cloud, call.project, older=DAY)
    networks = call.lookups.networks(call.cloud, call.project, older=MINUTES)
    image = image_id(call, parameters["ImageId"])
    mappings = parameters.get("BlockDeviceMappings") or ()
    devices = block_devices(
        mappings,
        image,
        snapshot_ids(call, [(one.get("Ebs") or {}).get("SnapshotId") for one in mappings]),
        int(flavour.get("OS-FLV-EXT-DATA:ephemeral") or 0),
        int(flavour["disk"]),
    )
    chosen = interface_groups(parameters, groups) or group_ids(parameters, groups)
    given = [one.get("NetworkInterfaceId") for one in parameters.get("NetworkInterfaces") or ()]
    server: dict[str, Any] = {
        "name": _name(metadata),
        "flavorRef": flavour["id"],
        "imageRef": "" if devices and devices[0]["source_type"] != "image" else image,
        "metadata": metadata,
        "networks": interfaces(
            parameters, networks, port_ids(call, given), call.project, call.settings.default_network, maximum
        ),
        "tags": tags,
        "user_data": data,
        "key_name": parameters.get("KeyName") or None,
        "availability_zone": (parameters.get("Placement") or {}).get("AvailabilityZone") or None,
        "security_groups": [{"name": one} for one in chosen],
        "block_device_mapping_v2": devices,
    }
    names = {key: name for name, key in groups.items()}
    return Launch(
        {key: value for key, value in server.items() if value},
        minimum,
        maximum,
        reservation,
        tuple(names[one] for one in chosen) or ("default",),
        flavour["name"],
        image,
    )


def _name(metadata: Mapping[str, str]) -> str:
    """Nova wants a name; a Name tag that is more than blanks is one."""
    return metadata.get("Name", "").strip() or "instance"


def _launch(call: Call, parameters: Parameters, digest: str) -> list[Document]:
    """The new servers. What Nova does not know is looked up anew once: a kept flavour or network may be gone."""
    launch = _resolve(call, parameters, digest)
    try:
        made = _start(call, launch)
    except RefusedError as error:
        if error.status != 400 or not call.look_again():
            raise _refusal(error, parameters) from error
        launch = _resolve(call, parameters, digest)
        try:
            made = _start(call, launch)
        except RefusedError as again:
            raise _refusal(again, parameters) from again
    if launch.maximum > 1:
        query = {"reservation_id": made["reservation_id"]}
        listed = list(call.cloud.pages("compute", "/servers", "servers", query))
    else:
        listed = [{"id": made["server"]["id"], "name": launch.server["name"]}]
    servers = [_document(call, launch, parameters, one) for one in listed]
    call.store.remember(call.project, {ec2_id("i", one["id"]): one["id"] for one in servers})
    call.store.change(call.project, [one["id"] for one in servers])
    if marks.VOLUMES in launch.server["metadata"]:
        call.store.unsettle(call.project, [one["id"] for one in servers])
    return servers


def _start(call: Call, launch: Launch) -> Any:
    """Nova's answer to the one request that starts them all."""
    body: dict[str, Any] = {**launch.server, "imageRef": launch.server.get("imageRef", "")}
    if launch.maximum > 1:
        body.update(min_count=launch.minimum, max_count=launch.maximum, return_reservation_id=True)
    return call.cloud.json("POST", "compute", "/servers", body={"server": body})


def _document(call: Call, launch: Launch, parameters: Parameters, listed: Mapping[str, Any]) -> Document:
    """The new server as Nova would describe it: asking would cost another request."""
    return {
        "id": listed["id"],
        "name": listed["name"],
        "status": "BUILD",
        "created": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "metadata": launch.server["metadata"],
        "image": {"id": launch.image},
        "flavor": {"original_name": launch.flavour},
        "key_name": parameters.get("KeyName"),
        "security_groups": [{"name": name} for name in launch.group_names],
        "OS-EXT-AZ:availability_zone": launch.server.get("availability_zone"),
        "OS-EXT-SRV-ATTR:hostname": listed["name"],
    }


def _refusal(error: RefusedError, parameters: Parameters) -> Ec2Error:
    """EC2's error for what Nova refuses to launch, by what Nova says."""
    text = error.message
    lower = text.lower()
    if error.status == 400:
        if "key_name" in lower or "keypair" in lower:
            return not_found("key", str(parameters.get("KeyName")))
        if "image" in lower and ("find" in lower or "could not be found" in lower):
            return not_found("ami", str(parameters["ImageId"]))
        if "volume type" in lower or "volume_type" in lower:
            return invalid_value("VolumeType", "", text)
        if "availability zone" in lower:
            return invalid_value(
                "availabilityZone", (parameters.get("Placement") or {}).get("AvailabilityZone"), text
            )
        if "security group" in lower:
            return Ec2Error("InvalidGroup.NotFound", text)
        if "fixed ip" in lower:
            return Ec2Error("InvalidIPAddress.InUse", text)
        return Ec2Error("InvalidParameterCombination", text)
    if error.status == 409 and "port" in lower:
        return Ec2Error("InvalidNetworkInterface.InUse", text)
    return translate(error)


def _answer(call: Call, servers: list[Document], *, earlier: bool) -> Answer:
    listed = {one["id"]: one for one in servers}
    place = around(call, listed, addresses=earlier, older=0.0 if earlier else MINUTES)
    instances = sorted(
        (instance(one, place) for one in servers), key=lambda one: (one["AmiLaunchIndex"], one["InstanceId"])
    )
    first: Optional[str] = (servers[0]["metadata"] or {}).get(marks.RESERVATION)
    return {
        "ReservationId": first or ec2_id("r", servers[0]["id"]),
        "OwnerId": call.account,
        "Groups": [],
        "Instances": instances,
    }

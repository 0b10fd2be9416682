"""RunInstances' parameters as the body that Nova wants: values in, values out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, missing, not_found
from osg_site_iaas.ec2.ids import resolve
from osg_site_iaas.ec2.protocol.parse import decode_base64

USER_DATA = 16384  # bytes, as in EC2
# volume types of EC2 that every site has: they are its default type
USUAL = (None, "standard", "gp2", "gp3")
ROOT = ("/dev/vda", "/dev/sda", "/dev/sda1", "/dev/xvda")


@dataclass(frozen=True)
class Launch:
    """One RunInstances, resolved: ``server`` is Nova's body but for what differs between attempts."""

    server: Mapping[str, Any]
    minimum: int
    maximum: int
    reservation: str
    group_names: tuple[str, ...]
    flavour: str
    image: str


def counts(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """(MinCount, MaxCount), checked."""
    for name in ("MinCount", "MaxCount"):
        if parameters.get(name) is None:
            raise missing(name)
    minimum, maximum = parameters["MinCount"], parameters["MaxCount"]
    if not 1 <= minimum <= maximum:
        raise invalid_value("minCount", minimum, "It must be from 1 to maxCount")
    if maximum > 1000:
        raise invalid_value("maxCount", maximum, "At most 1000 at once")
    return minimum, maximum


def user_data(parameters: Mapping[str, Any]) -> Optional[str]:
    """The user data for Nova; checked, and free of the line breaks that some clients send in base64."""
    given = parameters.get("UserData")
    if not given:
        return None
    try:
        raw = decode_base64(given)
    except ValueError:
        raise Ec2Error("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(raw) > USER_DATA:
        raise Ec2Error(
            "InvalidParameterValue", f"User data is limited to {USER_DATA} bytes; these are {len(raw)}."
        )
    return "".join(given.split())


def group_ids(parameters: Mapping[str, Any], groups: Mapping[str, str]) -> list[str]:
    """OpenStack ids of the groups named or given by id; ``groups`` is name → id."""
    chosen = []
    for name in parameters.get("SecurityGroups") or ():
        if name not in groups:
            raise not_found("sg", name)
        chosen.append(groups[name])
    chosen += [resolve("sg", one, groups.values()) for one in parameters.get("SecurityGroupIds") or ()]
    return list(dict.fromkeys(chosen))


def block_devices(
    mappings: Sequence[Mapping[str, Any]],
    image: str,
    snapshots: Mapping[str, str],
    ephemeral: int,
    root_size: int,
) -> list[dict[str, Any]]:
    """Nova's block devices; empty where the flavour's own disk is all. ``snapshots`` is EC2 id → Cinder's."""
    root: dict[str, Any] = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
    out, changed = [], False
    for one in mappings:
        device, ebs, virtual = one.get("DeviceName"), one.get("Ebs"), one.get("VirtualName")
        if one.get("NoDevice") is not None:
            continue
        if not device:
            raise missing("BlockDeviceMapping.DeviceName")
        if virtual:
            if not virtual.startswith("ephemeral"):
                raise invalid_value(
                    "BlockDeviceMapping.VirtualName", virtual, "It must be ephemeral0, ephemeral1 ..."
                )
            if ephemeral:  # EC2 leaves out what the instance type does not have
                changed = True
                out.append(
                    {
                        "boot_index": -1,
                        "source_type": "blank",
                        "destination_type": "local",
                        "delete_on_termination": True,
                    }
                )
            continue
        if not ebs:
            raise missing("BlockDeviceMapping.Ebs")
        deleted = ebs.get("DeleteOnTermination", True)
        kind = {"volume_type": ebs["VolumeType"]} if ebs.get("VolumeType") not in USUAL else {}
        size, snapshot = ebs.get("VolumeSize"), ebs.get("SnapshotId")
        if device in ROOT:
            if not size and not snapshot:
                if deleted and not kind:
                    continue
                size = max(root_size, 1)
            changed = True
            root.update(destination_type="volume", delete_on_termination=deleted, **kind)
            if snapshot:
                root.update(source_type="snapshot", uuid=snapshots[snapshot])
            if size:
                root["volume_size"] = size
            continue
        if not size and not snapshot:
            raise missing("BlockDeviceMapping.Ebs.VolumeSize")
        changed = True
        extra: dict[str, Any] = {
            "boot_index": -1,
            "source_type": "snapshot" if snapshot else "blank",
            "destination_type": "volume",
            "delete_on_termination": deleted,
            "device_name": device,
            **kind,
        }
        if snapshot:
            extra["uuid"] = snapshots[snapshot]
        if size:
            extra["volume_size"] = size
        out.append(extra)
    return [root, *out] if changed else []


def server_marks(
    parameters: Mapping[str, Any], digest: str, reservation: str
) -> tuple[dict[str, str], list[str]]:
    """(metadata, Nova tags) of the new servers."""
    given = parameters.get("TagSpecifications")
    metadata = marks.tags_as_metadata(marks.requested_tags(given, "instance", ("volume",)))
    metadata.update(marks.volume_tags_as_metadata(marks.requested_tags(given, "volume", ("instance",))))
    metadata[marks.RESERVATION] = reservation
    if parameters["MaxCount"] > 1:
        metadata[marks.COUNT] = str(parameters["MaxCount"])
    behaviour = parameters.get("InstanceInitiatedShutdownBehavior") or "stop"
    if behaviour not in ("stop", "terminate"):
        raise invalid_value("InstanceInitiatedShutdownBehavior", behaviour, "It must be stop or terminate")
    if behaviour == "terminate":
        metadata[marks.SHUTDOWN] = behaviour
    if parameters.get("DisableApiTermination"):
        metadata[marks.PROTECTED] = "true"
    token = parameters.get("ClientToken")
    if not token:
        return metadata, []
    metadata[marks.TOKEN], metadata[marks.REQUEST] = token, digest
    return metadata, [marks.token_tag(token)]


def new_reservation() -> str:
    return f"r-{secrets.token_hex(9)[:17]}"

"""A Nova server as an EC2 instance: values in, values out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.backend.kept import Networks
from osg_site_iaas.ec2.filters import Table
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.protocol.parse import parse_timestamp
from osg_site_iaas.ec2.states import state_of

Server = Mapping[str, Any]


@dataclass(frozen=True)
class Around:
    """What of the rest of the cloud an instance's description needs."""

    account: str
    groups: Mapping[str, str]  # security group name → id
    networks: Networks
    public: Mapping[str, str]  # server id → floating address

    @property
    def generation(self) -> int:
        return hash(
            (
                self.account,
                frozenset(self.groups.items()),
                self.networks.generation,
                frozenset(self.public.items()),
            )
        )


def moment(text: Optional[str]) -> Optional[datetime]:
    """A time as Nova writes it."""
    return parse_timestamp(str(text).partition(".")[0]) if text else None


def stamp(at: Optional[datetime]) -> Optional[str]:
    """A time as answers and filters have it."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z" if at else None


def reservation_id(server: Server) -> str:
    """The door writes its own on what it starts: Nova shows its own to administrators only."""
    kept = (server.get("metadata") or {}).get(marks.RESERVATION)
    return str(kept) if kept else ec2_id("r", server["id"])


def launch_index(server: Server) -> int:
    """Nova numbers the servers of one request from 1, at the end of their host names."""
    if (server.get("metadata") or {}).get(marks.COUNT, "1") == "1":
        return 0
    match = re.search(r"-(\d+)\Z", str(server.get("OS-EXT-SRV-ATTR:hostname") or server.get("name") or ""))
    return int(match[1]) - 1 if match else 0


def _addresses(server: Server) -> tuple[Optional[dict[str, Any]], str]:
    """(first fixed IPv4 as Nova has it, name of its network)."""
    fixed, network = None, ""
    for name, listed in (server.get("addresses") or {}).items():
        for one in listed:
            if one.get("version") == 4 and one.get("OS-EXT-IPS:type") != "floating" and fixed is None:
                fixed, network = one, name
    return fixed, network


def _place(address: Optional[str], network: str, networks: Networks) -> tuple[Optional[str], Optional[str]]:
    """(subnet id, vpc id) of an address; from the network's name and the subnets' ranges.

    Nova goes on with the old name of a network that was renamed: then the one range that holds the address counts.
    """
    if address is None:
        return None, None
    number = ipaddress.ip_address(address)
    fits = [
        (subnet, networks.networks[subnet["network_id"]])
        for subnet in networks.subnets.values()
        if subnet["network_id"] in networks.networks and number in ipaddress.ip_network(subnet["cidr"])
    ]
    named = [one for one in fits if one[1]["name"] == network]
    for subnet, owner in named or (fits if len(fits) == 1 else ()):
        return ec2_id("subnet", subnet["id"]), ec2_id("vpc", owner["id"])
    return None, None


def _groups(server: Server, around: Around) -> list[dict[str, Any]]:
    names = sorted({one["name"] for one in server.get("security_groups") or ()})
    return [
        {"GroupName": name, "GroupId": ec2_id("sg", around.groups[name]) if name in around.groups else None}
        for name in names
    ]


def _volumes(server: Server) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": one.get("device"),
            "Ebs": {
                "VolumeId": ec2_id("vol", one["id"]),
                "Status": "attached",
                "DeleteOnTermination": bool(one.get("delete_on_termination")),
            },
        }
        for one in server.get("os-extended-volumes:volumes_attached") or ()
    ]


def instance(server: Server, around: Around) -> dict[str, Any]:
    """The instance as DescribeInstances gives it, without what it shares with its reservation."""
    state = state_of(server)
    metadata = server.get("metadata") or {}
    gone = state.name == "terminated"
    fixed, network = _addresses({} if gone else server)
    floating = None if gone else around.public.get(server["id"])
    private = fixed["addr"] if fixed else None
    subnet, vpc = _place(private, network, around.networks)
    image = server.get("image") or {}
    volumes = _volumes(server)
    reason = state.reason
    return {
        "InstanceId": ec2_id("i", server["id"]),
        "ImageId": ec2_id("ami", image["id"]) if image.get("id") else None,
        "State": state.as_ec2(),
        "PrivateDnsName": "" if gone else private or "",
        "PublicDnsName": "" if gone else floating or private or "",
        "StateTransitionReason": f"{reason.message}" if reason else "",
        "KeyName": server.get("key_name") or None,
        "AmiLaunchIndex": launch_index(server),
        "ProductCodes": [],
        "InstanceType": (server.get("flavor") or {}).get("original_name"),
        "LaunchTime": moment(server.get("created")),
        "Placement": {
            "AvailabilityZone": server.get("OS-EXT-AZ:availability_zone") or "nova",
            "GroupName": "",
            "Tenancy": "default",
        },
        "Monitoring": {"State": "disabled"},
        "SubnetId": subnet,
        "VpcId": vpc,
        "PrivateIpAddress": private,
        "PublicIpAddress": floating,
        "SourceDestCheck": True,
        "SecurityGroups": _groups(server, around),
        "StateReason": {"Code": reason.code, "Message": reason.message} if reason else None,
        "Architecture": "x86_64",
        "RootDeviceType": "instance-store" if image.get("id") else "ebs",
        "RootDeviceName": server.get("OS-EXT-SRV-ATTR:root_device_name") or "/dev/vda",
        "BlockDeviceMappings": volumes,
        "VirtualizationType": "hvm",
        "Hypervisor": "kvm",
        "ClientToken": metadata.get(marks.TOKEN, ""),
        "EbsOptimized": False,
        "EnaSupport": False,
        "Tags": marks.as_ec2(marks.tags_of(metadata)),
    }


def _each(field: str, key: str) -> Any:
    return lambda one: [inner.get(key) for inner in one.get(field) or ()]


# what an instance can be filtered by; ``ReservationId`` and ``OwnerId`` are added before filtering
FILTERS: Table = {
    "affinity": lambda one: None,
    "architecture": lambda one: one["Architecture"],
    "availability-zone": lambda one: one["Placement"]["AvailabilityZone"],
    "block-device-mapping.delete-on-termination": lambda one: [
        m["Ebs"]["DeleteOnTermination"] for m in one["BlockDeviceMappings"]
    ],
    "block-device-mapping.device-name": lambda one: [m["DeviceName"] for m in one["BlockDeviceMappings"]],
    "block-device-mapping.status": lambda one: [m["Ebs"]["Status"] for m in one["BlockDeviceMappings"]],
    "block-device-mapping.volume-id": lambda one: [m["Ebs"]["VolumeId"] for m in one["BlockDeviceMappings"]],
    "client-token": lambda one: one["ClientToken"],
    "dns-name": lambda one: one["PublicDnsName"],
    "group-id": _each("SecurityGroups", "GroupId"),
    "group-name": _each("SecurityGroups", "GroupName"),
    "hypervisor": lambda one: one["Hypervisor"],
    "image-id": lambda one: one["ImageId"],
    "instance-id": lambda one: one["InstanceId"],
    "instance-state-code": lambda one: one["State"]["Code"],
    "instance-state-name": lambda one: one["State"]["Name"],
    "instance-lifecycle": lambda one: None,
    "instance-type": lambda one: one["InstanceType"],
    "instance.group-id": _each("SecurityGroups", "GroupId"),
    "instance.group-name": _each("SecurityGroups", "GroupName"),
    "ip-address": lambda one: one["PublicIpAddress"],
    "key-name": lambda one: one["KeyName"],
    "kernel-id": lambda one: None,
    "launch-index": lambda one: one["AmiLaunchIndex"],
    "launch-time": lambda one: stamp(one["LaunchTime"]),
    "monitoring-state": lambda one: "disabled",
    "owner-id": lambda one: one["OwnerId"],
    "platform": lambda one: None,
    "private-dns-name": lambda one: one["PrivateDnsName"],
    "private-ip-address": lambda one: one["PrivateIpAddress"],
    "ramdisk-id": lambda one: None,
    "reason": lambda one: one["StateTransitionReason"] or None,
    "reservation-id": lambda one: one["ReservationId"],
    "root-device-name": lambda one: one["RootDeviceName"],
    "root-device-type": lambda one: one["RootDeviceType"],
    "source-dest-check": lambda one: one["SourceDestCheck"],
    "spot-instance-request-id": lambda one: None,
    "state-reason-code": lambda one: (one["StateReason"] or {}).get("Code"),
    "subnet-id": lambda one: one["SubnetId"],
    "tenancy": lambda one: "default",
    "virtualization-type": lambda one: one["VirtualizationType"],
    "vpc-id": lambda one: one["VpcId"],
}


def tags_of_instance(one: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one["Tags"]}

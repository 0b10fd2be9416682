"""Networks, read only: a Neutron network is a VPC, its subnets are the VPC's, a router with a gateway its way out."""

from __future__ import annotations

from typing import Any, Mapping

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed
from osg_site_iaas.ec2.errors import Ec2Error, not_found
from osg_site_iaas.ec2.filters import Table, compile_filters, page
from osg_site_iaas.ec2.ids import check_id, ec2_id
from osg_site_iaas.ec2.launch_network import pick_network

Found = list[dict[str, Any]]


def _answer(
    parameters: Parameters, key: str, prefix: str, asked: str, field: str, every: Found, table: Table
) -> Answer:
    """The elements asked for by id, filter and page."""
    every.sort(key=lambda one: str(one[field]))
    wanted = parameters.get(asked)
    if wanted:
        have = {one[field] for one in every}
        for one in wanted:
            check_id(prefix, one)
            if one not in have:
                raise not_found(prefix, one)
        every = [one for one in every if one[field] in wanted]
    passes = compile_filters(
        parameters, table, lambda one: {t["Key"]: t["Value"] for t in one[_tags_field(one)]}
    )
    chosen, token = page(parameters, [one for one in every if passes(one)], lambda one: str(one[field]))
    return {key: chosen, "NextToken": token}


def _tags_field(one: Mapping[str, Any]) -> str:
    return "TagSet" if "TagSet" in one else "Tags"


def _tags(resource: Mapping[str, Any]) -> list[dict[str, str]]:
    return marks.as_ec2(neutron_tags.tags_of(resource))


def _inside(call: Call) -> dict[str, Mapping[str, Any]]:
    """The networks that instances can be on."""
    networks = call.lookups.networks(call.cloud, call.project).networks
    return {key: one for key, one in networks.items() if not one.get("router:external")}


def _default(call: Call) -> str:
    try:
        networks = call.lookups.networks(call.cloud, call.project)
        return str(pick_network(networks, call.project, call.settings.default_network)["id"])
    except Ec2Error:
        return ""


VPC_FILTERS: Table = {
    "cidr": lambda one: one["CidrBlock"],
    "cidr-block-association.cidr-block": lambda one: [b["CidrBlock"] for b in one["CidrBlockAssociationSet"]],
    "dhcp-options-id": lambda one: one["DhcpOptionsId"],
    "is-default": lambda one: one["IsDefault"],
    "isDefault": lambda one: one["IsDefault"],
    "owner-id": lambda one: one["OwnerId"],
    "state": lambda one: one["State"],
    "vpc-id": lambda one: one["VpcId"],
}


@action(
    "VpcIds MaxResults NextToken",
    filters=VPC_FILTERS,
    tags=True,
    requests="0 (kept for kept_seconds); first time 2",
    notes="A network is a VPC; the default one is what RunInstances uses without a subnet.",
)
def describe_vpcs(call: Call, parameters: Parameters) -> Answer:
    subnets = call.lookups.networks(call.cloud, call.project).subnets
    default, every = _default(call), []
    for key, network in _inside(call).items():
        blocks = sorted(
            one["cidr"] for one in subnets.values() if one["network_id"] == key and one["ip_version"] == 4
        )
        every.append(
            {
                "VpcId": ec2_id("vpc", key),
                "State": "available" if network.get("status") == "ACTIVE" else "pending",
                "CidrBlock": blocks[0] if blocks else None,
                "CidrBlockAssociationSet": [
                    {"CidrBlock": block, "CidrBlockState": {"State": "associated"}} for block in blocks
                ],
                "DhcpOptionsId": "default",
                "InstanceTenancy": "default",
                "IsDefault": key == default,
                "OwnerId": network.get("project_id"),
                "Tags": _tags(network),
            }
        )
    return _answer(parameters, "Vpcs", "vpc", "VpcIds", "VpcId", every, VPC_FILTERS)


SUBNET_FILTERS: Table = {
    "availability-zone": lambda one: one["AvailabilityZone"],
    "available-ip-address-count": lambda one: one["AvailableIpAddressCount"],
    "availabilityZone": lambda one: one["AvailabilityZone"],
    "cidr": lambda one: one["CidrBlock"],
    "cidr-block": lambda one: one["CidrBlock"],
    "cidrBlock": lambda one: one["CidrBlock"],
    "default-for-az": lambda one: one["DefaultForAz"],
    "defaultForAz": lambda one: one["DefaultForAz"],
    "map-public-ip-on-launch": lambda one: one["MapPublicIpOnLaunch"],
    "owner-id": lambda one: one["OwnerId"],
    "state": lambda one: "available",
    "subnet-id": lambda one: one["SubnetId"],
    "vpc-id": lambda one: one["VpcId"],
}


@action(
    "SubnetIds MaxResults NextToken",
    filters=SUBNET_FILTERS,
    tags=True,
    requests="0 (kept for kept_seconds); first time 3",
    notes="IPv4 subnets. AvailableIpAddressCount is the size of the range: Neutron tells its use to administrators.",
)
def describe_subnets(call: Call, parameters: Parameters) -> Answer:
    import ipaddress

    default, inside, every = _default(call), _inside(call), []
    zones = sorted(str(zone["zoneName"]) for zone in call.lookups.zones(call.cloud, call.project))
    for key, subnet in call.lookups.networks(call.cloud, call.project).subnets.items():
        if subnet["network_id"] not in inside or subnet["ip_version"] != 4:
            continue
        size = ipaddress.ip_network(subnet["cidr"]).num_addresses
        every.append(
            {
                "SubnetId": ec2_id("subnet", key),
                "VpcId": ec2_id("vpc", subnet["network_id"]),
                "CidrBlock": subnet["cidr"],
                "State": "available",
                "AvailableIpAddressCount": max(0, size - 3),
                "AvailabilityZone": zones[0] if zones else "nova",
                "DefaultForAz": subnet["network_id"] == default,
                "MapPublicIpOnLaunch": False,
                "OwnerId": subnet.get("project_id"),
                "Tags": _tags(subnet),
            }
        )
    return _answer(parameters, "Subnets", "subnet", "SubnetIds", "SubnetId", every, SUBNET_FILTERS)


INTERFACE_FILTERS: Table = {
    "addresses.private-ip-address": lambda one: [a["PrivateIpAddress"] for a in one["PrivateIpAddresses"]],
    "addresses.primary": lambda one: [a["Primary"] for a in one["PrivateIpAddresses"]],
    "association.allocation-id": lambda one: (one.get("Association") or {}).get("AllocationId"),
    "association.association-id": lambda one: (one.get("Association") or {}).get("AssociationId"),
    "association.public-ip": lambda one: (one.get("Association") or {}).get("PublicIp"),
    "attachment.instance-id": lambda one: (one.get("Attachment") or {}).get("InstanceId"),
    "attachment.status": lambda one: (one.get("Attachment") or {}).get("Status"),
    "description": lambda one: one["Description"],
    "group-id": lambda one: [group["GroupId"] for group in one["Groups"]],
    "group-name": lambda one: [group["GroupName"] for group in one["Groups"]],
    "interface-type": lambda one: one["InterfaceType"],
    "mac-address": lambda one: one["MacAddress"],
    "network-interface-id": lambda one: one["NetworkInterfaceId"],
    "owner-id": lambda one: one["OwnerId"],
    "private-ip-address": lambda one: one["PrivateIpAddress"],
    "requester-managed": lambda one: one["RequesterManaged"],
    "source-dest-check": lambda one: one["SourceDestCheck"],
    "status": lambda one: one["Status"],
    "subnet-id": lambda one: one["SubnetId"],
    "vpc-id": lambda one: one["VpcId"],
}


def _interface(
    call: Call, port: Mapping[str, Any], names: Mapping[str, str], public: Mapping[str, Any]
) -> dict[str, Any]:
    fixed = [one for one in port["fixed_ips"] if "." in one["ip_address"]]
    on_server = str(port.get("device_owner") or "").startswith("compute:") and port.get("device_id")
    floating = public.get(port["id"])
    return {
        "NetworkInterfaceId": ec2_id("eni", port["id"]),
        "SubnetId": ec2_id("subnet", fixed[0]["subnet_id"]) if fixed else None,
        "VpcId": ec2_id("vpc", port["network_id"]),
        "Description": port.get("description") or port.get("name") or "",
        "OwnerId": port["project_id"],
        "RequesterManaged": False,
        "Status": "in-use" if port.get("device_id") else "available",
        "MacAddress": port["mac_address"],
        "PrivateIpAddress": fixed[0]["ip_address"] if fixed else None,
        "PrivateIpAddresses": [
            {"PrivateIpAddress": one["ip_address"], "Primary": at == 0} for at, one in enumerate(fixed)
        ],
        "SourceDestCheck": bool(port.get("port_security_enabled", True)),
        "InterfaceType": "interface",
        "Groups": [
            {"GroupId": ec2_id("sg", one), "GroupName": names.get(one)}
            for one in port.get("security_groups") or ()
        ],
        "Attachment": {
            "InstanceId": ec2_id("i", port["device_id"]),
            "InstanceOwnerId": port["project_id"],
            "DeviceIndex": 0,
            "Status": "attached",
            "DeleteOnTermination": True,
        }
        if on_server
        else None,
        "Association": {
            "PublicIp": floating["floating_ip_address"],
            "AllocationId": ec2_id("eipalloc", floating["id"]),
            "AssociationId": ec2_id("eipassoc", floating["id"]),
            "IpOwnerId": floating["project_id"],
        }
        if floating
        else None,
        "TagSet": _tags(port),
    }


@action(
    "NetworkInterfaceIds MaxResults NextToken",
    filters=INTERFACE_FILTERS,
    tags=True,
    only={"IncludeManagedResources": (False,)},
    requests="2",
    notes="Ports of the project. DeviceIndex is always 0.",
)
def describe_network_interfaces(call: Call, parameters: Parameters) -> Answer:
    ports, floating = call.cloud.gather(lambda: listed(call, "eni"), lambda: listed(call, "eipalloc"))
    names = {key: name for name, key in call.lookups.groups(call.cloud, call.project).items()}
    public = {one["port_id"]: one for one in floating if one.get("port_id")}
    every = [_interface(call, port, names, public) for port in ports]
    return _answer(
        parameters,
        "NetworkInterfaces",
        "eni",
        "NetworkInterfaceIds",
        "NetworkInterfaceId",
        every,
        INTERFACE_FILTERS,
    )

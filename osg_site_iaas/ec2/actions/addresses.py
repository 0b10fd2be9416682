"""Elastic addresses: Neutron's floating IPs. An association has the id of its address."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed, openstack_id
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, combination, missing, not_found
from osg_site_iaas.ec2.filters import Table, compile_filters
from osg_site_iaas.ec2.ids import check_id, ec2_id

FILTERS: Table = {
    "allocation-id": lambda one: one["AllocationId"],
    "association-id": lambda one: one["AssociationId"],
    "domain": lambda one: "vpc",
    "instance-id": lambda one: one["InstanceId"],
    "network-interface-id": lambda one: one["NetworkInterfaceId"],
    "network-interface-owner-id": lambda one: one["NetworkInterfaceOwnerId"],
    "private-ip-address": lambda one: one["PrivateIpAddress"],
    "public-ip": lambda one: one["PublicIp"],
}


def _as_ec2(address: Mapping[str, Any]) -> dict[str, Any]:
    details = address.get("port_details") or {}
    on_server = str(details.get("device_owner") or "").startswith("compute:")
    port = address.get("port_id")
    return {
        "PublicIp": address["floating_ip_address"],
        "AllocationId": ec2_id("eipalloc", address["id"]),
        "Domain": "vpc",
        "InstanceId": ec2_id("i", details["device_id"]) if on_server and details.get("device_id") else None,
        "AssociationId": ec2_id("eipassoc", address["id"]) if port else None,
        "NetworkInterfaceId": ec2_id("eni", port) if port else None,
        "NetworkInterfaceOwnerId": address["project_id"] if port else None,
        "PrivateIpAddress": address.get("fixed_ip_address"),
        "Tags": marks.as_ec2(neutron_tags.tags_of(address)),
    }


@action(
    "PublicIps AllocationIds",
    filters=FILTERS,
    tags=True,
    requests="1",
)
def describe_addresses(call: Call, parameters: Parameters) -> Answer:
    every = sorted(
        (_as_ec2(one) for one in listed(call, "eipalloc")), key=lambda one: str(one["AllocationId"])
    )
    for asked, field, code in (
        ("AllocationIds", "AllocationId", "InvalidAllocationID.NotFound"),
        ("PublicIps", "PublicIp", "InvalidAddress.NotFound"),
    ):
        if parameters.get(asked):
            have = {one[field] for one in every}
            for one in parameters[asked]:
                if one not in have:
                    raise Ec2Error(code, f"Address '{one[:60]}' not found.")
            every = [one for one in every if one[field] in parameters[asked]]
    passes = compile_filters(
        parameters, FILTERS, lambda one: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    )
    return {"Addresses": list(filter(passes, every))}


@action(
    "Domain TagSpecifications.ResourceType TagSpecifications.Tags.Key TagSpecifications.Tags.Value",
    requests="3 and one a tag",
    notes="From an external network that a router of the project leads to, else the first by name.",
)
def allocate_address(call: Call, parameters: Parameters) -> Answer:
    if (parameters.get("Domain") or "vpc") not in ("vpc", "standard"):
        raise combination("Domain can be vpc or standard.")
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "elastic-ip")
    encoded = [neutron_tags.encode(key, value) for key, value in tags.items()]
    made = None
    for network in _outside(call):
        body = {"floatingip": {"floating_network_id": network}}
        try:
            made = call.cloud.json("POST", "network", "/floatingips", body=body)["floatingip"]
            break
        except RefusedError as error:
            if error.status != 409 or "quota" in error.message.lower():
                raise translate(error) from error
    if made is None:
        raise Ec2Error("InsufficientAddressCapacity", "Not enough free addresses available.")
    call.store.remember(call.project, {ec2_id("eipalloc", made["id"]): made["id"]})
    for tag in encoded:
        call.cloud.request("PUT", "network", f"/floatingips/{made['id']}/tags/{tag.replace('%', '%25')}")
    return {
        "PublicIp": made["floating_ip_address"],
        "AllocationId": ec2_id("eipalloc", made["id"]),
        "Domain": "vpc",
    }


def _outside(call: Call) -> list[str]:
    """The external networks, first those that a router of the project leads to, then by name."""
    networks, routers = call.cloud.gather(
        lambda: list(call.cloud.pages("network", "/networks", "networks", {"router:external": True})),
        lambda: list(call.cloud.pages("network", "/routers", "routers", {"project_id": call.project})),
    )
    led_to = {(one.get("external_gateway_info") or {}).get("network_id") for one in routers}
    if not networks:
        raise Ec2Error("InsufficientAddressCapacity", "This cloud has no external network.")
    networks.sort(key=lambda one: (one["id"] not in led_to, str(one["name"]), str(one["id"])))
    return [str(one["id"]) for one in networks]


def _address(call: Call, parameters: Parameters) -> Mapping[str, Any]:
    """The address that a request names by allocation, association or itself."""
    allocation, public = parameters.get("AllocationId"), parameters.get("PublicIp")
    association = parameters.get("AssociationId")
    for prefix, given in (("eipalloc", allocation), ("eipassoc", association)):
        if given:
            check_id(prefix, given)
    if not (allocation or public or association):
        raise missing("AllocationId")
    for one in listed(call, "eipalloc"):
        if allocation and ec2_id("eipalloc", one["id"]) == allocation:
            return one
        if association and ec2_id("eipassoc", one["id"]) == association and one.get("port_id"):
            return one
        if public and one["floating_ip_address"] == public:
            return one
    if public:
        raise Ec2Error("InvalidAddress.NotFound", f"Address '{public[:60]}' not found.")
    raise not_found("eipalloc", allocation) if allocation else not_found("eipassoc", str(association))


def _port(call: Call, parameters: Parameters) -> tuple[str, Optional[str]]:
    """(port, server) that an address is to be associated with."""
    if parameters.get("NetworkInterfaceId"):
        return openstack_id(call, "eni", parameters["NetworkInterfaceId"]), None
    if not parameters.get("InstanceId"):
        raise missing("InstanceId")
    server = next(iter(find_servers(call, [parameters["InstanceId"]])))
    query = {"device_id": server, "fields": ["id", "fixed_ips"]}
    for port in call.cloud.pages("network", "/ports", "ports", query):
        addresses = [one["ip_address"] for one in port["fixed_ips"]]
        if parameters.get("PrivateIpAddress") in (None, *addresses):
            return str(port["id"]), server
    raise Ec2Error(
        "InvalidInstanceID", f"The instance {parameters['InstanceId']} has no such network interface."
    )


@action(
    "AllocationId PublicIp InstanceId NetworkInterfaceId PrivateIpAddress AllowReassociation",
    requests="4",
)
def associate_address(call: Call, parameters: Parameters) -> Answer:
    address = _address(call, parameters)
    port, server = _port(call, parameters)
    name = ec2_id("eipassoc", address["id"])
    if (
        address.get("port_id")
        and address["port_id"] != port
        and parameters.get("AllowReassociation") is False
    ):
        raise Ec2Error(
            "Resource.AlreadyAssociated", f"resource {address['floating_ip_address']} is already associated"
        )
    body: dict[str, Any] = {"floatingip": {"port_id": port}}
    if parameters.get("PrivateIpAddress"):
        body["floatingip"]["fixed_ip_address"] = parameters["PrivateIpAddress"]
    try:
        call.cloud.request("PUT", "network", f"/floatingips/{address['id']}", body=body)
    except RefusedError as error:
        if error.status == 409:
            raise Ec2Error("Resource.AlreadyAssociated", error.message) from error
        if error.status in (400, 404):
            raise Ec2Error(
                "Gateway.NotAttached", f"Network has no way to the address: {error.message}"
            ) from error
        raise translate(error) from error
    _touched(call, server, address)
    return {"AssociationId": name}


def _touched(call: Call, server: Optional[str], address: Mapping[str, Any]) -> None:
    """Nova's own row does not change with an address: the servers are read again."""
    before = (address.get("port_details") or {}).get("device_id")
    call.lookups.forget(call.project, "addresses")
    servers = [one for one in (server, before) if one]
    if servers:
        call.store.change(call.project, servers)


@action("AssociationId PublicIp", requests="2")
def disassociate_address(call: Call, parameters: Parameters) -> Answer:
    address = _address(call, parameters)
    call.cloud.request(
        "PUT", "network", f"/floatingips/{address['id']}", body={"floatingip": {"port_id": None}}
    )
    _touched(call, None, address)
    return None


@action("AllocationId PublicIp", requests="2")
def release_address(call: Call, parameters: Parameters) -> Answer:
    address = _address(call, parameters)
    if address.get("port_id"):
        name = ec2_id("eipalloc", address["id"])
        raise Ec2Error("InvalidIPAddress.InUse", f"Address {name} is in use: disassociate it first.")
    call.cloud.request("DELETE", "network", f"/floatingips/{address['id']}")
    return None

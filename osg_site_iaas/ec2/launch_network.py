"""Where on the network a launch is to be: RunInstances' parameters as what Nova wants."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.ec2.backend.kept import Networks
from osg_site_iaas.ec2.errors import Ec2Error, combination, unsupported
from osg_site_iaas.ec2.ids import resolve


def pick_network(networks: Networks, project: str, default: Optional[str]) -> Mapping[str, Any]:
    """The network of a launch without a subnet: the site's default, else the project's only one, else the only one."""
    usable = [
        network
        for network in networks.networks.values()
        if not network.get("router:external") and network.get("subnets")
    ]
    for chosen in (
        [one for one in usable if default is not None and one["name"] == default],
        [one for one in usable if one.get("project_id") == project],
        usable,
    ):
        if len(chosen) == 1:
            return chosen[0]
        if len(chosen) > 1:
            raise combination("This project has several networks: name a subnet with SubnetId.")
    raise Ec2Error("VPCIdNotSpecified", "This project has no network for instances.")


def _on_subnet(networks: Networks, ec2_subnet: str, address: Optional[str]) -> dict[str, Any]:
    subnet = networks.subnets[resolve("subnet", ec2_subnet, networks.subnets)]
    siblings = [
        one
        for one in networks.subnets.values()
        if one["network_id"] == subnet["network_id"] and one["ip_version"] == 4
    ]
    if len(siblings) > 1 and address is None:
        raise unsupported(
            f"The network of {ec2_subnet} has several IPv4 subnets: give a PrivateIpAddress or a network interface."
        )
    return {"uuid": subnet["network_id"], **({"fixed_ip": address} if address else {})}


def check_interfaces(parameters: Mapping[str, Any]) -> None:
    """Nothing; EC2's error where interfaces and what else is given contradict each other."""
    given = parameters.get("NetworkInterfaces") or ()
    outer = ("SubnetId", "PrivateIpAddress", "SecurityGroups", "SecurityGroupIds")
    if given and any(parameters.get(name) for name in outer):
        raise combination(
            "Network interfaces and an instance-level subnet ID, address or security groups cannot both be given."
        )
    for one in given:
        own = any(one.get(name) for name in ("SubnetId", "Groups", "PrivateIpAddress"))
        if one.get("NetworkInterfaceId") and own:
            raise combination("A network interface that is there has its own subnet, address and groups.")


def interfaces(
    parameters: Mapping[str, Any],
    networks: Networks,
    ports: Mapping[str, str],
    project: str,
    default: Optional[str],
    count: int,
) -> Any:
    """Nova's ``networks``. ``ports`` is EC2 id → port id of the interfaces that the request names."""
    address = parameters.get("PrivateIpAddress")
    given = parameters.get("NetworkInterfaces") or ()
    if address and count > 1:
        raise combination("PrivateIpAddress can be given for one instance only.")
    if given:
        out = []
        for one in sorted(given, key=lambda one: one.get("DeviceIndex") or 0):
            if one.get("NetworkInterfaceId"):
                if count > 1:
                    raise combination("A network interface can be given to one instance only.")
                out.append({"port": ports[one["NetworkInterfaceId"]]})
            elif one.get("SubnetId"):
                out.append(_on_subnet(networks, one["SubnetId"], one.get("PrivateIpAddress")))
            else:
                out.append({"uuid": pick_network(networks, project, default)["id"]})
        return out
    if parameters.get("SubnetId"):
        return [_on_subnet(networks, parameters["SubnetId"], address)]
    if not networks.networks:
        return "auto"
    chosen = {"uuid": pick_network(networks, project, default)["id"]}
    return [{**chosen, "fixed_ip": address} if address else chosen]


def interface_groups(parameters: Mapping[str, Any], groups: Mapping[str, str]) -> list[str]:
    """Groups given on the interfaces; all of an instance's interfaces share them here."""
    sets = [tuple(one.get("Groups") or ()) for one in parameters.get("NetworkInterfaces") or ()]
    if not any(sets):
        return []
    if len(set(sets)) > 1:
        raise unsupported("The interfaces of one launch must have the same security groups in this cloud.")
    return [resolve("sg", one, groups.values()) for one in sets[0]]

"""Route tables and internet gateways, as the project's routers make them."""

from __future__ import annotations

from typing import Any, Mapping

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.actions.networks import _answer, _inside
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.filters import Table
from osg_site_iaas.ec2.ids import ec2_id

GATEWAY_FILTERS: Table = {
    "attachment.state": lambda one: [a["State"] for a in one["Attachments"]],
    "attachment.vpc-id": lambda one: [a["VpcId"] for a in one["Attachments"]],
    "internet-gateway-id": lambda one: one["InternetGatewayId"],
    "owner-id": lambda one: one["OwnerId"],
}
TABLE_FILTERS: Table = {
    "association.main": lambda one: [a["Main"] for a in one["Associations"]],
    "association.route-table-id": lambda one: one["RouteTableId"],
    "association.subnet-id": lambda one: [a.get("SubnetId") for a in one["Associations"]],
    "owner-id": lambda one: one["OwnerId"],
    "route-table-id": lambda one: one["RouteTableId"],
    "route.destination-cidr-block": lambda one: [r["DestinationCidrBlock"] for r in one["Routes"]],
    "route.gateway-id": lambda one: [r["GatewayId"] for r in one["Routes"]],
    "vpc-id": lambda one: one["VpcId"],
}


def _routers(call: Call) -> tuple[list[dict[str, Any]], dict[str, set[str]]]:
    """(the project's routers with a way out, router id → ids of the networks on it)."""
    routers, ports = call.cloud.gather(
        lambda: list(call.cloud.pages("network", "/routers", "routers")),
        lambda: list(
            call.cloud.pages(
                "network",
                "/ports",
                "ports",
                {"device_owner": "network:router_interface", "fields": ["device_id", "network_id"]},
            )
        ),
    )
    behind: dict[str, set[str]] = {}
    for port in ports:
        behind.setdefault(port["device_id"], set()).add(port["network_id"])
    return [one for one in routers if one.get("external_gateway_info")], behind


@action(
    "InternetGatewayIds MaxResults NextToken",
    filters=GATEWAY_FILTERS,
    tags=True,
    requests="2",
    notes="Routers with an external gateway.",
)
def describe_internet_gateways(call: Call, parameters: Parameters) -> Answer:
    routers, behind = _routers(call)
    every = [
        {
            "InternetGatewayId": ec2_id("igw", router["id"]),
            "OwnerId": router["project_id"],
            "Attachments": [
                {"VpcId": ec2_id("vpc", network), "State": "available"}
                for network in sorted(behind.get(router["id"], ()))
            ],
            "Tags": marks.as_ec2(neutron_tags.tags_of(router)),
        }
        for router in routers
    ]
    return _answer(
        parameters,
        "InternetGateways",
        "igw",
        "InternetGatewayIds",
        "InternetGatewayId",
        every,
        GATEWAY_FILTERS,
    )


def _table(call: Call, network: Mapping[str, Any], ways_out: list[str]) -> dict[str, Any]:
    subnets = [
        one
        for one in call.lookups.networks(call.cloud, call.project).subnets.values()
        if one["network_id"] == network["id"] and one["ip_version"] == 4
    ]
    routes = [
        {"DestinationCidrBlock": cidr, "GatewayId": "local", "State": "active", "Origin": "CreateRouteTable"}
        for cidr in sorted(one["cidr"] for one in subnets)
    ]
    routes += [
        {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": one, "State": "active", "Origin": "CreateRoute"}
        for one in ways_out[:1]
    ]
    name = ec2_id("rtb", network["id"])
    return {
        "RouteTableId": name,
        "VpcId": ec2_id("vpc", network["id"]),
        "OwnerId": network.get("project_id"),
        "Associations": [
            {
                "Main": True,
                "RouteTableId": name,
                "RouteTableAssociationId": ec2_id("rtbassoc", network["id"]),
                "AssociationState": {"State": "associated"},
            }
        ],
        "Routes": routes,
        "PropagatingVgws": [],
        "Tags": [],
    }


@action(
    "RouteTableIds MaxResults NextToken",
    filters=TABLE_FILTERS,
    tags=True,
    requests="2",
    notes="One main table a network: its own ranges, and the way out where a router of the project gives one.",
)
def describe_route_tables(call: Call, parameters: Parameters) -> Answer:
    routers, behind = _routers(call)
    every = []
    for key, network in _inside(call).items():
        ways = [ec2_id("igw", router["id"]) for router in routers if key in behind.get(router["id"], ())]
        every.append(_table(call, network, ways))
    return _answer(parameters, "RouteTables", "rtb", "RouteTableIds", "RouteTableId", every, TABLE_FILTERS)

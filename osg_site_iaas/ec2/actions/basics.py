"""Regions, zones, what an account may have, and what an instance's console says."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any, Optional

from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, combination, invalid_value, missing
from osg_site_iaas.ec2.filters import compile_filters
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.launch_network import pick_network

REGION_FILTERS = {
    "region-name": lambda one: one["RegionName"],
    "endpoint": lambda one: one["Endpoint"],
    "opt-in-status": lambda one: one["OptInStatus"],
}


@action(
    "RegionNames",
    filters=REGION_FILTERS,
    ignores={"AllRegions": "there is one region"},
    requests="0",
    notes="The one region that the door stands in front of.",
)
def describe_regions(call: Call, parameters: Parameters) -> Answer:
    every = [
        {
            "RegionName": call.settings.region,
            "Endpoint": call.endpoint,
            "OptInStatus": "opt-in-not-required",
        }
    ]
    for name in parameters.get("RegionNames") or ():
        if name != call.settings.region:
            raise invalid_value("RegionName", name[:100], "There is no such region")
    return {"Regions": list(filter(compile_filters(parameters, REGION_FILTERS), every))}


ZONE_FILTERS = {
    "region-name": lambda one: one["RegionName"],
    "state": lambda one: one["State"],
    "opt-in-status": lambda one: one["OptInStatus"],
    "zone-id": lambda one: one["ZoneId"],
    "zone-name": lambda one: one["ZoneName"],
    "zone-type": lambda one: "availability-zone",
}


@action(
    "ZoneNames ZoneIds",
    filters=ZONE_FILTERS,
    ignores={"AllAvailabilityZones": "all are listed"},
    requests="0 (kept for kept_seconds); first time 1",
)
def describe_availability_zones(call: Call, parameters: Parameters) -> Answer:
    every = [
        {
            "ZoneName": zone["zoneName"],
            "ZoneId": zone["zoneName"],
            "State": "available" if zone["zoneState"]["available"] else "unavailable",
            "RegionName": call.settings.region,
            "ZoneType": "availability-zone",
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
        }
        for zone in sorted(call.lookups.zones(call.cloud, call.project), key=lambda one: str(one["zoneName"]))
    ]
    have = {one["ZoneName"] for one in every}
    for asked in ("ZoneNames", "ZoneIds"):  # a zone's name is its id, too
        for name in parameters.get(asked) or ():
            if name not in have:
                raise invalid_value(asked[:-1], name[:100], "There is no such zone")
    wanted = set(parameters.get("ZoneNames") or have) & set(parameters.get("ZoneIds") or have)
    passes = compile_filters(parameters, ZONE_FILTERS)
    return {"AvailabilityZones": [one for one in every if one["ZoneName"] in wanted and passes(one)]}


ATTRIBUTES = (
    "supported-platforms",
    "default-vpc",
    "max-instances",
    "max-elastic-ips",
    "vpc-max-elastic-ips",
    "vpc-max-security-groups-per-interface",
)


@action(
    "AttributeNames",
    requests="2",
    notes="max-instances and the addresses are the project's quotas; -1 is none.",
)
def describe_account_attributes(call: Call, parameters: Parameters) -> Answer:
    wanted = parameters.get("AttributeNames") or ATTRIBUTES
    for name in wanted:
        if name not in ATTRIBUTES:
            raise invalid_value("attributeName", name[:100])
    limits, addresses = call.cloud.gather(
        lambda: call.cloud.get("compute", "/limits")["limits"]["absolute"], lambda: _address_quota(call)
    )
    values = {
        "supported-platforms": "VPC",
        "default-vpc": _default_vpc(call),
        "max-instances": str(limits["maxTotalInstances"]),
        "max-elastic-ips": addresses,
        "vpc-max-elastic-ips": addresses,
        "vpc-max-security-groups-per-interface": "5",
    }
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]}
            for name in ATTRIBUTES
            if name in wanted
        ]
    }


def _address_quota(call: Call) -> str:
    if not call.cloud.has("network"):
        return "0"
    return str(call.cloud.get("network", f"/quotas/{call.project}")["quota"]["floatingip"])


def _default_vpc(call: Call) -> str:
    networks = call.lookups.networks(call.cloud, call.project)
    try:
        return ec2_id("vpc", pick_network(networks, call.project, call.settings.default_network)["id"])
    except Ec2Error:
        return "none"


def _one_server(call: Call, parameters: Parameters) -> Any:
    instance: Optional[str] = parameters.get("InstanceId")
    if not instance:
        raise missing("InstanceId")
    return next(iter(find_servers(call, [instance]).values()))


@action("InstanceId", ignores={"Latest": "the output is always the latest"}, requests="2")
def get_console_output(call: Call, parameters: Parameters) -> Answer:
    server = _one_server(call, parameters)
    text = ""
    if server["status"] != "DELETED":
        body: dict[str, Any] = {"os-getConsoleOutput": {}}
        try:
            answer = call.cloud.json("POST", "compute", f"/servers/{server['id']}/action", body=body)
            text = answer["output"] or ""
        except RefusedError as error:
            if error.status not in (404, 409):  # not on a host yet, or no longer: EC2 answers with nothing
                raise translate(error) from error
    return {
        "InstanceId": ec2_id("i", server["id"]),
        "Timestamp": datetime.now(timezone.utc),
        "Output": base64.b64encode(text.encode("utf-8", "replace")[-65536:]).decode("ascii"),
    }


@action(
    "InstanceId", requests="2", notes="What the guest has posted to Nova's metadata service, encrypted by it."
)
def get_password_data(call: Call, parameters: Parameters) -> Answer:
    server = _one_server(call, parameters)
    if server["status"] == "DELETED":
        raise combination("The instance is terminated.")
    answer = call.cloud.get("compute", f"/servers/{server['id']}/os-server-password")
    return {
        "InstanceId": ec2_id("i", server["id"]),
        "Timestamp": datetime.now(timezone.utc),
        "PasswordData": answer.get("password") or "",
    }

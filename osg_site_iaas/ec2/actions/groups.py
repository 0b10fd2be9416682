"""Security groups and their rules. Neutron's groups are a project's, for all its networks."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.actions.basics import _default_vpc
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.errors import Ec2Error, missing, not_found
from osg_site_iaas.ec2.filters import compile_filters, no_paging_with_ids, page
from osg_site_iaas.ec2.ids import check_id, ec2_id
from osg_site_iaas.ec2.rules import neutron_rules, old_form, permissions, same_rule

Group = Mapping[str, Any]


def _in(direction: str, field: str) -> Any:
    def read(one: Mapping[str, Any]) -> list[Any]:
        inner = {"cidr": ("IpRanges", "CidrIp"), "ipv6-cidr": ("Ipv6Ranges", "CidrIpv6")}.get(field)
        if inner is not None:
            return [source[inner[1]] for p in one[direction] for source in p[inner[0]]]
        if field == "group-id":
            return [pair["GroupId"] for p in one[direction] for pair in p["UserIdGroupPairs"]]
        return [p[field] for p in one[direction]]

    return read


FILTERS: dict[str, Any] = {
    "description": lambda one: one["Description"],
    "group-id": lambda one: one["GroupId"],
    "group-name": lambda one: one["GroupName"],
    "owner-id": lambda one: one["OwnerId"],
    "vpc-id": lambda one: one["VpcId"],
}
for _prefix, _direction in (
    ("ip-permission", "IpPermissions"),
    ("egress.ip-permission", "IpPermissionsEgress"),
):
    for _name, _field in (
        ("cidr", "cidr"),
        ("ipv6-cidr", "ipv6-cidr"),
        ("group-id", "group-id"),
        ("from-port", "FromPort"),
        ("to-port", "ToPort"),
        ("protocol", "IpProtocol"),
    ):
        FILTERS[f"{_prefix}.{_name}"] = _in(_direction, _field)


def _as_ec2(call: Call, group: Group, owners: Mapping[str, str], vpc: Optional[str]) -> dict[str, Any]:
    rules = group["security_group_rules"]
    return {
        "GroupId": ec2_id("sg", group["id"]),
        "GroupName": group["name"],
        "Description": group.get("description") or group["name"],
        "OwnerId": group["project_id"],
        "VpcId": vpc,
        "IpPermissions": permissions(rules, "ingress", owners),
        "IpPermissionsEgress": permissions(rules, "egress", owners),
        "Tags": marks.as_ec2(neutron_tags.tags_of(group)),
    }


def _vpc(call: Call) -> Optional[str]:
    found = _default_vpc(call)
    return None if found == "none" else found


@action(
    "GroupIds GroupNames MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    requests="1; first time 3",
    notes="A group holds for all the project's networks; VpcId names the default one.",
)
def describe_security_groups(call: Call, parameters: Parameters) -> Answer:
    no_paging_with_ids(parameters, "GroupIds")
    passes = compile_filters(
        parameters, FILTERS, lambda one: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    )
    groups = listed(call, "sg")
    owners, vpc = {one["id"]: one["project_id"] for one in groups}, _vpc(call)
    every = sorted((_as_ec2(call, one, owners, vpc) for one in groups), key=lambda one: str(one["GroupId"]))
    for wanted, field in (("GroupIds", "GroupId"), ("GroupNames", "GroupName")):
        if parameters.get(wanted):
            have = {one[field] for one in every}
            for one in parameters[wanted]:
                if wanted == "GroupIds":
                    check_id("sg", one)
                if one not in have:
                    raise not_found("sg", one)
            every = [one for one in every if one[field] in parameters[wanted]]
    chosen, token = page(parameters, [one for one in every if passes(one)], lambda one: str(one["GroupId"]))
    return {"SecurityGroups": chosen, "NextToken": token}


@action(
    "GroupName Description VpcId TagSpecifications.ResourceType TagSpecifications.Tags.Key"
    " TagSpecifications.Tags.Value",
    requests="2, and one a tag",
    notes="VpcId is checked, and changes nothing.",
)
def create_security_group(call: Call, parameters: Parameters) -> Answer:
    name, description = parameters.get("GroupName"), parameters.get("Description")
    if not name:
        raise missing("GroupName")
    if not description:
        raise missing("GroupDescription")
    if len(name) > 255 or name.startswith("sg-"):
        raise Ec2Error("InvalidParameterValue", f"Invalid value '{name[:300]}' for groupName.")
    if parameters.get("VpcId"):
        networks = call.lookups.networks(call.cloud, call.project).networks
        if parameters["VpcId"] not in {ec2_id("vpc", key) for key in networks}:
            raise not_found("vpc", parameters["VpcId"])
    tags = marks.requested_tags(parameters.get("TagSpecifications"), "security-group")
    encoded = [neutron_tags.encode(key, value) for key, value in tags.items()]
    if any(one["name"] == name for one in listed(call, "sg")):
        raise Ec2Error("InvalidGroup.Duplicate", f"The security group '{name}' already exists")
    body = {"security_group": {"name": name, "description": description}}
    made = call.cloud.json("POST", "network", "/security-groups", body=body)["security_group"]
    call.store.remember(call.project, {ec2_id("sg", made["id"]): made["id"]})
    call.lookups.forget(call.project, "groups")
    for tag in encoded:
        call.cloud.request("PUT", "network", f"/security-groups/{made['id']}/tags/{tag.replace('%', '%25')}")
    return {"GroupId": ec2_id("sg", made["id"]), "Tags": marks.as_ec2(tags)}


def _named(call: Call, parameters: Parameters) -> Group:
    """The group that a request names by id or by name, with its rules."""
    given, name = parameters.get("GroupId"), parameters.get("GroupName")
    if not given and not name:
        raise Ec2Error("MissingParameter", "The request must contain the parameter groupName or groupId")
    if given:
        check_id("sg", given)
    for group in sorted(listed(call, "sg"), key=lambda one: str(one["id"])):
        if (ec2_id("sg", group["id"]) == given) if given else (group["name"] == name):
            return group
    raise not_found("sg", str(given or name))


@action("GroupId GroupName", requests="2")
def delete_security_group(call: Call, parameters: Parameters) -> Answer:
    group = _named(call, parameters)
    if group["name"] == "default":
        raise Ec2Error("CannotDelete", "the specified group: default cannot be deleted by a user")
    try:
        call.cloud.request("DELETE", "network", f"/security-groups/{group['id']}")
    except RefusedError as error:
        if error.status == 409:
            name = ec2_id("sg", group["id"])
            raise Ec2Error("DependencyViolation", f"resource {name} has a dependent object") from error
        raise translate(error) from error
    call.lookups.forget(call.project, "groups")
    return {"Return": True, "GroupId": ec2_id("sg", group["id"])}


def _rules(call: Call, parameters: Parameters, direction: str, own: Group) -> list[dict[str, Any]]:
    groups = {one["name"]: one["id"] for one in listed(call, "sg")}

    def group_of(pair: Mapping[str, Any]) -> str:
        if pair.get("UserId") not in (None, "", call.account):
            raise Ec2Error(
                "InvalidGroup.NotFound", "Groups of other projects cannot be referred to in this cloud."
            )
        for key in groups.values():
            if ec2_id("sg", key) == pair.get("GroupId"):
                return str(key)
        if pair.get("GroupName") in groups:
            return str(groups[pair["GroupName"]])
        raise not_found("sg", str(pair.get("GroupId") or pair.get("GroupName")))

    return neutron_rules(old_form(parameters), direction, group_of)


RULES = """
GroupId GroupName IpProtocol FromPort ToPort CidrIp SourceSecurityGroupName
IpPermissions.IpProtocol IpPermissions.FromPort IpPermissions.ToPort
IpPermissions.IpRanges.CidrIp IpPermissions.IpRanges.Description
IpPermissions.Ipv6Ranges.CidrIpv6 IpPermissions.Ipv6Ranges.Description
IpPermissions.UserIdGroupPairs.GroupId IpPermissions.UserIdGroupPairs.GroupName
IpPermissions.UserIdGroupPairs.UserId IpPermissions.UserIdGroupPairs.Description
"""
EGRESS = "GroupId " + " ".join(name for name in RULES.split() if name.startswith("IpPermissions"))


def _authorize(call: Call, parameters: Parameters, direction: str) -> Answer:
    group = _named(call, parameters)
    rules = _rules(call, parameters, direction, group)
    for rule in rules:
        if any(same_rule(rule, existing) for existing in group["security_group_rules"]):
            raise Ec2Error("InvalidPermission.Duplicate", "the specified rule already exists")
    body = {"security_group_rules": [{**rule, "security_group_id": group["id"]} for rule in rules]}
    try:
        call.cloud.request("POST", "network", "/security-group-rules", body=body)
    except RefusedError as error:
        if error.status == 409 and "quota" not in error.message.lower():
            raise Ec2Error("InvalidPermission.Duplicate", "the specified rule already exists") from error
        raise translate(error) from error
    return {"Return": True}


def _revoke(call: Call, parameters: Parameters, direction: str) -> Answer:
    group = _named(call, parameters)
    found = []
    for rule in _rules(call, parameters, direction, group):
        same = [one["id"] for one in group["security_group_rules"] if same_rule(rule, one)]
        if not same:
            raise Ec2Error(
                "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
            )
        found.extend(same)
    call.cloud.gather(*(_remover(call, one) for one in found))
    return {"Return": True}


def _remover(call: Call, rule: str) -> Any:
    return lambda: call.cloud.request("DELETE", "network", f"/security-group-rules/{rule}")


@action(RULES, requests="3", notes="All rules of a call are made, or none.")
def authorize_security_group_ingress(call: Call, parameters: Parameters) -> Answer:
    return _authorize(call, parameters, "ingress")


@action(EGRESS, requests="3", notes="All rules of a call are made, or none.")
def authorize_security_group_egress(call: Call, parameters: Parameters) -> Answer:
    return _authorize(call, parameters, "egress")


@action(RULES, requests="2, and one a rule")
def revoke_security_group_ingress(call: Call, parameters: Parameters) -> Answer:
    return _revoke(call, parameters, "ingress")


@action(EGRESS, requests="2, and one a rule")
def revoke_security_group_egress(call: Call, parameters: Parameters) -> Answer:
    return _revoke(call, parameters, "egress")

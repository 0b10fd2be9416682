"""EC2's IpPermissions and Neutron's security group rules, each way: values in, values out."""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Iterable, Mapping, Optional

from osg_site_iaas.ec2.errors import Ec2Error, combination, invalid_value, missing, unsupported
from osg_site_iaas.ec2.ids import ec2_id

NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "ipv6-icmp": "icmpv6", "icmp6": "icmpv6"}
PORTED = ("tcp", "udp")
ICMP = ("icmp", "icmpv6")

Rule = dict[str, Any]
GroupOf = Callable[[Mapping[str, Any]], str]  # a UserIdGroupPair → Neutron group id


def _protocol(given: Optional[str]) -> Optional[str]:
    """Neutron's name of a protocol; None for all."""
    if given is None:
        raise missing("IpProtocol")
    text = NAMES.get(given.lower(), given.lower())
    if text in ("-1", "all"):
        return None
    if text in PORTED or text in ICMP:
        return text
    if text.isdigit() and int(text) <= 255:
        return text
    raise invalid_value("IpProtocol", given[:40], "It is tcp, udp, icmp, icmpv6, a number or -1")


def _ports(protocol: Optional[str], permission: Mapping[str, Any]) -> tuple[Optional[int], Optional[int]]:
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if protocol in PORTED:
        if low is None or high is None:
            raise missing("FromPort and ToPort")
        if (low, high) == (-1, -1):
            return None, None
        if not 0 <= low <= high <= 65535:
            raise invalid_value(
                "FromPort", f"{low}-{high}", "Ports are from 0 to 65535, the first not above the last"
            )
        return (None, None) if (low, high) == (0, 65535) else (max(low, 1), high)
    if protocol in ICMP:
        low = None if low in (None, -1) else low
        high = None if high in (None, -1) else high
        for value in (low, high):
            if value is not None and not 0 <= value <= 255:
                raise invalid_value("FromPort", value, "ICMP types and codes are from 0 to 255, or -1")
        if low is None and high is not None:
            raise combination("An ICMP code needs a type.")
        return low, high
    return None, None


def _range(text: Optional[str], version: int) -> str:
    try:
        network = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        raise invalid_value("CidrIp", str(text)[:60], "It is not a CIDR") from None
    if network.version != version:
        raise invalid_value("CidrIp", text, f"It is not an IPv{version} range")
    return str(network)


def neutron_rules(permissions: Iterable[Mapping[str, Any]], direction: str, group_of: GroupOf) -> list[Rule]:
    """One Neutron rule for every source or destination of every permission."""
    rules: list[Rule] = []
    for permission in permissions:
        protocol = _protocol(permission.get("IpProtocol"))
        low, high = _ports(protocol, permission)
        base = {
            "direction": direction,
            "protocol": protocol,
            "port_range_min": low,
            "port_range_max": high,
        }
        if permission.get("PrefixListIds"):
            raise unsupported("Prefix lists are not supported by this cloud.")
        before = len(rules)
        for field, key, version in (("IpRanges", "CidrIp", 4), ("Ipv6Ranges", "CidrIpv6", 6)):
            for one in permission.get(field) or ():
                source = _range(one.get(key), version)
                rules.append({**base, "ethertype": f"IPv{version}", "remote_ip_prefix": source, **_said(one)})
        for pair in permission.get("UserIdGroupPairs") or ():
            version = 6 if protocol == "icmpv6" else 4
            rules.append(
                {**base, "ethertype": f"IPv{version}", "remote_group_id": group_of(pair), **_said(pair)}
            )
        if len(rules) == before:
            raise combination("A permission needs an IP range or a group.")
    if not rules:
        raise missing("IpPermissions")
    return rules


def _said(one: Mapping[str, Any]) -> dict[str, str]:
    return {"description": one["Description"]} if one.get("Description") else {}


def same_rule(wanted: Rule, existing: Mapping[str, Any]) -> bool:
    """Whether Neutron's rule is this one; anywhere is written in two ways."""
    return _key(wanted) == _key(existing)


def _key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    prefix = rule.get("remote_ip_prefix")
    protocol = NAMES.get(str(rule.get("protocol")), rule.get("protocol"))
    return (
        rule["direction"],
        rule.get("ethertype", "IPv4"),
        protocol,
        rule.get("port_range_min"),
        rule.get("port_range_max"),
        rule.get("remote_group_id"),
        None if prefix in ("0.0.0.0/0", "::/0") else prefix,
    )


def _ec2_ports(rule: Mapping[str, Any], protocol: str) -> tuple[Optional[int], Optional[int]]:
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    if protocol in PORTED:
        return (0, 65535) if low is None else (low, high)
    if protocol in ICMP:
        return (-1 if low is None else low), (-1 if high is None else high)
    return None, None


def permissions(
    rules: Iterable[Mapping[str, Any]], direction: str, owners: Mapping[str, str]
) -> list[dict[str, Any]]:
    """EC2's permissions of a group's rules. ``owners`` is group id → project, as far as they are known."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for rule in sorted(rules, key=lambda one: str(one["id"])):
        if rule["direction"] != direction:
            continue
        protocol = str(NAMES.get(str(rule.get("protocol")), rule.get("protocol")) or "-1")
        low, high = _ec2_ports(rule, protocol)
        permission = found.setdefault(
            (protocol, low, high),
            {
                "IpProtocol": protocol,
                "FromPort": low,
                "ToPort": high,
                "IpRanges": [],
                "Ipv6Ranges": [],
                "UserIdGroupPairs": [],
                "PrefixListIds": [],
            },
        )
        said = {"Description": rule["description"]} if rule.get("description") else {}
        if rule.get("remote_group_id"):
            pair = {
                "GroupId": ec2_id("sg", rule["remote_group_id"]),
                "UserId": owners.get(rule["remote_group_id"]),
            }
            if not any(one["GroupId"] == pair["GroupId"] for one in permission["UserIdGroupPairs"]):
                permission["UserIdGroupPairs"].append({**pair, **said})
        elif rule.get("ethertype") == "IPv6":
            permission["Ipv6Ranges"].append({"CidrIpv6": rule.get("remote_ip_prefix") or "::/0", **said})
        else:
            permission["IpRanges"].append({"CidrIp": rule.get("remote_ip_prefix") or "0.0.0.0/0", **said})
    return list(found.values())


def old_form(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The permissions of a request: as a list, or as older clients give one, in parameters of its own."""
    given = list(parameters.get("IpPermissions") or ())
    flat = {name: parameters[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in parameters}
    source = parameters.get("SourceSecurityGroupName")
    if not flat and not source and not parameters.get("CidrIp"):
        return given
    if given:
        raise Ec2Error("InvalidParameterCombination", "Give IpPermissions or a single permission, not both.")
    if source:
        flat.setdefault("IpProtocol", "-1")
        flat["UserIdGroupPairs"] = [{"GroupName": source}]
    if parameters.get("CidrIp"):
        flat["IpRanges"] = [{"CidrIp": parameters["CidrIp"]}]
    return [flat]

"""Networks, routers and firewalls: what Neutron would refuse, and what would not do what it says."""

from __future__ import annotations

import ipaddress
from typing import Optional, Sequence

from osg_site_iaas.declaration.finder import Finder
from osg_site_iaas.declaration.model import Network, Router, Rule, SecurityGroup, Subnet
from osg_site_iaas.declaration.read import Step
from osg_site_iaas.declaration.units import Net

Named = tuple[Sequence[Step], Subnet, Net]  # where a subnet is named, and its addresses

_MOST_VLANS = 4094
_TUNNELS = ("vxlan", "gre", "geneve")
_ICMP = ("icmp", "icmpv6", "ipv6-icmp", "1", "58")
_WITH_PORTS = ("tcp", "udp", "udplite", "sctp", "dccp", "6", "17", "33", "132", "136", *_ICMP)


def subnets(finder: Finder) -> None:
    """Gateway and pool lie in the subnet, and the subnets of a network apart."""
    for network in finder.site.networks:
        apart = []
        for subnet in network.subnets:
            path = ("networks", network.name, "subnets", subnet.name)
            cidr = _net(subnet)
            if cidr is None:
                continue
            _gateway(finder, path, subnet, cidr)
            _pool(finder, path, subnet, cidr)
            apart.append(((*path, "cidr"), subnet, cidr))
        _apart(finder, apart, "a network")


def _gateway(finder: Finder, path: tuple[Step, ...], subnet: Subnet, cidr: Net) -> None:
    if not isinstance(subnet.gateway, str):
        return
    gateway = ipaddress.ip_address(subnet.gateway)
    here = (*path, "gateway")
    if gateway not in cidr:
        finder.wrong(
            here, f"the gateway {gateway} is not in {cidr}", "Write one of its addresses, or `none`."
        )
    elif cidr.version == 4 and cidr.prefixlen < 31 and gateway in (cidr[0], cidr[-1]):
        which = "network" if gateway == cidr[0] else "broadcast address"
        finder.wrong(here, f"{gateway} is the {which} of {cidr}", "Write another of its addresses.")


def _pool(finder: Finder, path: tuple[Step, ...], subnet: Subnet, cidr: Net) -> None:
    if subnet.pool is None:
        return
    first, last = (ipaddress.ip_address(end) for end in subnet.pool)
    for end in (first, last):
        if end not in cidr:
            finder.wrong(
                (*path, "pool"), f"the pool's {end} is not in {cidr}", "Keep the pool in the subnet."
            )
            return
    if isinstance(subnet.gateway, str):
        gateway = ipaddress.ip_address(subnet.gateway)
        if gateway.version == first.version and int(first) <= int(gateway) <= int(last):
            todo = "Leave the gateway out of the pool: it could be given to a server."
            finder.wrong((*path, "pool"), f"the pool holds the gateway {gateway}", todo)


def networks(finder: Finder) -> None:
    """A network is for somebody, and its provider attributes fit its type."""
    for network in finder.site.networks:
        path = ("networks", network.name)
        if not finder.sound(path):
            continue
        _provider(finder, path, network)
        if network.vo and (network.shared or network.external):
            what = f"a network of VO {network.vo} that is {'shared' if network.shared else 'external'}"
            finder.doubt(path, what, "Leave `vo` out: it then belongs to the administrator.", key=True)
        if not (network.vo or network.shared or network.external):
            todo = "Give it a `vo`, or say `shared: true` or `external: true`."
            finder.doubt(path, "no VO can use this network", todo, key=True)


def _provider(finder: Finder, path: tuple[Step, ...], network: Network) -> None:
    kind = network.provider.get("network_type")
    segment = network.provider.get("segmentation_id")
    physical = network.provider.get("physical_network")
    here = (*path, "provider")
    if kind == "flat" and physical is None:
        finder.wrong(here, "a flat network needs its physical_network", "Add it.")
    if kind in ("flat", "local") and segment is not None:
        finder.wrong((*here, "segmentation_id"), f"a {kind} network has no segment", "Remove it.", key=True)
    if kind in (*_TUNNELS, "local") and physical is not None:
        what = f"a {kind} network has no physical network"
        finder.wrong((*here, "physical_network"), what, "Remove it.", key=True)
    if kind == "vlan" and isinstance(segment, int) and segment > _MOST_VLANS:
        finder.wrong((*here, "segmentation_id"), f"there is no VLAN {segment}", f"Write 1 to {_MOST_VLANS}.")


def routers(finder: Finder) -> None:
    """A router goes out through an external network, and connects subnets that it can."""
    site = finder.site
    externals = {network.name: network for network in site.networks}
    places = {subnet.name: (network, subnet) for network in site.networks for subnet in network.subnets}
    taken: dict[str, str] = {}
    for router in site.routers:
        path = ("routers", router.name)
        outside = externals.get(router.external or "")
        if outside is not None and not outside.external:
            what = f"the network {outside.name} is not external"
            finder.wrong((*path, "external"), what, "Name another, or give it `external: true`.")
        apart = []
        for here, name in finder.items((*path, "subnets")):
            if name not in places:
                continue
            network, subnet = places[name]
            _connected(finder, here, router, network, subnet)
            other = taken.setdefault(name, router.name)
            if other != router.name:
                what = f"the subnet {name} has its gateway at the router {other} already"
                finder.wrong(here, what, "Keep it at one router.")
            cidr = _net(subnet)
            if cidr is not None:
                apart.append((here, subnet, cidr))
        _apart(finder, apart, "a router")


def _connected(
    finder: Finder, path: tuple[Step, ...], router: Router, network: Network, subnet: Subnet
) -> None:
    if subnet.gateway is None:
        todo = "Give the subnet a gateway, or leave it out here."
        finder.wrong(path, f"the subnet {subnet.name} has no gateway for the router to be", todo)
    if network.vo and router.vo != network.vo and not network.shared:
        whose = f"VO {router.vo}" if router.vo else "the administrator"
        what = f"the router of {whose} connects {subnet.name}, which is VO {network.vo}'s"
        finder.doubt(path, what, "Give both the same `vo`.")


def rules(finder: Finder) -> None:
    """A rule is one that Neutron takes, and it is there once."""
    groups = {group.name: group for group in finder.site.security_groups}
    for group in groups.values():
        seen: dict[Rule, int] = {}
        for index, rule in enumerate(group.rules):
            path = ("security_groups", group.name, "rules", index)
            if not finder.sound(path):
                continue
            _ports(finder, path, rule)
            _remote(finder, path, rule, group, groups)
            first = seen.setdefault(rule, index)
            if first != index:
                what = f"the rule in line {finder.line((*path[:-1], first))} says the same"
                finder.wrong(path, what, "Remove one: Neutron refuses the second.")


def _ports(finder: Finder, path: tuple[Step, ...], rule: Rule) -> None:
    if rule.ports is None:
        return
    first, last = rule.ports
    here = (*path, "ports")
    if rule.protocol is None:
        finder.wrong(here, "ports need a protocol", "Add `protocol: tcp`, or udp.", key=True)
    elif rule.protocol not in _WITH_PORTS:
        finder.wrong(here, f"the protocol {rule.protocol} has no ports", "Remove the ports.", key=True)
    elif rule.protocol in _ICMP:
        if first != last or last > 255:
            finder.wrong(here, f"{first}-{last} is not one type of ICMP", "Write one type from 0 to 255.")
    elif first == 0:
        finder.wrong(here, "Neutron has no port 0", "Begin at 1, or leave the ports out for all.")


def _remote(
    finder: Finder, path: tuple[Step, ...], rule: Rule, group: SecurityGroup, groups: dict[str, SecurityGroup]
) -> None:
    if rule.remote is not None and rule.remote_group is not None:
        todo = "Write a rule for each."
        finder.wrong(path, "a rule gives both remote and remote_group", todo)
    if rule.remote is not None:
        version = ipaddress.ip_network(rule.remote).version
        if rule.ethertype != f"IPv{version}":
            what = f"{rule.remote} is IPv{version}, and the rule is for {rule.ethertype}"
            finder.wrong((*path, "remote"), what, "Remove `ethertype`.")
    here = (*path, "remote_group")
    if finder.exists(here, rule.remote_group, "security_groups", "security group") and rule.remote_group:
        other = groups.get(rule.remote_group)
        if other is not None and other.vo and group.vo and other.vo != group.vo:
            what = f"the group {other.name} belongs to VO {other.vo}, this one to {group.vo}"
            finder.wrong(here, what, "Name a group of the same VO.")


def _apart(finder: Finder, subnets: Sequence[Named], where: str) -> None:
    """Report subnets that share addresses; each path says where one of them is named."""
    widest: dict[int, Named] = {}
    for one in sorted(
        subnets, key=lambda subnet: (subnet[2].version, int(subnet[2][0]), -int(subnet[2][-1]))
    ):
        other = widest.get(one[2].version)
        if other is not None and one[1] is not other[1] and one[2].overlaps(other[2]):
            first, second = sorted((one, other), key=lambda named: finder.document.place(named[0]))
            what = f"{second[1].name} ({second[2]}) and {first[1].name} ({first[2]}) share addresses"
            finder.wrong(second[0], what, f"The subnets of {where} must be apart.")
        else:
            widest[one[2].version] = one


def _net(subnet: Subnet) -> Optional[Net]:
    return ipaddress.ip_network(subnet.cidr) if subnet.cidr else None

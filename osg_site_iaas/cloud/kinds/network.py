"""Networks and their subnets."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any, Iterable

from osg_site_iaas.cloud.kind import Work, split
from osg_site_iaas.cloud.kinds.neutron import NeutronKind, in_use, is_ours, needed, other, owner
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import UNSET, Site
from osg_site_iaas.declaration.model import Subnet as DeclaredSubnet
from osg_site_iaas.plan.model import TAG, Attrs, Change, KindRule, Ref, Removal, Seen, Wanted, marked


class Network(NeutronKind):
    """Its provider attributes are used when it is made; Neutron does not let them change afterwards."""

    rule = KindRule(
        "network",
        Removal.PRUNE,
        marks=("description", "tagged"),
        opens={"shared": (True, False), "router:external": (True, False)},
    )
    path = "/networks"
    member = "network"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for network in site.networks:
            access = {"shared": network.shared, "router:external": network.external}
            stated, initial = split(network.stated, access, {"router:external": "external"})
            attrs: dict[str, Any] = {
                "description": marked("", site.cloud.domain),
                **stated,
                "tagged": True,
            }
            if network.mtu is not UNSET:
                attrs["mtu"] = network.mtu
            project = owner(site, network.vo)
            yield Wanted(
                Ref("network", (project, network.name)),
                attrs,
                create={f"provider:{name}": value for name, value in network.provider.items()},
                needs=needed("", project, ""),
                vo=network.vo,
                at=network.at,
                initial=initial,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        declared = {(owner(reader.site, item.vo), item.name) for item in reader.site.networks}
        found = self.items(reader, declared)
        left = (item["id"] for key, item in found if key not in declared and is_ours(reader, key, item))
        ports = Counter(port["network_id"] for port in in_use(reader, "network_id", left))
        for key, item in found:
            yield Seen(
                Ref("network", key),
                item["id"],
                {
                    "description": item["description"],
                    "shared": item["shared"],
                    "router:external": item.get("router:external", False),
                    "tagged": TAG in item["tags"],
                    "mtu": item.get("mtu"),
                    **{name: value for name, value in item.items() if name.startswith("provider:")},
                },
                ours=is_ours(reader, key, item),
                other=other(reader, key, item),
                needs=needed("", key[0], ""),
                vo=reader.vo_named(key[0]),
                contents={"ports": ports[item["id"]]},
            )


class Subnet(NeutronKind):
    """Its CIDR is used when it is made; Neutron does not let it change afterwards."""

    rule = KindRule("subnet", Removal.PRUNE, marks=("description", "tagged"))
    path = "/subnets"
    member = "subnet"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for network in site.networks:
            project = owner(site, network.vo)
            for subnet in network.subnets:
                attrs, initial = _subnet_attrs(subnet, site.cloud.domain)
                yield Wanted(
                    Ref("subnet", (project, network.name, subnet.name)),
                    attrs,
                    create={"cidr": subnet.cidr, "ip_version": ipaddress.ip_network(subnet.cidr).version},
                    needs=needed("network", project, network.name),
                    vo=network.vo,
                    at=network.at,
                    initial=initial,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        declared = {
            (owner(reader.site, network.vo), subnet.name)
            for network in reader.site.networks
            for subnet in network.subnets
        }
        names = {item["id"]: item["name"] for item in self.networks(reader)}
        # else it is of a network that is neither ours nor declared
        found = [entry for entry in self.items(reader, declared) if entry[1]["network_id"] in names]
        left = (
            item["network_id"] for key, item in found if key not in declared and is_ours(reader, key, item)
        )
        ports = Counter(
            address["subnet_id"]
            for port in in_use(reader, "network_id", left)
            for address in port["fixed_ips"]
        )
        for (project, name), item in found:
            network = names[item["network_id"]]
            pools = [f"{pool['start']}-{pool['end']}" for pool in item["allocation_pools"]]
            yield Seen(
                Ref("subnet", (project, network, name)),
                item["id"],
                {
                    "description": item["description"],
                    "enable_dhcp": item["enable_dhcp"],
                    "dns_nameservers": item["dns_nameservers"],
                    "gateway_ip": item["gateway_ip"],
                    "cidr": item["cidr"],
                    "ip_version": item["ip_version"],
                    "allocation_pools": sorted(pools),
                    "tagged": TAG in item["tags"],
                },
                ours=is_ours(reader, (project, name), item),
                needs=needed("network", project, network),
                vo=reader.vo_named(project),
                contents={"addresses": ports[item["id"]]},
            )

    @staticmethod
    def networks(reader: Reader) -> list[dict[str, Any]]:
        """The networks that ``Network`` looks at too: one request for both."""
        declared = {(owner(reader.site, item.vo), item.name) for item in reader.site.networks}
        return [item for _, item in Network().items(reader, declared)]

    def update_body(self, work: Work, change: Change) -> dict[str, Any]:
        body = super().update_body(work, change)
        if "allocation_pools" in body:
            pools = (pool.split("-") for pool in body["allocation_pools"])
            body["allocation_pools"] = [{"start": start, "end": end} for start, end in pools]
        return body

    def create_body(self, work: Work, change: Change) -> dict[str, Any]:
        project, network, _ = change.ref.key
        return {
            **super().create_body(work, change),
            "network_id": work.ids[Ref("network", (project, network))],
        }


def _subnet_attrs(subnet: DeclaredSubnet, domain: str) -> tuple[Attrs, Attrs]:
    """What it is to be, and what it is made with."""
    told = {"enable_dhcp": subnet.dhcp, "dns_nameservers": list(subnet.dns)}
    stated, initial = split(subnet.stated, told, {"enable_dhcp": "dhcp", "dns_nameservers": "dns"})
    attrs: dict[str, Any] = {"description": marked("", domain), **stated, "tagged": True}
    if subnet.gateway is not UNSET:
        attrs["gateway_ip"] = subnet.gateway
    if subnet.pool is not None:
        attrs["allocation_pools"] = ["-".join(subnet.pool)]
    return attrs, initial

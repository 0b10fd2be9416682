"""Routers between a VO's subnets and an external network."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.cloud.connect import Missing
from osg_site_iaas.cloud.kind import Work, required_id
from osg_site_iaas.cloud.kinds.network import Network, Subnet
from osg_site_iaas.cloud.kinds.neutron import NeutronKind, is_ours, needed, other, owner
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import TAG, Change, KindRule, Ref, Removal, Seen, Wanted, marked

INTERFACES = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)


class Router(NeutronKind):
    """``subnets`` are all the subnets that it joins: one that is plugged in by hand is unplugged."""

    rule = KindRule("router", Removal.PRUNE, marks=("description", "tagged"))
    path = "/routers"
    member = "router"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for router in site.routers:
            project = owner(site, router.vo)
            subnets = [_subnet_ref(site, name) for name in router.subnets]
            external = (_network_ref(site, router.external),) if router.external else ()
            yield Wanted(
                Ref("router", (project, router.name)),
                {
                    "description": marked("", site.cloud.domain),
                    "external": router.external,
                    "subnets": sorted(router.subnets),
                    "tagged": True,
                },
                needs=(*needed("", project, ""), *external, *subnets),
                vo=router.vo,
                at=router.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        declared = {(owner(reader.site, item.vo), item.name) for item in reader.site.routers}
        found = self.items(reader, declared)
        if not found:
            return
        networks = {item["id"]: item for item in Subnet.networks(reader)}
        subnets = {item["id"]: item for item in reader.all("network", _subnet_query(reader), "subnets")}
        plugged: dict[str, list[str]] = {}
        query = "&".join(f"device_id={item['id']}" for _, item in found)
        for port in reader.cloud.get("network", f"/ports?{query}")["ports"]:
            if port["device_owner"] in INTERFACES:
                plugged.setdefault(port["device_id"], []).extend(ip["subnet_id"] for ip in port["fixed_ips"])
        addresses = self._floating(
            reader, [item["id"] for key, item in found if key not in declared and is_ours(reader, key, item)]
        )
        for key, item in found:
            outside = item.get("external_gateway_info") or {}
            gateway = outside.get("network_id")
            inside = plugged.get(item["id"], [])
            yield Seen(
                Ref("router", key),
                item["id"],
                {
                    "description": item["description"],
                    "external": networks[gateway]["name"] if gateway in networks else gateway,
                    "subnets": sorted(subnets[i]["name"] if i in subnets else i for i in inside),
                    "tagged": TAG in item["tags"],
                },
                ours=is_ours(reader, key, item),
                other=other(reader, key, item),
                needs=(
                    *needed("", key[0], ""),
                    *_seen_needs(reader, gateway, [*inside, *_addresses(outside)], subnets, networks),
                ),
                vo=reader.vo_named(key[0]),
                contents={"floating IPs": addresses[item["id"]]},
            )

    @staticmethod
    def _floating(reader: Reader, routers: list[str]) -> Counter[str]:
        """How many floating IPs go through each of some routers."""
        if not routers:
            return Counter()
        query = "&".join(f"router_id={router}" for router in routers)
        found = reader.all("network", f"/floatingips?{query}", "floatingips")
        return Counter(str(item["router_id"]) for item in found)

    def update_body(self, work: Work, change: Change) -> dict[str, Any]:
        body = super().update_body(work, change)
        body.pop("subnets", None)
        if "external" in body:
            name: Optional[str] = body.pop("external")
            gateway = {"network_id": work.ids[_network_ref(work.site, name)]} if name else None
            body["external_gateway_info"] = gateway
        return body

    def create(self, work: Work, change: Change) -> str:
        made = super().create(work, change)
        self._plug(work, made, [], change.after["subnets"])
        return made

    def update(self, work: Work, change: Change) -> None:
        super().update(work, change)
        if "subnets" in change.after:
            self._plug(work, required_id(change), change.before["subnets"], change.after["subnets"])

    def remove(self, work: Work, change: Change) -> None:
        router = required_id(change)
        try:
            ports = work.cloud.get("network", f"/ports?device_id={router}")["ports"]
            for port in ports:
                if port["device_owner"] in INTERFACES:
                    body = {"port_id": port["id"]}
                    work.cloud.request(
                        "PUT", "network", f"/routers/{router}/remove_router_interface", json=body
                    )
        except Missing:
            return
        super().remove(work, change)

    @staticmethod
    def _plug(work: Work, router: str, before: list[str], after: list[str]) -> None:
        for name in after:
            if name not in before:
                body = {"subnet_id": work.ids[_subnet_ref(work.site, name)]}
                work.cloud.request("PUT", "network", f"/routers/{router}/add_router_interface", json=body)
        for name in before:
            if name not in after:
                subnet = work.ids[_subnet_ref(work.site, name)] if _declared(work.site, name) else name
                body = {"subnet_id": subnet}
                work.cloud.request("PUT", "network", f"/routers/{router}/remove_router_interface", json=body)


def _network_ref(site: Site, name: str) -> Ref:
    network = next(item for item in site.networks if item.name == name)
    return Ref("network", (owner(site, network.vo), name))


def _subnet_ref(site: Site, name: str) -> Ref:
    network = next(item for item in site.networks if any(subnet.name == name for subnet in item.subnets))
    return Ref("subnet", (owner(site, network.vo), network.name, name))


def _declared(site: Site, name: str) -> bool:
    return any(subnet.name == name for network in site.networks for subnet in network.subnets)


def _subnet_query(reader: Reader) -> str:
    return "/subnets" if any(network.subnets for network in reader.site.networks) else f"/subnets?tags={TAG}"


def _seen_needs(
    reader: Reader, gateway: Optional[str], inside: list[str], subnets: Any, networks: Any
) -> tuple[Ref, ...]:
    """What must stay until the router is gone, as far as it is ours."""
    found = [
        Ref("network", key)
        for key, item in Network().items(reader, _networks(reader))
        if item["id"] == gateway
    ]
    for subnet_id in inside:
        subnet = subnets.get(subnet_id)
        network = networks.get(subnet["network_id"]) if subnet else None
        if network:
            key = next(key for key, item in Network().items(reader, _networks(reader)) if item is network)
            found.append(Ref("subnet", (*key, subnet["name"])))
    return tuple(found)


def _addresses(outside: Mapping[str, Any]) -> list[str]:
    """The subnets of an external network that a router has an address in."""
    return [ip["subnet_id"] for ip in outside.get("external_fixed_ips", ())]


def _networks(reader: Reader) -> set[tuple[str, ...]]:
    return {(owner(reader.site, item.vo), item.name) for item in reader.site.networks}

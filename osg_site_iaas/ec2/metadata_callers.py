"""Whose a request at the metadata door is: said and signed by Neutron's agent, or found by us in the agent's place.

Neutron's own proxies run in the namespaces of networks and routers. Each adds the address that a request came from and
the network or router that it stands for, takes away what a guest wrote of the kind, and passes all else on. The agent
behind them passes on nothing but its own headers: a session token of IMDSv2 does not get through it.
"""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from osg_site_iaas.ec2.backend.http import Cloud
from osg_site_iaas.ec2.metadata import signed_by_agent

ROUTER_PORTS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)


@dataclass(frozen=True)
class Caller:
    """The server that asks. ``project`` is empty where nobody has said it."""

    server: str
    project: str


PASSED_ON = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_INSTANCE_ID",
    "HTTP_X_NEUTRON_NETWORK_ID",
    "HTTP_X_NEUTRON_ROUTER_ID",
)
Callers = Callable[[Mapping[str, Any]], Optional[Caller]]


def by_agent(secret: str) -> Callers:
    """Believe Neutron's metadata agent, which signs what it says with the shared secret."""

    def caller(environ: Mapping[str, Any]) -> Optional[Caller]:
        server = str(environ.get("HTTP_X_INSTANCE_ID") or "")
        signature = str(environ.get("HTTP_X_INSTANCE_ID_SIGNATURE") or "")
        if not signed_by_agent(secret, server, signature) or not is_uuid(server):
            return None
        return Caller(server, str(environ.get("HTTP_X_TENANT_ID") or ""))

    return caller


def by_proxy(cloud: Callable[[], Cloud]) -> Callers:
    """Ask Neutron who has an address, as its agent does. Only Neutron's own proxies may reach us then: over a socket.

    Nothing is kept: an address that was another server's a second ago must not be answered with that one's data.
    """

    def caller(environ: Mapping[str, Any]) -> Optional[Caller]:
        where = _place(environ)
        if where is None:
            return None
        network, router, address = where
        neutron = cloud()
        networks = [network] if network else _networks_of(neutron, router)
        if not networks:
            return None
        query = {"network_id": networks, "fixed_ips": f"ip_address={address}"}
        found = list(neutron.pages("network", "/ports", "ports", query))
        # Two networks of one router cannot share an address; if they seem to, nobody is told anything.
        if len(found) != 1 or not is_uuid(str(found[0].get("device_id"))):
            return None
        return Caller(str(found[0]["device_id"]), str(found[0]["project_id"]))

    return caller


def came_through_neutron(environ: Mapping[str, Any]) -> bool:
    """Whether a proxy or the agent has passed this on: each adds headers, and a guest cannot take them away."""
    return any(environ.get(name) for name in PASSED_ON)


def _place(environ: Mapping[str, Any]) -> Optional[tuple[str, str, str]]:
    """(network, router, address) of a request, one of the first two empty; None where that is not said once each."""
    network = str(environ.get("HTTP_X_NEUTRON_NETWORK_ID") or "")
    router = str(environ.get("HTTP_X_NEUTRON_ROUTER_ID") or "")
    # Several values are joined by commas: somebody has added his own, or forwards requests of others.
    address = str(environ.get("HTTP_X_FORWARDED_FOR") or "")
    if bool(network) == bool(router) or not is_uuid(network or router):
        return None
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)  # where the proxy listens for both versions
    return network, router, str(mapped or found)


def _networks_of(neutron: Cloud, router: str) -> list[str]:
    query = {"device_id": router, "device_owner": ROUTER_PORTS, "fields": "network_id"}
    return sorted({str(port["network_id"]) for port in neutron.pages("network", "/ports", "ports", query)})


def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False

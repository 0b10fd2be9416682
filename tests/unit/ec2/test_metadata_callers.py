"""Whose a metadata request is: nothing that a guest can write decides it."""

from __future__ import annotations

import pytest

from osg_site_iaas.ec2.metadata_callers import Caller, by_proxy

NETWORK, ROUTER = "497ca79e-8bf9-4593-8507-d62aa34e3c16", "9356e159-dbe3-4663-9211-ce71f7554bbf"
SERVER = "c974672a-4436-4505-9ba9-e922184d8877"


class Neutron:
    """Ports by (network, address), and the networks of one router."""

    def __init__(self, ports: dict, networks: list) -> None:
        self.ports, self.networks = ports, networks

    def pages(self, service: str, path: str, key: str, query: dict) -> list:
        assert (service, path, key) == ("network", "/ports", "ports")
        if "device_id" in query:
            return [{"network_id": one} for one in self.networks if query["device_id"] == ROUTER]
        address = query["fixed_ips"].removeprefix("ip_address=")
        return [one for network in query["network_id"] for one in self.ports.get((network, address), ())]


def ask(neutron: Neutron, **headers: str) -> object:
    return by_proxy(lambda: neutron)({f"HTTP_X_{name.upper()}": value for name, value in headers.items()})


def port(server: str = SERVER) -> dict:
    return {"device_id": server, "project_id": "p"}


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7"])
@pytest.mark.parametrize("where", [{"neutron_network_id": NETWORK}, {"neutron_router_id": ROUTER}])
def test_an_address_of_a_network_or_of_a_routers_network_is_a_server(address, where):
    neutron = Neutron({(NETWORK, "192.0.2.7"): [port()]}, [NETWORK])
    assert ask(neutron, forwarded_for=address, **where) == Caller(SERVER, "p")


@pytest.mark.parametrize(
    "headers",
    [
        {"forwarded_for": "192.0.2.7"},
        {"neutron_network_id": NETWORK},
        {"neutron_network_id": NETWORK, "forwarded_for": ""},
        {"neutron_network_id": NETWORK, "forwarded_for": "192.0.2.8"},
        {"neutron_network_id": NETWORK, "forwarded_for": "192.0.2.9,192.0.2.7"},
        {"neutron_network_id": NETWORK, "forwarded_for": "192.0.2.7, 192.0.2.7"},
        {"neutron_network_id": f"{NETWORK},{NETWORK}", "forwarded_for": "192.0.2.7"},
        {"neutron_network_id": NETWORK, "neutron_router_id": ROUTER, "forwarded_for": "192.0.2.7"},
        {"neutron_network_id": ROUTER, "forwarded_for": "192.0.2.7"},
        {"neutron_router_id": NETWORK, "forwarded_for": "192.0.2.7"},
        {"neutron_network_id": "net", "forwarded_for": "192.0.2.7"},
        {"instance_id": SERVER, "tenant_id": "p", "forwarded_for": "192.0.2.7"},
    ],
)
def test_what_is_not_said_once_and_plainly_is_nobodys(headers):
    assert ask(Neutron({(NETWORK, "192.0.2.7"): [port()]}, []), **headers) is None


def test_two_ports_with_one_address_are_nobodys_and_so_is_a_port_that_is_no_servers():
    twice = Neutron({(NETWORK, "192.0.2.7"): [port(), port(ROUTER)]}, [])
    assert ask(twice, neutron_network_id=NETWORK, forwarded_for="192.0.2.7") is None
    dhcp = Neutron({(NETWORK, "192.0.2.2"): [port("dhcp-of-a-host")]}, [])
    assert ask(dhcp, neutron_network_id=NETWORK, forwarded_for="192.0.2.2") is None

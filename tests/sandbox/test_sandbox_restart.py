"""Servers, volumes and networks outlive a restart of the sandbox, as they do one of a real cloud's services."""

from __future__ import annotations

import pytest

from osg_site_iaas.sandbox import Sandbox, Wishes
from tests.sandbox_cloud import Cloud


@pytest.fixture
def sandbox(tmp_path):
    """One with computes and volumes, of the test's own."""
    made = Sandbox.open(state=tmp_path / "box")
    made.up(wishes=Wishes(services=("nova", "cinder"), computes=2))
    yield made
    made.down()


@pytest.mark.long  # the lifecycle tests restart a sandbox too, with less in it
def test_servers_live_on_and_can_still_be_used(sandbox):
    admin = Cloud(sandbox).connect()
    flavour = admin.compute.create_flavor(name="f", ram=512, vcpus=1, disk=1)
    image = admin.image.create_image(
        name="i", data=b"x", disk_format="raw", container_format="bare", validate_checksum=False
    )
    network = admin.network.create_network(name="n")
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="192.0.2.0/24", enable_dhcp=False)
    wanted = {"flavor_id": flavour.id, "image_id": image.id, "networks": [{"uuid": network.id}]}
    servers = [admin.compute.create_server(name=f"s{n}", **wanted) for n in range(3)]
    servers = [admin.compute.wait_for_server(server, interval=0.5, wait=120) for server in servers]
    volume = admin.block_storage.create_volume(size=1)
    admin.block_storage.wait_for_status(volume, "available", interval=0.5, wait=120)
    providers = {provider.id: provider.name for provider in admin.placement.resource_providers()}

    sandbox.down()
    sandbox.up()

    admin = Cloud(sandbox).connect()
    assert {p.id: p.name for p in admin.placement.resource_providers()} == providers
    after = {server.id: server for server in admin.compute.servers()}
    assert {i: (s.status, s.compute_host, s.addresses) for i, s in after.items()} == {
        s.id: (s.status, s.compute_host, s.addresses) for s in servers
    }
    first, second, _ = servers
    admin.compute.stop_server(first)
    admin.compute.wait_for_server(first, status="SHUTOFF", interval=0.5, wait=120)
    admin.compute.create_volume_attachment(second, volume_id=volume.id)
    admin.block_storage.wait_for_status(volume, "in-use", interval=0.5, wait=120)
    for server in servers:
        admin.compute.delete_server(server)
    for server in servers:
        admin.compute.wait_for_delete(server, interval=0.5, wait=120)
    fresh = admin.compute.create_server(name="new", **wanted)
    assert admin.compute.wait_for_server(fresh, interval=0.5, wait=120).status == "ACTIVE"

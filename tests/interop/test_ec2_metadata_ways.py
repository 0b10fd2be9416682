"""Neutron's own proxy and agent in front of the metadata door: what gets through each, and that nothing can be forged.

Needs root, for a network namespace. The guests are only addresses in it; a real one is in test_ec2_guest.
"""

from __future__ import annotations

import json
import secrets
import sys

import pytest

from tests.interop.guest import METADATA, Network, missing, network
from tests.interop.metadata_rig import port_of, way

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox

# From a given address of the namespace: method, path, headers → status and body.
ASK = """
import http.client, json, sys
source, method, path, headers = json.loads(sys.argv[1])
there = http.client.HTTPConnection("169.254.169.254", 80, timeout=120, source_address=(source, 0))
there.putrequest(method, path)
for name, value in headers:
    there.putheader(name, value)
there.endheaders()
answer = there.getresponse()
print(json.dumps([answer.status, answer.read().decode("latin-1")]))
"""
FOR = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


class Guest:
    """An address in the namespace, and what it asks."""

    def __init__(self, space: Network, address: str) -> None:
        self._space, self.address = space, address

    def ask(self, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
        asked = json.dumps([self.address, method, path, headers])
        status, body = json.loads(self._space.run(sys.executable, "-c", ASK, asked).stdout)
        return status, body


@pytest.fixture(scope="module")
def launched(ec2, vo, image):
    """Two instances: (EC2 id, port)."""
    asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
    made = [ec2.run_instances(**asked, UserData=f"#!/bin/sh\n# {n}\n")["Instances"][0] for n in (1, 2)]
    ids = [one["InstanceId"] for one in made]
    yield [(one, port_of(vo, one)) for one in ids]
    ec2.terminate_instances(InstanceIds=ids)


@pytest.fixture
def space(launched):
    if missing():
        pytest.fail(f"missing on this machine: {', '.join(missing())}", pytrace=False)
    with network(f"osg{secrets.token_hex(3)}", "10.20.15.254", "10.20.15.253") as made:
        for _, port in launched:
            made.run("ip", "addr", "add", f"{port.fixed_ips[0]['ip_address']}/32", "dev", "lo")
        yield made


@pytest.fixture
def guests(space, launched):
    return [Guest(space, port.fixed_ips[0]["ip_address"]) for _, port in launched]


def test_in_the_agents_place_a_token_is_required_and_is_one_instances(box, admin, space, launched, guests):
    (first, port), (second, _) = launched
    one, two = guests
    with way(box, admin, space, {"network": port.network_id}, "--require-token"):
        assert one.ask("GET", "/latest/meta-data/instance-id")[0] == 401
        assert one.ask("PUT", "/latest/api/token")[0] == 400
        tokens = [guest.ask("PUT", "/latest/api/token", (FOR, "60")) for guest in guests]
        assert [status for status, _ in tokens] == [200, 200]
        assert one.ask("GET", "/metrics", (TOKEN, tokens[0][1]))[0] == 404, "counters of all are for no guest"
        for guest, own, (_, token) in zip(guests, (first, second), tokens):
            assert guest.ask("GET", "/latest/meta-data/instance-id", (TOKEN, token)) == (200, own)
        assert two.ask("GET", "/latest/user-data", (TOKEN, tokens[0][1]))[0] == 401
        # What a guest says of itself changes nothing, or is refused; never is it told of another.
        mine = (TOKEN, tokens[0][1])
        for said in (
            ("X-Instance-ID", str(port.device_id)),
            ("X-Neutron-Network-ID", secrets.token_hex(16)),
            ("X-Neutron-Router-ID", str(port.network_id)),
        ):
            assert one.ask("GET", "/latest/user-data", mine, said) == (200, "#!/bin/sh\n# 1\n")
        for said in (("X-Forwarded-For", two.address), ("X_Neutron_Router_ID", str(port.network_id))):
            status, body = one.ask("GET", "/latest/user-data", mine, said)
            assert (status, body) in ((403, body), (200, "#!/bin/sh\n# 1\n"))
            assert "# 2" not in body
        assert one.ask("PUT", "/latest/api/token", (FOR, "60"), ("X-Forwarded-For", "10.0.0.1"))[0] == 403


def test_behind_the_agent_guests_may_speak_either_version(box, admin, space, launched, guests):
    (first, port), (second, _) = launched
    with way(box, admin, space, {"network": port.network_id}, agent=True):
        for guest, own in zip(guests, (first, second)):
            status, token = guest.ask("PUT", "/latest/api/token", (FOR, "60"))
            assert status == 200
            for headers in ([], [(TOKEN, token)]):
                assert guest.ask("GET", "/latest/meta-data/instance-id", *headers) == (200, own)
        assert guests[1].ask("GET", "/latest/user-data") == (200, "#!/bin/sh\n# 2\n")
        assert METADATA not in guests[0].ask("GET", "/latest/")[1]


def test_a_routers_proxy_finds_the_instances_of_its_networks(box, admin, vo, space, launched, guests):
    (first, port), _ = launched
    router = vo.cloud.network.create_router(name="way")
    subnet = port.fixed_ips[0]["subnet_id"]
    try:
        with way(box, admin, space, {"router": router.id}):
            assert guests[0].ask("GET", "/latest/meta-data/instance-id")[0] == 403, "not its network yet"
            vo.cloud.network.add_interface_to_router(router, subnet_id=subnet)
            assert guests[0].ask("GET", "/latest/meta-data/instance-id") == (200, first)
    finally:
        for one in vo.cloud.network.ports(device_id=router.id):
            vo.cloud.network.remove_interface_from_router(router, port_id=one.id)
        vo.cloud.network.delete_router(router)

"""A cloud on one host: a real guest on a VO's network and one on the outside, and what listens where."""

import json
import os

import pytest
from cloud import OPENSTACK, USER_DATA, Cloud, wait_for

testinfra_hosts = [f"podman://osg-{os.environ['MOLECULE_SCENARIO_NAME']}"]
PORTS = (5000, 8774, 8778, 9292, 9696)
OUTSIDE = "--provider-network-type flat --provider-physical-network public"
SUBNET = "--gateway 198.18.50.1 --allocation-pool start=198.18.50.100,end=198.18.50.200 --subnet-range 198.18.50.0/24"


@pytest.fixture(scope="module")
def cloud(host):
    return Cloud(host)


@pytest.fixture(scope="module")
def guests(host, cloud):
    """The two servers, started at once, since each takes minutes."""
    host.check_output(f"cat > /root/user-data <<'END'\n{USER_DATA}\nEND")
    cloud.image(OPENSTACK)
    cloud.do("flavor create --ram 512 --vcpus 1 --disk 3 tests.small")
    cloud.do(f"network create --external --share {OUTSIDE} outside")
    cloud.do(f"subnet create --network outside {SUBNET} outside")
    cloud.do("network create inside")
    cloud.do("subnet create --network inside --subnet-range 10.20.0.0/24 inside")
    cloud.do("router create --external-gateway outside way-out")
    cloud.do("router add subnet way-out inside")
    cloud.do("security group create open")
    cloud.do("security group rule create --protocol icmp open")
    asked = "--image guest --flavor tests.small --security-group open --user-data /root/user-data"
    for name in ("inside", "outside"):
        cloud.do(f"server create {asked} --network {name} {name}")
    return {name: cloud.active(name) for name in ("inside", "outside")}


@pytest.mark.parametrize("port", PORTS)
def test_apis_are_reached_by_tls_only(host, port):
    assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
    assert not host.socket(f"tcp://0.0.0.0:{port}").is_listening
    address = host.check_output("hostname --ip-address")
    assert host.run(f"curl -sS --cacert /root/ca.pem https://cloud.example.org:{port}/").rc == 0
    assert not host.run(f"curl -sS --fail http://{address}:{port}/").succeeded


def test_nothing_but_the_apis_and_messages_with_tls_is_open_to_other_hosts(host):
    address = host.check_output("hostname --ip-address")
    listeners = host.check_output("ss -Hltn | awk '{print $4}'").split()
    open_to_all = {one for one in listeners if not one.startswith(("127.", "[::1]"))}
    assert open_to_all == {f"{address}:{port}" for port in (*PORTS, 5671)}
    secure = host.run(
        f"echo | openssl s_client -verify_return_error -verify_hostname cloud.example.org -connect {address}:5671"
    )
    assert "Verify return code: 0 (ok)" in secure.stdout, secure.stdout + secure.stderr


def test_rabbitmq_knows_the_services_and_nobody_else(host):
    users = json.loads(host.check_output("rabbitmqctl --quiet list_users --formatter json"))
    assert [one["user"] for one in users] == ["openstack"]


@pytest.mark.parametrize("name", ["inside", "outside"])
def test_a_guest_gets_address_and_user_data_and_asks_for_a_login(cloud, guests, name):
    saw = cloud.saw(name)
    assert saw["hostname"] == name
    assert [saw["address"]] == guests[name]["addresses"][name]
    cloud.login(name)


def test_a_floating_address_leads_from_outside_to_the_guest(host, cloud, guests):
    cloud.saw("inside")
    address = cloud.ask("floating ip create outside")["floating_ip_address"]
    cloud.do(f"server add floating ip inside {address}")

    def answered():
        return host.run(f"ping -c 3 -W 5 {address}").succeeded

    assert wait_for(answered, 300)


def test_a_guest_is_gone_when_it_is_deleted(host, cloud, guests):
    cloud.do("server delete --wait inside outside")
    assert host.check_output("virsh --quiet list --all") == ""

"""OpenStack with every variable changed, on a controller, a host for networks and guests, and a site's own database and
RabbitMQ: each variable is really used."""

import json
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
import testinfra
from cloud import Cloud, wait_for

testinfra_hosts = ["podman://osg-openstack-changed"]
ROOT = Path(__file__).parents[3]
ADDRESS = "198.18.60.1"
DATABASES = ("keystone", "glance", "placement", "nova", "nova_api", "nova_cell0", "neutron")
SECRET = "other-tests-only-fedcba9876543210-changed"


@pytest.fixture(scope="module")
def cloud(host):
    return Cloud(host)


@pytest.fixture(scope="module")
def node():
    return testinfra.get_host("podman://osg-openstack-changed-node")


@pytest.fixture(scope="module")
def backends():
    return testinfra.get_host("podman://osg-openstack-changed-backends")


@pytest.fixture(scope="module")
def network(cloud):
    """A VO's network with DHCP."""
    if not cloud.ask("network list --name inside"):
        cloud.do("network create inside")
        cloud.do("subnet create --network inside --subnet-range 10.30.0.0/24 inside")
    return cloud.ask("network show inside")


@pytest.fixture(scope="module")
def server(host, cloud, network):
    """A server of an empty disk: what it does is not asked here, that it starts is."""
    assert wait_for(lambda: {one["State"] for one in cloud.ask("hypervisor list")} == {"up"}, 600)
    if not cloud.ask("image list --name empty"):
        host.check_output("truncate --size 1M /root/empty")
        cloud.do("image create --disk-format raw --container-format bare --file /root/empty empty")
    if "tests.tiny" not in cloud.do("flavor list"):
        cloud.do("flavor create --ram 64 --vcpus 1 --disk 1 tests.tiny")
    if not cloud.ask("server list --name empty"):
        cloud.do("server create --image empty --flavor tests.tiny --network inside empty")
    return cloud.active("empty")


def test_addresses_and_region_are_the_given_ones(host, cloud):
    listeners = host.check_output("ss -Hltn | awk '{print $4}'").splitlines()
    for port in (5000, 8774, 8778, 9292, 9696):
        assert {f"127.0.0.1:{port}", f"{ADDRESS}:{port}"} == {
            one for one in listeners if one.endswith(f":{port}")
        }
    assert {one["Region"] for one in cloud.ask("endpoint list")} == {"North"}


def test_the_certificate_is_the_given_one_and_serves_the_given_name(host):
    assert (
        host.run(
            "curl -sS --cacert /usr/local/share/ca-certificates/osg-site-iaas.crt https://stack.example.net:9292/"
        ).rc
        == 0
    )
    assert not host.file("/etc/grid-security/hostcert.pem").exists


def test_keystone_is_served_by_the_sites_own_front(host):
    told = host.check_output("curl -sSI https://stack.example.net:5000/v3")
    assert "X-Served-By: the-site" in told
    assert "frontend keystone" not in host.file("/etc/haproxy/haproxy.cfg").content_string


def test_the_database_is_the_sites_own_and_talked_to_by_tls_only(host, backends):
    assert not host.package("mariadb-server").is_installed
    filled = "SELECT DISTINCT table_schema FROM information_schema.tables"
    assert set(DATABASES) <= set(backends.check_output(f"mariadb -BN -e '{filled}'").split())
    assert (
        backends.check_output("mariadb -BN -e \"SELECT ssl_type FROM mysql.user WHERE user = 'openstack'\"")
        == "ANY"
    )
    hosts = backends.check_output(
        "mariadb -BN -e \"SELECT host FROM information_schema.processlist WHERE user = 'openstack'\""
    )
    assert {line.partition(":")[0] for line in hosts.splitlines()} <= {ADDRESS, "stack.example.net"}
    assert hosts


def test_the_rabbitmq_is_the_sites_own_and_talked_to_by_tls_only(host, backends):
    assert not host.package("rabbitmq-server").is_installed
    rows = backends.check_output(
        "rabbitmqctl --quiet list_connections user ssl peer_host --no-table-headers"
    ).splitlines()
    told = {tuple(row.split()) for row in rows}
    assert told == {("openstack", "true", ADDRESS), ("openstack", "true", "198.18.60.2")}


def test_a_bad_answer_of_either_is_one_clear_sentence(tmp_path):
    def ask(**what):
        command = [
            "ansible", "all", "-i", "osg-openstack-changed,", "-c", "containers.podman.podman",
            "-e", "ansible_python_interpreter=/usr/bin/python3", "-m", "osg.site_iaas.backends", "-a", json.dumps(what),
        ]  # fmt: skip
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
        }
        told = subprocess.run(
            command, env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE
        ).stdout
        assert "FAILED!" in told, told
        return json.loads(told.partition(" => ")[2])["msg"]

    bundle = "/etc/ssl/certs/ca-certificates.crt"
    wrong = {"user": "openstack", "password": "not-a-secret", "ca": bundle}
    place = {"host": "backends.example.net", "port": 3307, "names": ["keystone"]}
    assert "does not let openstack in with this password" in ask(database={**place, **wrong})
    assert "cannot be talked to: Can't connect" in ask(database={**place, **wrong, "port": 3399})
    assert "certificate verify failed" in ask(database={**place, **wrong, "host": "198.18.60.3"})
    both = ask(
        database={**place, **wrong},
        messages={
            **wrong,
            "hosts": ["backends.example.net:5674", "backends.example.net:5699", "198.18.60.3:5674"],
        },
    )
    assert "RabbitMQ at backends.example.net:5674 does not let openstack in" in both
    assert "RabbitMQ at backends.example.net:5699 cannot be talked to" in both
    assert "RabbitMQ at 198.18.60.3:5674 cannot be talked to" in both
    assert "not-a-secret" not in both


@pytest.mark.parametrize("unit", ["keystone", "glance-api", "placement-api", "nova-api", "neutron-api"])
def test_one_process_works_in_each_api(host, unit):
    main = host.check_output(f"systemctl show --property MainPID --value {unit}")
    assert len(host.check_output(f"ps --no-headers -o pid --ppid {main}").split()) == 1


def test_settings_go_over_the_roles(cloud):
    expires = cloud.ask("token issue")["expires"]
    left = datetime.strptime(expires, "%Y-%m-%dT%H:%M:%S%z") - datetime.now(timezone.utc)
    assert 900 < left.total_seconds() <= 1234
    assert {one["Resource"]: one["Limit"] for one in cloud.ask("quota show --network")}["networks"] == 3


def test_guests_are_on_the_second_host_and_not_on_the_first(host, node, server):
    assert server["OS-EXT-SRV-ATTR:host"] == "node.example.org"
    assert not host.package("nova-compute").is_installed
    assert "type='qemu'" in node.check_output("virsh dumpxml --domain $(virsh --quiet list --name)")


def test_networks_are_vlans_of_the_range_on_their_interface(node, network):
    tag = network["provider:segmentation_id"]
    assert network["provider:network_type"] == "vlan"
    assert network["provider:physical_network"] == "tenants"
    assert 300 <= tag <= 309
    assert node.check_output("ovs-vsctl get bridge br-tenants datapath_type") == "netdev"
    space = f"qdhcp-{network['id']}"
    assert wait_for(lambda: "10.30.0." in node.run(f"ip netns exec {space} ip address").stdout, 300)
    ask = f"ip netns exec {space} ping -c 30 10.30.0.99"
    seen = node.check_output(
        f"({ask} >/dev/null 2>&1 &); timeout 60 tcpdump -lnec 1 -i trunk-peer vlan {tag} and arp 2>/dev/null"
    )
    assert f"vlan {tag}" in seen


def test_a_flat_network_leads_outside_by_its_other_name(cloud, node):
    if not cloud.ask("network list --name outside"):
        cloud.do(
            "network create --external --provider-network-type flat --provider-physical-network campus outside"
        )
    assert node.check_output("ovs-vsctl iface-to-br uplink") == "br-ex"
    assert cloud.host.run(
        "OS_CLOUD=admin openstack network create --provider-network-type flat --provider-physical-network public x"
    ).failed


def test_metadata_comes_from_where_it_is_said_to(cloud, node, network):
    (port,) = cloud.ask("port list --network inside --device-owner network:dhcp")
    address = port["Fixed IP Addresses"][0]["ip_address"]
    ask = f"ip netns exec qdhcp-{network['id']} curl -sS --interface {address} http://169.254.169.254/latest/anything"
    told = wait_for(
        lambda: (found := node.run(ask)).succeeded and found.stdout.startswith("{") and found.stdout, 120
    )
    saw = json.loads(told)
    assert saw["path"] == "/latest/anything"
    assert saw["x-tenant-id"] == network["project_id"]
    assert saw["x-instance-id-signature"]
    assert not node.service("nova-api-metadata").is_running


def test_the_time_servers_are_asked(host):
    assert wait_for(lambda: "backends.example.net" in host.check_output("chronyc -N -c sources"), 60)
    assert wait_for(lambda: "^,*,backends.example.net" in host.check_output("chronyc -N -c sources"), 300)


def test_a_server_is_deleted_by_messages_through_the_sites_rabbitmq(cloud, node, server):
    cloud.do("server delete --wait empty")
    assert node.check_output("virsh --quiet list --all") == ""

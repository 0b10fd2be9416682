"""What the README says about removing OpenStack leaves nothing behind that runs, listens or knows a password: last."""

import re
from pathlib import Path

testinfra_hosts = ["podman://osg-openstack"]
README = Path(__file__).parents[3] / "roles/openstack/README.md"
USERS = {
    *("keystone", "glance", "placement", "nova", "neutron", "libvirt-qemu"),
    *("haproxy", "memcache", "mysql", "rabbitmq", "openvswitch"),
}
PACKAGES = (
    *("keystone", "glance", "placement", "nova", "neutron", "openvswitch", "libvirt-daemon"),
    *("mariadb-server", "rabbitmq-server", "haproxy", "memcached"),
)
FOLDERS = "/etc /var/lib /var/log /usr/local"


def commands():
    """Those of the README, as they stand there."""
    text = README.read_text(encoding="utf-8").partition("\nTo remove it")[2]
    return re.search(r"\n\n((?:    .+\n)+)", text)[1].replace("\n    ", "\n").strip()


def test_removal_as_the_page_says_it_leaves_nothing(host):
    host.check_output(f"cat > /root/remove.sh <<'DONE'\n{commands()}\nDONE")
    password = host.check_output("grep -oP 'password: \"\\K[^\"]+' /etc/openstack/clouds.yaml")
    host.check_output("sh -e /root/remove.sh")
    assert host.check_output("ss -Hltn") == ""
    assert [user for user in host.check_output("ps -eo user:32").split() if user in USERS] == []
    programs = set(host.check_output("ps -eo comm").split())
    assert {
        name for name in programs if name.startswith(("qemu", "uwsgi", "libvirt", "ovs", "epmd", "dnsmasq"))
    } == set()
    states = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Status}\n'").splitlines()
    assert [one for one in states if one.startswith(PACKAGES) and not one.endswith("not-installed")] == []
    assert host.check_output("ip netns list") == ""
    links = set(re.findall(r"^\d+: ([^:@]+)", host.check_output("ip link show"), re.MULTILINE))
    assert links == {"lo", "eth0", "outside", "outside-peer"}
    assert host.check_output("systemctl list-units --state=failed --no-legend --plain") == ""
    assert host.check_output(f"grep -rlF {password} {FOLDERS} 2>/dev/null; true") == ""
    assert (
        host.check_output("find /etc /var/lib -path '*osg*site-iaas*' | grep -v '^/etc/osg/site-iaas$'; true")
        == ""
    )

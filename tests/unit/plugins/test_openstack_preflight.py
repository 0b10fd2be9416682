"""What role openstack refuses before it touches a host, and in which words."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

GOOD = {
    "openstack_fqdn": "cloud.example.org",
    "openstack_secret": "0123456789abcdef0123456789abcdef",
    "openstack_certificate": "host.pem",
    "openstack_certificate_key": "host-key.pem",
}
DEBIAN = {
    "ansible_os_family": "Debian",
    "ansible_distribution": "Debian",
    "ansible_distribution_major_version": "13",
}
EL = {
    "ansible_os_family": "RedHat",
    "ansible_distribution": "AlmaLinux",
    "ansible_distribution_major_version": "9",
}
FEDORA = {**EL, "ansible_distribution": "Fedora", "ansible_distribution_major_version": "44"}
VLAN = {"openstack_tenant_networks": "vlan", "openstack_tenant_interface": "eno3"}
# name: (facts, what is asked for, what is said; None where nothing is refused)
CASES = {
    "nothing is wrong": (DEBIAN, {}, None),
    "another distribution": (
        FEDORA,
        {},
        "The role knows Debian 12 and 13, and EL 9 and 10 by name; this is Fedora 44",
    ),
    "EL": (EL, {}, "On EL the role holds names only and has not been run"),
    "EL all the same": (EL, {"openstack_allow_untested": True}, None),
    "a short secret": (
        DEBIAN,
        {"openstack_secret": "short"},
        "openstack_secret has 5 characters and needs 32 or more",
    ),
    "VLANs without an interface": (
        DEBIAN,
        {"openstack_tenant_networks": "vlan"},
        "openstack_tenant_interface must name what carries them",
    ),
    "VLANs that are none": (
        DEBIAN,
        {**VLAN, "openstack_tenant_vlans": "100-199"},
        "openstack_tenant_vlans is 100-199 and must be FIRST:LAST, from 1 to 4094",
    ),
    "VLANs backwards": (
        DEBIAN,
        {**VLAN, "openstack_tenant_vlans": "199:100"},
        "openstack_tenant_vlans is 199:100 and must be FIRST:LAST",
    ),
    "VLANs beyond the last": (
        DEBIAN,
        {**VLAN, "openstack_tenant_vlans": "100:4095"},
        "openstack_tenant_vlans is 100:4095 and must be FIRST:LAST",
    ),
    "VLANs": (DEBIAN, VLAN, None),
    "tunnels in user space": (
        DEBIAN,
        {"openstack_datapath": "netdev"},
        "Set openstack_tenant_networks to vlan, or to local",
    ),
    "RabbitMQ without a port": (
        DEBIAN,
        {"openstack_rabbit_hosts": ["mq1.example.org:5671", "mq2.example.org"]},
        "openstack_rabbit_hosts has mq2.example.org, and each must be HOST:PORT.",
    ),
    "a file that is not the role's": (
        DEBIAN,
        {"openstack_settings": {"nova.conf": {}, "cinder.conf": {}}},
        "openstack_settings has cinder.conf; the role writes dhcp_agent.ini, glance-api.conf,",
    ),
    "no certificate": (
        DEBIAN,
        {"openstack_certificate": "none.pem"},
        "none.pem and host-key.pem must both be on the controller",
    ),
    "an empty certificate": (
        DEBIAN,
        {"openstack_certificate": "empty.pem"},
        "empty.pem holds no certificate in PEM form:",
    ),
    "another name": (
        DEBIAN,
        {"openstack_fqdn": "other.example.org"},
        "host.pem does not bear the name other.example.org:",
    ),
    "another key": (
        DEBIAN,
        {"openstack_certificate_key": "ca-key.pem"},
        "host.pem has another key than ca-key.pem:",
    ),
    "no certificate where there is no controller": (
        DEBIAN,
        {"openstack_services": ["compute"], "openstack_certificate": "none.pem"},
        None,
    ),
}
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
FACTS = {**DEBIAN, "ansible_distribution_version": "44", "ansible_default_ipv4": {"address": "192.0.2.1"}}
# One host for each case.
PLAY = {
    "hosts": "all",
    "gather_facts": False,
    "tasks": [
        {
            "ansible.builtin.set_fact": {
                "cacheable": True,
                **{name: f"{{{{ facts.{name} }}}}" for name in FACTS},
            }
        },
        {
            "block": [
                {
                    "ansible.builtin.include_role": {
                        "name": "osg.site_iaas.openstack",
                        "tasks_from": "preflight",
                    }
                },
                {"ansible.builtin.debug": {"msg": "{{ case }} SAID nothing"}},
            ],
            "rescue": [{"ansible.builtin.debug": {"msg": "{{ case }} SAID {{ ansible_failed_result.msg }}"}}],
        },
    ],
}


def hosts(folder):
    """An inventory; a task's folder is not the test's."""
    for number, (name, (facts, asked, _)) in enumerate(CASES.items()):
        given = {**GOOD, **asked}
        for path in ("openstack_certificate", "openstack_certificate_key"):
            given[path] = f"{folder}/{given[path]}"
        yield (
            f"case{number}",
            {"case": name, "facts": {**FACTS, **facts}, **LOCAL, **given},
        )


@pytest.fixture(scope="module")
def said(ansible_in, tmp_path_factory):
    """What was said in each case, all by one run of Ansible."""
    folder = tmp_path_factory.mktemp("preflight")
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    for name, host in (("host", "cloud.example.org"), ("ca", "ca.example.org")):
        files = ["-keyout", f"{name}-key.pem", "-out", f"{name}.pem"]
        whose = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
        subprocess.run([*new, *files, *whose], cwd=folder, check=True, capture_output=True)
    (folder / "empty.pem").touch()
    inventory = {"all": {"hosts": dict(hosts(folder))}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (folder / "play.yml").write_text(yaml.safe_dump([PLAY], sort_keys=False))
    told = ansible_in(folder)("ansible-playbook", "-i", "hosts.yml", "--forks", "9", "play.yml")
    assert told.returncode == 0, told.stdout
    lines = [line.partition(": ")[2].strip('"') for line in told.stdout.splitlines() if " SAID " in line]
    assert len(lines) == len(CASES), told.stdout
    return {
        name: words.replace(f"{folder}/", "")
        for name, _, words in (line.partition(" SAID ") for line in lines)
    }


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_is_refused_in_one_sentence(said, name):
    expected = CASES[name][2] or "nothing"
    assert expected in said[name]


def test_what_comes_before_keystones_front_is_judged_like_the_whole_role(ansible, tmp_path):
    role = {"name": "osg.site_iaas.openstack", "tasks_from": "first"}
    asked = {**GOOD, "openstack_services": ["controler"]}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": asked,
        "tasks": [
            {"ansible.builtin.set_fact": {"cacheable": True, **FACTS}},
            {"ansible.builtin.include_role": role},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    told = ansible("ansible-playbook", "play.yml")
    assert told.returncode != 0
    assert "controler" in told.stdout
    assert "openstack_services" in told.stdout

"""The same behind Apache, and with every variable changed: each of them is really used."""

import json

testinfra_hosts = ["podman://osg-identity-changed"]
SITE = "https://cloud.example.org:5443"
LOGIN = f"{SITE}/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"


def ask(host, who, url=LOGIN):
    cert = f"--cert /root/{who}.pem --key /root/{who}.pem" if who else ""
    told = host.check_output(f"curl -sS --cacert /root/ca.pem {cert} -w '\\n%{{http_code}}' {url}")
    body, _, code = told.rpartition("\n")
    return int(code), body


def test_apache_serves_keystone_at_the_other_port(host):
    code, body = ask(host, None, f"{SITE}/v3")
    assert code == 200
    assert json.loads(body)["version"]["status"] == "stable"
    assert host.socket("tcp://127.0.0.1:5443").is_listening
    assert not host.socket("tcp://0.0.0.0:5443").is_listening
    assert not host.service("osg-site-iaas-front").is_running


def test_a_banned_member_is_refused_and_let_in_when_the_ban_is_gone(host):
    host.check_output(f"test -e /root/federated || python3 /root/federate.py {SITE}/v3")
    host.check_output("touch /root/federated")
    code, body = ask(host, "jane")
    assert code == 401, body
    host.check_output("mv /etc/osg/site-iaas/bans.yml /root/bans.yml")
    try:
        code, body = ask(host, "jane")
    finally:
        host.check_output("mv /root/bans.yml /etc/osg/site-iaas/bans.yml")
    assert code == 201, body


def test_attributes_of_a_server_that_nobody_named_are_refused(host):
    code, body = ask(host, "stranger")
    assert code == 401
    assert "no server of that name may speak" in body


def test_both_ways_to_say_who_speaks_for_a_vo_were_used(host):
    assert host.file("/etc/grid-security/vomsdir/icecube/voms.icecube.example.org.lsc").exists
    assert host.file("/etc/grid-security/vomsdir/cms/voms.example.org.lsc").exists


def test_packages_that_were_declined_are_not_there(host):
    assert not host.package("fetch-crl").is_installed
    assert not host.package("igtf-policy-classic").is_installed
